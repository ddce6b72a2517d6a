"""g(r) of pairs of elements against ASE in a large cell, and against counts in a small one."""

import numpy as np
from ase.build import bulk
from ase.geometry.rdf import get_rdf

from mlip_engines.properties.force_angles import force_angles
from mlip_engines.properties.partial_distribution import partial_distributions


def test_it_equals_that_of_ase_and_does_not_depend_on_the_cell():
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True).repeat(2)
    atoms.rattle(0.1, seed=1)
    r, g = partial_distributions([atoms], 5.0, 50)
    for name in ("Cl-Na", "Na-Na"):
        elements = tuple(name.split("-"))
        expected, centres = get_rdf(atoms, 5.0, 50, elements=elements)
        np.testing.assert_allclose(r, centres)
        # ASE counts both orders of a pair of unlike elements in half the density
        np.testing.assert_allclose(g[name], expected, rtol=0.05, atol=1e-9)
    small = bulk("NaCl", "rocksalt", 5.6)
    _, one = partial_distributions([small], 8.0, 37)
    _, many = partial_distributions([small.repeat(3)], 8.0, 37)
    np.testing.assert_allclose(one["Cl-Na"], many["Cl-Na"], rtol=1e-9)


def test_angles_between_forces():
    first = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 1.0], [0, 0, 1e-9]])
    second = np.array([[3.0, 0, 0], [1.0, 0, 0], [0, 0, -5.0], [1.0, 0, 0]])
    np.testing.assert_allclose(force_angles(first, second), [0.0, 90.0, 180.0], atol=1e-6)
