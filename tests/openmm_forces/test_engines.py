"""OpenMM's own integrators, minimiser and barostats with the force, and r-RESPA beside them."""

import io

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app, unit
from scipy.optimize import minimize_scalar

from openmm_forces import (
    RespaBussiIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
    create_force,
    create_system,
    evaluation_counts,
    from_ase,
)
from pair_oracle import pair_sums
from tests.openmm_forces.argon import ARGON, argon, velocities, velocity_verlet
from tests.openmm_forces.conftest import BASELINE
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
from tolerances import TOLERANCE


def structure_of(context: openmm.Context) -> Atoms:
    """The present positions and box of a Context of argon."""
    state = context.getState(getPositions=True)
    box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
    return Atoms("Ar32", positions_of(context), cell=box, pbc=True)


def test_verlet_follows_the_conservative_forces(models, host):
    """Leapfrog started half a step back has the positions of velocity Verlet."""
    atoms = argon()
    context = make_context(atoms, models["argon"], openmm.VerletIntegrator(0.004), host=host)
    acceleration = forces_of(context.getState(getForces=True)) * EV * 100.0 / 39.948  # Å/ps^2
    half_back = velocities(len(atoms)) - 0.002 * acceleration
    context.setVelocities(half_back / 10.0)
    context.getIntegrator().step(100)
    x, _ = velocity_verlet(0.004, 100)
    np.testing.assert_allclose(positions_of(context), x, rtol=0, atol=TOLERANCE["float64"].position)
    assert evaluation_counts(context)[:2] == (0, 100)  # the first is shared with getState


def test_minimiser_finds_the_minimum_of_a_dimer(models, host):
    def energy(distance: float) -> float:
        return pair_sums(Atoms("Ar2", [[0, 0, 0], [distance, 0, 0]]), **ARGON)[0]

    best = minimize_scalar(energy, bounds=(3.3, 4.5), method="bounded", options={"xatol": 1e-10})
    dimer = Atoms("Ar2", [[0.1, 0.2, 0.3], [3.0, 2.1, 2.4]])
    context = make_context(dimer, models["argon"], host=host)
    openmm.LocalEnergyMinimizer.minimize(context, tolerance=1e-4)
    found = positions_of(context)
    assert np.linalg.norm(found[1] - found[0]) == pytest.approx(best.x, abs=1e-4)


def test_minimiser_relaxes_a_crystal_in_its_box(models, host):
    context = make_context(argon(), models["argon"], host=host)
    before = energy_of(context.getState(getEnergy=True))
    openmm.LocalEnergyMinimizer.minimize(context, tolerance=1e-3)
    state = context.getState(getEnergy=True, getForces=True)
    assert energy_of(state) < before - 0.01
    assert np.abs(forces_of(state)).max() < 1e-5


def test_langevin_runs_and_keeps_the_temperature(models, host):
    atoms = argon()
    integrator = openmm.LangevinMiddleIntegrator(60 * unit.kelvin, 5 / unit.picosecond, 0.01)
    integrator.setRandomNumberSeed(3)
    context = make_context(
        atoms, models["argon"], integrator, velocities=velocities(len(atoms)), host=host
    )
    integrator.step(100)
    temperatures = []
    for _ in range(40):
        integrator.step(10)
        kinetic = context.getState(getEnergy=True).getKineticEnergy()
        temperatures.append(
            2 * kinetic / (3 * len(atoms) * unit.MOLAR_GAS_CONSTANT_R) / unit.kelvin
        )
    # About 20 independent samples, each with a spread of 60 K sqrt(2/96).
    assert np.mean(temperatures) == pytest.approx(60.0, abs=4 * 60 * np.sqrt(2 / 96 / 20))
    energy, _ = single_point(structure_of(context), models["argon"], host=host)
    found = energy_of(context.getState(getEnergy=True))
    assert found == pytest.approx(energy, abs=TOLERANCE["float64"].energy, rel=0)


def make_barostat(kind: str) -> openmm.Force:
    kT = 60 * unit.kelvin
    if kind == "isotropic":
        return openmm.MonteCarloBarostat(3000 * unit.bar, kT, 1)
    if kind == "anisotropic":
        pressures = openmm.Vec3(3000, 3000, 3000) * unit.bar
        return openmm.MonteCarloAnisotropicBarostat(pressures, kT, True, True, True, 1)
    return openmm.MonteCarloFlexibleBarostat(3000 * unit.bar, kT, 1)


MAKERS = {
    "verlet": lambda: openmm.VerletIntegrator(0.005),
    "respa": lambda: RespaIntegrator(0.02, 4),
    "langevin": lambda: RespaLangevinIntegrator(60, 5.0, 0.02, 4),
    "bussi": lambda: RespaBussiIntegrator(60, 0.1, 0.02, 4),
}


@pytest.mark.parametrize(
    "kind, engine",
    [
        *[(k, e) for k in ("isotropic", "anisotropic", "flexible") for e in ("verlet", "respa")],
        ("isotropic", "langevin"),
        ("isotropic", "bussi"),
    ],
)
def test_barostat_sees_the_energy_of_the_box(models, host, kind, engine):
    atoms = argon()
    barostat = make_barostat(kind)
    barostat.setRandomNumberSeed(5)
    integrator = MAKERS[engine]()
    context = make_context(
        atoms,
        models["argon"],
        integrator,
        velocities=velocities(len(atoms)),
        extra_forces=(barostat,),
        host=host,
    )
    volumes = set()
    for _ in range(20):
        integrator.step(3)
        now = structure_of(context)
        volumes.add(round(now.get_volume(), 6))
    assert len(volumes) > 5
    state = context.getState(getEnergy=True, getForces=True)
    energy, forces = single_point(now, models["argon"], host=host)
    assert energy_of(state) == pytest.approx(energy, abs=TOLERANCE["float64"].energy, rel=0)
    np.testing.assert_allclose(
        forces_of(state) @ from_ase(now).rotation,
        forces,
        rtol=0,
        atol=TOLERANCE["float64"].force,
    )
    reference = pair_sums(now, **ARGON)[1]
    np.testing.assert_allclose(forces_of(state), reference, rtol=0, atol=TOLERANCE["float64"].force)


def test_high_pressure_compresses(models, any_host):
    """The sign of the work that the barostat computes from these energies."""
    volumes = {}
    for pressure in (-2000.0, 6000.0):
        barostat = openmm.MonteCarloBarostat(pressure * unit.bar, 60 * unit.kelvin, 1)
        barostat.setRandomNumberSeed(1)
        integrator = openmm.LangevinMiddleIntegrator(60 * unit.kelvin, 5 / unit.picosecond, 0.01)
        integrator.setRandomNumberSeed(1)
        context = make_context(
            argon(), models["argon"], integrator, extra_forces=(barostat,), host=any_host
        )
        integrator.step(80)
        volumes[pressure] = structure_of(context).get_volume()
    assert volumes[6000.0] < argon().get_volume() < volumes[-2000.0]


def test_barostat_is_refused_for_non_conservative_forces(models, host):
    """They have no energy, so that every trial would be accepted."""
    integrator = openmm.VerletIntegrator(0.005)
    context = make_context(  # kept: the integrator is its own
        argon(),
        models["argon"],
        integrator,
        extra_forces=(openmm.MonteCarloBarostat(1 * unit.bar, 60 * unit.kelvin, 1),),
        host=host,
        forces="non_conservative",
    )
    with pytest.raises(openmm.OpenMMException, match="a barostat needs an energy"):
        integrator.step(5)
    del context


def test_respa_with_centre_of_mass_removal_and_reporters(models, host):
    """Simulation, StateDataReporter, CheckpointReporter-like use, as in any script."""
    structure = from_ase(argon())
    system = create_system(structure.topology, models["argon"], host=host)
    simulation = app.Simulation(structure.topology, system, RespaIntegrator(0.016, 4))
    simulation.context.setPositions(structure.positions)
    simulation.context.setVelocities((velocities(32) + [1.0, 0.0, 0.0]) / 10.0)
    log = io.StringIO()
    simulation.reporters.append(
        app.StateDataReporter(log, 2, step=True, potentialEnergy=True, totalEnergy=True)
    )
    simulation.step(20)
    lines = log.getvalue().splitlines()[1:]
    total = np.array([float(line.split(",")[2]) for line in lines]) / EV
    assert len(total) == 10
    assert np.ptp(total) < 1e-3 * 32  # eV
    np.testing.assert_allclose(velocities_of(simulation.context).mean(axis=0), 0.0, atol=1e-12)
    counts = evaluation_counts(simulation.context)
    assert counts.full == 21
    assert counts.non_conservative == 60


def test_respa_is_time_reversible(models, host):
    atoms = argon()
    integrator = RespaIntegrator(0.016, 4)
    context = make_context(
        atoms, models["argon"], integrator, velocities=velocities(len(atoms)), host=host
    )
    before = total_energy_of(context)
    integrator.step(30)
    state = context.getState(getVelocities=True)
    context.setVelocities(-state.getVelocities(asNumpy=True))
    integrator.step(30)
    np.testing.assert_allclose(
        positions_of(context), atoms.positions, rtol=0, atol=TOLERANCE["float64"].position
    )
    assert total_energy_of(context) == pytest.approx(before, abs=1e-7, rel=0)


def test_nose_hoover_sees_conservative_forces(models, host):
    integrator = openmm.NoseHooverIntegrator(120 * unit.kelvin, 20 / unit.picosecond, 0.002)
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=host
    )
    before = total_energy_of(context)
    integrator.step(100)
    state = context.getState(getEnergy=True, getForces=True)
    energy, forces, _ = pair_sums(structure_of(context), **ARGON)
    assert energy_of(state) == pytest.approx(energy + 32 * BASELINE["Ar"], abs=1e-6, rel=0)
    np.testing.assert_allclose(forces_of(state), forces, rtol=0, atol=TOLERANCE["float64"].force)
    bath = integrator.computeHeatBathEnergy().value_in_unit(unit.kilojoule_per_mole) / EV
    gained = total_energy_of(context) - before
    assert gained > 0.02
    assert gained + bath == pytest.approx(0.0, abs=0.05 * gained)


def test_model_as_a_collective_variable(models):
    """Twice the energy, from a PythonForce: OpenMM copies a collective variable."""
    atoms = argon()
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*[openmm.Vec3(*row) for row in atoms.cell.array / 10])
    for _ in atoms:
        system.addParticle(39.948)
    doubled = openmm.CustomCVForce("2*model")
    doubled.addCollectiveVariable(
        "model", create_force(models["argon"], atoms.numbers, host="python", periodic=True)
    )
    system.addForce(doubled)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    context.setPositions(atoms.positions / 10.0)
    state = context.getState(getEnergy=True, getForces=True)
    energy, forces, _ = pair_sums(atoms, **ARGON)
    assert energy_of(state) == pytest.approx(2 * (energy + 32 * BASELINE["Ar"]), abs=1e-6, rel=0)
    np.testing.assert_allclose(
        forces_of(state), 2 * forces, rtol=0, atol=2 * TOLERANCE["float64"].force
    )


def test_metadynamics_adds_its_bias_to_the_model(models, host):
    """Along a distance, under r-RESPA: what is left without the bias is the model."""
    structure = from_ase(argon())
    system = create_system(structure.topology, models["argon"], host=host, remove_cm_motion=False)
    distance = openmm.CustomBondForce("r")
    distance.addBond(0, 1)
    distance.setUsesPeriodicBoundaryConditions(True)
    variable = app.BiasVariable(distance, 0.2, 0.8, 0.02)
    metadynamics = app.Metadynamics(system, [variable], 60 * unit.kelvin, 5.0, 5.0, 4)
    integrator = RespaIntegrator(0.008, 4)
    simulation = app.Simulation(structure.topology, system, integrator)
    simulation.context.setPositions(structure.positions)
    simulation.context.setVelocities(velocities(32) / 10.0)
    metadynamics.step(simulation, 12)
    everything = simulation.context.getState(getEnergy=True, getForces=True)
    model = simulation.context.getState(getEnergy=True, getForces=True, groups={0})
    energy, forces, _ = pair_sums(structure_of(simulation.context), **ARGON)
    assert energy_of(model) == pytest.approx(energy + 32 * BASELINE["Ar"], abs=1e-6, rel=0)
    np.testing.assert_allclose(forces_of(model), forces, rtol=0, atol=TOLERANCE["float64"].force)
    bias = energy_of(everything) - energy_of(model)
    assert 0.0 < bias <= 15.0 / EV  # three hills of at most 5 kJ/mol
    pull = forces_of(everything) - forces_of(model)
    bond = structure_of(simulation.context).get_distance(0, 1, mic=True, vector=True)
    along = bond / np.linalg.norm(bond)
    assert abs(pull[0] @ along) > 1e-3
    np.testing.assert_allclose(pull[0], (pull[0] @ along) * along, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pull[1], -pull[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(pull[2:], 0.0, atol=1e-12)
