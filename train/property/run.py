"""A training run on properties: whole network, head alone, or from random weights."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from torch import Tensor
from tqdm import tqdm

from mlip_train.data.structure import TrainingStructure, prepare
from mlip_train.networks import stored_settings
from mlip_train.property.checkpoint import read_property, save_property
from mlip_train.property.conformers import Conformers, alignment_loss, displacements, drawn
from mlip_train.property.fixed_features import FixedFeatures
from mlip_train.property.network import Build, PropertyNetwork
from mlip_train.property.prediction import batch_of, predicted
from mlip_train.property.settings import Settings
from mlip_train.property.targets import read_targets


class PropertyRun:
    """Train and keep the best network by the error on the validation part.

    Parameters
    ----------
    settings : Settings
    build : Build
    structures : sequence of ase.Atoms
    parts : dict of str to list of int
        ``train``, ``validation`` and ``test``.
    output : Path
        Folder for ``checkpoint.pt``, ``metrics.csv`` and ``test.json``.
    weights : dict of str to Tensor, optional
        Of the network of a potential.
    potential : dict, optional
        What the checkpoint shall keep of it (:func:`mlip_train.property.potential.potential_record`).
    conformers : Conformers, optional
        Of these structures. Half of what is trained on are conformers, and the last one of each is what validation and
        test see.
    start : dict of str to Tensor, optional
        State of a property network of the same build, to go on from.

    Raises
    ------
    ValueError
        If there is nothing to train on or to validate with, or a target is missing everywhere.
    """

    def __init__(
        self,
        settings: Settings,
        build: Build,
        structures: Sequence[Atoms],
        parts: dict[str, list[int]],
        output: Path,
        weights: dict[str, Tensor] | None,
        potential: dict[str, Any] | None = None,
        conformers: Conformers | None = None,
        start: dict[str, Tensor] | None = None,
    ):
        if not parts["train"] or not parts["validation"]:
            counts = {name: len(part) for name, part in parts.items()}
            raise ValueError(f"expected structures to train on and to validate with, got {counts}")
        torch.manual_seed(settings.seed)
        self.settings, self.build, self.output = settings, build, output
        self.parts = parts
        self.potential = potential
        self.values, self.notes = read_targets(structures, settings.targets)
        self.network = PropertyNetwork(build)
        if weights is not None:
            self.network.features.network.load_state_dict(weights)
        if start is not None:
            self.network.load_state_dict(start)
        if settings.align > 0.0 and not self.network.has_vectors:
            raise ValueError(
                "displacements need a network with a head for non-conservative forces, which then predicts them, got "
                "one without (non_conservative_layer: 0); give --align 0"
            )
        if settings.align > 0.0 and settings.noise == 0.0 and conformers is None:
            raise ValueError(
                "expected --noise or --conformers with --align: without, no atom has to move"
            )
        self.atoms, self.conformers = structures, conformers
        if settings.trained == "head":
            self.network.train_only_head()
        self.structures: list[TrainingStructure] = [
            prepare(atoms, self.network.cutoff)
            for atoms in tqdm(structures, desc="neighbour lists", unit="structure", leave=False)
        ]
        for k in [k for name in ("validation", "test") for k in parts[name]] if conformers else []:
            self.structures[k] = prepare(conformers.last(k), self.network.cutoff)
        training = parts["train"]
        for part in ("train", "validation"):
            lacking = torch.isnan(self.values[parts[part]]).all(dim=0).tolist()
            missing = [t for t, is_so in zip(settings.targets, lacking, strict=True) if is_so]
            if missing:
                raise ValueError(
                    f"expected each target in some structure of {part}, got none with {missing}; leave it out, or "
                    "divide the structures otherwise"
                )
        if start is None:
            self.network.scales.fit(
                [self.structures[k].atomic_numbers for k in training], self.values[training]
            )
        self.fixed = self._fixed_features()
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=1e-4)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.5, patience=settings.patience
        )
        self.epoch, self.best_error = 0, float("inf")
        self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.history: list[dict[str, Any]] = []

    def resume(self) -> None:
        """Go on after the last epoch of the run in the folder.

        Raises
        ------
        ValueError
            If that run had other settings, structures, conformers, or another network.
        """
        state = read_property(self.output / "checkpoint.pt")
        # settings that came later had their defaults then, but for the schedule: before there was a choice, plateau
        since = Settings(self.settings.targets, schedule="plateau").as_dict()
        state["settings"] = {**since, **state["settings"]}
        theirs, mine = state["settings"], self.settings.as_dict()
        others = [
            f"{k} {theirs.get(k)!r} (got {mine[k]!r})" for k in mine if theirs.get(k) != mine[k]
        ]
        if others:
            raise ValueError(
                f"{self.output}: expected the settings of the run to resume: {', '.join(others)}; give the options "
                "that it began with"
            )
        state["network"] = state["build"]["network"]
        same = {
            "parts": self.parts,
            "network": stored_settings(self.build.as_dict()["network"]),
        }
        if "conformers" in state:  # checkpoints of earlier versions do not say which
            same["conformers"] = self.conformers.checksum() if self.conformers else ""
        for name, mine in same.items():
            if state[name] != mine:
                raise ValueError(
                    f"{self.output}: expected the {name} of the run to resume, got others"
                )
        self.potential = state.get("potential", self.potential)  # the one that the run began with
        self.network.load_state_dict(state["weights"])
        self.fixed = self._fixed_features()
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.best, self.best_error = state["best"], state["best_error"]
        self.epoch, self.history = state["epoch"], state["history"]

    def run(self) -> dict[str, Any]:
        """Train to the last epoch; return the errors on the test part."""
        bar = tqdm(total=self.settings.epochs, initial=self.epoch, desc="epochs")
        with bar:
            while self.epoch < self.settings.epochs:
                started = time.monotonic()
                loss = self._run_epoch()
                errors = self.errors("validation")
                mean = sum(
                    e["mae"] / float(s)
                    for e, s in zip(errors.values(), self.network.scales.spread, strict=True)
                    if e["n"]
                ) / len(errors)
                if self.settings.schedule == "plateau":
                    self.schedule.step(mean)
                if mean < self.best_error:
                    self.best_error = mean
                    self.best = {
                        name: value.clone() for name, value in self.network.state_dict().items()
                    }
                self.epoch += 1
                self.history.append(
                    {
                        "epoch": self.epoch,
                        "seconds": round(time.monotonic() - started, 2),
                        "learning_rate": self.optimizer.param_groups[0]["lr"],
                        "loss": loss,
                        **{f"validation_mae_{n}": e["mae"] for n, e in errors.items()},
                    }
                )
                self.save()
                bar.update()
                bar.set_postfix({n: f"{e['mae']:.4f}" for n, e in errors.items()}, refresh=False)
        self.network.load_state_dict(self.best)
        test = {part: self.errors(part) for part in ("validation", "test")}
        (self.output / "test.json").write_text(json.dumps(test, indent=2))
        return test

    def save(self) -> None:
        """Write the checkpoint and the table."""
        save_property(
            self.output / "checkpoint.pt",
            {
                "build": self.build.as_dict(),
                "settings": self.settings.as_dict(),
                "parts": self.parts,
                "potential": self.potential,
                "conformers": self.conformers.checksum() if self.conformers else "",
                "weights": self.network.state_dict(),
                "best": self.best,
                "best_error": self.best_error,
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "epoch": self.epoch,
                "history": self.history,
            },
        )
        with (self.output / "metrics.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(self.history[0]))
            table.writeheader()
            table.writerows(self.history)

    def errors(self, part: str) -> dict[str, dict[str, float]]:
        """Return the number of labels, and the mean absolute and root mean square error, by target."""
        chosen = self.parts[part]
        if not chosen:
            return {
                name: {"n": 0, "mae": float("nan"), "rmse": float("nan")}
                for name in self.settings.targets
            }
        size = self.settings.batch_size
        if self.fixed is not None:
            with torch.no_grad():
                found = self.fixed.properties(chosen)
        else:
            found = predicted(self.network, [self.structures[k] for k in chosen], size)
        result = {}
        for n, name in enumerate(self.settings.targets):
            wrong = (found - self.values[chosen])[:, n]
            wrong = wrong[~torch.isnan(wrong)]
            result[name] = {
                "n": wrong.numel(),
                "mae": float(wrong.abs().mean()) if wrong.numel() else float("nan"),
                "rmse": float(wrong.square().mean().sqrt()) if wrong.numel() else float("nan"),
            }
        return result

    def _fixed_features(self) -> FixedFeatures | None:
        """Return what the head reads where it alone is trained, always on the same geometries."""
        if not self.network.is_head_only or self.conformers or self.settings.noise > 0.0:
            return None
        return FixedFeatures(self.network, self.structures, self.settings.batch_size)

    def _run_epoch(self) -> float:
        """Run one epoch; return its mean loss, in standard deviations of the targets."""
        # order of structures by seed and epoch alone: a resumed run goes on as it would have
        generator = torch.Generator().manual_seed(self.settings.seed * 100003 + self.epoch)
        training = torch.tensor(self.parts["train"])
        order = training[torch.randperm(len(training), generator=generator)].tolist()
        size, total, count = self.settings.batch_size, 0.0, 0
        self.network.train()
        if self.settings.schedule == "cosine":
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.learning_rate_of(self.epoch)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            values = self.values[chosen]
            known = ~torch.isnan(values)
            if not known.any():
                continue
            found, aligned = self._predicted(chosen, generator)
            wrong = ((found - torch.where(known, values, 0.0)) / self.network.scales.spread)[known]
            loss = wrong.abs().mean() + self.settings.align * aligned
            self.optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            if not torch.isfinite(norm):
                raise FloatingPointError(
                    f"epoch {self.epoch + 1}: the gradient is not finite; lower --learning-rate"
                )
            self.optimizer.step()
            total, count = total + float(loss.detach()) * len(chosen), count + len(chosen)
        return total / max(count, 1)

    def _predicted(self, chosen: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return properties (S, T) of structures in geometries drawn for them, and the loss of displacements."""
        none = torch.zeros((), dtype=torch.float64)
        if self.fixed is not None:
            return self.fixed.properties(chosen), none
        if self.conformers is None and self.settings.noise == 0.0:
            batch = batch_of([self.structures[k] for k in chosen], self.network)
            return self.network(batch), none
        true = [self.atoms[k] for k in chosen]
        others = [self.conformers.by_structure[k] if self.conformers else [] for k in chosen]
        geometries = [
            drawn(atoms, of_it, self.settings.noise, generator)
            for atoms, of_it in zip(true, others, strict=True)
        ]
        batch = batch_of([prepare(a, self.network.cutoff) for a in geometries], self.network)
        if self.settings.align == 0.0:
            return self.network(batch), none
        target = [displacements(a, b) for a, b in zip(geometries, true, strict=True)]
        found, vectors = self.network.with_displacements(batch)
        return found, alignment_loss(vectors.double(), torch.cat(target))
