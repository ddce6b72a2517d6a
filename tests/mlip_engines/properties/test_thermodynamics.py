"""Temperatures of velocities that are drawn, and the enthalpy of a box that breathes."""

import numpy as np
import pytest

from mlip_engines.properties.thermodynamics import enthalpy, excess_temperature
from mlip_engines.simulations.kinetics import temperatures
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN
from tests.mlip_engines.simulations.trajectories import trajectory


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_temperatures_of_maxwell_velocities_are_those_they_were_drawn_at(ensemble):
    """Oscillators in a bath: independent velocities, with and without a centre of mass at rest."""
    from ase import Atoms
    from ase.build import molecule

    atoms = Atoms()
    for _ in range(4):
        atoms += molecule("H2O")
    masses, rng = atoms.get_masses(), np.random.default_rng(1)
    v = rng.normal(size=(4000, 12, 3)) * np.sqrt(BOLTZMANN_EV_PER_KELVIN * 300.0 / masses)[:, None]
    if ensemble == "nve":
        v -= np.einsum("fni,n->fi", v, masses)[:, None] / masses.sum()
    kinetic = 0.5 * masses * (v**2).sum(axis=2)
    hydrogen = atoms.numbers == 1
    run = trajectory(
        np.arange(4000.0),
        np.stack([kinetic[:, hydrogen].sum(1), kinetic[:, ~hydrogen].sum(1)], axis=1),
        np.zeros(4000),
    )
    assert set(temperatures(atoms, run, ensemble)) == {"all", "H", "O"}
    for value, error in excess_temperature(atoms, [run], ensemble, 300.0).values():
        assert abs(value) < 4.0 * error
        assert error < 3.0


def test_enthalpy_counts_the_work_against_the_barostat():
    """1 bar is 1e5 J/m^3: a litre at 1 bar holds 100 J."""
    edges = np.array([10.0, 11.0])  # Å
    cells = edges[:, None, None] * np.eye(3)
    run = trajectory([0.0, 1.0], [[0.25, 0.5]] * 2, [0.0, 0.0], cell=cells)
    run.potential_eV[:] = -3.0
    joule = 1e5 * 2000.0 * (edges * 1e-10) ** 3  # at 2000 bar
    expected = -3.0 + 0.75 + joule / 1.602176634e-19
    np.testing.assert_allclose(enthalpy(run, 2000.0), expected, rtol=1e-9)
