"""Overlaps and Lindemann indices of trajectories that are made up."""

import numpy as np
import pytest
from ase import Atoms

from mlip_engines.diagnostics.physicality import judge
from tests.mlip_engines.simulations.trajectories import trajectory


def moving(positions, cell=None):
    n = len(positions)
    cells = np.zeros((n, 3, 3)) if cell is None else np.broadcast_to(cell, (n, 3, 3))
    return trajectory(
        [0.0],
        [1.0],
        [0.0],
        frame_time_ps=np.arange(float(n)),
        positions=np.asarray(positions, float),
        velocities=np.zeros_like(positions, dtype=float),
        frame_cell=cells,
    )


def test_a_crystal_is_solid_and_does_not_overlap(argon):
    rng = np.random.default_rng(1)
    frames = argon.positions + 0.05 * rng.normal(size=(60, 32, 3))
    found = judge(argon, moving(frames, argon.cell.array), None)
    assert not found["unphysical"] and not found["overlap"]
    # two independent displacements of 0.05 Å over a mean distance of some Å
    assert found["global_lindemann"] == pytest.approx(0.05 * np.sqrt(2) / 5.0, rel=0.3)


def test_a_molecule_that_comes_apart_is_unphysical_and_one_that_travels_is_not():
    atoms = Atoms("H4", [[0, 0, 0], [0.8, 0, 0], [0, 5.0, 0], [0.8, 5.0, 0]])
    groups = [np.array([0, 1]), np.array([2, 3])]
    travel = np.zeros((50, 4, 3))
    travel[:, 2:, 1] = np.linspace(0.0, 30.0, 50)[:, None]
    assert not judge(atoms, moving(atoms.positions + travel), groups)["unphysical"]
    apart = np.zeros((50, 4, 3))
    apart[:, 3, 0] = np.linspace(0.0, 3.0, 50)
    found = judge(atoms, moving(atoms.positions + apart), groups)
    assert found["unphysical"] and found["local_lindemann"] > 0.25 and not found["overlap"]


def test_atoms_at_less_than_half_the_first_distance_overlap():
    atoms = Atoms("H3", [[0, 0, 0], [1.0, 0, 0], [5.0, 0, 0]])
    frames = np.repeat(atoms.positions[None], 20, axis=0)
    frames[10, 1, 0] = 0.45
    found = judge(atoms, moving(frames), [np.arange(3)])
    assert found["overlap"] and found["unphysical"]
    assert found["smallest_distance_angstrom"] == pytest.approx(0.45)


def test_a_run_that_blew_up_is_unphysical():
    atoms = Atoms("H2", [[0, 0, 0], [0.8, 0, 0]])
    run = moving(np.repeat(atoms.positions[None], 5, axis=0))
    run.stopped = "lost atoms"
    assert judge(atoms, run, None)["unphysical"]
