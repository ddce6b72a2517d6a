"""How much the compiled sum over neighbours saves: PaiNN of the size of the shipped water model, 64 water molecules.

Interleaved repeats in one process, medians of the process time on one thread:

    python benchmarks/neighbor_sum.py
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from ase.io import read

import train.models.painn
from mlip_engines.derivatives import forces_from_edges
from mlip_engines.neighbors import neighbor_graph
from mlip_engines.operators import are_compiled, composed_neighbor_sum, neighbor_sum

WATER = Path(__file__).parent.parent / "examples" / "lammps" / "water.data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--features", type=int, default=96)
    options = parser.parse_args()
    if not are_compiled():
        raise SystemExit("expected compiled operators, found none; run: mlip-lammps build")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    atoms = read(WATER, format="lammps-data", atom_style="atomic", Z_of_type={1: 8, 2: 1})
    network = train.models.painn.PaiNN([1, 8], 4.5, n_features=options.features, n_basis=10)
    graph = neighbor_graph(atoms, network.cutoff)
    graph = graph._replace(edge_vectors=graph.edge_vectors.float())
    print(f"{len(atoms)} atoms, {graph.edge_index.size(1)} edges, {options.features} features")

    def energy_and_forces(create_graph: bool) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = graph.edge_vectors.detach().requires_grad_(True)
        output = network(*graph._replace(edge_vectors=vectors), True)
        energy = output["atomic_energies"].sum()
        (gradient,) = torch.autograd.grad(energy, vectors, create_graph=create_graph)
        forces = forces_from_edges(graph.edge_index, gradient, len(atoms))
        return forces, output["non_conservative_forces"]

    def conservative() -> None:
        network.eval().requires_grad_(False)
        energy_and_forces(create_graph=False)

    def non_conservative() -> None:
        network.eval().requires_grad_(False)
        with torch.no_grad():
            network.non_conservative(*graph)

    def training_step() -> None:
        network.train().requires_grad_(True)
        forces, head = energy_and_forces(create_graph=True)
        (forces.square().mean() + head.square().mean()).backward()

    def measure(work: Callable[[], None]) -> dict[str, float]:
        times: dict[str, list[float]] = {"composed": [], "compiled": []}
        for _ in range(options.repeats):
            for name, function in (("composed", composed_neighbor_sum), ("compiled", neighbor_sum)):
                train.models.painn.neighbor_sum = function
                started = time.process_time()
                work()
                times[name].append(1e3 * (time.process_time() - started))
        return {name: statistics.median(values) for name, values in times.items()}

    print("| | composed, ms | compiled, ms | ratio |\n|---|---|---|---|")
    for work in (conservative, non_conservative, training_step):
        found = measure(work)
        name = work.__name__.replace("_", " ")
        ratio = found["composed"] / found["compiled"]
        print(f"| {name} | {found['composed']:.1f} | {found['compiled']:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
