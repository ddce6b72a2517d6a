"""Learning curves of properties: a network with a trained potential, and the same with random weights.

    python benchmarks/property_curves.py MOLECULES --potential run/checkpoint.pt -o curves
    python benchmarks/property_curves.py MOLECULES --potential run/checkpoint.pt -o curves --target gap dipole_moment
    python benchmarks/property_curves.py MOLECULES -o curves --only-table

MOLECULES is the folder that ``relaxation_paths.py`` has written. Runs that are finished are not repeated, so the
command can be killed and given again, and seeds or sizes can be added later. Seeds come one after the other: a command
that is cut short has the first seed of everything.

Errors are mean absolute ones on the test part, of the state with the least error on ``--n-validation`` molecules of the
validation part. The spread is the standard deviation over seeds, which choose the training molecules, their order and
the random weights. All starts see the same number of structures, ``epochs(n)`` times n: ``whole`` is the whole network
from the potential's weights, ``scratch`` from random ones, ``head`` a head on the potential's features, which stay as
they are, ``random_head`` one on the features of random weights.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms

MODES = ("whole", "scratch", "head", "random_head")
SIZES = (100, 300, 1000, 3000)


def epochs(n: int, of_100: int) -> int:
    """Return how often `n` molecules are seen, if 100 are seen `of_100` times: with 60, 19 times for 1,000."""
    return max(round(of_100 / 5), round(of_100 / (n / 100) ** 0.5))


def split(path: Path, key: str, n_validation: int) -> dict[str, list[Atoms]]:
    """Return the molecules of a file by part, the first `n_validation` of the validation part."""
    parts: dict[str, list[Atoms]] = {"train": [], "valid": [], "test": []}
    for atoms in ase.io.iread(path, ":"):
        parts[str(atoms.info[key])].append(atoms)
    parts["valid"] = parts["valid"][:n_validation]
    return parts


def one_run(
    parts: dict[str, list[Atoms]],
    potential: Path,
    targets: list[str],
    mode: str,
    n: int,
    seed: int,
    output: Path,
    of_100: int = 60,
) -> dict[str, Any]:
    """Train once; return the errors of the test part."""
    from mlip_train.data.sets import DataFiles
    from mlip_train.loop.start import read_start
    from mlip_train.property.settings import Settings
    from mlip_train.property.training import train_property

    settings = Settings(
        targets=tuple(targets),
        trained="head" if mode.endswith("head") else "all",
        epochs=epochs(n, of_100),
        # a new head on fixed features bears, and needs, larger steps
        learning_rate=3e-3 if mode.endswith("head") else 1e-3,
        batch_size=16,
        # at a constant rate the errors of so short runs go up and down by a fifth from epoch to epoch
        schedule="cosine",
        n_train=min(n, len(parts["train"])),
        seed=seed,
    )
    start = read_start(potential)
    files = DataFiles((), *((Path(name),) for name in parts))
    with contextlib.redirect_stderr(io.StringIO()):
        errors = train_property(
            settings,
            files,
            list(parts.values()),
            start.network,
            output,
            weights=start.weights if mode in ("whole", "head") else None,
            resume=(output / "checkpoint.pt").exists(),
        )
    return errors["test"]


def constant(parts: dict[str, list[Atoms]], target: str) -> float:
    """Return the mean absolute error of the median of the training part: what knows nothing."""
    guess = statistics.median(float(a.info[target]) for a in parts["train"])
    return statistics.fmean(abs(float(a.info[target]) - guess) for a in parts["test"])


def table(folder: Path) -> list[str]:
    """Return the lines of a Markdown table of all finished runs in the folder."""
    found: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for path in sorted(folder.glob("*/*/*/*/*/test.json")):
        key, targets, mode, n, _ = path.parts[-6:-1]
        for name, errors in json.loads(path.read_text())["test"].items():
            of_sizes = found.setdefault((key, f"{name} ({targets})", mode), {})
            of_sizes.setdefault(int(n), []).append(float(errors["mae"]))
    sizes = sorted({n for of_sizes in found.values() for n in of_sizes})
    lines = ["| split | target (learned with) | start | " + " | ".join(map(str, sizes)) + " |"]
    lines.append("|" + "---|" * (3 + len(sizes)))
    for names, of_sizes in sorted(found.items()):
        cells = []
        for n in sizes:
            errors = of_sizes.get(n, [])
            if not errors:
                cells.append("")
                continue
            spread = f" ± {statistics.stdev(errors):.3f}" if len(errors) > 1 else ""
            cells.append(f"{statistics.fmean(errors):.3f}{spread} ({len(errors)})")
        lines.append("| " + " | ".join([*names, *cells]) + " |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("molecules", type=Path)
    parser.add_argument("--potential", type=Path, help="checkpoint or model file of mlip-train")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--target", nargs="+", default=["gap"])
    parser.add_argument("--split-key", nargs="+", default=["split_random"])
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--n", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--epochs", type=int, default=60, help="how often 100 molecules are seen; more, less often"
    )
    parser.add_argument("--n-validation", type=int, default=150)
    parser.add_argument(
        "--structures",
        type=Path,
        help="other geometries of the molecules, to learn from and test on",
    )
    parser.add_argument("--only-table", action="store_true")
    options = parser.parse_args(arguments)
    if not options.only_table and options.potential is None:
        parser.error("--potential is needed to train")
    path = options.structures or options.molecules / "relaxed.extxyz"
    opened = {key: split(path, key, options.n_validation) for key in options.split_key}
    for seed in [] if options.only_table else options.seeds:
        for key, parts in opened.items():
            for n in options.n:
                for mode in options.mode:
                    folder = (
                        options.output / key / "+".join(options.target) / mode / str(n) / str(seed)
                    )
                    if (folder / "test.json").exists():
                        continue
                    began = time.monotonic()
                    errors = one_run(
                        parts,
                        options.potential,
                        options.target,
                        mode,
                        n,
                        seed,
                        folder,
                        options.epochs,
                    )
                    seconds = round(time.monotonic() - began)
                    maes = {name: round(e["mae"], 4) for name, e in errors.items()}
                    print(key, mode, n, seed, maes, f"{seconds} s", flush=True)
    for key, parts in opened.items():
        for target in options.target:
            print(f"{key}: {target}: a constant is wrong by {constant(parts, target):.3f}")
    print("\n".join(table(options.output)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
