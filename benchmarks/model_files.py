"""One evaluation of each of several model files in turn: how far their answers differ, and what they take.

    python benchmarks/model_files.py OLD.pt NEW.pt

Differences are those to the first file. Times are processor times on one thread, median and least of all repeats, of 64
water molecules or of another structure.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from ase.io import read

from mlip_engines.model.load import load_model
from mlip_engines.model.neighbors import neighbor_graph

WATER = Path(__file__).parent.parent / "examples" / "water_64.extxyz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="model files, or names of shipped models")
    parser.add_argument("--structure", type=Path, default=WATER)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    atoms = read(options.structure)
    models = [load_model(name) for name in options.models]
    graphs = [neighbor_graph(atoms, model.metadata.cutoff) for model in models]
    times: dict[tuple[int, str], list[float]] = {}
    answers: dict[tuple[int, str], torch.Tensor] = {}
    for _ in range(options.repeats):
        for k, (model, graph) in enumerate(zip(models, graphs, strict=True)):
            heads = ["C"] + ["NC"] * ("non_conservative_forces" in model.metadata.heads)
            for head in heads:
                started = time.process_time()
                found = model.evaluate(graph) if head == "C" else model.non_conservative(graph)
                times.setdefault((k, head), []).append(1e3 * (time.process_time() - started))
                key = "forces" if head == "C" else "non_conservative_forces"
                answers[k, head] = found[key]
    print(f"{len(atoms)} atoms\n| file | forces | difference, eV/Å | median, ms | least, ms |")
    print("|---|---|---|---|---|")
    for (k, head), values in times.items():
        first = answers.get((0, head), answers[k, head])
        difference = float((answers[k, head] - first).abs().max())
        print(
            f"| {options.models[k]} | {head} | {difference:.1e} | {statistics.median(values):.2f} "
            f"| {min(values):.2f} |"
        )


if __name__ == "__main__":
    main()
