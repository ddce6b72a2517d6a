"""Root mean square displacements whose value is known."""

import numpy as np
import pytest
from ase.build import bulk, molecule

from mlip_engines.relaxation.displacement import root_mean_square_displacement
from tolerances import EXACT


def test_a_molecule_that_only_turned_has_not_changed():
    before = molecule("CH3CH2OH")
    after = before.copy()
    after.rotate(70, (1, 2, 3))
    after.translate([3.0, -1.0, 2.0])
    assert root_mean_square_displacement(before, after) < 1e-7  # the square root of round-off


def test_a_crystal_that_only_grew_or_moved_has_not_changed():
    before = bulk("NaCl", "rocksalt", a=5.6)
    after = before.copy()
    after.set_cell(before.cell * 1.1, scale_atoms=True)
    after.translate([0.3, 0.2, 0.1])
    assert root_mean_square_displacement(before, after) < EXACT


def test_two_atoms_that_part():
    before = bulk("NaCl", "rocksalt", a=5.6)
    after = before.copy()
    after.positions += [[0.1, 0, 0], [-0.1, 0, 0]]
    assert root_mean_square_displacement(before, after) == pytest.approx(0.1, abs=EXACT)
    assert np.allclose(before.positions[0], 0.0)
