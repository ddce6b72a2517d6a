"""Precision of the network, random rotations, and what the log says about device and threads."""

import re

import numpy as np
import pytest

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.runner import read_dump, read_thermo, run_script, run_structure, write_data
from tolerances import TOLERANCE

ARGON = ClosedForm(6.0, epsilon=0.0104, sigma=3.4, curl=0.004)
TILT = 0.02  # eV, of the model `tilted`
STEP = 0.004  # ps


def test_single_precision_drifts_no_more_than_double(models, tmp_path):
    """float32 network, float64 sums: the drift of both is below what the time step leaves."""
    drift = {}
    for name in ("argon", "argon_float32"):
        commands = f"fix move all nve\ntimestep {STEP}\nthermo 5\nrun 500\n"
        result = run_structure(argon(), models[name], tmp_path, commands=commands)
        slope = np.polyfit(result.thermo["Time"], result.total_energy, 1)[0]
        drift[name] = 1000.0 * slope / len(argon())  # meV/atom/ps
    assert abs(drift["argon"]) < 0.01
    assert abs(drift["argon_float32"] - drift["argon"]) < 0.01


def turned_energies(models, folder, seed, name="tilted", forces="forces.dump"):
    """Energies of the same positions in 400 steps, each with its rotation."""
    write_data(folder / "argon.data", argon(size=2), ["Ar"])
    script = f"""
units metal
atom_style atomic
read_data argon.data
pair_style mlip rotate yes seed {seed}
pair_coeff * * {models[name]} Ar
velocity all set 0 0 0
fix hold all setforce 0 0 0
fix move all nve
compute p all pressure NULL pair
thermo_style custom step pe c_p[1] c_p[4]
thermo_modify norm no format float %.17g
thermo 1
run 399
"""
    return read_thermo(run_script(script, folder))


def test_rotation_does_not_change_an_invariant_model(models, tmp_path):
    """Forces and virial come back into the frame of the simulation."""
    atoms = argon(size=2)
    for style in ("mlip rotate yes", "mlip rotate yes forces non_conservative"):
        result = run_structure(atoms, models["exact_argon"], tmp_path, pair_style=style)
        energy, forces, virial, _ = ARGON.evaluate(atoms)
        assert abs(result.energy + 13.5 * len(atoms) - energy) < TOLERANCE["float64"].energy
        assert np.abs(result.forces - forces).max() < TOLERANCE["float64"].force
        assert np.abs(result.virial - virial).max() < TOLERANCE["float64"].virial
        total = result.atomic_virials.sum(axis=0)
        assert np.abs(total - virial).max() < TOLERANCE["float64"].virial


def test_rotations_average_over_all_orientations(models, tmp_path):
    """The tilted energy a f(r) z^2/r^2 of an edge becomes a f(r)/3, without a preferred axis."""
    thermo = turned_energies(models, tmp_path, seed=1)
    atoms = argon(size=2)
    vectors, _ = ARGON._vectors(atoms)
    factor = (1.0 - (np.linalg.norm(vectors, axis=1) / 6.0) ** 2) ** 3
    isotropic = ARGON.evaluate(atoms)[0] - 13.5 * len(atoms) + TILT * factor.sum() / 3.0
    energies = thermo["PotEng"]
    error = energies.std() / np.sqrt(len(energies))
    assert energies.std() > 1e-4
    assert abs(energies.mean() - isotropic) < 4.0 * error
    plain = run_structure(atoms, models["tilted"], tmp_path).energy
    assert abs(plain - isotropic) > 8.0 * error


def test_rotations_follow_seed_and_step(models, tmp_path):
    one = turned_energies(models, tmp_path, seed=1)["PotEng"]
    again = turned_energies(models, tmp_path, seed=1)["PotEng"]
    other = turned_energies(models, tmp_path, seed=2)["PotEng"]
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4


def test_forces_of_one_rotation_are_the_gradient_of_its_energy(models, tmp_path):
    """Moving one atom in one and the same step: its rotation stays."""
    h, energies = 1e-4, []
    atoms = argon(size=2)
    reference = run_structure(atoms, models["tilted"], tmp_path, pair_style="mlip rotate yes")
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[3, 1] += sign * h
        energies.append(
            run_structure(moved, models["tilted"], tmp_path, pair_style="mlip rotate yes").energy
        )
    assert abs(reference.forces[3, 1] + (energies[0] - energies[1]) / (2 * h)) < 1e-6
    fixed = run_structure(atoms, models["tilted"], tmp_path).forces
    assert np.abs(fixed - reference.forces).max() > 1e-4


def test_both_forces_of_a_step_have_the_same_rotation(models, tmp_path):
    """r-RESPA with M = 1 is NC + (C - NC): the conservative trajectory only if both turn alike."""
    results = []
    for style in ("", "run_style respa 2 1 inner 1 2.0 3.0 outer 2"):
        commands = f"fix move all nve\ntimestep {STEP}\n{style}\nrun 50\n"
        results.append(
            run_structure(
                argon(size=2),
                models["tilted"],
                tmp_path,
                pair_style="mlip rotate yes",
                commands=commands,
            )
        )
    difference = np.abs(results[0].positions - results[1].positions).max()
    assert difference < TOLERANCE["float64"].position


def test_minimization_keeps_one_frame(models, tmp_path):
    """Energies of different rotations cannot be compared, so a minimizer does not see any."""
    energies = [
        run_structure(
            argon(size=2),
            models["tilted"],
            tmp_path,
            pair_style=style,
            commands="minimize 0 1e-6 200 1000\n",
        ).thermo["PotEng"][1]
        for style in ("mlip", "mlip rotate yes")
    ]
    assert energies[0] == energies[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_log_says_device_and_threads(models, tmp_path, threads):
    write_data(tmp_path / "argon.data", argon(size=2), ["Ar"])
    script = f"""
package omp {threads}
units metal
atom_style atomic
read_data argon.data
pair_style mlip device cpu
pair_coeff * * {models["argon"]} Ar
dump d all custom 1 f.dump id fx fy fz
dump_modify d sort id format float %.17g
run 0
"""
    log = run_script(script, tmp_path)
    assert re.search(rf"device cpu \(asked for: cpu\), {threads} thread\(s\) of \d+ processor", log)
    forces = read_dump(tmp_path / "f.dump")[0][:, 1:]
    assert np.abs(forces - ARGON.evaluate(argon(size=2))[1]).max() < TOLERANCE["float64"].force
