"""What the compiled operators save: PaiNN of the size of the shipped water model, 64 water molecules.

Three ways to a message: composed of torch's operators, of the compiled sum over neighbours, and compiled as a whole.
Interleaved repeats in one process, medians of the process time on one thread:

    python benchmarks/operators.py
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from ase.io import read

import train.models.painn
from mlip_engines import operators
from mlip_engines.derivatives import forces_from_edges
from mlip_engines.neighbors import neighbor_graph

WAYS = {
    "torch": (operators.composed_equivariant_message, operators.composed_neighbor_sum),
    "sums compiled": (operators.composed_equivariant_message, operators.neighbor_sum),
    "messages compiled": (operators.equivariant_message, operators.neighbor_sum),
}
WATER = Path(__file__).parent.parent / "examples" / "lammps" / "water.data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--features", type=int, default=64)
    options = parser.parse_args()
    if not operators.are_compiled():
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
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(options.repeats):
            for name, (message, neighbor_sum) in WAYS.items():
                train.models.painn.equivariant_message = message
                operators.neighbor_sum = neighbor_sum
                started = time.process_time()
                work()
                times[name].append(1e3 * (time.process_time() - started))
        return {name: statistics.median(values) for name, values in times.items()}

    print(f"| ms | {' | '.join(WAYS)} |\n|---|---|---|---|")
    for work in (conservative, non_conservative, training_step):
        found = measure(work)
        cells = " | ".join(f"{found[name]:.1f}" for name in WAYS)
        print(f"| {work.__name__.replace('_', ' ')} | {cells} |")


if __name__ == "__main__":
    main()
