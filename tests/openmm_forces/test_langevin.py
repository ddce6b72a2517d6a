"""Langevin dynamics in the inner loop: friction, noise, what BAOAB samples exactly, account of heat."""

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import unit
from scipy import constants

from openmm_forces import RespaLangevinIntegrator, create_system, evaluation_counts, from_ase
from tests.openmm_forces.argon import MASS, argon, respa, velocities
from tests.openmm_forces.runner import (
    EV,
    make_context,
    positions_of,
    total_energy_of,
    velocities_of,
)
from tolerances import EXACT, TOLERANCE

KB = constants.R / 1000.0  # kJ/mol/K


def far_apart(n: int = 64) -> Atoms:
    """Atoms beyond each other's cutoff."""
    grid = 20.0 * np.indices((4, 4, 4)).reshape(3, -1).T[:n]
    return Atoms(f"Ar{n}", grid)


def springs(atoms: Atoms, stiffness: float) -> openmm.CustomExternalForce:
    """A spring from each atom to its place; kJ/mol/nm^2."""
    force = openmm.CustomExternalForce("0.5*k*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
    force.addGlobalParameter("k", stiffness)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for atom, position in enumerate(atoms.positions / 10.0):
        force.addParticle(atom, position)
    return force


@pytest.mark.parametrize("inner_steps", [1, 8])
def test_outer_step_costs_one_full_evaluation_and_one_less_than_m(models, host, inner_steps):
    integrator = RespaLangevinIntegrator(60, 1.0, 0.001 * inner_steps, inner_steps)
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=host
    )
    integrator.step(2)
    before = evaluation_counts(context)
    for step in range(1, 5):
        integrator.step(1)
        context.getState(getEnergy=True, getForces=True)
        counts = evaluation_counts(context)
        assert counts.non_conservative - before.non_conservative == step * (inner_steps - 1)
        assert counts.full - before.full == step


def test_without_friction_it_is_respa(models, host):
    integrator = RespaLangevinIntegrator(60, 0.0, 0.008, 5)
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=host
    )
    integrator.step(20)
    x, v = respa(0.008, 5, 20)
    limit = TOLERANCE["float64"].position
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=limit)
    np.testing.assert_allclose(velocities_of(context), v, rtol=0, atol=10 * limit)
    assert integrator.getHeat()._value == pytest.approx(0.0, abs=EXACT)


def test_friction_is_exact_for_any_step(models, any_host):
    """Free atoms and a bath without heat; friction times inner step is 2.5."""
    integrator = RespaLangevinIntegrator(1e-40, 50 / unit.picosecond, 0.2, 4)
    atoms = far_apart(8)
    start = velocities(8)
    context = make_context(atoms, models["argon"], integrator, velocities=start, host=any_host)
    integrator.step(2)
    decayed = start * np.exp(-50 * 0.4)
    np.testing.assert_allclose(velocities_of(context), decayed, rtol=1e-9)


def test_positions_in_a_harmonic_well_are_sampled_exactly(models, any_host):
    """BAOAB has no error of the time step there: <x^2> = kT/k, with omega h = 1 in the inner loop."""
    atoms = far_apart()
    inner_step = 0.05  # ps
    stiffness = MASS / inner_step**2  # kJ/mol/nm^2, omega = 1/h
    integrator = RespaLangevinIntegrator(100 * unit.kelvin, 4.0, 4 * inner_step, 4)
    integrator.setRandomNumberSeed(4)
    context = make_context(
        atoms, models["argon"], integrator, extra_forces=(springs(atoms, stiffness),), host=any_host
    )
    integrator.step(20)
    samples = []
    for _ in range(120):
        integrator.step(1)
        samples.append(((positions_of(context) - atoms.positions) ** 2).mean() / 100.0)
    # About one independent sample per atom, direction and outer step.
    error = np.sqrt(2.0 / (len(samples) * 3 * len(atoms)))
    assert np.mean(samples) == pytest.approx(KB * 100 / stiffness, rel=5 * error)


def test_kinetic_energy_of_free_atoms_is_that_of_the_bath(models, any_host):
    """Noise and friction balance, also where the friction is strong."""
    atoms = far_apart()
    integrator = RespaLangevinIntegrator(100 * unit.kelvin, 30.0, 0.04, 2)
    integrator.setRandomNumberSeed(6)
    context = make_context(atoms, models["argon"], integrator, host=any_host)
    integrator.step(10)
    samples = []
    for _ in range(100):
        integrator.step(2)
        samples.append(context.getState(getEnergy=True).getKineticEnergy()._value)
    expected = 1.5 * len(atoms) * KB * 100
    # Two outer steps leave exp(-4.8) of the kinetic energy before.
    assert np.mean(samples) == pytest.approx(
        expected, rel=5 * np.sqrt(2 / (3 * len(atoms) * len(samples)))
    )


def test_constraints_are_kept_and_take_no_heat(models, host):
    """Rigid pairs: five degrees of freedom each, distances and velocities on the constraint."""
    n_pairs = 32
    atoms = Atoms(
        f"Ar{2 * n_pairs}",
        np.repeat(far_apart(n_pairs).positions, 2, axis=0)
        + np.tile([[0, 0, 0], [8.0, 0, 0]], (n_pairs, 1)),
    )
    structure = from_ase(atoms)
    system = create_system(structure.topology, models["argon"], host=host, remove_cm_motion=False)
    for pair in range(n_pairs):
        system.addConstraint(2 * pair, 2 * pair + 1, 0.8)
    integrator = RespaLangevinIntegrator(100 * unit.kelvin, 20.0, 0.04, 2)
    integrator.setRandomNumberSeed(8)
    integrator.setConstraintTolerance(1e-9)
    context = openmm.Context(system, integrator)
    context.setPositions(structure.positions)
    integrator.step(20)
    samples = []
    for _ in range(100):
        integrator.step(2)
        samples.append(context.getState(getEnergy=True).getKineticEnergy()._value)
    degrees = 5 * n_pairs
    assert np.mean(samples) == pytest.approx(
        0.5 * degrees * KB * 100, rel=5 * np.sqrt(2 / (degrees * len(samples)) * 1.1)
    )
    x, v = positions_of(context), velocities_of(context)
    bonds, rates = x[1::2] - x[::2], v[1::2] - v[::2]
    np.testing.assert_allclose(np.linalg.norm(bonds, axis=1), 8.0, rtol=1e-7)
    np.testing.assert_allclose((bonds * rates).sum(axis=1), 0.0, rtol=0, atol=1e-5)
    # Free rotors: all that their energy gained is heat, up to the error of the rotation.
    heat = integrator.getHeat()._value
    assert heat == pytest.approx(samples[-1], rel=0.02)


@pytest.mark.parametrize("remove_cm_motion", [False, True])
def test_conserved_quantity_counts_the_heat(models, host, remove_cm_motion):
    """From 60 K to a bath of 120 K: the energy rises, energy less heat does not."""
    integrator = RespaLangevinIntegrator(120 * unit.kelvin, 5 / unit.picosecond, 0.016, 4)
    integrator.setRandomNumberSeed(2)
    context = make_context(
        argon(),
        models["argon"],
        integrator,
        velocities=velocities(32),
        host=host,
        remove_cm_motion=remove_cm_motion,
    )
    energy, conserved = [], []
    for _ in range(20):
        integrator.step(2)
        energy.append(total_energy_of(context))
        conserved.append(energy[-1] - integrator.getHeat()._value / EV)
    assert np.ptp(energy) > 0.1  # eV
    assert np.ptp(conserved) < 0.01 * np.ptp(energy)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((-5.0, 1.0, 0.004, 8), "a positive temperature, got -5.0 K"),
        ((300.0, -1.0, 0.004, 8), "a friction of at least 0 / ps, got -1.0 / ps"),
        ((300.0, float("inf"), 0.004, 8), "a friction of at least 0 / ps, got inf"),
        ((300.0, 1.0, 0.0, 8), "a positive outer step, got 0.0 ps"),
        ((300.0, 1.0, 0.004, 0), "at least 1 inner step, got 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        RespaLangevinIntegrator(*arguments)


def test_bath_can_be_changed_while_running(models, any_host):
    integrator = RespaLangevinIntegrator(100, 1.0, 0.2, 4)
    context = make_context(
        far_apart(8), models["argon"], integrator, velocities=velocities(8), host=any_host
    )
    integrator.step(1)
    integrator.setTemperature(1e-40 * unit.kelvin)
    integrator.setFriction(200 / unit.picosecond)
    assert integrator.getTemperature() / unit.kelvin == pytest.approx(1e-40)
    assert integrator.getFriction() == 200 / unit.picosecond
    integrator.step(1)
    np.testing.assert_allclose(velocities_of(context), 0.0, atol=1e-8)
