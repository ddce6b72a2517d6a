"""Structures per second: relaxed together, and one at a time through ASE with the same model, optimiser and threshold.

    OMP_NUM_THREADS=1 python benchmarks/relaxation.py water --count 1000 --alone 40
    OMP_NUM_THREADS=1 python benchmarks/relaxation.py copper --count 1000 --alone 40
    OMP_NUM_THREADS=1 python benchmarks/relaxation.py copper --cell --count 1000 --alone 10

Water: one to three molecules; copper: crystals of one to four atoms, strained and rattled. Times are those of
the process on its core (``time.process_time``), so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time

import ase.optimize
import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.filters import FrechetCellFilter

from mlip_engines import MlipCalculator, load_model
from mlip_engines.model.load import LoadedModel
from mlip_engines.relaxation import relax

PLACES = [[0.0, 0.0, 0.0], [2.9, 0.2, -0.3], [0.3, 2.9, 0.5]]  # Å, of molecules in a cluster


def waters(k: int) -> Atoms:
    """Return a cluster of one to three molecules."""
    cluster = Atoms()
    for place in PLACES[: 1 + k % 3]:
        one = molecule("H2O")
        one.rotate(37.0 * k, (1.0, 2.0, 3.0))
        one.translate(place)
        cluster += one
    cluster.rattle(0.05, seed=k)
    return cluster


def coppers(k: int) -> Atoms:
    """Return a crystal of one, two or four atoms."""
    crystals = (
        bulk("Cu", a=3.7),
        bulk("Cu", "hcp", a=2.6, c=4.2),
        bulk("Cu", a=3.6, cubic=True),
        bulk("Cu", "bcc", a=2.9, cubic=True),
    )
    crystal = crystals[k % 4]
    strain = 0.02 * np.random.default_rng(k).normal(size=(3, 3))
    crystal.set_cell(crystal.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    crystal.rattle(0.05, seed=k)
    return crystal


def timed(work) -> tuple[object, float, float]:
    """Return what a function returns, and its seconds on the core and on the wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def alone(model: LoadedModel, structures: list[Atoms], options) -> list[tuple[float, int]]:
    """Return energies and steps of structures that ASE relaxes one after the other."""
    calculator, found = MlipCalculator(model), []
    for atoms in structures:
        atoms = atoms.copy()
        atoms.calc = calculator
        moving = FrechetCellFilter(atoms) if options.cell else atoms
        run = getattr(ase.optimize, options.optimiser.upper())(moving, logfile=None)
        run.run(fmax=options.fmax, steps=500)
        found.append((atoms.get_potential_energy(), run.nsteps))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["water", "water-fast", "water-large", "copper"])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--alone", type=int, default=40, help="how many ASE relaxes")
    parser.add_argument("--cell", action="store_true")
    parser.add_argument("--optimiser", choices=["lbfgs", "bfgs", "fire"], default="lbfgs")
    parser.add_argument("--fmax", type=float, default=0.02)
    parser.add_argument("--edges", type=int, nargs="+", default=[20_000])
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model)
    make = coppers if options.model == "copper" else waters
    structures = [make(k) for k in range(options.count)]
    relax(model, structures[:3], steps=2)  # what is done once
    slow, cpu, wall = timed(lambda: alone(model, structures[: options.alone], options))
    rate = options.alone / cpu
    steps = np.mean([s for _, s in slow])
    print(
        f"ASE, one at a time: {rate:.2f} per s of the core ({options.alone / wall:.2f} of the wall), {steps:.1f} steps"
    )
    for edges in options.edges:
        fast, cpu, wall = timed(
            lambda edges=edges: relax(
                model,
                structures,
                cell=options.cell,
                optimiser=options.optimiser,
                fmax=options.fmax,
                max_edges=edges,
            )
        )
        n = options.count
        steps = np.mean([each.steps for each in fast])
        print(
            f"together, {edges} edges: {n / cpu:.2f} per s of the core ({n / wall:.2f} of the wall), {steps:.1f} "
            f"steps, {sum(each.converged for each in fast)} of {n} relaxed; ratio {n / cpu / rate:.1f}"
        )
    difference = [each.energy_after - e for each, (e, _) in zip(fast, slow, strict=False)]
    print(
        f"energies, together - ASE, eV: median {np.median(np.abs(difference)):.1e}, lowest "
        f"{min(difference):.3f}, highest {max(difference):.3f}"
    )


if __name__ == "__main__":
    main()
