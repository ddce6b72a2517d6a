"""Checkpoints, states and XML: what continues a trajectory, and to what precision."""

import subprocess
import sys

import numpy as np
import openmm
import pytest
from openmm import app, unit

from openmm_forces import (
    BussiIntegrator,
    RespaBussiIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
    create_system,
    from_ase,
)
from structures import STRUCTURES
from tests.openmm_forces.argon import argon, velocities
from tests.openmm_forces.runner import (
    EV,
    energy_of,
    forces_of,
    make_context,
    positions_of,
    velocities_of,
)
from tolerances import EXACT, TOLERANCE

INTEGRATORS = {
    "respa": lambda: RespaIntegrator(0.008, 4),
    "langevin": lambda: RespaLangevinIntegrator(60, 5.0, 0.008, 4),
    "bussi": lambda: RespaBussiIntegrator(60, 0.05, 0.008, 4),
    "bussi_verlet": lambda: BussiIntegrator(60, 0.05, 0.002),
}


def make(kind: str, seed: int = 3):
    integrator = INTEGRATORS[kind]()
    integrator.setRandomNumberSeed(seed)
    return integrator


def heat_of(integrator) -> float:
    return integrator.getGlobalVariableByName("heat")


def assert_same(context, other, limit=EXACT):
    for quantity in (positions_of, velocities_of):
        np.testing.assert_allclose(quantity(other), quantity(context), rtol=0, atol=limit)


def simulation_of(model, integrator, host) -> app.Simulation:
    structure = from_ase(argon())
    system = create_system(structure.topology, model, host=host)
    simulation = app.Simulation(structure.topology, system, integrator)
    simulation.context.setPositions(structure.positions)
    simulation.context.setVelocities(velocities(32) / 10.0)
    return simulation


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("kind", INTEGRATORS)
def test_checkpoint_continues_the_same_trajectory(models, any_host, kind, platform):
    """Random numbers and the account of heat included, in another Context."""
    integrator = make(kind)
    options = {"velocities": velocities(32), "host": any_host, "platform": platform}
    context = make_context(argon(), models["argon"], integrator, **options)
    integrator.step(5)
    checkpoint = context.createCheckpoint()
    integrator.step(5)
    again = make(kind, seed=11)
    other = make_context(argon(), models["argon"], again, **options)
    again.step(2)
    other.loadCheckpoint(checkpoint)
    again.step(5)
    # Not bit by bit: TorchScript optimises a graph, and rounds differently, after its first calls.
    assert_same(context, other)
    assert other.getTime() == context.getTime()
    if kind != "respa":
        assert heat_of(again) == pytest.approx(heat_of(integrator), abs=1e-6)
        assert abs(heat_of(again)) > 1e-3


@pytest.mark.parametrize("kind", ["respa", "bussi"])
def test_saved_state_continues(models, host, tmp_path, kind):
    """XML keeps all digits and the heat; random numbers start anew."""
    simulation = simulation_of(models["argon"], make(kind), host)
    simulation.step(5)
    simulation.saveState(str(tmp_path / "state.xml"))
    positions = positions_of(simulation.context)
    heat = 0.0 if kind == "respa" else heat_of(simulation.integrator)
    simulation.step(5)

    other = simulation_of(models["argon"], make(kind), host)
    other.loadState(str(tmp_path / "state.xml"))
    np.testing.assert_array_equal(positions_of(other.context), positions)
    assert other.context.getParameter("mlip_forces") == 0.0
    if kind != "respa":
        assert heat_of(other.integrator) == heat != 0.0
    other.step(5)
    if kind == "respa":
        assert_same(simulation.context, other.context)
    assert other.context.getTime() == simulation.context.getTime()


def test_simulation_checkpoint_file_continues(models, host, tmp_path):
    """CheckpointReporter, as in any script."""
    simulation = simulation_of(models["argon"], make("langevin"), host)
    file = tmp_path / "run.chk"
    simulation.reporters.append(app.CheckpointReporter(str(file), 5))
    simulation.step(5)
    simulation.reporters.clear()
    simulation.step(5)
    other = simulation_of(models["argon"], make("langevin"), host)
    other.loadCheckpoint(str(file))
    assert other.currentStep == 5
    other.step(5)
    assert_same(simulation.context, other.context)


@pytest.mark.parametrize("kind", INTEGRATORS)
def test_integrator_read_back_from_xml_does_the_same(models, any_host, kind):
    """As a CustomIntegrator: the same steps, bath and seed."""
    integrator = make(kind)
    copied = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(integrator))
    assert isinstance(copied, openmm.CustomIntegrator)
    options = {"velocities": velocities(32), "host": any_host, "platform": "Reference"}
    contexts = []
    for stepper in (integrator, copied):
        contexts.append(make_context(argon(), models["argon"], stepper, **options))
        stepper.step(10)
    assert_same(*contexts)


@pytest.mark.parametrize("forces", ["conservative", "non_conservative"])
def test_system_of_python_forces_is_read_back_from_xml(models, forces):
    atoms = argon()
    context = make_context(atoms, models["argon"], host="python", forces=forces)
    xml = openmm.XmlSerializer.serialize(context.getSystem())
    other = openmm.Context(openmm.XmlSerializer.deserialize(xml), openmm.VerletIntegrator(0.001))
    other.setPositions(atoms.positions / 10.0)
    states = [c.getState(getEnergy=True, getForces=True) for c in (context, other)]
    if forces == "conservative":
        assert energy_of(states[0]) == pytest.approx(energy_of(states[1]), abs=EXACT, rel=0)
    np.testing.assert_allclose(forces_of(states[0]), forces_of(states[1]), rtol=0, atol=EXACT)


def test_system_is_read_back_from_xml_by_another_process(tmp_path):
    """The shipped model: what its archive calls is there before it is read."""
    atoms = STRUCTURES["molecule"]()
    context = make_context(atoms, "water", host="python")
    energy = energy_of(context.getState(getEnergy=True))
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(context.getSystem()))
    np.save(tmp_path / "positions.npy", atoms.positions / 10.0)
    script = (
        "import numpy, openmm;"
        "system = openmm.XmlSerializer.deserialize(open('system.xml').read());"
        "context = openmm.Context(system, openmm.VerletIntegrator(0.001));"
        "context.setPositions(numpy.load('positions.npy'));"
        "print(context.getState(energy=True).getPotentialEnergy()._value)"
    )
    command = [sys.executable, "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout) / EV == pytest.approx(energy, abs=TOLERANCE["float32"].energy)


def test_system_read_back_from_xml_runs_respa(models):
    """System, integrator and state, each from XML: the trajectory goes on."""
    simulation = simulation_of(models["argon"], make("respa"), "python")
    simulation.step(5)
    texts = [
        openmm.XmlSerializer.serialize(item)
        for item in (
            simulation.system,
            simulation.integrator,
            simulation.context.getState(positions=True, velocities=True, parameters=True),
        )
    ]
    simulation.step(5)
    system, integrator, state = (openmm.XmlSerializer.deserialize(text) for text in texts)
    context = openmm.Context(system, integrator)
    context.setState(state)
    integrator.step(5)
    assert_same(simulation.context, context)


def test_checkpoint_under_a_barostat(models, any_host):
    """The box and the barostat's random numbers are in the checkpoint."""
    contexts, integrators = [], []
    for seed in (5, 6):
        barostat = openmm.MonteCarloBarostat(1000 * unit.bar, 60 * unit.kelvin, 1)
        barostat.setRandomNumberSeed(seed)
        integrators.append(make("langevin", seed))
        contexts.append(
            make_context(
                argon(),
                models["argon"],
                integrators[-1],
                velocities=velocities(32),
                extra_forces=(barostat,),
                host=any_host,
            )
        )
    integrators[0].step(5)
    checkpoint = contexts[0].createCheckpoint()
    integrators[0].step(10)
    contexts[1].loadCheckpoint(checkpoint)
    integrators[1].step(10)
    volumes = [c.getState().getPeriodicBoxVolume()._value for c in contexts]
    assert volumes[1] == pytest.approx(volumes[0], rel=1e-12)
    assert volumes[0] != pytest.approx(argon().get_volume() / 1000.0, rel=1e-6)
    assert_same(*contexts)


def test_state_with_the_box_of_a_barostat_is_loaded(models, any_host):
    """A smaller box: the neighbour list follows."""
    context = make_context(argon(), models["argon"], host=any_host)
    vectors = context.getState().getPeriodicBoxVectors()
    context.setPeriodicBoxVectors(*[0.98 * vector for vector in vectors])
    context.setPositions(argon().positions * 0.098)
    text = openmm.XmlSerializer.serialize(context.getState(positions=True))
    other = make_context(argon(), models["argon"], host=any_host)
    other.getState(getEnergy=True)
    other.setState(openmm.XmlSerializer.deserialize(text))
    energies = [energy_of(c.getState(getEnergy=True)) for c in (context, other)]
    assert energies[1] == pytest.approx(energies[0], abs=EXACT, rel=0)
