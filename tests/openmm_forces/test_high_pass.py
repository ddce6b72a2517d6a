"""The thermostat of fast motion: its matrix, what it samples in a harmonic well, its heat, its refusals."""

import numpy as np
import openmm
import pytest
from openmm import unit
from scipy.linalg import expm, solve_discrete_lyapunov

from openmm_forces import RespaHighPassLangevinIntegrator, create_system, from_ase
from tests.openmm_forces.argon import MASS, argon, respa, velocities
from tests.openmm_forces.runner import (
    EV,
    make_context,
    positions_of,
    total_energy_of,
    velocities_of,
)
from tests.openmm_forces.test_langevin import KB, far_apart, springs
from tolerances import EXACT, TOLERANCE

COLD = 1e-40  # K


def drift_matrix(g: float, a: float) -> np.ndarray:
    return np.array([[g, np.sqrt(g * a)], [np.sqrt(g * a), a]])


def test_free_motion_decays_as_the_matrix_exponential(models, any_host):
    """Without noise (v, s) follows exp(-A t), then the friction of all particles; whatever the step."""
    g, a, k = 200.0, 100.0, 3.0
    start = velocities(8)
    integrator = RespaHighPassLangevinIntegrator(COLD, 0.012, 3, g, a, k, light_mass=50.0)
    context = make_context(
        far_apart(8), models["argon"], integrator, velocities=start, host=any_host
    )
    integrator.step(4)
    one = expm(-drift_matrix(g, a) * 0.004) @ np.eye(2)
    one[0] *= np.exp(-k * 0.004)
    left = np.linalg.matrix_power(one, 12)[0, 0]
    np.testing.assert_allclose(velocities_of(context), left * start, rtol=1e-9)


def test_heavy_particles_feel_the_plain_friction_only(models, host):
    start = velocities(8)
    integrator = RespaHighPassLangevinIntegrator(COLD, 0.012, 3, friction=3.0)
    context = make_context(far_apart(8), models["argon"], integrator, velocities=start, host=host)
    integrator.step(4)
    np.testing.assert_allclose(velocities_of(context), np.exp(-3 * 0.048) * start, rtol=1e-9)


def test_without_any_friction_it_is_respa(models, host):
    integrator = RespaHighPassLangevinIntegrator(60, 0.008, 5, friction=0.0)  # argon is heavy
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=host
    )
    integrator.step(20)
    x, v = respa(0.008, 5, 20)
    limit = TOLERANCE["float64"].position
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=limit)
    np.testing.assert_allclose(velocities_of(context), v, rtol=0, atol=10 * limit)


@pytest.mark.parametrize("omega_h", [0.3, 1.2])
def test_a_harmonic_well_is_sampled_as_the_linear_theory_says(models, host, omega_h):
    """Covariance of one inner step's linear map, from its Lyapunov equation; also beyond small steps."""
    inner_step, temperature = 0.05, 100.0
    g, a, k = 20.0, 8.0, 1.0
    atoms, omega = far_apart(), omega_h / inner_step
    integrator = RespaHighPassLangevinIntegrator(
        temperature, 4 * inner_step, 4, g, a, k, light_mass=50.0
    )
    integrator.setRandomNumberSeed(4)
    context = make_context(
        atoms,
        models["argon"],
        integrator,
        extra_forces=(springs(atoms, MASS * omega**2),),
        host=host,
    )
    integrator.step(20)
    x2, v2, n = 0.0, 0.0, 150
    for _ in range(n):
        integrator.step(1)
        x2 += ((positions_of(context) - atoms.positions) ** 2).mean() / 100.0 / n
        v2 += (velocities_of(context) ** 2).mean() / 100.0 / n
    expected = np.array(_stationary(omega, inner_step, g, a, k)) * KB * temperature / MASS
    error = 5 * np.sqrt(2.0 / (n * 3 * len(atoms)))
    assert x2 == pytest.approx(expected[0], rel=error)
    assert v2 == pytest.approx(expected[1], rel=error)


def _stationary(omega: float, h: float, g: float, a: float, k: float) -> tuple[float, float]:
    """Return <x^2> and <v^2> over kT/m of the map half kick, half drift, baths, half drift, half kick."""
    kick = np.array([[1, 0, 0], [-0.5 * h * omega**2, 1, 0], [0, 0, 1.0]])
    drift = np.array([[1, 0.5 * h, 0], [0, 1, 0], [0, 0, 1.0]])
    bath = np.eye(3)
    bath[1:, 1:] = expm(-drift_matrix(g, a) * h)
    noise = np.zeros((3, 3))
    noise[1:, 1:] = np.eye(2) - bath[1:, 1:] @ bath[1:, 1:].T
    white = np.diag([1.0, np.exp(-k * h), 1.0])
    noise = white @ noise @ white.T + np.diag([0.0, 1.0 - np.exp(-2 * k * h), 0.0])
    after = kick @ drift
    covariance = solve_discrete_lyapunov(
        after @ white @ bath @ drift @ kick, after @ noise @ after.T
    )
    return covariance[0, 0], covariance[1, 1]


def test_energy_less_heat_is_conserved(models, host):
    integrator = RespaHighPassLangevinIntegrator(60, 0.008, 4, 20.0, 10.0, 5.0, light_mass=50.0)
    integrator.setRandomNumberSeed(3)
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=host
    )
    conserved = []
    for _ in range(40):
        conserved.append(total_energy_of(context) - integrator.getHeat()._value / EV)
        integrator.step(5)
    assert abs(integrator.getHeat()._value / EV) > 0.01  # the bath did something
    assert np.ptp(conserved) < 0.02 * abs(integrator.getHeat()._value / EV) + EXACT


def test_a_checkpoint_goes_on_with_the_same_memory(models, host):
    def fresh():
        integrator = RespaHighPassLangevinIntegrator(60, 0.008, 4, 20.0, 10.0, 0.0, light_mass=50.0)
        integrator.setRandomNumberSeed(3)
        context = make_context(
            argon(), models["argon"], integrator, velocities=velocities(32), host=host
        )
        return integrator, context

    integrator, context = fresh()
    integrator.step(10)
    saved = context.createCheckpoint()
    integrator.step(10)
    wanted = positions_of(context)
    other, again = fresh()
    again.loadCheckpoint(saved)
    other.step(10)
    np.testing.assert_allclose(positions_of(again), wanted, rtol=0, atol=EXACT)


def test_constraints_are_refused(models, host):
    structure = from_ase(far_apart(2))
    system = create_system(structure.topology, models["argon"], host=host, remove_cm_motion=False)
    system.addConstraint(0, 1, 2.0)
    integrator = RespaHighPassLangevinIntegrator(60, 0.008, 4)
    context = openmm.Context(system, integrator)
    context.setPositions(structure.positions)
    with pytest.raises(ValueError, match="without constraints.*RespaLangevinIntegrator"):
        integrator.step(1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"high_pass_friction": 0.0}, "positive high-pass friction"),
        ({"memory_rate": -1.0 / unit.picosecond}, "positive memory rate"),
        ({"light_mass": 0.0}, "positive mass"),
        ({"friction": -1.0}, "friction of at least 0"),
    ],
)
def test_impossible_parameters_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        RespaHighPassLangevinIntegrator(300, 0.012, 12, **wrong)
