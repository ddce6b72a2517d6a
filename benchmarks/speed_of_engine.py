"""Times of one engine at one size, for ``benchmarks/speed.py``, which starts it in a process of its own."""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from tqdm import tqdm

from mlip_engines import MlipCalculator, load_model
from mlip_engines.model.evaluation import network_of
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.simulations import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
    conservation,
    make_engine,
)
from mlip_engines.simulations.constant_energy import ConstantEnergy
from mlip_engines.simulations.engine import initial_state
from mlip_engines.simulations.pace import Limits, fair
from mlip_engines.units import MEV_PER_EV

START = Path(__file__).parents[1] / "examples" / "water_64.extxyz"
INNER_STEP_FS = 0.5
BETWEEN_ROWS_FS = 4.0  # of energies that are followed
TURN = 8  # inner steps that are timed at once in the smallest box; in larger ones one outer step is
N_COMPARED = 8  # frames of a trajectory on which C and NC are compared
OXYGEN_MASS, HYDROGEN_MASS = 15.999, 1.008  # g/mol


class Ase:
    """ASE takes the times of its steps as the engines do; it has no r-RESPA."""

    def __init__(self, model: Path):
        self.model = model

    def time_steps(
        self,
        choices: list[Forces],
        atoms: Atoms,
        inner_step_fs: float,
        inner_steps: int,
        turns: int,
        after_turn: Callable[[Forces], None],
    ) -> dict[str, list[float]]:
        """Return ms per step of each turn, see :class:`mlip_engines.simulations.Engine`."""
        dynamics, found = {}, {forces.file_name: [] for forces in choices}
        for forces in choices:
            moving = atoms.copy()
            moving.calc = MlipCalculator(self.model, forces=forces.kind)
            dynamics[forces] = VelocityVerlet(moving, inner_step_fs * units.fs)
            dynamics[forces].run(3)  # TorchScript settles at its first calls
        for _ in range(turns):
            for forces in choices:
                milliseconds = timed(lambda f=forces: dynamics[f].run(inner_steps))
                found[forces.file_name].append(milliseconds / inner_steps)
                after_turn(forces)
        return found


class Bare:
    """The module in the model file, on one graph."""

    def __init__(self, model: LoadedModel, atoms: Atoms):
        self.model = model
        self.network = network_of(model.module)
        self.dtype = getattr(torch, model.metadata.dtype)
        self.graph = neighbor_graph(atoms, model.metadata.cutoff)
        self.ms: dict[str, list[float]] = {}  # per inner step, by the file name of the forces
        self.forward_ms: list[float] = []

    def take_time(self, forces: Forces) -> None:
        """Measure what one (outer) step evaluates."""
        spent = timed(lambda: self.step(forces)) / forces.inner_steps
        self.ms.setdefault(forces.file_name, []).append(spent)
        if forces == CONSERVATIVE:
            self.forward_ms.append(timed(self.forward))

    def step(self, forces: Forces) -> None:
        """Evaluate what one (outer) step evaluates."""
        if forces == CONSERVATIVE:
            self.model.evaluate(self.graph)
            return
        n_alone = 1 if forces == NON_CONSERVATIVE else forces.inner_steps - 1
        for _ in range(n_alone):
            self.model.non_conservative(self.graph)
        if forces.kind == "respa":
            self.model.evaluate(self.graph, with_non_conservative=True)

    def forward(self) -> None:
        """Evaluate the energy, ready to be differentiated."""
        edges = self.graph.edge_vectors.to(self.dtype).requires_grad_(True)
        self.network(self.graph._replace(edge_vectors=edges), False)


def timed(work: Callable[[], object]) -> float:
    """Return the ms that a piece of work takes."""
    began = time.perf_counter()
    work()
    return 1000.0 * (time.perf_counter() - began)


def water(copies: int, hydrogen_mass: float | None) -> Atoms:
    """Return the structure from which all begin; what hydrogen gains in mass, oxygen loses."""
    atoms = ase.io.read(START).repeat(copies)
    if hydrogen_mass is not None:
        oxygen_mass = OXYGEN_MASS - 2 * (hydrogen_mass - HYDROGEN_MASS)
        atoms.set_masses(np.where(atoms.numbers == 1, hydrogen_mass, oxygen_mass))
    return atoms


def drift_of(engine, forces: Forces, picoseconds: float, atoms: Atoms, model: LoadedModel) -> dict:
    """Follow the energy; return its drift and what went with it."""
    simulation = Simulation(
        forces,
        picoseconds,
        inner_step_fs=INNER_STEP_FS,
        row_every_fs=BETWEEN_ROWS_FS,
        chunks=1,
    )
    between_frames = max(1, simulation.n_steps // (simulation.row_every * N_COMPARED))  # in rows
    simulation = replace(
        simulation,
        frame_every_fs=between_frames * simulation.row_every * simulation.outer_step_fs,
    )
    with tempfile.TemporaryDirectory(prefix="speed-") as scratch:
        run = engine.run(simulation, atoms, Path(scratch))
    drift = conservation(atoms, [run]).drift
    rms = None
    if forces.inner_steps > 1:
        rms = rms_difference(atoms, run.positions, run.frame_cell, model)
    return {
        "meV_per_atom_per_ps": float("nan") if run.stopped else drift.value,
        "meV_per_atom_per_ps_error": drift.error,
        "rms_c_minus_nc_meV_per_A": rms,
        "time_ps": run.time_ps.tolist(),
        "energy_eV": run.conserved_eV.tolist(),
        "stopped": run.stopped,
    }


def rms_difference(
    atoms: Atoms, positions: np.ndarray, cells: np.ndarray, model: LoadedModel
) -> float:
    """Return the RMS of C - NC over the components of the forces of all frames, meV/Å."""
    calculator, squares = MlipCalculator(model), []
    for frame, cell in zip(positions, cells, strict=True):
        moved = Atoms(atoms.numbers, frame, cell=cell, pbc=atoms.pbc)
        calculator.calculate(moved, ["energy", "forces", "non_conservative_forces"])
        difference = calculator.results["forces"] - calculator.results["non_conservative_forces"]
        squares.append(np.mean(difference**2))
    return MEV_PER_EV * float(np.sqrt(np.mean(squares)))


def fair_of(
    engine: str,
    milliseconds: dict[str, float],
    options: argparse.Namespace,
    atoms: Atoms,
    model: LoadedModel,
) -> dict:
    """Find C's best step and r-RESPA's best steps within the same limits of drift and fluctuation."""
    limits = Limits(options.drift_limit, options.fluctuation_limit)
    start = initial_state(atoms, Simulation(CONSERVATIVE, 1.0))
    runs = ConstantEnergy(
        model.path,
        start,
        engine,
        milliseconds["C"],
        milliseconds.get("NC", milliseconds["C"]),
        limits,
        options.fair_ps,
        options.output.with_suffix("") / "fair",
        lambda text: print(text, flush=True),
    )
    paces = runs.conservative(options.fair_step)
    if model.metadata.has_non_conservative_forces:
        paces += runs.respa(options.fair_step, paces)
    found = fair(paces, limits)
    return {
        "words": found.words(),
        "gain": found.gain,
        "best": [p.label for p in (found.conservative, found.respa) if p is not None],
        "paces": [
            {
                "label": p.label,
                "outer_step_fs": p.outer_step_fs,
                "seconds_per_ps": p.seconds_per_ps,
                "ns_per_day": p.ns_per_day,
                "drift": p.drift.value,
                "drift_error": p.drift.error,
                "fluctuation": p.fluctuation_meV_per_atom,
                "fluctuation_error": p.fluctuation_error_meV_per_atom,
                "stopped": p.stopped,
                "verdict": p.verdict(limits),
            }
            for p in paces
        ],
    }


def main() -> None:
    """Measure, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=("ase", "lammps", "openmm"))
    parser.add_argument("--copies", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--strides", type=int, nargs="+", required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--drift-ps", type=float, default=0.0)
    parser.add_argument("--fair-ps", type=float, default=0.0)
    parser.add_argument("--fair-step", type=float, default=INNER_STEP_FS)
    parser.add_argument("--drift-limit", type=float, default=0.1)
    parser.add_argument("--fluctuation-limit", type=float, default=0.1)
    parser.add_argument("--hydrogen-mass", type=float)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    if options.engine == "lammps":
        torch._C._set_graph_executor_optimize(False)  # as the plugin does: the same bare module
    model = load_model(options.model)
    choices = [CONSERVATIVE]
    if model.metadata.has_non_conservative_forces:
        choices.append(NON_CONSERVATIVE)
        if options.engine != "ase":
            choices += [Forces("respa", m) for m in options.strides]
    label = {forces.file_name: forces.label for forces in choices}
    atoms = water(options.copies, options.hydrogen_mass)
    bare = Bare(model, atoms)
    for forces in 3 * choices[:2]:  # TorchScript settles at its first calls
        bare.step(forces)
    engine = Ase(model.path) if options.engine == "ase" else make_engine(options.engine, model.path)
    bar = tqdm(total=options.repeats * len(choices), desc="turns", mininterval=10)

    def after_turn(forces: Forces) -> None:
        bare.take_time(forces)
        bar.update()

    turn = TURN if options.copies == 1 else 1
    hosted = engine.time_steps(
        choices, atoms, INNER_STEP_FS, turn, options.repeats, after_turn=after_turn
    )
    bar.close()
    whose = resource.RUSAGE_SELF if options.engine == "ase" else resource.RUSAGE_CHILDREN
    result = {
        "engine": options.engine,
        "n_atoms": len(atoms),
        "n_edges": int(bare.graph.edge_index.shape[1]),
        "threads": torch.get_num_threads(),
        "ms_per_inner_step": {label[k]: statistics.median(v) for k, v in hosted.items()},
        "bare_ms_per_inner_step": {label[k]: statistics.median(v) for k, v in bare.ms.items()},
        "samples_ms": {label[k]: v for k, v in hosted.items()},
        "peak_memory_MB": resource.getrusage(whose).ru_maxrss / 1024,
    }
    if options.engine == "lammps":
        parts = engine.time_parts(atoms, INNER_STEP_FS, 5)
        evaluation = result["bare_ms_per_inner_step"]["C"]
        ahead = statistics.median(bare.forward_ms)
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
            forces.label: drift_of(engine, forces, options.drift_ps, atoms, model)
            for forces in tqdm(choices, desc="drift")
        }
    if options.fair_ps > 0 and options.engine != "ase":
        result["fair"] = fair_of(options.engine, result["ms_per_inner_step"], options, atoms, model)
    draft = options.output.with_suffix(".partial")
    draft.write_text(json.dumps(result))
    os.replace(draft, options.output)


if __name__ == "__main__":
    main()
