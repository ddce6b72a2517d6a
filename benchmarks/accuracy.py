"""Errors on published data sets beside those of published potentials: by one recipe, on their own split.

    python benchmarks/accuracy.py --recipe metal --data mlearn_cu.extxyz --train train --test test -o accuracy/cu
    python benchmarks/accuracy.py --recipe molecule --data 3bpa.extxyz --train train_300K --test train_mixedT -o ...
    python benchmarks/accuracy.py --recipe molecule --data rmd17_ethanol.extxyz --first 950 -o accuracy/ethanol

``--train`` and ``--test`` are values of the key ``split`` in the file. A set without one is cut after its first frames.
The folder receives the run, the model file, the curve on the validation structures (``run/metrics.csv``) and
``errors.json``. A call that is interrupted goes on where it stopped when it is made again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from ase import Atoms
from ase.io import read, write

from mlip_engines.commands.export import main as export
from mlip_engines.model.load import load_model
from mlip_engines.properties.errors import evaluate_model, format_errors
from mlip_engines.readers import read_structures
from mlip_train.loop.run import train
from mlip_train.recipe import read_recipe


def main() -> None:
    """Train, export, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--train", help="value of the key split of the structures to train on")
    parser.add_argument("--test", help="value of the key split of the structures to test on")
    parser.add_argument("--first", type=int, help="train on so many, test on the others")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    parts = divided(read(options.data, ":"), options.train, options.test, options.first)
    options.output.mkdir(parents=True, exist_ok=True)
    files = {name: options.output / f"{name}.xyz" for name in parts}
    for name, frames in parts.items():
        write(files[name], frames)
    run = options.output / "run"
    started = time.process_time()
    resumed = (run / "checkpoint.pt").exists()
    if not (run / "report.html").exists():  # written last
        train(read_recipe(options.recipe), files["train"], run, resume=resumed)
    minutes = (time.process_time() - started) / 60.0
    model = options.output / "model.pt"
    if export([str(run / "checkpoint.pt"), "-o", str(model)]) != 0:
        raise SystemExit(1)
    errors = evaluate_model(load_model(model), read_structures(files["test"]))
    print(format_errors(errors))
    found = {
        "data": Path(options.data).name,
        "n_train": len(parts["train"]),
        "core_minutes": None if resumed else round(minutes, 1),
        **asdict(errors),
    }
    (options.output / "errors.json").write_text(json.dumps(found, indent=2))


def divided(
    frames: list[Atoms], train: str | None, test: str | None, first: int | None
) -> dict[str, list[Atoms]]:
    """Return the structures to train on and to test on."""
    if (first is None) == (train is None) or (train is None) != (test is None):
        raise SystemExit("accuracy: expected --train and --test, or --first")
    if first is not None:
        parts = {"train": frames[:first], "test": frames[first:]}
    else:
        names = {"train": train, "test": test}
        parts = {k: [a for a in frames if a.info.get("split") == v] for k, v in names.items()}
    if not all(parts.values()):
        raise SystemExit(
            f"accuracy: expected structures in both parts, got {[len(p) for p in parts.values()]}"
        )
    return parts


if __name__ == "__main__":
    main()
