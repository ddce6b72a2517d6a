"""Check OpenMM's CUDA platform against its Reference platform, and time it. Needs a GPU.

    pip install openmm-cuda-12 openmm-torch-cuda-12     # beside openmm and openmmtorch
    python benchmarks/openmm_gpu.py --replicate 3

For each host (TorchForce, PythonForce): energies and forces, conservative and not, against the
Reference platform; evaluations of an outer step of r-RESPA; drift of the energy over a short run; and the
time of a step for conservative forces, r-RESPA, and two forces with OpenMM's MTSIntegrator, which on a
GPU are the alternative: the value of a global parameter is read back to the host at every evaluation. A
TorchForce leaves positions and forces on the GPU. The module branches on what is asked for, so that it
cannot be captured into a CUDA graph. Ends with status 1 if a check fails.
"""

import argparse
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import openmm
from openmm import unit

from mlip_engines.simulations import energy_drift
from mlip_engines.units import EV_TO_KJ_PER_MOL as EV
from openmm_forces import (
    RespaIntegrator,
    create_split_forces,
    create_system,
    evaluation_counts,
    from_ase,
)

START = Path(__file__).parents[1] / "examples" / "water_64.extxyz"
# Positions of OpenMM's mixed precision are float32 when they reach a force: 6e-7 of 50 Å, times the
# stiffest bond of 50 eV/Å^2.
FORCE_LIMIT = 5e-3  # eV/Å
ENERGY_LIMIT = 1e-5  # eV/atom
DRIFT_LIMIT = 1.0  # meV/atom/ps
INNER_STEPS = 4


def make_context(structure, system, integrator, platform: str) -> openmm.Context:
    """Return a Context with positions and velocities."""
    properties = {"Precision": "mixed"} if platform == "CUDA" else {}
    context = openmm.Context(
        system, integrator, openmm.Platform.getPlatformByName(platform), properties
    )
    context.setPositions(structure.positions)
    context.setVelocities(structure.velocities)
    return context


def energy_and_forces(context: openmm.Context) -> tuple[float, np.ndarray]:
    """Return energy (eV) and forces (N, 3) in eV/Å."""
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.angstrom)
    return state.getPotentialEnergy()._value / EV, forces / EV


def milliseconds(integrator: openmm.Integrator, steps: int) -> float:
    """Return the time of a step."""
    integrator.step(10)
    start = time.perf_counter()
    integrator.step(steps)
    return 1000.0 * (time.perf_counter() - start) / steps


def split_system(structure, model: str, host: str) -> openmm.System:
    """Return a System with two forces in two groups."""
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*structure.topology.getPeriodicBoxVectors())
    numbers = []
    for atom in structure.topology.atoms():
        system.addParticle(atom.element.mass)
        numbers.append(atom.element.atomic_number)
    for force in create_split_forces(model, numbers, host=host, periodic=True):
        system.addForce(force)
    return system


def main() -> None:
    """Check and time each host."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--replicate", type=int, default=1, help="of 64 molecules, each direction")
    parser.add_argument("--steps", type=int, default=1000, help="of each run")
    parser.add_argument(
        "--hosts", nargs="+", choices=("torch", "python"), default=["torch", "python"]
    )
    parser.add_argument("--platform", default="CUDA", help="another one tries the script itself")
    options = parser.parse_args()

    structure = from_ase(ase.io.read(START) * ((options.replicate,) * 3))
    n_atoms = structure.topology.getNumAtoms()
    step = 0.5 * unit.femtosecond
    failures = []

    def check(what: str, found: float, limit: float) -> None:
        passes = found <= limit
        print(f"{'ok  ' if passes else 'FAIL'} {what}: {found:.3g}, limit {limit:.3g}")
        if not passes:
            failures.append(what)

    for host in options.hosts:
        print(f"{host}: {n_atoms} atoms, {options.platform}")
        for forces in ("conservative", "non_conservative"):
            system = create_system(structure.topology, options.model, host=host, forces=forces)
            results = []
            for platform in (options.platform, "Reference"):
                context = make_context(structure, system, openmm.VerletIntegrator(step), platform)
                results.append(energy_and_forces(context))
                del context
            (energy, found), (reference_energy, reference) = results
            check(f"{forces} forces, eV/Å", float(np.abs(found - reference).max()), FORCE_LIMIT)
            if forces == "conservative":
                check("energy, eV/atom", abs(energy - reference_energy) / n_atoms, ENERGY_LIMIT)

        system = create_system(structure.topology, options.model, host=host)
        respa = RespaIntegrator(INNER_STEPS * step, INNER_STEPS)
        context = make_context(structure, system, respa, options.platform)
        respa.step(10)
        before, times, energies = evaluation_counts(context), [], []
        for _ in range(20):
            state = context.getState(energy=True)
            times.append(state.getTime()._value)
            energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value / EV)
            respa.step(max(1, options.steps // 20))
        after = evaluation_counts(context)
        outer = 20 * max(1, options.steps // 20)
        check("full evaluations per outer step", (after.full - before.full) / outer, 1.0)
        inner = (after.non_conservative - before.non_conservative) / outer
        check("evaluations of the head per outer step", inner, INNER_STEPS - 1.0)
        drift = energy_drift(times, energies, n_atoms).value
        check("drift under r-RESPA, meV/atom/ps", abs(drift), DRIFT_LIMIT)
        print(
            f"     r-RESPA M = {INNER_STEPS}: {milliseconds(respa, options.steps):.2f} ms/outer step"
        )
        del context

        verlet = openmm.VerletIntegrator(step)
        context = make_context(structure, system, verlet, options.platform)
        print(f"     conservative: {milliseconds(verlet, options.steps):.2f} ms/step")
        del context
        mts = openmm.MTSIntegrator(INNER_STEPS * step, [(0, 1), (1, INNER_STEPS)])
        split = split_system(structure, options.model, host)
        context = make_context(structure, split, mts, options.platform)
        print(
            f"     MTSIntegrator, two forces: {milliseconds(mts, options.steps):.2f} ms/outer step"
        )
        del context
    sys.exit(f"failed: {', '.join(failures)}" if failures else 0)


if __name__ == "__main__":
    main()
