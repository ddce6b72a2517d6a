"""Several Contexts: in threads, as copies, after a failed step, and made again and again."""

import copy
import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openmm
import pytest
import torch

from mlip_engines.model.load import load_model
from openmm_forces import (
    BussiIntegrator,
    RespaBussiIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
    create_system,
    from_ase,
)
from openmm_forces.hosts import PythonHost
from openmm_forces.scripted import archive_of
from pair_oracle import pair_sums
from tests.openmm_forces.argon import ARGON, argon, velocities
from tests.openmm_forces.conftest import BASELINE
from tests.openmm_forces.runner import energy_of, forces_of, make_context
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"]


def expected_of(atoms):
    """Conservative energy (eV) and forces (eV/Å) from numpy."""
    energy, forces, _ = pair_sums(atoms, **ARGON)
    return energy + len(atoms) * BASELINE["Ar"], forces


def test_contexts_of_one_system_in_two_threads(models, host):
    """Each thread has its own structures; all energies and forces equal numpy sums."""
    system = create_system(from_ase(argon()).topology, models["argon"], host=host)
    platform = openmm.Platform.getPlatformByName("Reference")
    structures = [[argon(seed=10 * thread + k) for k in range(4)] for thread in (1, 2)]
    contexts = [
        openmm.Context(system, openmm.VerletIntegrator(0.001), platform) for _ in structures
    ]
    turn = from_ase(argon()).rotation

    def evaluate(context, frames):
        found = []
        for atoms in frames * 15:
            context.setPositions(from_ase(atoms).positions)
            state = context.getState(energy=True, forces=True)
            found.append((energy_of(state), forces_of(state) @ turn))
        return found

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(evaluate, contexts, structures))
    for frames, found in zip(structures, answers, strict=True):
        expected = [expected_of(atoms) for atoms in frames] * 15
        for (energy, forces), (reference, reference_forces) in zip(found, expected, strict=True):
            assert energy == pytest.approx(reference, abs=LIMIT.energy, rel=0)
            np.testing.assert_allclose(forces, reference_forces, rtol=0, atol=LIMIT.force)


class _Slow:
    """Stands for a module: counts the threads inside it at a time."""

    def __init__(self):
        self.inside = self.most = 0

    def __call__(self, positions, *box_and_wanted):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.01)
        self.inside -= 1
        return torch.zeros(()), torch.zeros_like(positions)


def test_one_thread_at_a_time_is_in_the_module_of_a_python_force():
    module = _Slow()
    host = PythonHost(module, "mlip_forces")
    atoms = openmm.System()
    atoms.addParticle(1.0)
    context = openmm.Context(atoms, openmm.VerletIntegrator(0.001))
    context.setPositions([[0, 0, 0]])
    state = context.getState(positions=True)

    class State:
        getPositions = state.getPositions
        getPeriodicBoxVectors = state.getPeriodicBoxVectors

        @staticmethod
        def getParameters():
            return {"mlip_forces": 0.0}

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(host, [State] * 8))
    assert module.most == 1


INTEGRATORS = {
    "respa": lambda: RespaIntegrator(0.008, 4),
    "langevin": lambda: RespaLangevinIntegrator(60, 5.0, 0.008, 4),
    "bussi": lambda: RespaBussiIntegrator(60, 0.05, 0.008, 4),
    "bussi_verlet": lambda: BussiIntegrator(60, 0.05, 0.002),
}


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("kind", INTEGRATORS)
def test_forces_are_conservative_after_a_step_that_failed(models, host, kind, platform):
    """Catch, restore the positions, ask, minimise: what is asked between steps is conservative."""
    integrator = INTEGRATORS[kind]()
    options = {"velocities": velocities(32), "host": host, "platform": platform}
    context = make_context(argon(), models["argon"], integrator, **options)
    integrator.step(1)
    speeds = velocities(32) / 10.0
    speeds[7, 0] = math.inf  # the start is good, so the step fails at one of its later evaluations
    context.setVelocities(speeds)
    with pytest.raises(openmm.OpenMMException, match="finite coordinates|NaN"):
        integrator.step(3)
    assert context.getParameter("mlip_forces") == 0
    atoms = argon(seed=5)
    structure = from_ase(atoms)
    context.setPositions(structure.positions)
    context.setVelocities(np.zeros((32, 3)))
    state = context.getState(energy=True, forces=True)
    energy, forces = expected_of(atoms)
    assert energy_of(state) == pytest.approx(energy, abs=LIMIT.energy, rel=0)
    found = forces_of(state) @ structure.rotation
    np.testing.assert_allclose(found, forces, rtol=0, atol=LIMIT.force)
    openmm.LocalEnergyMinimizer.minimize(context, 1.0, 20)
    assert energy_of(context.getState(energy=True)) < energy


@pytest.mark.parametrize("copy_of", [copy.copy, copy.deepcopy])
def test_copy_of_a_system(models, host, copy_of):
    """The copy has the same forces in the same order, and its own parameters and energies."""
    structure = from_ase(argon())
    system = create_system(structure.topology, models["argon"], host=host, skin=0.05)
    system.getForce(0).setForceGroup(3)
    system.getForce(0).setName("the model")
    made = copy_of(system)
    names = [[force.getName() for force in s.getForces()] for s in (system, made)]
    assert names[0] == names[1]
    assert made.getForce(0).getForceGroup() == 3
    assert made.usesPeriodicBoundaryConditions()
    energies = []
    for seed in (1, 2):
        context = openmm.Context(made, openmm.VerletIntegrator(0.001))
        context.setPositions(from_ase(argon(seed)).positions)
        energies.append(energy_of(context.getState(energy=True, groups={3})))
        assert energies[-1] == pytest.approx(expected_of(argon(seed))[0], abs=LIMIT.energy, rel=0)
    assert energies[0] != energies[1]


class _OldEdges(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cutoff = 6.0
        self.skin = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class _OldHosted(torch.nn.Module):
    """What a module of an earlier version kept: no fixed box, no structure, requests 0 to 3 only."""

    def __init__(self, model: torch.jit.ScriptModule, atomic_numbers: torch.Tensor):
        super().__init__()
        self.model = model
        self.edges = _OldEdges()
        self.has_non_conservative = True
        self.has_subset = False
        self.register_buffer("atomic_numbers", atomic_numbers)
        self.register_buffer("particles", torch.arange(atomic_numbers.numel()))

    def forward(
        self, positions: torch.Tensor, first: torch.Tensor, second: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        raise ValueError("expected mlip_forces to be 0, 1, 2 or 3")
        return positions.sum(), self.edges(positions)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_system_xml_of_an_earlier_version_runs_with_integrators_of_this_one(models):
    """The program in it is renewed; model, atoms and cutoff stay."""
    model = load_model(models["argon"]).module
    old = PythonHost.__new__(PythonHost)
    module = torch.jit.script(_OldHosted(model, torch.full((32,), 18)).eval())
    old.__setstate__((archive_of(module), "mlip_forces"))  # a pair is what was written then
    system = openmm.System()
    structure = from_ase(argon())
    system.setDefaultPeriodicBoxVectors(*structure.topology.getPeriodicBoxVectors())
    for _ in range(32):
        system.addParticle(39.948)
    renewed = openmm.PythonForce(old, {"mlip_forces": 0.0})
    renewed.setUsesPeriodicBoundaryConditions(True)
    system.addForce(renewed)
    integrator = RespaIntegrator(0.008, 4)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(structure.positions)
    energy = energy_of(context.getState(energy=True))
    assert energy == pytest.approx(expected_of(argon())[0], abs=LIMIT.energy, rel=0)
    integrator.step(2)  # asks for 4 + M


CELL = """
import gc, sys, openmm
from openmm_forces import RespaIntegrator, create_system, from_ase
sys.path.insert(0, "tests")
from structures import STRUCTURES
structure = from_ase(STRUCTURES["orthogonal"]())
platform = openmm.Platform.getPlatformByName("Reference")
def cell():
    system = create_system(structure.topology, "water", host=sys.argv[1])
    integrator = RespaIntegrator(0.0005, 2)
    context = openmm.Context(system, integrator, platform)
    for again in range(2):
        context.setPositions(structure.positions)
        integrator.step(3)
        context.reinitialize()
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
for _ in range(2):
    cell()
start = resident()
for _ in range(6):  # the allocator keeps a few MB now and then, which two cells cannot tell from a leak
    cell()
print((resident() - start) / 6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_memory_of_systems_and_contexts_is_given_back(host):
    """50 runs of a cell with a new System, its Context, and that made again stay within 200 MB."""
    command = [sys.executable, "-W", "ignore", "-c", CELL, host]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert 50 * float(finished.stdout) < 200
