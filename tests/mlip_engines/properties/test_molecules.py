"""Molecules across the boundary of a cell, and a metal, which has none."""

import numpy as np

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
