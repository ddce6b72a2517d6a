"""Trajectories of pair style mlip: energy conservation, r-RESPA, counters, neighbour lists."""

import re

import ase.units
import numpy as np
import pytest
from ase.build import bulk

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.runner import LammpsError, run_structure
from tolerances import TOLERANCE

CLOSED_FORM = ClosedForm(6.0, epsilon=0.0104, sigma=3.4, curl=0.004)
TIME_STEP = 0.004  # ps, inner
DRIFT_LIMIT = 0.05  # meV/atom/ps


def respa(inner_steps, outer_steps, thermo=1):
    return f"""
fix move all nve
timestep {inner_steps * TIME_STEP}
run_style respa 2 {inner_steps} inner 1 2.0 3.0 outer 2
thermo {thermo}
run {outer_steps}
"""


def verlet(steps, thermo=1):
    return f"fix move all nve\ntimestep {TIME_STEP}\nthermo {thermo}\nrun {steps}\n"


def drift(result, n_atoms):
    """Slope of the total energy against time, meV/atom/ps."""
    return 1000.0 * np.polyfit(result.thermo["Time"], result.total_energy, 1)[0] / n_atoms


def test_evaluation_counters_of_respa_are_optimal(models, tmp_path):
    thermo = run_structure(argon(), models["argon"], tmp_path, commands=respa(8, 20)).thermo
    direct, full = thermo["c_mlip[1]"], thermo["c_mlip[2]"]
    assert (direct[0], full[0]) == (0, 1)  # setup
    assert np.diff(direct[:21]).tolist() == [7] * 20
    assert np.diff(full[:21]).tolist() == [1] * 20


def test_evaluation_counters_without_output_in_between(models, tmp_path):
    counts = {}
    for outer_steps in (10, 20):
        result = run_structure(
            argon(), models["argon"], tmp_path, commands=respa(8, outer_steps, thermo=1000)
        )
        counts[outer_steps] = result.counters[:2]
    assert (counts[20] - counts[10]).tolist() == [70, 10]


def test_counters_stay_optimal_when_the_number_of_inner_steps_changes(models, tmp_path):
    commands = respa(8, 5) + "run 5\nminimize 1e-8 1e-8 5 20\nrun 5\n"
    commands += "run_style respa 2 3 inner 1 2.0 3.0 outer 2\nrun 5\nrun 5\n"
    thermo = run_structure(argon(), models["argon"], tmp_path, commands=commands).thermo
    steps = np.stack([np.diff(thermo["c_mlip[1]"]), np.diff(thermo["c_mlip[2]"])], axis=1)
    minimization = np.flatnonzero(steps[:, 0] == 0)  # setups and minimizer iterations
    dynamics = np.delete(steps, minimization, axis=0)
    assert dynamics.tolist() == [[7, 1]] * 15 + [[2, 1]] * 10


def test_counters_with_three_levels(models, tmp_path):
    commands = "fix move all nve\ntimestep 0.016\nthermo 1\n"
    commands += "run_style respa 3 2 4 inner 1 2.0 3.0 outer 3\nrun 5\n"
    thermo = run_structure(argon(), models["argon"], tmp_path, commands=commands).thermo
    assert np.diff(thermo["c_mlip[1]"])[:5].tolist() == [7] * 5
    assert np.diff(thermo["c_mlip[2]"])[:5].tolist() == [1] * 5


def test_forces_can_be_chosen_again_between_runs(models, tmp_path):
    commands = verlet(5) + "pair_style mlip forces non_conservative\nrun 5\n"
    result = run_structure(argon(), models["argon"], tmp_path, commands=commands)
    atoms = argon()
    atoms.positions = result.positions
    _, forces, _, direct = CLOSED_FORM.evaluate(atoms)
    assert np.abs(result.forces - direct).max() < TOLERANCE["float64"].force
    assert np.abs(result.forces - forces).max() > 1e-3


def test_counters_of_verlet_runs(models, tmp_path):
    conservative = run_structure(argon(), models["argon"], tmp_path, commands=verlet(10))
    assert conservative.counters.tolist() == [0, 12, -1, -1]  # setup, 10 steps, final evaluation
    direct = run_structure(
        argon(),
        models["argon"],
        tmp_path,
        commands=verlet(10, thermo=5),
        pair_style="mlip forces non_conservative",
    )
    # steps that print the energy need it: 0, 5, 10 and the final evaluation
    assert direct.counters[:2].tolist() == [8, 4]


def test_disagreement_of_the_heads_is_reported_in_ev_per_angstrom(models, tmp_path):
    for units in ("metal", "real"):
        commands = "run_style respa 2 2 inner 1 2.0 3.0 outer 2\n"
        result = run_structure(argon(), models["argon"], tmp_path, commands=commands, units=units)
        _, forces, _, direct = CLOSED_FORM.evaluate(argon())
        norms = np.linalg.norm(forces - direct, axis=1)
        expected = [np.sqrt((norms**2).mean()), norms.max()]
        assert norms.max() > 1e-3
        assert np.abs(result.counters[2:] - expected).max() < TOLERANCE["float64"].force


def test_respa_with_one_inner_step_equals_conservative_verlet(models, tmp_path):
    reference = run_structure(argon(), models["argon"], tmp_path, commands=verlet(100))
    result = run_structure(argon(), models["argon"], tmp_path, commands=respa(1, 100))
    moved = np.linalg.norm(reference.positions - argon().positions, axis=1)
    assert moved.max() > 0.1
    assert np.abs(result.positions - reference.positions).max() < TOLERANCE["float64"].position


@pytest.mark.parametrize("units", ["metal", "real"])
def test_conservative_nve_is_the_velocity_verlet_of_the_closed_form(models, tmp_path, units):
    atoms, dt, n_steps = argon(), 2.0 * ase.units.fs, 20
    step = {"metal": 0.002, "real": 2.0}[units]
    commands = f"fix move all nve\ntimestep {step}\nrun {n_steps}\n"
    result = run_structure(atoms, models["argon"], tmp_path, commands=commands, units=units)
    x, v, m = atoms.positions.copy(), atoms.get_velocities(), atoms.get_masses()[:, None]
    forces = CLOSED_FORM.evaluate(atoms)[1]
    for _ in range(n_steps):
        v = v + 0.5 * dt * forces / m
        x = x + dt * v
        atoms.positions = x
        forces = CLOSED_FORM.evaluate(atoms)[1]
        v = v + 0.5 * dt * forces / m
    # LAMMPS's own constants are rounded in the 8th digit, which moves atoms by 1e-8 of their way
    assert np.abs(result.positions - x).max() < 10 * TOLERANCE["float64"].position


def test_energy_and_virial_of_respa_are_conservative(models, tmp_path):
    commands = "run_style respa 2 4 inner 1 2.0 3.0 outer 2\n"
    result = run_structure(argon(), models["argon"], tmp_path, commands=commands)
    energy, forces, virial, _ = CLOSED_FORM.evaluate(argon())
    assert abs(result.energy + 13.5 * 108 - energy) < TOLERANCE["float64"].energy
    assert np.abs(result.forces - forces).max() < TOLERANCE["float64"].force
    assert np.abs(result.virial - virial).max() < TOLERANCE["float64"].virial
    assert np.abs(result.atomic_virials.sum(axis=0) - virial).max() < TOLERANCE["float64"].virial


def test_energy_drift_is_small_for_conservative_and_respa_but_not_for_direct(models, tmp_path):
    atoms = argon()
    conservative = run_structure(atoms, models["argon"], tmp_path, commands=verlet(250))
    multiple = run_structure(atoms, models["argon"], tmp_path, commands=respa(4, 63))
    direct = run_structure(
        atoms,
        models["argon"],
        tmp_path,
        commands=verlet(250),
        pair_style="mlip forces non_conservative",
    )
    assert abs(drift(conservative, len(atoms))) < DRIFT_LIMIT
    assert abs(drift(multiple, len(atoms))) < DRIFT_LIMIT
    assert abs(drift(direct, len(atoms))) > DRIFT_LIMIT


@pytest.mark.parametrize("inner_steps", [0, 4], ids=["verlet", "respa"])
def test_several_runs_are_one_run(models, tmp_path, inner_steps):
    first, again = (respa(4, 5), "") if inner_steps else (verlet(5), " pre no")
    parts = run_structure(
        argon(), models["argon"], tmp_path, commands=first + f"run 10\nrun 5{again}\n"
    )
    commands = respa(4, 20) if inner_steps else verlet(20)
    once = run_structure(argon(), models["argon"], tmp_path, commands=commands)
    assert np.abs(once.positions - parts.positions).max() < TOLERANCE["float64"].position


def test_minimize_then_run(models, tmp_path):
    commands = "minimize 0 1e-8 500 1000\n" + verlet(50)
    result = run_structure(argon(), models["argon"], tmp_path, commands=commands)
    energies = result.thermo["PotEng"]
    perfect = bulk("Ar", a=5.3, cubic=True).repeat(3)
    assert energies[1] < energies[0]
    assert abs(energies[1] + 13.5 * 108 - CLOSED_FORM.evaluate(perfect)[0]) < 1e-6
    assert np.ptp(result.total_energy[2:]) < 1e-3


@pytest.mark.parametrize("inner_steps", [0, 4], ids=["verlet", "respa"])
def test_neighbour_rebuilds_do_not_change_the_trajectory(models, tmp_path, inner_steps):
    atoms = argon(temperature=900.0, size=2)
    commands = respa(inner_steps, 60) if inner_steps else verlet(240)
    results, builds = [], []
    for setting in ("every 1 delay 0 check yes", "every 1 delay 0 check no"):
        lines = f"neighbor 1.5 bin\nneigh_modify {setting}\n" + commands
        results.append(run_structure(atoms, models["argon"], tmp_path, commands=lines))
        builds.append(int(re.search(r"Neighbor list builds = (\d+)", results[-1].log)[1]))
    length = atoms.cell.lengths()[0]
    crossed = np.floor(results[0].positions / length) != np.floor(atoms.positions / length)
    assert crossed.any()
    assert 3 < builds[0] < builds[1] / 3
    assert np.abs(results[0].positions - results[1].positions).max() < TOLERANCE["float64"].position


def test_skin_that_inner_steps_outrun_is_told_before_it_is_an_error(models, tmp_path):
    commands = "neighbor 0.2 bin\n" + respa(20, 10)
    with pytest.raises(LammpsError) as caught:
        run_structure(argon(300.0), models["argon"], tmp_path, commands=commands)
    output = caught.value.output
    assert re.search(r"WARNING: .*in one \(outer\) time step of 0.08, more than the skin", output)
    assert re.search(r"ERROR: .*more than the skin of 0.2: neighbors may be missing. Use", output)


@pytest.mark.parametrize("delay", ["delay 0", "delay 40 every 20"])
@pytest.mark.parametrize("inner_steps", [1, 8])
def test_list_is_rebuilt_before_atoms_outrun_the_skin(models, tmp_path, inner_steps, delay):
    """What LAMMPS would not notice in time: long outer steps, and lists kept for many steps."""
    atoms = argon(temperature=300.0, size=2)
    results = {}
    for skin, setting in ((0.7, delay), (3.0, "delay 0")):
        commands = f"neighbor {skin} bin\nneigh_modify {setting}\n"
        commands += respa(inner_steps, 320 // inner_steps, thermo=1000)
        results[skin] = run_structure(atoms, models["argon"], tmp_path, commands=commands)
    assert "WARNING" not in results[0.7].log
    difference = np.abs(results[0.7].positions - results[3.0].positions).max()
    assert difference < TOLERANCE["float64"].position


def test_constant_pressure_run_keeps_its_conserved_quantity(models, tmp_path):
    commands = f"""
fix move all npt temp 80 80 0.4 iso 0 0 2.0
thermo_style custom step time temp pe ke etotal press vol c_virial[*] c_mlip[*] econserve
thermo_modify norm no format float %.17g
timestep {TIME_STEP}
thermo 1
run 250
"""
    thermo = run_structure(argon(), models["argon"], tmp_path, commands=commands).thermo
    rows = slice(0, 251)
    assert np.ptp(thermo["Volume"][rows]) > 0.01 * thermo["Volume"][0]
    # Energy, kinetic energy and the work of the barostat, which is made of the virial, have to
    # cancel. LAMMPS leaves a tenth with its own pair styles as well, whatever the time step.
    assert np.ptp(thermo["Econserve"][rows]) < 0.15 * np.ptp(thermo["TotEng"][rows])


def test_langevin_with_respa_reaches_its_temperature(models, tmp_path):
    commands = f"fix bath all langevin 80 80 0.1 4711\n{respa(4, 400, thermo=1)}"
    result = run_structure(argon(40.0), models["argon"], tmp_path, commands=commands)
    temperatures = result.thermo["Temp"][200:]
    assert abs(temperatures.mean() - 80.0) < 12.0  # 108 atoms: fluctuations of 6 K
