"""What the order of training is worth: six ways to train one network on one data set, each with the same time.

The ways are those that Bigi, Langer and Ceriotti (ICML 2025, arXiv:2412.11569) compare: energies only, conservative
forces only, conservative forces with energies, non-conservative forces with energies, both together ("hybrid"), and
both together fine-tuned from non-conservative pre-training.

    python benchmarks/training_order.py --data frames.xyz -o order --minutes 60

Each way is a run of mlip-train in a folder of its own. A call that is interrupted goes on where it stopped when it is
made again. After each run ``table.md`` and ``learning_curves.png`` in the output folder are written anew.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
import yaml
from ase import Atoms
from matplotlib.figure import Figure

from mlip_engines.readers import read_structures
from mlip_train.data.batching import collate
from mlip_train.data.structure import TrainingStructure, prepare
from mlip_train.loop.checkpoint import open_checkpoint
from mlip_train.loop.history import read_history
from mlip_train.loop.prediction import predict
from mlip_train.loop.run import train
from mlip_train.machine.settings import Machine
from mlip_train.recipe import read_recipe

NETWORKS = {
    "painn": {
        "name": "painn",
        "cutoff": 4.5,
        "n_features": 64,
        "n_basis": 10,
        "non_conservative_layer": 2,
    },
    "pet": {"name": "pet", "cutoff": 4.5, "n_edge_features": 32, "non_conservative_layer": 2},
}
# Way: stages, each with its share of the time, learning rate (of the largest) and weights.
WAYS = {
    "energy only": [(1.0, 1.0, {"energy": 1.0})],
    "C forces only": [(1.0, 1.0, {"energy": 0.0, "conservative": 1.0})],
    "C with energy": [(1.0, 1.0, {"energy": 0.1, "conservative": 1.0})],
    "NC with energy": [(1.0, 1.0, {"energy": 0.1, "non_conservative": 1.0})],
    "hybrid": [(1.0, 1.0, {"energy": 0.1, "conservative": 1.0, "non_conservative": 1.0})],
    "fine-tuned hybrid": [
        (0.5, 1.0, {"energy": 0.1, "non_conservative": 1.0}),
        (0.5, 1.0, {"energy": 0.1, "conservative": 1.0, "non_conservative": 0.01}),
    ],
}
COLUMNS = ("energy", "conservative", "non_conservative")


def recipe_of(way: str, options: argparse.Namespace) -> dict:
    """Return the recipe of a way as plain values."""
    stages = [
        {
            "name": f"stage_{k + 1}",
            "epochs": 100_000,  # the time decides
            "budget_minutes": share * options.minutes,
            "learning_rate": rate * options.learning_rate,
            "weights": weights,
        }
        for k, (share, rate, weights) in enumerate(WAYS[way])
    ]
    return {
        "name": way,
        "network": NETWORKS[options.network],
        "augment": options.network == "pet",
        "n_validation": options.n_validation,
        "n_test": options.n_test,
        "seed": options.seed,
        "batch_size": options.batch_size,
        "stages": stages,
    }


def run(way: str, options: argparse.Namespace) -> Path:
    """Train one way, from where it stopped or not at all if it is finished; return its folder."""
    folder = options.output / way.replace(" ", "_")
    if (folder / "test.json").is_file():
        return folder
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump(recipe_of(way, options), sort_keys=False))
    resume = (folder / "checkpoint.pt").is_file()
    machine = Machine(device=options.device)
    train(read_recipe(path), options.data, folder, resume=resume, machine=machine)
    return folder


def curve(folder: Path, name: str) -> list[tuple[float, float]]:
    """Return (minutes since the start, RMSE) of a quantity at each validation."""
    points, before, stage, last = [], 0.0, None, 0.0
    for row in read_history(folder / "metrics.csv"):
        if stage not in (None, row["stage"]):
            before += last
        stage, last = row["stage"], float(row["minutes"])
        if row.get(f"{name}_rmse"):
            points.append((before + last, float(row[f"{name}_rmse"])))
    return points


def seconds_per_epoch(folder: Path) -> float:
    """Return the time of an epoch of the last stage, whole epochs where there are any."""
    rows = read_history(folder / "metrics.csv")
    rows = [row for row in rows if row["stage"] == rows[-1]["stage"]]
    row = rows[-2] if len(rows) > 1 else rows[-1]  # the time may end in the middle of the last one
    return 60.0 * float(row["minutes"]) / float(row["epoch"])


def evaluation_times(folder: Path, item: TrainingStructure, repeats: int = 20) -> dict[str, float]:
    """Return ms of one conservative and one non-conservative evaluation, medians of interleaved repeats."""
    network = open_checkpoint(folder / "checkpoint.pt").network.eval()
    batch = collate([item], torch.zeros(119), network.cutoff, torch.float32)
    times: dict[str, list[float]] = {"C": [], "NC": []}
    for _ in range(repeats):
        start = time.perf_counter()
        predict(
            network, batch, 1.0, differentiate=True, with_non_conservative=False, create_graph=False
        )
        middle = time.perf_counter()
        with torch.no_grad():
            network.non_conservative(batch.graph)
        times["C"].append(1e3 * (middle - start))
        times["NC"].append(1e3 * (time.perf_counter() - middle))
    return {name: sorted(values)[repeats // 2] for name, values in times.items()}


def write_table(folders: dict[str, Path], structure: Atoms, options: argparse.Namespace) -> str:
    """Write and return the table of the runs that are finished; times of an evaluation are taken when all are."""
    lines = [
        f"{options.network}, {options.minutes:g} minutes each, seed {options.seed}; mean absolute errors on "
        f"{options.n_test} test structures",
        "",
        "| training | energy, meV/atom | C forces, meV/Å | NC forces, meV/Å | s per epoch | ms C | ms NC |",
        "|---|---|---|---|---|---|---|",
    ]
    item = prepare(structure, NETWORKS[options.network]["cutoff"])
    for way, folder in folders.items():
        errors = json.loads((folder / "test.json").read_text())
        trained = _trained(way)
        cells = [f"{errors[f'{n}_mae']:.2f}" if n in trained else "-" for n in COLUMNS]
        is_last = len(folders) == len(options.ways)
        times = evaluation_times(folder, item) if is_last else {"C": math.nan, "NC": math.nan}
        cells += [f"{seconds_per_epoch(folder):.1f}", f"{times['C']:.1f}", f"{times['NC']:.1f}"]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    lines += ["", *_crossing(folders)]
    text = "\n".join(lines) + "\n"
    (options.output / "table.md").write_text(text)
    return text


def _crossing(folders: dict[str, Path]) -> list[str]:
    """Say when fine-tuning is as good as conservative training from scratch is at its end."""
    scratch, tuned = (folders.get(name) for name in ("C with energy", "fine-tuned hybrid"))
    if scratch is None or tuned is None:
        return []
    end, goal = curve(scratch, "conservative")[-1]
    better = [minutes for minutes, error in curve(tuned, "conservative") if error <= goal]
    reached = f"after {better[0]:.1f} minutes" if better else "never"
    return [
        f"C with energy ends with an RMSE of {goal:.2f} meV/Å for C forces on the validation split, after {end:.1f} "
        f"minutes; fine-tuned hybrid gets there {reached}."
    ]


def _trained(way: str) -> set[str]:
    """Return the quantities that a way trains: the error of another says nothing about it."""
    weights = WAYS[way][-1][2]
    names = {name for name in COLUMNS if weights.get(name, 0.0) > 0.0}
    return names | {"conservative"} if "energy" in names else names  # the derivative of the energy


def draw(folders: dict[str, Path], path: Path) -> None:
    """Draw the errors of the runs against the time of training."""
    figure = Figure(figsize=(11.0, 4.0))
    for k, name in enumerate(("conservative", "non_conservative")):
        axes = figure.add_subplot(1, 2, k + 1)
        for n, (way, folder) in enumerate(folders.items()):
            points = curve(folder, name) if name in _trained(way) else []
            if points:
                axes.plot(*zip(*points, strict=True), color=f"C{n}", label=way)
        title = name.replace("non_conservative", "non-conservative") + " forces"
        axes.set(xlabel="minutes of training", ylabel="RMSE, meV/Å", yscale="log", title=title)
        if axes.lines:  # none where no way trains this
            axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", required=True, type=Path, help="structures with energies and forces"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of all runs")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="of each run (default: %(default)s)"
    )
    parser.add_argument("--network", choices=NETWORKS, default="painn")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--n-validation", type=int, default=40)
    parser.add_argument("--n-test", type=int, default=140)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options = parser.parse_args(arguments)
    (structure, *_) = read_structures(options.data, progress=False)
    folders: dict[str, Path] = {}
    for way in options.ways:
        folders[way] = run(way, options)
        text = write_table(folders, structure, options)
        draw(folders, options.output / "learning_curves.png")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
