"""Tables 1 and 2 of the paper on physics-informed pre-training, small: which training keeps atoms apart?

    python benchmarks/robustness.py --data silica.extxyz --system silica --minutes-per-model 0.5 -o silica
    python benchmarks/robustness.py --data monbtaw.extxyz --system alloy --fractions 0.1 -o alloy

A cell of the table is a network, a way of training and a fraction of the data. All cells of a system are trained for
the same time of a processor, and pre-trained ones for half of it before. Each is exported with and without the
short-range repulsion, and both files are judged: trajectories from structures of the test set, NVT and NPT, in LAMMPS.
What it will cost is measured and printed first; --count stops there. A call that is interrupted goes on where it
stopped when it is made again. The folder receives ``table.md``, which grows by each cell
(benchmarks/robustness_table.py), and for each cell a folder with the runs, the model files and ``cell.json``.

Ways: plain; sam, sharpness-aware minimisation; pretrained, on perturbed structures with labels of an empirical
potential; hybrid, the sum of network and empirical potential. Two more are for errors alone: half is pretrained with as
much time in all as plain; coarse is pretrained in the unit of force of the perturbed structures, not that of the data.

Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from lammps_in_process import LammpsInProcess, restart_with_libraries
from robustness_systems import SYSTEMS, divided, repeated
from robustness_table import write_table
from robustness_training import NETWORKS, Trainings

from mlip_engines.checkpoints import export_checkpoint
from mlip_engines.diagnostics.survival import Survey, survey
from mlip_engines.diagnostics.survival_report import counts
from mlip_engines.labels.composition import force_scale
from mlip_engines.labels.labelling import label, write_labelled
from mlip_engines.model.load import load_model
from mlip_engines.properties.errors import evaluate_model
from mlip_train.robust.perturbation import Perturbation
from mlip_train.robust.stream import perturb

WAYS = ("plain", "sam", "pretrained", "hybrid", "half", "coarse")
FORMS = ("none", "zbl")  # of the short-range part of the file
ERRORS_ONLY = ("half", "coarse")  # ways that are not judged
TEST = 40  # structures


@dataclass(frozen=True)
class Cell:
    """A network, a way and a fraction of the data."""

    network: str
    way: str
    fraction: float

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.network}-{self.way}-{self.fraction:g}"


class Comparison:
    """Everything that the cells of a system share.

    Parameters
    ----------
    options : argparse.Namespace
    """

    def __init__(self, options: argparse.Namespace):
        self.folder, self.system = options.output, SYSTEMS[options.system]
        self.seconds = 60.0 * options.minutes_per_model
        self.folder.mkdir(parents=True, exist_ok=True)
        frames = ase.io.read(options.data, ":")
        frames = [a for a in frames if len(a) > 1 and a.pbc.all()]
        self.training, self.test = divided(frames, self.system.hold_out)
        rng = np.random.default_rng(1)
        small = [repeated(a, self.system.fewest) for a in self.test]
        small = [a for a in small if len(a) <= self.system.most]
        chosen = sorted(rng.permutation(len(small))[: options.starts].tolist())
        self.starts = [small[k] for k in chosen]
        self.tested = [self.test[k] for k in sorted(rng.permutation(len(self.test))[:TEST])]
        self.survey = Survey(
            ensembles=("nvt", "npt"),
            n=options.starts,
            steps=options.steps,
            step_fs=self.system.step_fs,
            temperature_K=options.temperature or self.system.temperature_K,
        )
        self.trainings = Trainings(self.system, self.training, self.tested)

    def part(self, fraction: float) -> list[Atoms]:
        """Return this fraction of the training data, the smaller ones within the larger ones."""
        order = np.random.default_rng(1).permutation(len(self.training))
        n = max(round(fraction * len(self.training)), 40)
        return [self.training[k] for k in order[:n]]

    def run(self, cell: Cell) -> None:
        """Train, export and judge a cell, or what is missing of it."""
        folder = self.folder / cell.name
        if (folder / "cell.json").exists():
            return
        potential = self.potential(cell.fraction)
        more: dict[str, Any] = {}
        start, empirical, seconds = None, None, self.seconds
        if cell.way == "sam":
            more["sharpness"] = 0.02
        if cell.way in ("pretrained", "half", "coarse"):
            start = self.pretrained(cell) / "checkpoint.pt"
            more["refit_composition"] = True
        if cell.way == "half":
            seconds *= 0.5
        if cell.way == "hybrid":
            empirical = potential / "checkpoint.pt"
        steps = self.trainings.steps(cell.network, seconds, way=cell.way)
        frames = self.part(cell.fraction)
        began = time.process_time()
        self.trainings.train(
            folder / "run", cell.network, frames, steps, start=start, empirical=empirical, **more
        )
        spent = time.process_time() - began
        result: dict[str, Any] = {**asdict(cell), "steps": steps, "seconds": round(spent, 1)}
        judged = {}
        for form in FORMS[:1] if cell.way in ERRORS_ONLY else FORMS:
            path = folder / f"{form}.pt"
            if not path.exists():
                export_checkpoint(folder / "run/checkpoint.pt", path, short_range=form)
            model = load_model(path)
            if form == "none":
                result["errors"] = asdict(evaluate_model(model, self.tested))
            if cell.way in ERRORS_ONLY:
                continue
            beside = load_model(potential / "none.pt") if form == "none" else None
            data = survey(
                model,
                LammpsInProcess(path),
                self.starts,
                self.survey,
                folder.resolve() / f"judged-{form}-{self.survey.temperature_K:g}",
                beside=beside,
            )
            judged[form] = {"counts": counts(data), **data}
            judged[form].pop("distributions")
        result["judged"] = judged
        (folder / "cell.json").write_text(json.dumps(result))

    def potential(self, fraction: float) -> Path:
        """Return the folder of the empirical potential, fitted to a fraction of the data."""
        folder = self.folder / f"eam-{fraction:g}"
        frames = self.part(fraction)
        self.trainings.train(folder, "eam", frames, self.trainings.steps("eam", 0.5 * self.seconds))
        if not (folder / "none.pt").exists():
            export_checkpoint(folder / "checkpoint.pt", folder / "none.pt", short_range="none")
        if not (folder / "errors.json").exists():
            errors = evaluate_model(load_model(folder / "none.pt"), self.tested)
            (folder / "errors.json").write_text(json.dumps(asdict(errors)))
        return folder

    def pretrained(self, cell: Cell) -> Path:
        """Return the folder of a network trained on perturbed structures."""
        potential = self.potential(cell.fraction)
        labelled = potential / "labelled.extxyz"
        frames = self.part(cell.fraction)
        steps = self.trainings.steps(cell.network, 0.5 * self.seconds)
        if not labelled.exists():
            # no more than a network can see once
            most = self.trainings.steps("painn", 0.5 * self.seconds) * self.system.batch // 5 + 20
            perturb(frames[:most], Perturbation(), potential / "perturbed.extxyz", workers=1)
            structures = ase.io.read(potential / "perturbed.extxyz", ":")
            model = load_model(potential / "none.pt")
            write_labelled(labelled, label(model, structures), len(structures))
        unit = "coarse" if cell.way == "coarse" else "data"
        folder = self.folder / f"pretrain-{unit}-{cell.network}-{cell.fraction:g}"
        perturbed = ase.io.read(labelled, ":")
        scale = 0.0 if cell.way == "coarse" else force_scale(frames)
        self.trainings.train(folder, cell.network, perturbed, steps, force_scale=scale)
        return folder


def main() -> None:
    """Count, then fill the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="labelled structures")
    parser.add_argument("--system", choices=SYSTEMS, required=True)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.1, 1.0])
    parser.add_argument("--minutes-per-model", type=float, default=1.0)
    parser.add_argument("--starts", type=int, default=10, help="trajectories of each kind")
    parser.add_argument("--steps", type=int, default=300, help="of a trajectory")
    parser.add_argument("--temperature", type=float, help="K (default: that of the system)")
    parser.add_argument("--count", action="store_true", help="say what it will cost, and stop")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    restart_with_libraries()
    comparison = Comparison(options)
    cells = [
        Cell(network, way, fraction)
        for fraction in options.fractions
        for network in options.networks
        for way in options.ways
    ]
    training = sum(
        comparison.seconds * {"pretrained": 1.5, "coarse": 1.5, "half": 0.5}.get(cell.way, 1.0)
        for cell in cells
    )
    print(
        f"{len(comparison.training)} structures to train on, {len(comparison.test)} to test on, "
        f"{len(comparison.starts)} to start from"
    )
    for name in (*options.networks, "eam"):
        price = 1000.0 * comparison.trainings.price(name, False)
        print(
            f"{name}: {price:.0f} ms a step, {comparison.trainings.steps(name, comparison.seconds)} steps"
        )
    judged = [cell for cell in cells if cell.way not in ERRORS_ONLY]
    n = len(judged) * len(FORMS) * len(comparison.survey.ensembles) * options.starts
    print(
        f"{len(cells)} cells: {training / 60:.0f} min of training, {n} trajectories of {options.steps} steps",
        flush=True,
    )
    if options.count:
        return
    for cell in cells:
        comparison.run(cell)
        write_table(options.output)
        print(f"{time.strftime('%X')} {cell.name}", flush=True)


if __name__ == "__main__":
    main()
