"""What an evaluation costs with each network of the trainer: conservative forces (C) and direct forces (NC).

    OMP_NUM_THREADS=1 python benchmarks/networks.py -o networks.json

Networks with random weights, in files of float32 as engines load them, on one graph: 64 molecules of water. All take
turns, so that whatever else the machine does slows all of them alike. Times are process times on one thread: the least
of all rounds, which other processes disturb least, and the median. The graph is made beforehand, since every engine
makes it in another way.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from ase.io import read
from tqdm import tqdm

from mlip_engines import ModelMetadata, export_model, operators
from mlip_engines.model.evaluation import evaluate, non_conservative
from mlip_engines.model.load import load_model
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network

WATER = Path(__file__).parent.parent / "examples" / "water_64.extxyz"
SIZES = {
    "PaiNN, 64 features, 3 layers": {
        "name": "painn",
        "n_features": 64,
        "n_basis": 10,
        "n_layers": 3,
    },
    "PET, 64 features, 3 layers": {"name": "pet", "n_edge_features": 64, "n_layers": 3},
    "TensorNet, 64 features, 2 layers": {"name": "tensornet", "n_features": 64, "n_layers": 2},
    "SchNet, 64 features, 3 layers": {"name": "schnet", "n_features": 64, "n_layers": 3},
    "SchNet, 128 features, 6 layers": {"name": "schnet", "n_features": 128, "n_layers": 6},
    "CGCNN, 100 features, 4 layers": {"name": "cgcnn", "n_features": 100, "n_layers": 4},
    "TorchMD-Net, 64 features, 3 layers": {
        "name": "torchmdnet",
        "n_features": 64,
        "n_layers": 3,
    },
    "TorchMD-Net, 128 features, 8 layers": {
        "name": "torchmdnet",
        "n_features": 128,
        "n_basis": 50,
        "n_layers": 8,
    },
    "M3GNet, 64 features, 3 layers": {"name": "m3gnet", "n_features": 64, "n_layers": 3},
    "M3GNet, 128 features, 3 layers": {"name": "m3gnet", "n_features": 128, "n_layers": 3},
}
NC_LAYER = 2  # of all of them: layers that the NC head shares


def exported(settings: dict, cutoff: float, folder: Path) -> tuple[torch.nn.Module, int]:
    """Return the module of a file with random weights, and the number of its parameters."""
    torch.manual_seed(0)
    own = {"species": [1, 8], "cutoff": cutoff, "non_conservative_layer": NC_LAYER}
    network = build_network({**own, **settings}).eval()
    metadata = ModelMetadata(
        name=settings["name"],
        species=["H", "O"],
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.cutoff * network.message_passing_layers,
        heads=list(network.heads),
        dtype="float32",
    )
    path = folder / "model.pt"
    export_model(network, metadata, path)
    return load_model(path).module, sum(p.numel() for p in network.parameters())


def main() -> None:
    """Measure all networks in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="a JSON file with all times")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cutoff", type=float, default=4.5, help="Å (default: 4.5)")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names of networks")
    options = parser.parse_args()
    if not operators.are_compiled():
        raise SystemExit("expected compiled operators, found none; run: mlip-operators build")
    torch.set_num_threads(1)
    atoms = read(WATER)
    graph = neighbor_graph(atoms, options.cutoff)
    works: dict[str, dict[str, Callable[[], object]]] = {}
    parameters = {}
    with tempfile.TemporaryDirectory(prefix="networks-") as folder:
        for name, settings in SIZES.items():
            if any(part in name for part in options.only):
                module, parameters[name] = exported(settings, options.cutoff, Path(folder))
                works[name] = {
                    "C": lambda module=module: evaluate(module, graph),
                    "NC": lambda module=module: non_conservative(module, graph),
                }
    if not works:
        raise SystemExit(f"expected parts of {', '.join(SIZES)}, got {options.only}")
    times = {name: {mode: [] for mode in modes} for name, modes in works.items()}
    for k in tqdm(range(options.rounds + 2), desc="rounds", disable=None):
        for name, modes in works.items():
            for mode, work in modes.items():
                started = time.process_time()
                work()
                if k >= 2:  # the first ones find their memory
                    times[name][mode].append(1e3 * (time.process_time() - started))
    found = {
        "n_atoms": len(atoms),
        "n_edges": graph.n_edges,
        "cutoff": options.cutoff,
        "parameters": parameters,
        "ms": times,
    }
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=1))
    print(f"{len(atoms)} atoms, {graph.n_edges} edges within {options.cutoff} Å\n")
    print(
        "| network | parameters | C, ms: least (median) | NC, ms | C / NC |\n|---|---|---|---|---|"
    )
    for name, modes in times.items():
        cells = []
        for values in modes.values():
            cells.append(f"{min(values):.1f} ({statistics.median(values):.1f})")
        ratio = min(modes["C"]) / min(modes["NC"])
        print(f"| {name} | {parameters[name]} | {' | '.join(cells)} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
