"""Noise and the weight of the way back, when a property network goes on with other geometries: a grid over both.

    python benchmarks/property_scan.py curves/split_random/gap/whole/1000/{seed}/checkpoint.pt \
        --true MOLECULES/relaxed.extxyz --conformers MOLECULES/embedded.extxyz -o scan
    python benchmarks/property_scan.py 'gap_{seed}/checkpoint.pt' --true MOLECULES/relaxed.extxyz \
        --conformers paths.extxyz -o scan --noise 0 0.05 0.1 --align 0 0.01 0.1 --seeds 1 2

The checkpoint is a run of ``mlip-property`` on true geometries, with ``{seed}`` where each seed has its own; it says
how many molecules are trained on, and what is learned. Each cell of the grid is fine-tuned from it as ``mlip-property
--from CHECKPOINT --conformers ... --noise ... --align ...`` does. Errors are mean absolute ones on the last conformer
of each molecule of the test part, of the state with the least error on the validation part; their spread is the
standard deviation over seeds. Runs that are finished are not repeated.

See Fu et al., "Augmenting molecular graphs with geometries via machine learning interatomic potentials", OpenReview
JwzhHTISJL, section 2.4 and tables 11 and 12.
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


def arguments_of(checkpoint: Path) -> list[str]:
    """Return the options of ``mlip-property`` that a run has to share with the one that it goes on from."""
    from mlip_train.property.checkpoint import read_property

    settings = read_property(checkpoint)["settings"]
    options = ["--target", *settings["targets"]]
    for name in ("pooling", "n_train", "seed"):
        options += [f"--{name.replace('_', '-')}", str(settings[name])]
    return options


def table(folder: Path, noises: list[float], weights: list[float], target: str) -> list[str]:
    """Return the lines of a Markdown table of the finished runs in the folder: noises in rows, weights in columns."""
    lines = ["| noise, Å | " + " | ".join(f"weight {w:g}" for w in weights) + " |"]
    lines.append("|" + "---|" * (1 + len(weights)))
    for noise in noises:
        cells = []
        for weight in weights:
            errors = [
                float(json.loads(path.read_text())["test"][target]["mae"])
                for path in sorted(folder.glob(f"{noise:g}/{weight:g}/*/test.json"))
            ]
            spread = f" ± {statistics.stdev(errors):.3f}" if len(errors) > 1 else ""
            cells.append(
                f"{statistics.fmean(errors):.3f}{spread} ({len(errors)})" if errors else ""
            )
        lines.append(f"| {noise:g} | " + " | ".join(cells) + " |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "checkpoint", help="of mlip-property, with {seed} where seeds have their own"
    )
    parser.add_argument("--true", type=Path, required=True)
    parser.add_argument("--conformers", type=Path, nargs="+", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--target", default="gap", help="of which the table is")
    parser.add_argument("--split-key", default="split_random")
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0, 0.02, 0.05, 0.1, 0.2])
    parser.add_argument("--align", nargs="+", type=float, default=[0.0, 0.01, 0.1, 0.3])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args(arguments)
    from mlip_train.property.command import main as mlip_property

    for seed in options.seeds:
        checkpoint = Path(options.checkpoint.replace("{seed}", str(seed)))
        shared = [*arguments_of(checkpoint), "--from", str(checkpoint), "--data", str(options.true)]
        shared += ["--split-key", options.split_key, "--conformers", *map(str, options.conformers)]
        shared += ["--epochs", str(options.epochs), "--learning-rate", str(options.learning_rate)]
        shared += ["--batch-size", str(options.batch_size), "--schedule", "cosine"]
        for noise in options.noise:
            for weight in options.align:
                folder = options.output / f"{noise:g}" / f"{weight:g}" / str(seed)
                if (folder / "test.json").exists():
                    continue
                began = time.monotonic()
                own = ["--noise", str(noise), "--align", str(weight), "-o", str(folder)]
                if (folder / "checkpoint.pt").exists():
                    own.append("--resume")
                said = io.StringIO()
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                    code = mlip_property([*shared, *own])
                if code != 0:
                    print(said.getvalue(), file=sys.stderr)
                    return code
                mae = json.loads((folder / "test.json").read_text())["test"][options.target]["mae"]
                seconds = round(time.monotonic() - began)
                print(
                    f"noise {noise:g}, weight {weight:g}, seed {seed}: {mae:.4f}, {seconds} s",
                    flush=True,
                )
    print("\n".join(table(options.output, options.noise, options.align, options.target)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
