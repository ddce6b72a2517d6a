"""Two forces in two groups for OpenMM's own multiple-time-step integrators."""

import numpy as np
import openmm
import pytest
from openmm import unit

from mlip_engines import ModelContractError
from openmm_forces import (
    conserved_energy,
    create_split_forces,
    evaluation_counts,
    from_ase,
    head_disagreement,
)
from pair_oracle import pair_sums
from tests.openmm_forces.argon import ARGON, MASS, argon, both_forces, respa, velocities
from tests.openmm_forces.conftest import BASELINE
from tests.openmm_forces.runner import energy_of, forces_of, positions_of, velocities_of
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"]


def make_context(model, integrator, host):
    atoms = argon()
    structure = from_ase(atoms)
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*structure.topology.getPeriodicBoxVectors())
    for _ in atoms:
        system.addParticle(MASS)
    for force in create_split_forces(model, atoms.numbers, host=host, periodic=True):
        system.addForce(force)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(structure.positions)
    context.setVelocities(velocities(len(atoms)) / 10.0)
    return context


def test_trajectory_of_mts_integrator_equals_textbook_respa(models, host):
    integrator = openmm.MTSIntegrator(8 * unit.femtosecond, [(0, 1), (1, 5)])
    context = make_context(models["argon"], integrator, host)
    integrator.step(20)
    x, v = respa(0.008, 5, 20)
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=LIMIT.position)
    np.testing.assert_allclose(velocities_of(context), v, rtol=0, atol=10 * LIMIT.position)


def test_an_outer_step_costs_m_and_one(models, host):
    """One evaluation of the head more than RespaIntegrator's, and one that is not shared."""
    integrator = openmm.MTSIntegrator(8 * unit.femtosecond, [(0, 1), (1, 8)])
    context = make_context(models["argon"], integrator, host)
    integrator.step(2)
    before = evaluation_counts(context)
    integrator.step(5)
    after = evaluation_counts(context)
    assert after.non_conservative - before.non_conservative == 5 * 8
    assert after.full - before.full == 5


def test_together_they_are_conservative(models, host):
    """For whatever does not know groups: reporters, minimisers, barostats."""
    context = make_context(models["argon"], openmm.VerletIntegrator(0.001), host)
    state = context.getState(getEnergy=True, getForces=True)
    energy, forces, _ = pair_sums(argon(), **ARGON)
    assert energy_of(state) == pytest.approx(energy + 32 * BASELINE["Ar"], abs=LIMIT.energy, rel=0)
    np.testing.assert_allclose(forces_of(state), forces, rtol=0, atol=LIMIT.force)
    inner = context.getState(getEnergy=True, getForces=True, groups={1})
    assert energy_of(inner) == 0.0
    np.testing.assert_allclose(
        forces_of(inner), both_forces(argon().positions)[1], rtol=0, atol=LIMIT.force
    )
    conservative, direct = both_forces(argon().positions)
    norms = np.linalg.norm(conservative - direct, axis=1)
    assert head_disagreement(context).max == pytest.approx(norms.max(), abs=1e-8)


def test_conserved_energy_of_mts_integrator(models, any_host):
    """Reporters see the energy that its trajectory conserves."""
    integrator = openmm.MTSIntegrator(16 * unit.femtosecond, [(0, 1), (1, 4)])
    context = make_context(models["argon"], integrator, any_host)
    terms = []
    for _ in range(10):
        integrator.step(2)
        terms.append(conserved_energy(context, integrator))
    assert all(term.heat == 0.0 for term in terms)
    kinetic, conserved = (np.ptp([getattr(t, k) for t in terms]) for k in ("kinetic", "conserved"))
    assert conserved < 0.01 * kinetic


def test_langevin_of_openmm_runs(models, any_host):
    integrator = openmm.MTSLangevinIntegrator(
        60 * unit.kelvin, 1 / unit.picosecond, 8 * unit.femtosecond, [(0, 1), (1, 4)]
    )
    context = make_context(models["argon"], integrator, any_host)
    integrator.step(10)
    assert np.abs(positions_of(context) - argon().positions).max() > 0.05
    counts = evaluation_counts(context)
    assert counts.full == 11


def test_arguments_that_are_not_allowed(models, any_host):
    with pytest.raises(ValueError, match="expected two force groups, got 3 twice"):
        create_split_forces(models["argon"], [18], inner_group=3, outer_group=3)
    with pytest.raises(ModelContractError, match="expected a head for non-conservative forces"):
        create_split_forces(models["no_head"], [18], host=any_host)
