"""The training loop: stages, schedule, weight average, checkpoints, resume."""

from __future__ import annotations

import copy
import csv
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from train.augmentation import random_orthogonal, turned
from train.batching import collate
from train.checkpoint import save_checkpoint
from train.dataset import TrainingStructure
from train.losses import loss, predict
from train.metrics import evaluate
from train.perturbation import random_displacements, stiff_displacements
from train.processes import Processes
from train.recipe import Recipe, Stage


class Trainer:
    """Run the stages of a recipe.

    Parameters
    ----------
    recipe : Recipe
    network : nn.Module
    structures : dict of str to list of TrainingStructure
        ``train`` and ``validation``; ``unlabelled`` if a stage asks for it.
    baseline : (119,) tensor, eV
        Reference energy by atomic number.
    scale : float, eV/Å
    record : dict
        Goes into every checkpoint: network settings, metadata, reference energies, scale.
    directory : Path
        Receives ``checkpoint.pt`` and ``metrics.csv``.
    processes : Processes
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        structures: dict[str, list[TrainingStructure]],
        baseline: Tensor,
        scale: float,
        record: dict[str, Any],
        directory: Path,
        processes: Processes,
    ):
        self.recipe, self.network, self.structures = recipe, network, structures
        self.baseline, self.scale = baseline, scale
        self.record, self.directory, self.processes = record, directory, processes
        self.average = copy.deepcopy(network)
        self.stage_index, self.epoch, self.step_in_epoch, self.elapsed = 0, 0, 0, 0.0
        self.n_updates = 0
        self.optimizer = self._start_stage()

    @property
    def stage(self) -> Stage:
        """The stage that runs now."""
        return self.recipe.stages[self.stage_index]

    def run(self) -> None:
        """Train to the end of the last stage."""
        while self.stage_index < len(self.recipe.stages):
            finished = False
            while not finished:
                finished = self._run_epoch()
            # A stage starts from the average of the one before: the better network, and a quiet one.
            self.network.load_state_dict(self.average.state_dict())
            self.stage_index += 1
            self.epoch, self.step_in_epoch, self.elapsed = 0, 0, 0.0
            if self.stage_index < len(self.recipe.stages):
                self.optimizer = self._start_stage()
            self.save()

    def save(self) -> None:
        """Write the checkpoint; only the first process does."""
        if not self.processes.is_first:
            return
        save_checkpoint(
            self.directory / "checkpoint.pt",
            {
                **self.record,
                "weights": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "stage_index": self.stage_index,
                "epoch": self.epoch,
                "step_in_epoch": self.step_in_epoch,
                "elapsed": self.elapsed,
                "n_updates": self.n_updates,
            },
        )

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of another run instead of random ones."""
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)
        # The average is worth something from the first step on: do not forget it like random weights.
        self.n_updates = round(10 / (1.0 - self.recipe.average_decay))

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint of the same recipe."""
        self.network.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.stage_index, self.epoch = state["stage_index"], state["epoch"]
        self.step_in_epoch, self.elapsed = state["step_in_epoch"], state["elapsed"]
        self.n_updates = state["n_updates"]
        if self.stage_index < len(self.recipe.stages):
            self.optimizer = self._start_stage()
            self.optimizer.load_state_dict(state["optimizer"])

    def _start_stage(self) -> torch.optim.Optimizer:
        """Freeze what this stage does not train; return a fresh optimiser for the rest."""
        parts = self.stage.trained
        for part in parts:
            if not any(name.split(".")[0] == part for name, _ in self.network.named_parameters()):
                raise ValueError(f"stage {self.stage.name}: the network has no part {part!r}")
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(not parts or name.split(".")[0] in parts)
        trained = [p for p in self.network.parameters() if p.requires_grad]
        # AMSGrad: gradients of forces are heavy-tailed, and a step after a quiet stretch would be too long.
        return torch.optim.AdamW(
            trained, lr=0.0, weight_decay=self.recipe.weight_decay, amsgrad=True
        )

    def _learning_rate(self, progress: float) -> float:
        warm_up, final = self.recipe.warm_up, self.recipe.final_learning_rate
        if progress < warm_up:
            return self.stage.learning_rate * max(progress / warm_up, 1e-3)
        decay = min((progress - warm_up) / (1.0 - warm_up), 1.0)
        cosine = 0.5 * (1.0 + math.cos(math.pi * decay))
        return self.stage.learning_rate * (final + (1.0 - final) * cosine)

    def _run_epoch(self) -> bool:
        """Run one epoch, or what is left of it; return whether the stage is over."""
        stage, recipe, processes = self.stage, self.recipe, self.processes
        per_step = recipe.batch_size * processes.count
        n_steps = max(1, len(self.structures["train"]) // per_step)
        # Order and perturbations depend on seed, stage, epoch and step alone: a resumed run repeats them.
        seed = ((recipe.seed * 1009 + self.stage_index) * 100003 + self.epoch) & 0x7FFFFFFF
        order = torch.randperm(
            len(self.structures["train"]), generator=torch.Generator().manual_seed(seed)
        )
        sums: dict[str, float] = {}
        started = last_saved = time.monotonic()
        elapsed_before, finished = self.elapsed, False
        bar = tqdm(
            total=n_steps,
            initial=self.step_in_epoch,
            desc=f"{stage.name} epoch {self.epoch + 1}/{stage.epochs}",
            disable=not processes.is_first,
            mininterval=5.0,
        )
        self.network.train()
        n_done = 0
        while self.step_in_epoch < n_steps and not finished:
            progress = (self.epoch * n_steps + self.step_in_epoch) / (stage.epochs * n_steps)
            if stage.budget_minutes > 0.0:
                progress = max(progress, self.elapsed / (60.0 * stage.budget_minutes))
            first = self.step_in_epoch * per_step + processes.rank * recipe.batch_size
            chosen = [
                self.structures["train"][int(k)] for k in order[first : first + recipe.batch_size]
            ]
            terms, progress = self._step(chosen, seed + 7919 * (self.step_in_epoch + 1), progress)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value
            n_done += 1
            self.step_in_epoch += 1
            self.elapsed = elapsed_before + time.monotonic() - started
            finished = progress >= 1.0
            bar.update()
            bar.set_postfix(loss=f"{sums['total'] / n_done:.4f}", refresh=False)
            if time.monotonic() - last_saved > 60.0 * recipe.checkpoint_minutes:
                self.save()
                last_saved = time.monotonic()
        bar.close()
        self.epoch += 1
        self.step_in_epoch = 0
        finished = finished or self.epoch >= stage.epochs
        if finished or self.epoch % recipe.validate_every == 0:
            self._report({name: value / max(n_done, 1) for name, value in sums.items()})
        self.save()
        processes.wait()
        return finished

    def _step(
        self, chosen: list[TrainingStructure], seed: int, progress: float
    ) -> tuple[dict[str, float], float]:
        weights = self.stage.weights
        chosen, displacements = self._vary(chosen, seed)
        if displacements is not None or chosen[0].energy is None:
            weights = replace(weights, energy=0.0, conservative=0.0, non_conservative=0.0)
        dtype = next(self.network.parameters()).dtype
        batch = collate(
            chosen,
            self.baseline,
            self.network.cutoff,
            dtype,
            displacements,
            self.stage.perturbation,
        )
        prediction = predict(
            self.network,
            batch,
            self.scale,
            differentiate=weights.differentiates,
            with_non_conservative=weights.non_conservative > 0.0 or weights.match > 0.0,
            create_graph=weights.conservative > 0.0,
        )
        terms = loss(prediction, batch, weights)
        self.optimizer.zero_grad()
        terms["total"].backward()
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        progress = self.processes.average_gradients(parameters, progress)
        norm = nn.utils.clip_grad_norm_(parameters, self.recipe.gradient_clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"stage {self.stage.name}, epoch {self.epoch + 1}: the gradient is not finite; lower the "
                "learning rate and continue with --resume from the last checkpoint"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(progress)
        self.optimizer.step()
        self.n_updates += 1
        # A young average follows closely, or a short run would report its random initial weights.
        decay = min(self.recipe.average_decay, (1 + self.n_updates) / (10 + self.n_updates))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, 1.0 - decay)
        return {name: float(term.detach()) for name, term in terms.items()}, progress

    def _vary(
        self, chosen: list[TrainingStructure], seed: int
    ) -> tuple[list[TrainingStructure], list[Tensor] | None]:
        """Exchange, turn or displace the structures of a step as the recipe asks; return displacements, Å.

        All processes decide alike and then draw their own, or one would average gradients of other terms.
        """
        stage, rank = self.stage, self.processes.rank
        generator = torch.Generator().manual_seed(seed)
        is_perturbed, is_unlabelled = (
            float(torch.rand((), generator=generator)) < fraction
            for fraction in (stage.perturbed_steps, stage.unlabelled_steps)
        )
        generator.manual_seed(seed + 104729 * rank)
        if is_unlabelled:
            pool = self.structures["unlabelled"]
            picks = torch.randint(len(pool), (len(chosen),), generator=generator)
            chosen = [pool[int(k)] for k in picks]
        if self.recipe.augment:
            chosen = [turned(item, random_orthogonal(generator)) for item in chosen]
        if not is_perturbed:
            return chosen, None
        displacements = random_displacements(chosen, stage.perturbation, generator)
        if float(torch.rand((), generator=generator)) < stage.stiff_perturbations:
            displacements = stiff_displacements(
                self.network, chosen, displacements, self.baseline, stage.perturbation
            )
        return chosen, displacements

    def _report(self, terms: dict[str, float]) -> None:
        if not self.processes.is_first:
            return
        errors = evaluate(
            self.average,
            self.structures["validation"],
            self.baseline,
            self.scale,
            differentiate=True,
        )
        row = {
            "stage": self.stage.name,
            "epoch": self.epoch,
            "minutes": f"{self.elapsed / 60.0:.2f}",
            "learning_rate": f"{self.optimizer.param_groups[0]['lr']:.3e}",
            "loss": f"{terms.get('total', math.nan):.5f}",
            **{name: f"{value:.3f}" for name, value in errors.items()},
        }
        path = self.directory / "metrics.csv"
        is_new = not path.is_file()
        with open(path, "a", newline="") as file:
            writer = csv.DictWriter(file, row.keys())
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        tqdm.write("  ".join(f"{name} {value}" for name, value in row.items()))
