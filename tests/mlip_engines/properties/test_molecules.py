"""Molecules across the boundary of a cell, and a metal, which has none."""

import numpy as np
import pytest
from ase import Atoms

from mlip_engines.properties.molecules import bonds, find_molecules, is_molecular, whole_molecule
from mlip_engines.properties.orientation import directions_of


def test_molecules_are_found_across_the_boundary():
    from ase.build import molecule

    water = molecule("H2O")
    box = water.copy()
    box.positions += [0.0, 0.0, -0.2]
    other = water.copy()
    other.positions += [4.0, 4.0, 4.0]
    box += other
    box.cell, box.pbc = [8.0, 8.0, 8.0], True
    box.wrap()
    groups = find_molecules(box)
    assert [list(g) for g in groups] == [[0, 1, 2], [3, 4, 5]]
    assert len(bonds(box)) == 4
    assert is_molecular(box)
    whole = whole_molecule(box, groups[0])
    np.testing.assert_allclose(whole - whole[0], water.positions - water.positions[0], atol=1e-12)
    _, directions = directions_of(box, groups, box.positions[None], box.cell.array[None])
    np.testing.assert_allclose(directions[0, 0], directions[0, 1], atol=1e-12)


def test_a_metal_is_not_molecular():
    from ase.build import bulk

    copper = bulk("Cu", cubic=True).repeat(2)
    assert len(find_molecules(copper)) == 1
    assert not is_molecular(copper)


def test_a_chain_longer_than_half_of_the_cell_is_put_together():
    """Ten carbons, 12 Å from end to end in a cell of 14 Å, in any order: every distance is that of the chain."""
    k = np.arange(10)
    positions = np.stack([1.27 * k, 0.42 * (-1.0) ** k, 0.0 * k], axis=1)
    order = np.random.default_rng(3).permutation(10)
    chain = Atoms("C10", positions[order], cell=[14.0, 12.0, 12.0], pbc=True)
    chain.positions += [9.0, 0.0, 0.0]
    chain.wrap()
    (group,) = find_molecules(chain)
    whole = whole_molecule(chain, group)
    apart = whole[:, None] - whole
    expected = positions[order][:, None] - positions[order]
    assert apart == pytest.approx(expected, abs=1e-9)
