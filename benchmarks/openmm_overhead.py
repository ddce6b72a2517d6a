"""What OpenMM adds to the bare module: time of a step over the time of the evaluations in it.

    OMP_NUM_THREADS=1 OPENMM_CPU_THREADS=1 python benchmarks/openmm_overhead.py

192 atoms of water. Steps in OpenMM (neighbour list, units, integrator, copies) and evaluations of the
module in the model file (edges already made) take turns, so that load from other programs falls on
both. The time of a step is the mean, by how often each occurs, of the medians of steps that rebuild the
neighbour list and of those that do not. For r-RESPA the bare cost is that of M - 1 evaluations of the
non-conservative head and one of everything.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import openmm
from openmm import unit
from tqdm import tqdm

from mlip_engines import load_model
from mlip_engines.model.neighbors import neighbor_graph
from openmm_forces import RespaIntegrator, create_system, evaluation_counts, from_ase

START = Path(__file__).parents[1] / "examples" / "water_64.extxyz"


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Time, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--host", choices=("auto", "torch", "python"), default="auto")
    parser.add_argument("--platform", default="CPU")
    parser.add_argument("--inner-steps", type=int, default=4, help="M of r-RESPA")
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args()

    atoms = ase.io.read(START)
    model = load_model(options.model)
    graph = neighbor_graph(atoms, model.metadata.cutoff)

    def everything() -> None:
        model.evaluate(graph, with_non_conservative=True)

    def conservative() -> None:
        model.evaluate(graph)

    def head() -> None:
        model.non_conservative(graph)

    def outer_step() -> None:
        for _ in range(options.inner_steps - 1):
            head()
        everything()

    step = 0.5 * unit.femtosecond
    cases = {
        "conservative": (openmm.VerletIntegrator(step), "conservative", conservative),
        "non-conservative": (openmm.VerletIntegrator(step), "non_conservative", head),
        f"r-RESPA M = {options.inner_steps}": (
            RespaIntegrator(options.inner_steps * step, options.inner_steps),
            "conservative",
            outer_step,
        ),
    }
    print("| forces | OpenMM, ms per step | bare module, ms | ratio | list rebuilds per step |")
    print("|---|---|---|---|---|")
    for name, (integrator, forces, bare) in cases.items():
        structure = from_ase(atoms)
        system = create_system(structure.topology, model, host=options.host, forces=forces)
        platform = openmm.Platform.getPlatformByName(options.platform)
        context = openmm.Context(system, integrator, platform)
        context.setPositions(structure.positions)
        context.setVelocities(structure.velocities)
        for _ in range(5):  # TorchScript optimises a graph at its first calls
            integrator.step(1)
            bare()
        hosted: dict[int, list[float]] = {}  # by the number of rebuilds in a step
        bare_seconds = []
        for _ in tqdm(range(options.repeats), desc=name, leave=False):
            before = evaluation_counts(context).list_rebuilds
            seconds = timed(lambda i=integrator: i.step(1))
            rebuilds = evaluation_counts(context).list_rebuilds - before
            hosted.setdefault(rebuilds, []).append(seconds)
            bare_seconds.append(timed(bare))
        kinds = [(len(s) / options.repeats, 1000 * statistics.median(s)) for s in hosted.values()]
        hosted_ms = sum(share * milliseconds for share, milliseconds in kinds)
        bare_ms = 1000 * statistics.median(bare_seconds)
        rate = sum(n * len(s) for n, s in hosted.items()) / options.repeats
        print(
            f"| {name} | {hosted_ms:.2f} | {bare_ms:.2f} | {hosted_ms / bare_ms:.3f} | {rate:.3f} |"
        )


if __name__ == "__main__":
    main()
