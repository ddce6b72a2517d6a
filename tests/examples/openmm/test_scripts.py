"""The examples as a user runs them, on a small box and an exact model."""

import csv
import runpy
import subprocess
import sys
import time
from pathlib import Path

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from pair_oracle import pair_sums
from tests.openmm_forces.argon import ARGON, argon, velocities
from tests.openmm_forces.conftest import BASELINE
from tolerances import TOLERANCE

EXAMPLES = Path(__file__).parents[3] / "examples" / "openmm"


@pytest.fixture
def start(tmp_path) -> Path:
    atoms = argon()
    atoms.set_velocities(velocities(len(atoms)) / (1000 * ase.units.fs))
    write(tmp_path / "start.extxyz", atoms, columns=["symbols", "positions", "momenta"])
    return tmp_path / "start.extxyz"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run an example as ``python example.py arguments``, without starting Python anew."""

    def run_example(script: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return run_example


@pytest.mark.parametrize(
    "mode, evaluations",
    [("conservative", (0, 49)), ("non_conservative", (49, 4)), ("respa", (37, 13))],
)
def test_water_respa(run, models, start, tmp_path, mode, evaluations):
    output = tmp_path / "energies.csv"
    printed = run(
        "water_respa.py", "--model", models["argon"], "--structure", start, "--mode", mode,
        "--inner-steps", 4, "--steps", 48, "--every", 16, "--dt", 2.0, "--output", output,
    )  # fmt: skip
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time_ps"]) for row in rows] == [0.0, 0.032, 0.064, 0.096]
    first = rows[0]
    energy = pair_sums(read(start), **ARGON)[0] + 32 * BASELINE["Ar"]
    assert float(first["potential_eV"]) == pytest.approx(energy, abs=TOLERANCE["float64"].energy)
    assert float(first["kinetic_eV"]) == pytest.approx(read(start).get_kinetic_energy(), rel=1e-5)
    total = [float(row["total_eV"]) for row in rows]
    assert np.ptp(total) < 0.01
    counts = tuple(int(rows[-1][f"{k}_evaluations"]) for k in ("non_conservative", "full"))
    assert counts == evaluations
    assert float(printed.split("ms_per_inner_step")[1].split()[0]) > 0


def test_water_respa_refuses_rows_inside_an_outer_step(run, models, start, capsys):
    with pytest.raises(SystemExit):
        run(
            "water_respa.py", "--model", models["argon"], "--structure", start, "--inner-steps", 8,
            "--every", 12,
        )  # fmt: skip
    assert "--every must be a multiple of --inner-steps" in capsys.readouterr().err


def test_minimise(run, models, start, tmp_path):
    output = tmp_path / "minimum.pdb"
    run(
        "minimise.py", "--model", models["argon"], "--structure", start, "--tolerance", 0.1,
        "--output", output,
    )  # fmt: skip
    energies = [pair_sums(atoms, **ARGON)[0] for atoms in (read(start), read(output))]
    assert energies[1] < energies[0] - 0.01


NVT = ("--steps", 24, "--every", 2, "--dt", 2.0, "--temperature", 60, "--inner-steps", 4)


@pytest.mark.parametrize("thermostat", ["langevin", "bussi", "high-pass"])
def test_nvt(run, models, start, tmp_path, thermostat):
    output = tmp_path / "nvt"
    printed = run(
        "nvt.py", "--model", models["argon"], "--structure", start, "--thermostat", thermostat,
        *NVT, "--output", output,
    )  # fmt: skip
    energies = table(output / "energy.csv")
    conserved, heat = (np.array([row[k] for row in energies]) for k in ("conserved_eV", "heat_eV"))
    assert len(conserved) == 12
    assert np.ptp(conserved) < 0.01 < np.ptp(heat)
    assert "Remaining" in printed
    # One full evaluation per outer step, one for the first, none for the reports.
    assert "('non_conservative', 72)" in printed and "('full', 25)" in printed


def table(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_nvt_resumed_after_a_kill_is_the_run_that_was_not_killed(run, models, start, tmp_path):
    """Same energies, thermostat and random numbers included; every step once."""
    options = ["--model", models["argon"], "--structure", start, *NVT, "--host", "python"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run("nvt.py", *options, "--output", whole)
    long = [*options[:4], "--steps", 100000, *NVT[2:], "--host", "python", "--output", killed]
    command = [sys.executable, str(EXAMPLES / "nvt.py"), *map(str, long)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (killed / "run.chk").exists() and time.monotonic() < deadline:
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    done = len(table(killed / "energy.csv"))
    assert done < 12  # or the whole run is too short for this test
    printed = run("nvt.py", *options, "--output", killed, "--resume")
    assert "resumed at step" in printed
    expected, found = (table(folder / "energy.csv") for folder in (whole, killed))
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for row, reference in zip(found, expected, strict=True):
        for column in ("potential_eV", "kinetic_eV", "heat_eV"):
            # Eight digits are written; TorchScript rounds differently after its first calls.
            assert row[column] == pytest.approx(reference[column], abs=2e-8, rel=0)
    frames = read(killed / "frames.extxyz", ":")
    assert [frame.info["step"] for frame in frames] == list(range(2, 25, 2))


def test_nvt_without_a_checkpoint_to_resume(run, models, start, tmp_path):
    with pytest.raises(SystemExit, match="expected a checkpoint .* got none; start without"):
        run(
            "nvt.py", "--model", models["argon"], "--structure", start, "--resume", "--output",
            tmp_path / "none",
        )  # fmt: skip


def test_npt(run, models, start, tmp_path):
    output = tmp_path / "npt.csv"
    printed = run(
        "npt.py", "--model", models["argon"], "--structure", start, "--steps", 20, "--every", 2,
        "--dt", 2.0, "--temperature", 60, "--trial-every", 1, "--pressure", 3000, "--output", output,
    )  # fmt: skip
    rows = np.loadtxt(output, delimiter=",", skiprows=1)
    assert len(rows) == 10
    volume, density = rows[:, -2], rows[:, -1]
    assert np.ptp(volume) > 1e-3
    # Argon's mass of 39.948 g/mol in a box of nm^3.
    np.testing.assert_allclose(density, 32 * 39.948 / 602.214076 / volume, rtol=1e-4)
    mean = float(printed.split("density_g_per_ml")[1])
    assert mean == pytest.approx(density[5:].mean(), abs=1e-4)


def test_solvated(run, tmp_path):
    """The shipped model for two of 64 molecules."""
    output = tmp_path / "last.pdb"
    printed = run(
        "solvated.py",
        "--molecules",
        0,
        5,
        "--minimise",
        10,
        "--steps",
        10,
        "--every",
        5,
        "--output",
        output,
    )
    # One more than M - 1 per outer step: the minimiser leaves the conservative forces alone.
    assert "evaluations: 31 non-conservative" in printed
    water = read(output)
    for molecule in range(64):
        lengths = water.get_distances(3 * molecule, [3 * molecule + 1, 3 * molecule + 2], mic=True)
        if molecule in (0, 5):
            assert np.all((lengths > 0.85) & (lengths < 1.15))
        else:  # rigid TIP3P; a PDB has three digits
            np.testing.assert_allclose(lengths, 0.9572, rtol=0, atol=0.003)


def test_minimise_batch(run, models, tmp_path):
    """Dimers at random distances, and a trimer: each at its own minimum."""
    rng = np.random.default_rng(1)
    molecules = [Atoms("Ar2", [[0, 0, 0], rng.uniform(1.8, 2.8, 3)]) for _ in range(3)]
    molecules.append(Atoms("Ar3", [[0, 0, 0], [3.6, 0.1, 0], [1.7, 3.4, 0.3]]))
    write(tmp_path / "molecules.extxyz", molecules)
    output = tmp_path / "minima.extxyz"
    run(
        "minimise_batch.py", tmp_path / "molecules.extxyz", "--model", models["argon"],
        "--tolerance", 1e-3, "--output", output,
    )  # fmt: skip
    minima = read(output, ":")
    assert [len(atoms) for atoms in minima] == [2, 2, 2, 3]
    for atoms in minima:
        energy, forces, _ = pair_sums(atoms, **ARGON)
        assert np.abs(forces).max() < 1e-5
        assert atoms.get_potential_energy() == pytest.approx(
            energy + len(atoms) * BASELINE["Ar"], abs=1e-5
        )
    assert np.ptp([atoms.get_distance(0, 1) for atoms in minima[:3]]) < 1e-3
