"""Optimisers of many structures take the steps that those of ASE take for each, with forces of EMT."""

import ase.optimize
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from mlip_engines.relaxation.bfgs import Bfgs
from mlip_engines.relaxation.fire import Fire
from mlip_engines.relaxation.lbfgs import Lbfgs
from mlip_engines.relaxation.rows import Rows
from mlip_engines.relaxation.under_way import UnderWay
from tolerances import TOLERANCE

N_STEPS = 7


def structures():
    """Structures of several sizes near minima, where the energy curves upwards."""
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.04, seed=1)
    pair = molecule("N2")
    pair.rattle(0.02, seed=2)
    alloy = bulk("Au", cubic=True)
    alloy.symbols[0] = "Ag"
    alloy.rattle(0.05, seed=3)
    return [crystal, pair, alloy]


def path_of_ase(atoms, optimiser):
    atoms = atoms.copy()
    atoms.calc = EMT()
    run = getattr(ase.optimize, optimiser)(atoms, logfile=None)
    return [
        atoms.positions.copy() for _, _ in zip(range(N_STEPS), run.irun(fmax=0.0), strict=False)
    ]


def forces_of(atoms, positions):
    atoms = atoms.copy()
    atoms.positions = positions
    atoms.calc = EMT()
    return atoms.get_forces()


@pytest.mark.parametrize(("ours", "of_ase"), [(Fire, "FIRE"), (Lbfgs, "LBFGS"), (Bfgs, "BFGS")])
def test_steps_are_those_of_ase(ours, of_ase):
    """The last structure joins two steps after the others, and the first leaves two steps before the end."""
    first = structures()
    wanted = [path_of_ase(atoms, of_ase) for atoms in first]
    optimiser = ours(0.2)
    optimiser.add(Rows(np.array([len(atoms) for atoms in first[:2]])))
    there, ages = [0, 1], [0, 0, 0]
    positions = {k: atoms.positions.copy() for k, atoms in enumerate(first)}
    for step in range(N_STEPS):
        if step == 2:
            optimiser.add(Rows(np.array([len(first[2])])))
            there = [0, 1, 2]
        if step == N_STEPS - 2:
            counts = [len(first[k]) for k in there]
            stays = np.array([k != 0 for k in there])
            optimiser.keep(np.repeat(stays, counts), stays)
            there = [1, 2]
        for k in there:
            error = np.abs(positions[k] - wanted[k][ages[k]]).max()
            assert error < TOLERANCE["float64"].position, (step, k)
        rows = Rows(np.array([len(first[k]) for k in there]))
        joined = np.concatenate([positions[k] for k in there])
        forces = np.concatenate([forces_of(first[k], positions[k]) for k in there])
        moved = np.split(joined + optimiser.step(joined, forces, rows), rows.starts[1:])
        for k, place in zip(there, moved, strict=True):
            positions[k] = place
            ages[k] += 1


@pytest.mark.parametrize("kind", [Lbfgs, Bfgs])
def test_it_goes_downhill_where_the_energy_curves_downwards(kind):
    """E = cos x: from near a maximum, a step along a negative curvature would go back up to it."""
    x, rows, optimiser = np.array([[0.2, 0.0, 0.0]]), Rows(np.array([1])), kind(0.5)
    optimiser.add(rows)
    energies = []
    for _ in range(300):
        energies.append(np.cos(x[0, 0]))
        x = x + optimiser.step(x, np.array([[np.sin(x[0, 0]), 0.0, 0.0]]), rows)
    assert np.all(np.diff(energies) < 1e-12)
    assert x[0, 0] == pytest.approx(np.pi, abs=1e-6)


@pytest.mark.parametrize("kind", [Fire, Lbfgs, Bfgs])
def test_a_state_that_was_kept_takes_the_same_steps(kind, tmp_path):
    """Two wells of different stiffness; the second optimiser has only what the file of the first says."""
    counts = np.array([2, 3])
    rows, stiffness = Rows(counts), np.repeat([3.0, 40.0], counts)[:, None]
    x = np.random.default_rng(2).normal(size=(5, 3))
    first = kind(0.2)
    first.add(rows)
    for _ in range(4):
        x = x + first.step(x, -stiffness * x, rows)
    names = dict.fromkeys(("index", "steps", "energy_before"), np.zeros(2))
    UnderWay(**names, counts=counts, coordinates=x, optimiser=first.state()).write(tmp_path / "a")
    kept = UnderWay.read(tmp_path / "a")
    second = kind(0.2)
    second.restore(kept.optimiser)
    y = kept.coordinates
    for _ in range(4):
        x = x + first.step(x, -stiffness * x, rows)
        y = y + second.step(y, -stiffness * y, rows)
    np.testing.assert_array_equal(x, y)


def test_a_file_that_was_cut_off_is_no_state(tmp_path):
    (tmp_path / "a").write_bytes(b"PK\x03\x04 and no more")
    assert UnderWay.read(tmp_path / "a") is None
