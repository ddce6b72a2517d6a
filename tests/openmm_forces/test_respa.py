"""r-RESPA through the real OpenMM: what it costs, whose trajectory it follows, what it leaves behind."""

import numpy as np
import openmm
import pytest
from openmm import unit

from openmm_forces import RespaIntegrator, conservative_energy, evaluation_counts
from tests.openmm_forces.argon import MASS, argon, both_forces, respa, velocities, velocity_verlet
from tests.openmm_forces.runner import (
    EV,
    energy_of,
    forces_of,
    make_context,
    positions_of,
    single_point,
    total_energy_of,
    velocities_of,
)
from tolerances import EXACT, TOLERANCE

POSITION = TOLERANCE["float64"].position


def run(models, integrator, n_steps, **options) -> openmm.Context:
    atoms = options.pop("atoms", argon())
    options.setdefault("velocities", velocities(len(atoms)))
    context = make_context(atoms, models["argon"], integrator, **options)
    integrator.step(n_steps)
    return context


@pytest.mark.parametrize("inner_steps", [1, 2, 8])
def test_outer_step_costs_one_full_evaluation_and_one_less_than_m(models, host, inner_steps):
    integrator = RespaIntegrator(0.001 * inner_steps, inner_steps)
    context = run(models, integrator, 2, host=host)
    before = evaluation_counts(context)
    for step in range(1, 6):
        integrator.step(1)
        context.getState(getEnergy=True, getForces=True)  # a reporter costs nothing more
        counts = evaluation_counts(context)
        assert counts.non_conservative - before.non_conservative == step * (inner_steps - 1)
        assert counts.full - before.full == step


def test_first_step_costs_one_full_evaluation_more(models, host):
    context = run(models, RespaIntegrator(0.008, 8), 1, host=host)
    assert evaluation_counts(context)[:2] == (7, 2)


def test_counts_report_the_correction(models, host):
    context = run(models, RespaIntegrator(0.008, 8), 3, host=host)
    conservative, direct = both_forces(positions_of(context))
    norms = np.linalg.norm(conservative - direct, axis=1)
    counts = evaluation_counts(context)
    # Read as a difference of energies of thousands of eV, in kJ/mol.
    assert counts.rms_correction == pytest.approx(np.sqrt((norms**2).mean()), abs=1e-9)
    assert counts.max_correction == pytest.approx(norms.max(), abs=1e-9)


def test_correction_is_unknown_before_it_is_evaluated(models, host):
    context = make_context(argon(), models["argon"], host=host)
    assert evaluation_counts(context)[:2] == (0, 0)
    context.getState(getForces=True)
    counts = evaluation_counts(context)
    assert counts[:2] == (0, 1)
    assert np.isnan(counts.rms_correction) and np.isnan(counts.max_correction)


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_one_inner_step_equals_conservative_velocity_verlet(models, host, platform):
    context = run(models, RespaIntegrator(0.004, 1), 100, host=host, platform=platform)
    x, v = velocity_verlet(0.004, 100)
    assert np.abs(x - argon().positions).max() > 0.1  # it moved
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=POSITION)
    np.testing.assert_allclose(velocities_of(context), v, rtol=0, atol=10 * POSITION)


@pytest.mark.parametrize("inner_steps", [2, 5])
def test_trajectory_equals_textbook_respa(models, host, inner_steps):
    context = run(models, RespaIntegrator(0.008, inner_steps), 20, host=host)
    x, v = respa(0.008, inner_steps, 20)
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=POSITION)
    np.testing.assert_allclose(velocities_of(context), v, rtol=0, atol=10 * POSITION)


def test_other_forces_act_once_with_the_inner_step(models, host):
    """A restraint beside the model is neither doubled nor left out of the inner steps."""
    stiffness = 0.05  # eV/Å^2
    atoms = argon()
    restraint = openmm.CustomExternalForce("0.5*k*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
    restraint.addGlobalParameter("k", stiffness * EV * 100.0)
    for name in ("x0", "y0", "z0"):
        restraint.addPerParticleParameter(name)
    for atom, position in enumerate(atoms.positions / 10.0):
        restraint.addParticle(atom, position)
    context = run(models, RespaIntegrator(0.02, 4), 20, host=host, extra_forces=(restraint,))
    x, _ = respa(0.02, 4, 20, restraint=stiffness)
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=POSITION)


@pytest.mark.slow
def test_energy_drift_of_conservative_and_respa_is_small_and_non_conservative_is_not(models, host):
    """1 ps; the head of this model errs by a curl, which does work."""
    limit = 0.01  # meV/atom/ps
    drift = {}
    for mode in ("conservative", "respa", "non_conservative"):
        integrator = RespaIntegrator(0.016, 8)
        options = {"host": host}
        if mode != "respa":
            integrator = openmm.CustomIntegrator(0.002)
            integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
            integrator.addComputePerDof("x", "x + dt*v")
            integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
            options["forces"] = mode
        context = run(models, integrator, 0, **options)
        energies, times = [], []
        for _ in range(31):
            kinetic = context.getState(getEnergy=True).getKineticEnergy()
            energy = (kinetic + conservative_energy(context))._value / EV
            energies.append(energy)
            times.append(context.getTime()._value)
            integrator.step(2 if mode == "respa" else 16)
        assert times[-1] == pytest.approx(0.96)
        drift[mode] = 1000.0 * np.polyfit(times, energies, 1)[0] / 32
    assert abs(drift["conservative"]) < limit
    assert abs(drift["respa"]) < limit
    assert drift["non_conservative"] > 10 * limit


def test_state_between_steps_is_conservative(models, host):
    """What reporters see is what a fresh Context computes at these positions."""
    atoms = argon()
    context = run(models, RespaIntegrator(0.008, 8), 5, host=host)
    state = context.getState(getEnergy=True, getForces=True, getParameters=True)
    assert state.getParameters()["mlip_forces"] == 0.0
    moved = atoms.copy()
    moved.positions = positions_of(context)
    energy, forces = single_point(moved, models["argon"], host=host)
    assert energy_of(state) == pytest.approx(energy, abs=TOLERANCE["float64"].energy, rel=0)
    np.testing.assert_allclose(forces_of(state), forces, rtol=0, atol=EXACT)


def test_restart_from_checkpoint_gives_the_same_trajectory(models, host):
    integrator = RespaIntegrator(0.008, 8)
    context = run(models, integrator, 10, host=host)
    checkpoint = context.createCheckpoint()
    integrator.step(10)
    again = RespaIntegrator(0.008, 8)
    other = make_context(argon(), models["argon"], again, host=host)
    other.loadCheckpoint(checkpoint)
    again.step(10)
    # Not bit by bit: TorchScript optimises a graph, and rounds differently, after its first calls.
    for quantity in (positions_of, velocities_of):
        np.testing.assert_allclose(quantity(other), quantity(context), rtol=0, atol=EXACT)
    # The first boundary is known to nobody: one full evaluation more than in steady state.
    assert evaluation_counts(other)[:2] == (70, 11)


def test_positions_set_between_steps_are_evaluated(models, host):
    """Nothing that was known of other positions is used."""
    integrator = RespaIntegrator(0.008, 4)
    context = run(models, integrator, 5, host=host)
    jumped = argon(seed=7)
    context.setPositions(jumped.positions / 10.0)
    context.setVelocities(velocities(len(jumped)) / 10.0)
    integrator.step(10)
    x, _ = respa(0.008, 4, 10, seed=7)
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=POSITION)


def test_contexts_of_one_system_do_not_disturb_each_other(models, host):
    from openmm_forces import create_system, from_ase

    structures = [argon(seed=seed) for seed in (1, 2)]
    system = create_system(
        from_ase(structures[0]).topology, models["argon"], host=host, remove_cm_motion=False
    )
    for particle in range(system.getNumParticles()):
        system.setParticleMass(particle, MASS)
    integrators = [RespaIntegrator(0.008, 4) for _ in structures]
    contexts = []
    for atoms, integrator in zip(structures, integrators, strict=True):
        context = openmm.Context(system, integrator)
        context.setPositions(atoms.positions / 10.0)
        context.setVelocities(velocities(len(atoms)) / 10.0)
        contexts.append(context)
    for _ in range(5):
        for integrator in integrators:
            integrator.step(1)
    for seed, context in zip((1, 2), contexts, strict=True):
        x, _ = respa(0.008, 4, 5, seed=seed)
        np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=POSITION)


def test_constraints_are_kept(models, host):
    """Pairs held at a fixed distance: distances stay, and the energy of the motion left is conserved."""
    from openmm_forces import create_system, from_ase

    atoms = argon()
    structure = from_ase(atoms)
    system = create_system(structure.topology, models["argon"], host=host, remove_cm_motion=False)
    pairs = [(2 * k, 2 * k + 1) for k in range(8)]
    wanted = []
    for i, j in pairs:
        wanted.append(atoms.get_distance(i, j))
        system.addConstraint(i, j, wanted[-1] / 10.0)
    integrator = RespaIntegrator(0.016, 8)
    integrator.setConstraintTolerance(1e-9)
    context = openmm.Context(system, integrator)
    context.setPositions(structure.positions)
    context.setVelocities(velocities(len(atoms)) / 10.0)
    context.applyVelocityConstraints(1e-9)
    before = total_energy_of(context)
    integrator.step(30)
    x, v = positions_of(context), velocities_of(context)
    for (i, j), distance in zip(pairs, wanted, strict=True):
        bond = x[j] - x[i]
        assert np.linalg.norm(bond) == pytest.approx(distance, rel=1e-7)
        assert np.dot(bond, v[j] - v[i]) == pytest.approx(0.0, abs=1e-5)
    assert np.abs(x - atoms.positions).max() > 0.1
    assert total_energy_of(context) == pytest.approx(before, abs=2e-4 * len(atoms), rel=0)


def test_step_size_is_the_outer_step(models, any_host):
    integrator = RespaIntegrator(4 * unit.femtosecond, 8)
    assert integrator.getStepSize() == 4 * unit.femtosecond
    context = run(models, integrator, 3, host=any_host)
    assert context.getTime()._value == pytest.approx(0.012)


def test_step_size_can_be_changed(models, any_host):
    integrator = RespaIntegrator(0.002, 4)
    integrator.setStepSize(0.008)
    context = run(models, integrator, 5, host=any_host)
    x, _ = respa(0.008, 4, 5)
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=POSITION)
