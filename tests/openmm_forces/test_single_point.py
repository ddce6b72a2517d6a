"""Energies and forces through OpenMM against numpy sums over ASE's neighbour lists."""

import numpy as np
import openmm
import pytest
from ase import Atoms

from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.openmm_forces.conftest import BASELINE
from tests.openmm_forces.runner import (
    energy_of,
    finite_strain_stress,
    forces_of,
    make_context,
    positions_of,
    single_point,
)
from tolerances import (
    FINITE_DIFFERENCE_FORCE,
    FINITE_DIFFERENCE_STEP,
    FINITE_DIFFERENCE_STRESS,
    TOLERANCE,
)

WATER = {"cutoff": 3.5, "epsilon": 0.02, "sigma": 1.1, "curl": 0.01}
SUPPORTED = sorted(set(STRUCTURES) - {"slab", "wire"})


def expected(atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy with the baseline, forces, non-conservative forces without a net force."""
    energy, forces, direct = pair_sums(atoms, **WATER)
    baseline = sum(BASELINE[symbol] for symbol in atoms.symbols)
    return energy + baseline, forces, direct - direct.mean(axis=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SUPPORTED)
def test_energy_and_forces_equal_numpy_sums(models, host, name, dtype):
    atoms = STRUCTURES[name]()
    model = models["water" if dtype == "float64" else "water_float32"]
    energy, forces = single_point(atoms, model, host=host)
    reference_energy, reference_forces, _ = expected(atoms)
    assert energy == pytest.approx(reference_energy, abs=TOLERANCE[dtype].energy, rel=0)
    np.testing.assert_allclose(forces, reference_forces, rtol=0, atol=TOLERANCE[dtype].force)


@pytest.mark.parametrize("name", ["molecules", "triclinic", "cell_smaller_than_cutoff"])
def test_non_conservative_forces_equal_numpy_sums_and_have_no_energy(models, host, name):
    atoms = STRUCTURES[name]()
    energy, forces = single_point(atoms, models["water"], host=host, forces="non_conservative")
    assert np.isnan(energy)
    np.testing.assert_allclose(forces, expected(atoms)[2], rtol=0, atol=TOLERANCE["float64"].force)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_positions_arrive_in_double_precision(models, host, platform):
    """A displacement that float32 cannot hold changes the energy by force times displacement."""
    atoms = STRUCTURES["molecule"]()
    atoms.positions += 500.0
    moved = atoms.copy()
    moved.positions[1, 0] += 1e-6
    energies = [
        single_point(a, models["water"], host=host, platform=platform)[0] for a in (atoms, moved)
    ]
    slope = (energies[1] - energies[0]) / 1e-6
    assert slope == pytest.approx(-expected(atoms)[1][1, 0], rel=1e-3)


@pytest.mark.parametrize("name", ["molecule", "triclinic", "cell_smaller_than_cutoff"])
def test_forces_equal_negative_energy_gradient(models, host, name):
    context = make_context(STRUCTURES[name](), models["water"], host=host)
    start = positions_of(context)
    forces = forces_of(context.getState(getForces=True))

    def energy(atom: int, axis: int, displacement: float) -> float:
        positions = start.copy()
        positions[atom, axis] += displacement
        context.setPositions(positions / 10.0)
        return energy_of(context.getState(getEnergy=True))

    def central_difference(atom: int, axis: int, step: float) -> float:
        return (energy(atom, axis, step) - energy(atom, axis, -step)) / (2 * step)

    h = FINITE_DIFFERENCE_STEP
    for atom in range(min(3, len(start))):
        for axis in range(3):
            # Extrapolated to a step of zero: bonds of this model are stiff.
            coarse, fine = (central_difference(atom, axis, step) for step in (h, 0.5 * h))
            slope = (4 * fine - coarse) / 3
            assert forces[atom, axis] == pytest.approx(-slope, abs=FINITE_DIFFERENCE_FORCE, rel=0)


@pytest.mark.parametrize("name", ["triclinic", "unwrapped"])
def test_finite_strain_stress_equals_pair_virial(models, any_host, name):
    """The box that arrives is the box of the structure: shear components included."""
    from ase.neighborlist import neighbor_list

    atoms = STRUCTURES[name]()
    stress = finite_strain_stress(atoms, models["water"], host=any_host)
    # Virial of pair forces: sum over pairs of r (x) f, from differences of numpy energies.
    i, d, D = neighbor_list("idD", atoms, WATER["cutoff"])
    h = 1e-5
    slope = np.array([(_pair(x + h) - _pair(x - h)) / (2 * h) for x in d])
    reference = 0.5 * np.einsum("e,ea,eb->ab", slope / d, D, D) / atoms.get_volume()
    assert np.abs(reference).min() > 10 * FINITE_DIFFERENCE_STRESS
    np.testing.assert_allclose(stress, reference, rtol=0, atol=FINITE_DIFFERENCE_STRESS)


def _pair(distance: float) -> float:
    dimer = Atoms("O2", [[0, 0, 0], [distance, 0, 0]])
    return pair_sums(dimer, **WATER)[0]


def test_left_handed_cell(models, any_host):
    atoms = STRUCTURES["triclinic"]()
    swapped = atoms.copy()
    swapped.cell[[0, 1]] = atoms.cell[[1, 0]]
    reference_energy, reference_forces, _ = expected(atoms)
    energy, forces = single_point(swapped, models["water"], host=any_host)
    assert energy == pytest.approx(reference_energy, abs=TOLERANCE["float64"].energy, rel=0)
    np.testing.assert_allclose(forces, reference_forces, rtol=0, atol=TOLERANCE["float64"].force)


def test_subset_of_particles(models, host):
    """The model acts on the atoms named, in their order, and on nothing else."""
    from openmm_forces import create_force

    atoms = STRUCTURES["molecules"]()
    order = np.random.default_rng(4).permutation(20)[: len(atoms)]
    positions = np.random.default_rng(5).uniform(-9, 9, size=(20, 3))
    positions[order] = atoms.positions
    system = openmm.System()
    for _ in range(20):
        system.addParticle(1.0)
    system.addForce(
        create_force(models["water"], atoms.numbers, particles=order.tolist(), host=host)
    )
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    context.setPositions(positions / 10.0)
    forces = context.getState(getForces=True).getForces(asNumpy=True)._value / 964.8533212331
    everywhere = np.zeros((20, 3))
    everywhere[order] = expected(atoms)[1]
    np.testing.assert_allclose(forces, everywhere, rtol=0, atol=TOLERANCE["float64"].force)


def test_periodicity_can_be_switched_on_the_force(models, host):
    """OpenMM's own switch works: the box is used if and only if the force says so."""
    from openmm_forces import create_force

    atoms = STRUCTURES["orthogonal"]()
    for periodic in (True, False):
        system = openmm.System()
        system.setDefaultPeriodicBoxVectors(*[openmm.Vec3(*row) for row in atoms.cell.array / 10])
        for _ in atoms:
            system.addParticle(1.0)
        force = create_force(models["water"], atoms.numbers, host=host)
        force.setUsesPeriodicBoundaryConditions(periodic)
        system.addForce(force)
        context = openmm.Context(system, openmm.VerletIntegrator(0.001))
        context.setPositions(atoms.positions / 10.0)
        energy = context.getState(getEnergy=True).getPotentialEnergy()._value / 96.48533212331
        reference = atoms.copy()
        reference.pbc = periodic
        assert energy == pytest.approx(
            expected(reference)[0], abs=TOLERANCE["float64"].energy, rel=0
        )
