"""Processor time of one training step on energy, forces and direct forces, least of several.

OMP_NUM_THREADS=1 python benchmarks/training_step.py --recipe water_pet --data revpbe0d3.extxyz
"""

from __future__ import annotations

import argparse
import time

import torch
from ase.data import atomic_numbers
from ase.io import read

from mlip_train.data.batching import collate
from mlip_train.data.loading import PreparedStructures
from mlip_train.loop.prediction import predict
from mlip_train.networks import build_network
from mlip_train.recipe import read_recipe


def main() -> None:
    """Time steps on the first structure of the data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    structure = read(options.data, 0)
    species = sorted({atomic_numbers[symbol] for symbol in structure.get_chemical_symbols()})
    torch.manual_seed(1)
    network = build_network({**read_recipe(options.recipe).network, "species": species}).train()
    prepared = PreparedStructures([structure], network.cutoff)
    baseline = torch.zeros(119, dtype=torch.float64)
    batch = collate([prepared[0]], baseline, network.cutoff, torch.float32)
    for name in ("float32", "bfloat16"):
        times = []
        for _ in range(options.repeats + 1):  # the first one warms up
            start = time.process_time()
            network.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
                found = predict(
                    network,
                    batch,
                    1.0,
                    differentiate=True,
                    with_non_conservative=True,
                    create_graph=True,
                    with_stress=False,
                )
            parts = found.energies, found.conservative, found.non_conservative
            sum(part.square().mean() for part in parts).backward()
            times.append(time.process_time() - start)
        print(f"{name}: {min(times[1:]):.3f} s a step")


if __name__ == "__main__":
    main()
