"""Stochastic velocity rescaling: the distribution of the kinetic energy, its memory, its account of heat."""

import numpy as np
import openmm
import pytest
from openmm import unit
from scipy import constants, stats

from openmm_forces import BussiIntegrator, RespaBussiIntegrator, evaluation_counts
from tests.openmm_forces.argon import argon, velocities
from tests.openmm_forces.runner import EV, make_context, total_energy_of, velocities_of

TEMPERATURE = 300.0
KT = constants.R * TEMPERATURE / 1000.0  # kJ/mol
# A right distribution fails each of these tests once in a thousand seeds; seeds are fixed.
LEAST_P = 1e-3


def free_particles(kind: str) -> tuple[openmm.Context, int]:
    """Particles without forces and how many degrees of freedom take part."""
    system = openmm.System()
    masses = [1.0, 16.0, 40.0, 12.0]
    for mass in masses:
        system.addParticle(mass)
    positions = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.3, 0.4, 0], [0.0, 0.5, 0.6]])
    degrees = 3 * len(masses) - 3
    if kind == "constrained":
        system.addConstraint(0, 1, 0.1)
        degrees -= 1
    if kind == "centre of mass removed":
        system.addForce(openmm.CMMotionRemover())
    if kind == "with a fixed particle":
        system.addParticle(0.0)
        positions = np.vstack([positions, [[1.0, 1.0, 1.0]]])
    integrator = BussiIntegrator(TEMPERATURE, 0.002, 0.001)
    integrator.setRandomNumberSeed(7)
    integrator.setConstraintTolerance(1e-9)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    context.setVelocitiesToTemperature(TEMPERATURE, 5)
    context.integrator = integrator  # the Context does not keep it
    return context, degrees


def relative_kinetic(context: openmm.Context) -> float:
    """Kinetic energy without that of the centre of mass, kJ/mol."""
    system = context.getSystem()
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])
    v = velocities_of(context) / 10.0
    momentum = masses @ v
    return 0.5 * (masses @ (v**2).sum(axis=1) - momentum @ momentum / masses.sum())


KINDS = ["free", "constrained", "centre of mass removed", "with a fixed particle"]


@pytest.mark.parametrize("kind", KINDS)
def test_kinetic_energy_has_its_canonical_distribution(kind):
    context, degrees = free_particles(kind)
    samples = []
    for _ in range(1500):
        context.integrator.step(8)  # exp(-4) is left of the value before
        samples.append(relative_kinetic(context) / (0.5 * KT))
    assert stats.kstest(samples, stats.chi2(degrees).cdf).pvalue > LEAST_P


@pytest.mark.parametrize("kind", ["free", "constrained"])
@pytest.mark.parametrize("start", [0.2, 3.0], ids=["cold", "hot"])
def test_one_step_has_the_distribution_of_the_paper(kind, start):
    """From a given kinetic energy K the next is a non-central chi-square; the factor may be negative."""
    context, degrees = free_particles(kind)
    context.applyVelocityConstraints(1e-9)
    system = context.getSystem()
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])
    v = velocities_of(context) / 10.0
    v -= masses @ v / masses.sum()
    v *= np.sqrt(start * 0.5 * degrees * KT / (0.5 * masses @ (v**2).sum(axis=1)))
    positions = context.getState(getPositions=True).getPositions()
    c = np.exp(-0.5)
    kinetic, signs = [], []
    for _ in range(2500):
        context.setPositions(positions)
        context.setVelocities(v)
        context.integrator.step(1)
        kinetic.append(relative_kinetic(context) / (0.5 * KT))
        signs.append(context.integrator.getGlobalVariableByName("alpha") < 0)
    decay = c / (1 - c) * start * degrees
    expected = stats.ncx2(degrees, decay, scale=1 - c)
    assert stats.kstest(kinetic, expected.cdf).pvalue > LEAST_P
    negative = stats.norm.cdf(-np.sqrt(decay))
    assert stats.binomtest(sum(signs), len(signs), negative).pvalue > LEAST_P


def test_memory_is_the_time_constant():
    context, _ = free_particles("free")
    context.integrator.setStepSize(0.0002)
    samples = []
    for _ in range(12000):
        context.integrator.step(1)
        samples.append(relative_kinetic(context))
    centred = np.array(samples) - np.mean(samples)
    for lag in (5, 10, 20):
        correlation = (centred[lag:] * centred[:-lag]).mean() / centred.var()
        # 1200 time constants: an error of about sqrt(2/1200)
        assert correlation == pytest.approx(np.exp(-0.1 * lag), abs=4 * np.sqrt(2 / 1200))


def test_centre_of_mass_and_directions_are_left_alone():
    context, _ = free_particles("free")
    system = context.getSystem()
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])
    before = velocities_of(context)
    context.integrator.step(20)
    after = velocities_of(context)
    np.testing.assert_allclose(masses @ after, masses @ before, rtol=1e-12)
    before, after = (v - masses @ v / masses.sum() for v in (before, after))
    ratio = after / before
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
    assert abs(ratio[0, 0]) != pytest.approx(1.0, abs=0.01)


def test_heat_is_what_the_kinetic_energy_has_gained():
    for kind in KINDS:
        context, _ = free_particles(kind)
        context.applyVelocityConstraints(1e-9)
        before = context.getState(getEnergy=True).getKineticEnergy()
        context.integrator.step(30)
        gained = context.getState(getEnergy=True).getKineticEnergy() - before
        assert abs(gained._value) > 0.1
        assert context.integrator.getHeat()._value == pytest.approx(gained._value, rel=1e-6)


def test_particles_at_rest_stay_at_rest():
    context, _ = free_particles("free")
    context.setVelocities(np.zeros((4, 3)))
    context.integrator.step(5)
    np.testing.assert_array_equal(velocities_of(context), 0.0)


@pytest.mark.parametrize("inner_steps", [1, 8])
def test_outer_step_costs_one_full_evaluation_and_one_less_than_m(models, host, inner_steps):
    integrator = RespaBussiIntegrator(60, 0.1, 0.001 * inner_steps, inner_steps)
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


@pytest.mark.parametrize("respa", [False, True], ids=["plain", "respa"])
def test_conserved_quantity_counts_the_heat(models, host, respa):
    """From 60 K to a bath of 120 K: the energy rises, energy less heat does not."""
    integrator = (
        RespaBussiIntegrator(120 * unit.kelvin, 100 * unit.femtosecond, 0.016, 4)
        if respa
        else BussiIntegrator(120 * unit.kelvin, 100 * unit.femtosecond, 0.004)
    )
    integrator.setRandomNumberSeed(2)
    context = make_context(
        argon(),
        models["argon"],
        integrator,
        velocities=velocities(32),
        extra_forces=(openmm.CMMotionRemover(),),
        host=host,
    )
    energy, conserved = [], []
    for _ in range(20):
        integrator.step(2 if respa else 8)
        energy.append(total_energy_of(context))
        conserved.append(energy[-1] - integrator.getHeat()._value / EV)
    assert np.ptp(energy) > 0.1  # eV
    assert np.ptp(conserved) < 0.01 * np.ptp(energy)


def test_respa_has_the_temperature_of_the_bath(models, any_host):
    """15 ps of argon: the mean kinetic energy, and the error of it that ten blocks give."""
    integrator = RespaBussiIntegrator(60, 0.05, 0.02, 4)
    integrator.setRandomNumberSeed(1)
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=any_host
    )
    integrator.step(100)
    samples = []
    for _ in range(150):
        integrator.step(5)
        samples.append(context.getState(getEnergy=True).getKineticEnergy()._value)
    expected = 0.5 * (3 * 32 - 3) * constants.R * 60 / 1000.0
    blocks = np.mean(np.reshape(samples, (10, -1)), axis=1)
    error = blocks.std() / 3.0
    assert error < 0.02 * expected
    assert np.mean(samples) == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0.0, 0.1, 0.004), "a positive temperature, got 0.0 K"),
        ((300.0, -1 * unit.femtosecond, 0.004), "a positive time constant, got -0.001 ps"),
        ((300.0, 0.1, float("nan")), "a positive step, got nan ps"),
        ((300.0, 0.1, 0.004, 0), "at least 1 inner step, got 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    make = RespaBussiIntegrator if len(arguments) == 4 else BussiIntegrator
    with pytest.raises(ValueError, match=message):
        make(*arguments)


def test_bath_can_be_changed_while_running():
    context, degrees = free_particles("free")
    integrator = context.integrator
    integrator.setTemperature(1200 * unit.kelvin)
    integrator.setTimeConstant(0.01 * unit.femtosecond)
    assert integrator.getTemperature() / unit.kelvin == pytest.approx(1200)
    assert integrator.getTimeConstant() / unit.picosecond == pytest.approx(1e-5)
    samples = []
    for _ in range(500):
        integrator.step(1)
        samples.append(relative_kinetic(context) / (0.5 * 4 * KT))
    assert stats.kstest(samples, stats.chi2(degrees).cdf).pvalue > LEAST_P
