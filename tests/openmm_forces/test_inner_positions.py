"""Positions within outer steps, against the exact motion of a harmonic oscillator under r-RESPA."""

import numpy as np
import openmm
import pytest
from openmm import unit

from openmm_forces import (
    RespaBussiIntegrator,
    RespaHighPassLangevinIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
)
from tests.tolerances import EXACT

pytestmark = pytest.mark.openmm

MASS, FREQUENCY, CONSTANT = 10.0, 40.0, 200.0  # g/mol, 1/ps, kJ/mol/nm: that of C - NC
INNER_STEPS = 24
# NC is -m w^2 x and C adds a constant to it; the parameter of the integrators says which of them is asked for.
ENERGY = (
    "0.5*stiffness*x^2 - constant*x*select(mlip_forces, select(mlip_forces - 1, mlip_forces - 4, 0), 1)"
    " + 0.5*stiffness*(y^2 + z^2)"
)


def oscillator(integrator, x):
    system = openmm.System()
    system.addParticle(MASS)
    force = openmm.CustomExternalForce(ENERGY)
    force.addGlobalParameter("stiffness", MASS * FREQUENCY**2)
    force.addGlobalParameter("constant", CONSTANT)
    force.addGlobalParameter("mlip_forces", 0)
    force.addParticle(0)
    system.addForce(force)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions([[x, 0.0, 0.0]])
    context.setVelocities([[0.0, 0.0, 0.0]])
    return context


def x_of(context):
    return float(context.getState(positions=True).getPositions(asNumpy=True)._value[0, 0])


@pytest.mark.parametrize("angle", [1.0, 2.4, 4.0])  # w T: a sixth, 0.38 and 0.64 of a period
def test_ends_show_a_displacement_wrongly_and_inner_steps_do_not(angle):
    """At the ends F/(m w^2) (w T/2) cot(w T/2), within the steps F/(m w^2) on average."""
    outer = angle / FREQUENCY  # ps
    true = CONSTANT / (MASS * FREQUENCY**2)
    seen = true * (angle / 2.0) / np.tan(angle / 2.0)
    integrator = RespaIntegrator(outer, INNER_STEPS, samples_inner_steps=True)
    context = oscillator(integrator, seen)  # the state that an outer step brings back
    inner, ends = [], []
    for _ in range(3000):
        integrator.step(1)
        inner.append(integrator.inner_positions().value_in_unit(unit.nanometer)[0, 0])
        ends.append(x_of(context))
    # velocity Verlet of the inner steps is not exact: relative (w h)^2 / 24 of the frequency
    assert np.mean(ends) == pytest.approx(seen, abs=0.02 * true)
    error = np.std(inner) / np.sqrt(len(inner))  # steps are drawn independently
    assert error < 0.02 * true
    assert np.mean(inner) == pytest.approx(true, abs=4.0 * error + 0.01 * true)
    assert abs(seen - true) > 0.05 * true + 4.0 * error  # so the two are told apart


def test_all_inner_steps_are_met_and_the_last_is_the_end():
    integrator = RespaIntegrator(0.03, 4, samples_inner_steps=True)
    context = oscillator(integrator, 0.1)
    met = set()
    for _ in range(60):
        integrator.step(1)
        number = int(integrator.getGlobalVariableByName("sampled_inner_step"))
        met.add(number)
        inner = integrator.inner_positions()._value[0, 0]
        assert (inner == pytest.approx(x_of(context), abs=EXACT)) == (number == 4)
    assert met == {1, 2, 3, 4}


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: RespaIntegrator(0.02, 3, **o),
        lambda **o: RespaLangevinIntegrator(300.0, 0.0, 0.02, 3, **o),
        lambda **o: RespaHighPassLangevinIntegrator(300.0, 0.02, 3, **o),
        lambda **o: RespaBussiIntegrator(300.0, 1.0, 0.02, 3, **o),
    ],
)
def test_every_integrator_can_and_says_so_if_it_was_not_asked_to(make):
    sampling = make(samples_inner_steps=True)
    context = oscillator(sampling, 0.1)
    with pytest.raises(RuntimeError, match="at least one outer step"):
        sampling.inner_positions()
    sampling.step(1)
    assert sampling.inner_positions().shape == (1, 3) and x_of(context) != 0.1
    with pytest.raises(RuntimeError, match="samples_inner_steps=True"):
        make().inner_positions()


def test_the_trajectory_is_the_same():
    found = []
    for samples in (False, True):
        integrator = RespaIntegrator(0.02, 5, samples_inner_steps=samples)
        context = oscillator(integrator, 0.1)
        integrator.step(50)
        found.append(x_of(context))
    assert found[0] == pytest.approx(found[1], rel=0, abs=EXACT)
