"""The input scripts in examples/lammps, run as a user runs them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlip_engines.lammps.plugin import lammps_command
from mlip_engines.readers import read_structures
from structures import STRUCTURES
from tests.lammps_plugin.runner import environment, read_thermo, write_data

EXAMPLES = Path(__file__).parents[3] / "examples" / "lammps"


@pytest.fixture
def run_example(models, tmp_path):
    """Run an example on a small box; returns what LAMMPS printed."""
    atoms = STRUCTURES["orthogonal"]()
    write_data(tmp_path / "water.data", atoms, ["O", "H"])

    def run(name, check=True, processes=1, **variables):
        command = [*lammps_command(), "-in", str(EXAMPLES / name), "-log", "none"]
        if processes > 1:
            command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(processes), *command]
        for key, value in {"model": models["curl"], **variables}.items():
            command += ["-var", key, str(value)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.mark.parametrize("mode", ["conservative", "non_conservative", "respa"])
def test_water_respa_covers_the_same_time_in_every_mode(run_example, mode):
    thermo = read_thermo(run_example("water_respa.in", mode=mode, steps=80, M=8, every=16).stdout)
    assert np.allclose(np.diff(thermo["Time"]), 16 * 0.0005)
    assert thermo["Time"][-1] == pytest.approx(80 * 0.0005)
    evaluations = thermo["c_mlip[1]"][-1] + thermo["c_mlip[2]"][-1]
    assert evaluations == 81  # one in each inner step and one in setup
    if mode == "respa":
        assert thermo["c_mlip[1]"][-1] == 70


def test_heavier_hydrogens_begin_at_the_same_temperature_and_move_more_slowly(run_example):
    options = {"mode": "conservative", "steps": 1, "every": 1}
    light = read_thermo(run_example("water_respa.in", seed=1, **options).stdout)
    heavy = read_thermo(run_example("water_respa.in", hydrogen=3.024, **options).stdout)
    assert heavy["Temp"][0] == pytest.approx(300.0, abs=1e-6)
    assert heavy["PotEng"][0] == pytest.approx(light["PotEng"][0], abs=1e-6)
    # The first step changes the potential energy by about v F dt, and v goes with 1/sqrt(m).
    assert abs(heavy["PotEng"][1] - heavy["PotEng"][0]) < abs(
        light["PotEng"][1] - light["PotEng"][0]
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("water_respa.in", {"mode": "respa", "steps": 16, "M": 4, "every": 4}),
        ("production.in", {"steps": 20, "rotate": "yes"}),
        ("minimise.in", {"steps": 3, "style": "cg"}),
        ("overlay.in", {"M": 4, "steps": 16}),
        ("committee.in", {"steps": 10, "model": "water"}),
        ("high_pass.in", {"M": 4, "picoseconds": 0.05, "every": 5, "hydrogen": 1.008}),
    ],
)
def test_examples_give_the_same_on_two_processes(run_example, name, options):
    one, two = (read_thermo(run_example(name, processes=n, **options).stdout) for n in (1, 2))
    for column in {"PotEng", "Press", "c_mlip[2]", "c_dev[1]"} & one.keys():
        # As printed. What is a difference of forces, of 1 eV/Å, has their digits and not its own.
        atol = 1e-5 if column.startswith("c_") else 0.0
        np.testing.assert_allclose(two[column], one[column], rtol=1e-5, atol=atol, err_msg=column)


def test_water_respa_refuses_another_mode(run_example):
    done = run_example("water_respa.in", check=False, mode="direct")
    assert done.returncode != 0
    assert "expected mode conservative, non_conservative or respa, got direct" in done.stdout


def test_high_pass_example_accounts_for_the_heat(run_example):
    """Toy water, so a short inner loop; the energy less the heat drifts far less than the heat."""
    log = run_example("high_pass.in", M=2, picoseconds=0.2, every=5).stdout
    thermo = read_thermo(log)
    heat = thermo["TotEng"] - thermo["Econserve"]
    assert np.ptp(heat) > 0.1
    assert np.ptp(thermo["Econserve"]) < 0.1 * np.ptp(heat)


def test_minimise_lowers_the_energy(run_example):
    thermo = read_thermo(run_example("minimise.in", steps=5, style="cg").stdout)
    assert thermo["PotEng"][1] < thermo["PotEng"][0] - 0.1


def test_sampled_frames_can_be_matched_on(run_example, tmp_path):
    run_example("sample_frames.in", frames=3, output=tmp_path / "frames.extxyz")
    frames = read_structures(tmp_path / "frames.extxyz", labels=False)
    atoms = STRUCTURES["orthogonal"]()
    assert [frame.get_chemical_formula() for frame in frames] == [atoms.get_chemical_formula()] * 3
    np.testing.assert_allclose(frames[0].cell.lengths(), atoms.cell.lengths(), atol=1e-5)
    moved = np.abs(frames[2].get_scaled_positions() - frames[1].get_scaled_positions())
    assert 0.0 < np.median(moved) < 0.1
    assert all(frame.calc is None for frame in frames)


def test_barostat_with_the_predicted_stress_works_on_the_system(run_example, models):
    """What the warnings say: with heads that are no derivatives, energy is not conserved."""
    settings = {"ensemble": "nph_iso", "M": 0, "steps": 400, "every": 10, "taup": 1.0}
    settings |= {"model": models["stress"], "inner": 0.0002}
    exact = run_example("ensembles.in", **settings)
    heads = run_example(
        "ensembles.in", **settings, forces="non_conservative", stress="non_conservative"
    )
    assert "WARNING: Pair style mlip" not in exact.stdout
    for what in ("forces are no gradient", "stress is no derivative"):
        lines = [line for line in heads.stdout.splitlines() if what in line]
        assert len(lines) == 1
        assert "WARNING: Pair style mlip" in lines[0]
    conserved = [np.ptp(read_thermo(done.stdout)["Econserve"]) for done in (exact, heads)]
    assert conserved[1] > 5.0 * conserved[0], conserved


def test_overlay_shares_the_evaluation_and_conserves_energy(run_example):
    thermo = read_thermo(run_example("overlay.in", M=4, steps=400).stdout)
    evaluations = [np.diff(thermo[f"c_mlip[{k}]"]) for k in (1, 2)]
    assert evaluations[0].tolist() == [30] * 10
    assert evaluations[1].tolist() == [10] * 10
    assert np.abs(thermo["c_d3"]).min() > 1e-3
    assert np.ptp(thermo["TotEng"]) < 0.05 * np.ptp(thermo["PotEng"])


def test_production_run_goes_on_from_its_restart_file(run_example, tmp_path):
    options = {"deuterium": "yes", "rotate": "yes", "device": "cpu"}
    whole = run_example("production.in", steps=200, **options)
    part = run_example("production.in", steps=100, **options, **{"continue": "yes"})
    reference, again = read_thermo(whole.stdout), read_thermo(part.stdout)
    for column in ("PotEng", "Econserve", "c_mlip[3]"):
        np.testing.assert_allclose(again[column][-1], reference[column][-1], rtol=1e-6)
    frame = np.loadtxt(tmp_path / "run.dump", skiprows=9, max_rows=24)
    assert frame[:, 5].max() > 0.0


@pytest.mark.parametrize("processes", [1, 2])
def test_production_run_stops_where_the_heads_disagree(run_example, tmp_path, processes):
    done = run_example(
        "production.in", check=False, processes=processes, steps=100, disagreement=1e-4
    )
    assert done.returncode != 0
    assert "The state is in mlip_disagreement_0.restart" in done.stdout
    assert (tmp_path / "mlip_disagreement_0.restart").exists()


def test_production_run_of_heavy_water_says_nothing_of_masses(run_example):
    assert "has the mass" not in run_example("production.in", steps=1, deuterium="yes").stdout


def test_strides_run_side_by_side_in_python(models, tmp_path):
    """LAMMPS as a library with mpi4py: beside each other, strides do what they do alone."""
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), ["O", "H"])

    def table(processes, strides, per_run=1):
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(processes)]
        command += [sys.executable, str(EXAMPLES / "strides.py"), "--strides", *strides]
        command += ["--processes-per-run", str(per_run)]
        command += ["--picoseconds", "0.1", "--model", str(models["curl"]), "--data", "water.data"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(line.split() for line in done.stdout.splitlines()[1:])

    together = table(2, ["1", "4", "8"])
    assert list(together) == ["1", "4", "8"]
    assert table(1, ["8"]) == {"8": together["8"]}
    assert table(2, ["8"], per_run=2) == {"8": together["8"]}  # one LAMMPS on both
    assert len(set(together.values())) == 3


def test_copper_keeps_its_energy_at_an_outer_step_of_16_fs(run_example):
    done = run_example("copper.in", M=8, ps=0.4, cells=3)
    first, second = done.stdout.split("Loop time")[:2]
    energy = np.array(read_thermo(first + "Loop time")["TotEng"])
    # settled after the first quarter, in which half of the kinetic energy goes into vibrations
    assert np.ptp(energy[len(energy) // 4 :]) / 108 < 2e-4  # eV/atom
    pressure = np.array(read_thermo(second + "Loop time")["Press"])
    assert abs(pressure).max() < 2e4  # bar: the barostat holds what thermal expansion asks for


def test_thermal_conductivity_is_the_correlation_of_the_flux(run_example, tmp_path):
    """What LAMMPS prints is the integral of the correlation of the fluxes that it prints."""
    every, lags = 2, 5
    options = {"model": "copper", "cells": 2, "ps": 0.1, "every": every, "lags": lags}
    done = run_example("heat_flux.in", **options)
    assert "WARNING: Pair style mlip" not in done.stdout
    flux = np.loadtxt(tmp_path / "flux.dat")[:, 1:]  # eV Å/ps
    assert len(flux) == 50 // every + 1
    # per lag, over kB T^2 V, eV^2 Å^2/ps
    correlation = [np.mean(flux[lag:] * flux[: len(flux) - lag]) for lag in range(lags)]
    integral = np.trapezoid(correlation, dx=0.002 * every)
    kappa = 1602.176634 * integral / (8.617333262e-5 * 300.0**2 * (2 * 3.63) ** 3)
    assert abs(kappa) > 1e-4
    found = read_thermo(done.stdout)["v_kappa"][-1]
    assert found == pytest.approx(kappa, rel=1e-6)
    assert f"thermal conductivity from 0.1 ps: {found:.4g} W/(m K)" in done.stdout
    assert len((tmp_path / "J0Jt.dat").read_text().splitlines()) > lags
