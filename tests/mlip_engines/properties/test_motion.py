"""Kinds of motion of molecules: geometry of the projectors, and temperatures of distributions known in closed form."""

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from mlip_engines import load_model
from mlip_engines.properties.linear_theory import BathedRespa, LinearMolecule, sampling
from mlip_engines.properties.molecules import bonds
from mlip_engines.properties.motion import (
    MOTIONS,
    configurational_temperature_of_motions,
    motion_projectors,
    temperatures_of_field,
)
from tests.tolerances import EXACT

KT = ase.units.kB * 300.0
PS = 1000.0 * ase.units.fs


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        ("H2O", (3, 3, 1, 2)),
        ("CO2", (3, 2, 2, 2)),
        ("N2", (3, 2, 0, 1)),
        ("CH4", (3, 3, 5, 4)),
    ],
)
def test_motions_share_all_directions_among_them(name, ranks):
    """Perpendicular projectors that sum to one, of the known ranks; a line of atoms has one rotation less."""
    atoms = molecule(name)
    found = motion_projectors(atoms.positions, atoms.get_masses(), bonds(atoms))
    assert list(found) == list(MOTIONS)
    np.testing.assert_allclose(sum(found.values()), np.eye(3 * len(atoms)), atol=EXACT)
    for kind, rank in zip(MOTIONS, ranks, strict=True):
        assert np.trace(found[kind]) == pytest.approx(rank, abs=1e-9)
        np.testing.assert_allclose(found[kind] @ found[kind], found[kind], atol=EXACT)


def test_each_motion_is_what_it_is_called():
    """Displacements by hand: a shift, a turn about an axis through the centre of mass, and a change of the angle."""
    water = molecule("H2O")
    water.rotate(40.0, (1, 2, 3))
    x, m = water.positions, water.get_masses()
    root = np.sqrt(m).repeat(3)
    found = motion_projectors(x, m, bonds(water))

    def part(kind, move):
        y = root * move.ravel()
        return np.linalg.norm(found[kind] @ y) / np.linalg.norm(y)

    assert part("translation", np.tile([0.3, -1.0, 0.2], (3, 1))) == pytest.approx(1.0)
    turned = Rotation.from_rotvec([1e-6, 2e-6, -1e-6]).apply(x - water.get_center_of_mass())
    assert part("libration", turned + water.get_center_of_mass() - x) == pytest.approx(
        1.0, abs=1e-5
    )
    longer = np.zeros((3, 3))
    longer[1] = x[1] - x[0]  # moves the centre of mass as well, so not the stretch alone
    assert 0.5 < part("stretch", longer) < 1.0
    assert part("bend", longer) < 0.2
    bent = water.copy()
    bent.set_angle(1, 0, 2, 1e-4 + water.get_angle(1, 0, 2), mask=[0, 0, 1])
    assert part("stretch", bent.positions - x) < 0.05 < part("bend", bent.positions - x)


class Rotors:
    """Diatomic molecules with E = k/2 (r - r0)^2 + K/2 |centre of mass - place|^2, as a field of forces."""

    k, r0, stiffness = 0.5, 0.5, 1.5  # eV/Å^2, Å, eV/Å^2

    def __init__(self, places, masses):
        self.places, self.masses = torch.tensor(places), torch.tensor(masses)

    def linearised(self, positions):
        positions = torch.tensor(positions, requires_grad=True)
        pairs = positions.reshape(-1, 2, 3)
        r = torch.linalg.vector_norm(pairs[:, 1] - pairs[:, 0], dim=1)
        centre = (pairs * self.masses[:, None]).sum(dim=1) / self.masses.sum()
        energy = 0.5 * self.k * ((r - self.r0) ** 2).sum()
        energy = energy + 0.5 * self.stiffness * ((centre - self.places) ** 2).sum()
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)

        class Linearised:
            forces = -gradient

            def vector_jacobian(self, vector):
                return -torch.autograd.grad(
                    gradient, positions, torch.tensor(vector), retain_graph=True
                )[0].numpy()

        return Linearised()


@pytest.fixture(scope="module")
def rotors():
    """Frames drawn from exp(-E/kT): any direction, r with the density r^2 exp(-k (r - r0)^2 / 2kT)."""
    random = np.random.default_rng(3)
    n, n_frames = 12, 100
    places = 10.0 * np.arange(n)[:, None] * np.array([1.0, 0.0, 0.0])
    atoms = Atoms("CsI" * n, np.zeros((2 * n, 3)))
    masses = atoms.get_masses()[:2]
    grid = np.linspace(0.01, 4.0, 20001)
    density = grid**2 * np.exp(-0.5 * Rotors.k * (grid - Rotors.r0) ** 2 / KT)
    cumulative = np.cumsum(density) / density.sum()
    frames = []
    for _ in range(n_frames):
        r = np.interp(random.random(n), cumulative, grid)
        direction = random.standard_normal((n, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        centre = places + np.sqrt(KT / Rotors.stiffness) * random.standard_normal((n, 3))
        frame = atoms.copy()
        frame.positions[0::2] = centre - masses[1] / masses.sum() * r[:, None] * direction
        frame.positions[1::2] = centre + masses[0] / masses.sum() * r[:, None] * direction
        frames.append(frame)
    return Rotors(places, masses), frames


def test_molecules_that_turn_freely_have_the_temperature_of_their_stretch(rotors):
    """The curvature along the bond alone would give another one: E' 2/r belongs to the divergence."""
    field, frames = rotors
    found = temperatures_of_field(field, frames)
    assert set(found) == {
        "translation",
        "stretch",
    }  # a free libration has none, two atoms cannot bend
    for estimate in found.values():
        assert estimate.error < 0.06 * 300.0
        assert abs(estimate.value - 300.0) < 4 * estimate.error
    pairs = np.array([frame.positions.reshape(-1, 2, 3) for frame in frames])
    r = np.linalg.norm(pairs[:, :, 1] - pairs[:, :, 0], axis=-1)
    along_the_bond = Rotors.k * ((r - Rotors.r0) ** 2).mean() / ase.units.kB
    assert along_the_bond > 300.0 + 5 * found["stretch"].error


def test_what_is_warmer_is_named(rotors):
    """Centres that are displaced 1.2 times as far have 1.44 times the temperature; stretches are as before."""
    field, frames = rotors[0], rotors[1][:20]
    before = temperatures_of_field(field, frames)
    warmer = []
    for frame in frames:
        moved = frame.copy()
        masses = frame.get_masses()[:2]
        pairs = moved.positions.reshape(-1, 2, 3)
        centre = (pairs * masses[:, None]).sum(axis=1) / masses.sum()
        moved.positions += np.repeat(0.2 * (centre - field.places.numpy()), 2, axis=0)
        warmer.append(moved)
    after = temperatures_of_field(field, warmer)
    assert after["translation"].value == pytest.approx(1.44 * before["translation"].value, rel=1e-3)
    assert after["stretch"].value == pytest.approx(before["stretch"].value, rel=1e-3)


def test_wells_with_a_frequency_for_each_motion_are_as_many_oscillators():
    """H = sum_m w_m^2 P_m and J = c_m H: each kind is sampled as a single oscillator of this frequency is."""
    water = molecule("H2O")
    masses = water.get_masses()
    projectors = motion_projectors(water.positions, masses, bonds(water))
    root = np.sqrt(masses).repeat(3)
    weight = np.outer(root, root) / PS**2
    omegas = {"translation": 25.0, "libration": 100.0, "bend": 310.0, "stretch": 660.0}
    factors = {"translation": 1.0, "libration": 0.9, "bend": 0.97, "stretch": 1.02}
    hessian = sum(w**2 * projectors[k] for k, w in omegas.items()) * weight
    jacobian = sum(factors[k] * w**2 * projectors[k] for k, w in omegas.items()) * weight
    integrator = BathedRespa(0.5, 8, friction=10.0)
    well = LinearMolecule(list(water.symbols), water.positions, masses, hessian, jacobian)
    found = sampling([well], integrator).by_motion
    assert set(found) == set(MOTIONS)
    for kind, omega in omegas.items():
        alone = np.eye(3) * omega**2 * 16.0 / PS**2
        one = LinearMolecule(
            ["O"], np.zeros((1, 3)), np.array([16.0]), alone, factors[kind] * alone
        )
        wanted = sampling([one], integrator)
        assert found[kind] == pytest.approx(wanted.configurational["O"], rel=1e-6)
        assert set(wanted.by_motion) == {"translation"}
    assert abs(found["stretch"] - 1.0) > 0.02 > abs(found["translation"] - 1.0)


def test_metals_and_other_structures_are_refused(argon_model, argon):
    model = load_model(argon_model)
    with pytest.raises(ValueError, match="at least one structure"):
        configurational_temperature_of_motions(model, [])
    near = argon.copy()
    near.set_cell(near.cell * 0.4, scale_atoms=True)
    near = near.repeat((2, 1, 1))
    with pytest.raises(ValueError, match="at most 50 atoms, got one of 64"):
        configurational_temperature_of_motions(model, [near])
