"""What the compiled operators save: PaiNN of the size of the shipped water model, 64 water molecules.

Four ways: all of torch's own operators; sums over neighbours compiled; messages compiled as a whole; and what is done
to each edge and to each atom compiled too.
Interleaved repeats in one process, medians of the process time on one thread:

    python benchmarks/operators.py
    python benchmarks/operators.py --inductor

The second adds what AOTInductor would put into a file: evaluations by torch's operators, with messages made edge by
edge, traced with their derivative for this one graph and compiled, which takes minutes.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from ase.io import read
from torch.fx.experimental.proxy_tensor import make_fx

import mlip_train.networks.painn
from mlip_engines import operators
from mlip_engines.model.derivatives import forces_from_edges
from mlip_engines.model.neighbors import neighbor_graph

# functions of the network, by way; the first also stands for what is inside of a composed message
TORCH = {
    "neighbor_sum": operators.composed_neighbor_sum,
    "equivariant_message": operators.composed_equivariant_message,
    "bessel_edges": operators.composed_bessel_edges,
    "message_sources": operators.composed_message_sources,
    "equivariant_update": operators.composed_equivariant_update,
    "gated_vectors": operators.composed_gated_vectors,
}
SUMS = {**TORCH, "neighbor_sum": operators.neighbor_sum}
MESSAGES = {**SUMS, "equivariant_message": operators.equivariant_message}
WAYS = {
    "torch": TORCH,
    "sums compiled": SUMS,
    "messages compiled": MESSAGES,
    "all compiled": {name: getattr(operators, name) for name in TORCH},
}
WATER = Path(__file__).parent.parent / "examples" / "lammps" / "water.data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--cutoff", type=float, default=4.5)
    parser.add_argument("--basis", type=int, default=10)
    parser.add_argument("--shared", type=int, default=2, help="layers before the heads part")
    parser.add_argument("--inductor", action="store_true", help="compare with Inductor too")
    options = parser.parse_args()
    if not operators.are_compiled():
        raise SystemExit("expected compiled operators, found none; run: mlip-operators build")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    atoms = read(WATER, format="lammps-data", atom_style="atomic", Z_of_type={1: 8, 2: 1})
    network = mlip_train.networks.painn.PaiNN(
        [1, 8],
        options.cutoff,
        n_features=options.features,
        n_basis=options.basis,
        non_conservative_layer=options.shared,
    )
    graph = neighbor_graph(atoms, network.cutoff)
    graph = graph._replace(edge_vectors=graph.edge_vectors.float())
    print(f"{len(atoms)} atoms, {graph.edge_index.size(1)} edges, {options.features} features")

    def energy_and_forces(
        vectors: torch.Tensor, *, is_training: bool = False
    ) -> list[torch.Tensor]:
        vectors = vectors.detach().requires_grad_(True)
        output = network(graph._replace(edge_vectors=vectors), True)
        energy = output["atomic_energies"].sum()
        (gradient,) = torch.autograd.grad(energy, vectors, create_graph=is_training)
        forces = forces_from_edges(graph.edge_index, gradient, len(atoms))
        return [forces, output["non_conservative_forces"]]

    def head(vectors: torch.Tensor) -> torch.Tensor:
        return network.non_conservative(graph._replace(edge_vectors=vectors))[
            "non_conservative_forces"
        ]

    def choose(way: str) -> None:
        for name, function in WAYS[way].items():
            module = operators.messages if name == "neighbor_sum" else mlip_train.networks.painn
            setattr(module, name, function)

    def measure(works: dict[str, Callable[[], object]]) -> str:
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(options.repeats):
            for name, work in works.items():
                choose(name if name in WAYS else "torch")
                started = time.process_time()
                work()
                times[name].append(1e3 * (time.process_time() - started))
        return " | ".join(f"{statistics.median(values):.2f}" for values in times.values())

    def without_gradient(function: Callable[[torch.Tensor], object]) -> Callable[[], object]:
        def work() -> object:
            with torch.no_grad():
                return function(graph.edge_vectors)

        return work

    def message_of_edges(radial, unit, sources, filters, first_edge, neighbor):
        """Make a message for each edge and add them up: nothing to trace that depends on numbers."""
        f = filters.size(2)
        of_edge = torch.einsum("ek,xkf->exf", radial, filters)  # (E, 3, F)
        s, a, v = sources[neighbor].split((f, f, sources.size(1) - 2 * f), dim=1)
        vectors = unit[:, :, None] * (of_edge[:, 2] * a)[:, None]  # (E, 3, F)
        if v.size(1):
            vectors = vectors + of_edge[:, 1, None] * v.view(-1, 3, f)
        messages = torch.cat((of_edge[:, 0, None] * s[:, None], vectors), dim=1)  # (E, 4, F)
        zero = messages.new_zeros((len(atoms), 4, f))
        return zero.index_add(0, graph.edge_index[0], messages)

    def by_inductor(function: Callable[[torch.Tensor], object]) -> Callable[..., object]:
        choose("torch")
        mlip_train.networks.painn.equivariant_message = message_of_edges
        traced = make_fx(lambda vectors: function(vectors))(graph.edge_vectors)
        return torch.compile(traced, dynamic=False)

    def training_step() -> None:
        forces, of_head = energy_and_forces(graph.edge_vectors, is_training=True)
        (forces.square().mean() + of_head.square().mean()).backward()

    network.eval().requires_grad_(False)
    evaluations = {
        "conservative": (lambda: energy_and_forces(graph.edge_vectors), energy_and_forces),
        "non conservative": (without_gradient(head), head),
    }
    names = [*WAYS, "Inductor"] if options.inductor else [*WAYS]
    print(f"| ms | {' | '.join(names)} |" + "\n|---" + "|---" * len(names) + "|")
    for title, (work, function) in evaluations.items():
        works: dict[str, Callable[[], object]] = dict.fromkeys(WAYS, work)
        if options.inductor:
            works["Inductor"] = without_gradient(by_inductor(function))
            for _ in range(3):
                works["Inductor"]()
        print(f"| {title} | {measure(works)} |")
    network.train().requires_grad_(True)
    print(f"| training step | {measure(dict.fromkeys(WAYS, training_step))} |")


if __name__ == "__main__":
    main()
