"""The training loop: stages, schedule, weight average, checkpoints, resume."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mlip_engines.labels.shortest import shortest_distances
from mlip_train.data.batching import collate
from mlip_train.data.loading import PreparedStructures
from mlip_train.data.sampling import batches_of_epoch
from mlip_train.data.structure import TrainingStructure
from mlip_train.loop.checkpoint import save_checkpoint
from mlip_train.loop.denoising import denoising_loss, given_forces, noisy
from mlip_train.loop.history import write_history
from mlip_train.loop.losses import loss
from mlip_train.loop.metrics import evaluate
from mlip_train.loop.negatives import Negatives
from mlip_train.loop.plateau import weighted_error
from mlip_train.loop.prediction import predict
from mlip_train.loop.progress import Progress
from mlip_train.loop.schedule import follow, learning_rate
from mlip_train.loop.sharpness import climb, descend
from mlip_train.loop.stage import begin_stage, check_stage
from mlip_train.loop.variation import vary
from mlip_train.machine.precision import PRECISIONS, matmul_precision
from mlip_train.machine.processes import Processes
from mlip_train.recipe import Recipe, Stage


class Trainer:
    """Run the stages of a recipe.

    Parameters
    ----------
    recipe : Recipe
    network : nn.Module
        Moved to the device of the process, and to the precision of the recipe.
    structures : dict of str to PreparedStructures
        ``train`` and ``validation``; ``unlabelled`` and ``replay`` if the recipe asks for them.
    baseline : (119,) tensor, eV
        Reference energy by atomic number.
    scale : float, eV/Å
    record : dict
        Goes into every checkpoint: network settings, metadata, reference energies, scale.
    directory : Path
        Receives ``checkpoint.pt`` and ``metrics.csv``.
    processes : Processes

    Raises
    ------
    ValueError
        If the network lacks what a stage asks for, there are fewer batches than processes, or a structure is larger
        than a batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        structures: dict[str, PreparedStructures],
        baseline: Tensor,
        scale: float,
        record: dict[str, Any],
        directory: Path,
        processes: Processes,
    ):
        self.recipe, self.structures = recipe, structures
        self.baseline, self.scale = baseline, scale
        self.record, self.directory, self.processes = record, directory, processes
        self.precision = PRECISIONS[recipe.precision]
        self.network = network.to(processes.device, self.precision.dtype)
        self.average = copy.deepcopy(self.network)
        for stage in recipe.stages:
            check_stage(stage, network)
        if recipe.schedule == "plateau" and len(structures["validation"]) == 0:
            raise ValueError(
                "schedule: plateau: expected structures for validation, got none; raise n_validation or use "
                "schedule: cosine"
            )
        training = structures["train"]
        self.n_atoms = training.n_atoms()
        self.n_edges = training.n_edges() if recipe.batch_edges > 0 else None
        recipe.batch_limits.check(self.n_atoms, self.n_edges)
        self.negatives = self._negatives()
        self.progress = Progress()
        self.optimizer = begin_stage(recipe, self.stage, self.network)

    @property
    def stage(self) -> Stage:
        """The stage that runs now."""
        return self.recipe.stages[self.progress.stage_index]

    @property
    def is_finished(self) -> bool:
        """Whether the last stage is over."""
        return self.progress.stage_index == len(self.recipe.stages)

    def run(self) -> None:
        """Train to the end of the last stage."""
        self.save()  # from now on --resume finds something, whenever the run is interrupted
        while not self.is_finished:
            finished = False
            while not finished:
                finished = self._run_epoch()
            # A stage starts from the average of the one before: the better network, and a quiet one.
            self.network.load_state_dict(self.average.state_dict())
            self.progress.next_stage()
            if not self.is_finished:
                self.optimizer = begin_stage(self.recipe, self.stage, self.network)
            self.save()

    def save(self) -> None:
        """Write the checkpoint, then the table that it contains; only the first process does."""
        if not self.processes.is_first:
            return
        save_checkpoint(
            self.directory / "checkpoint.pt",
            {
                **self.record,
                "weights": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **asdict(self.progress),
            },
        )
        write_history(self.directory / "metrics.csv", self.progress.history)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of another run instead of random ones."""
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)
        # The average is worth something from the first step on: do not forget it like random weights.
        self.progress.n_updates = round(10 / (1.0 - self.recipe.average_decay))

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint of the same recipe."""
        self.network.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.progress = Progress.of(state)
        if not self.is_finished:
            self.optimizer = begin_stage(self.recipe, self.stage, self.network)
            self.optimizer.load_state_dict(state["optimizer"])

    def _negatives(self) -> Negatives | None:
        """Return a pool of false minima of the network if a stage asks for one."""
        if not any(stage.negative_steps > 0.0 for stage in self.recipe.stages):
            return None
        frames = self.structures["train"].frames
        # only the first process has measured them for the record
        shortest = self.record["metadata"]["training"].get("shortest_distances")
        return Negatives(
            frames,
            self.baseline,
            self.network,
            self.scale,
            shortest or shortest_distances(frames),
            seed=self.recipe.seed * 1009 + self.processes.rank,
        )

    def _trained(self) -> list[nn.Parameter]:
        return [p for p in self.network.parameters() if p.requires_grad]

    def _batches(self, seed: int) -> list[list[int]]:
        """Return the batches of this process in this epoch, as many in every process."""
        generator = torch.Generator().manual_seed(seed)
        batches = batches_of_epoch(self.recipe.batch_limits, self.n_atoms, self.n_edges, generator)
        count = self.processes.count
        n_steps = len(batches) // count
        if n_steps == 0:
            raise ValueError(
                f"expected at least {count} batches, one for each process, got {len(batches)}; lower the size of a "
                "batch or start fewer processes"
            )
        return batches[self.processes.rank :: count][:n_steps]

    def _run_epoch(self) -> bool:
        """Run one epoch, or what is left of it; return whether the stage is over."""
        stage, recipe, progress = self.stage, self.recipe, self.progress
        # Order and perturbations depend on seed, stage, epoch and step alone: a resumed run repeats them.
        seed = ((recipe.seed * 1009 + progress.stage_index) * 100003 + progress.epoch) & 0x7FFFFFFF
        batches = self._batches(seed)
        n_steps = len(batches)
        started = last_saved = time.monotonic()
        elapsed_before, finished = progress.elapsed, False
        bar = tqdm(
            total=n_steps,
            initial=progress.step_in_epoch,
            desc=f"{stage.name} epoch {progress.epoch + 1}/{stage.epochs}",
            disable=not self.processes.is_first,
            mininterval=5.0,
        )
        self.network.train()
        with bar:  # closed before an error is printed
            for chosen in self.structures["train"].load(batches[progress.step_in_epoch :]):
                step_seed = seed + 7919 * (progress.step_in_epoch + 1)
                with matmul_precision(self.precision.matmul):
                    terms, fraction = self._step(
                        chosen, step_seed, progress.fraction_of_stage(stage, n_steps)
                    )
                progress.add_step(terms, elapsed_before + time.monotonic() - started)
                finished = fraction >= 1.0
                bar.update()
                bar.set_postfix(loss=f"{progress.mean_loss:.4f}", refresh=False)
                if time.monotonic() - last_saved > 60.0 * recipe.checkpoint_minutes:
                    self.save()
                    last_saved = time.monotonic()
                if finished:
                    break
        progress.epoch += 1
        finished = finished or progress.epoch >= stage.epochs
        if finished or progress.epoch % recipe.validate_every == 0:
            self._report()
            plateau = progress.plateau  # only the first process has validated
            (plateau.reduction,) = self.processes.of_the_first([plateau.reduction])
        progress.next_epoch()
        self.save()
        self.processes.wait()
        return finished

    def _step(
        self, chosen: list[TrainingStructure], seed: int, fraction: float
    ) -> tuple[dict[str, float], float]:
        """Take one step; return the terms of the loss, and the fraction of the stage that all processes agree on."""
        chosen, displacements = vary(
            chosen,
            self.structures.get("unlabelled", []),
            self.recipe,
            self.stage,
            self.network,
            self.baseline,
            seed=seed,
            rank=self.processes.rank,
            replay=self.structures.get("replay", []),
        )
        if self._is_denoising(seed):
            return self._update(lambda: self._denoise(chosen, seed, fraction))
        # alike in all processes, or some would wait for gradients that others do not have
        draw = torch.rand((), generator=torch.Generator().manual_seed(seed + 15485863))
        has_negatives = float(draw) < self.stage.negative_steps
        if has_negatives:
            self.negatives.descend(self.stage.negative_margin)
        return self._update(
            lambda: self._differentiate(chosen, displacements, fraction, has_negatives)
        )

    def _update(
        self, differentiate: Callable[[], tuple[dict[str, Tensor], float]]
    ) -> tuple[dict[str, float], float]:
        """Move the parameters along the gradient that a function leaves in them; return what it returns."""
        parameters = self._trained()
        terms, fraction = differentiate()
        if self.recipe.sharpness > 0.0:
            before = climb(parameters, self.recipe.sharpness)
            differentiate()
            descend(parameters, before)
        norm = nn.utils.clip_grad_norm_(parameters, self.recipe.gradient_clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"stage {self.stage.name}, epoch {self.progress.epoch + 1}: the gradient is not finite; lower the "
                f"learning rate in the recipe and begin another run with --from {self.directory / 'checkpoint.pt'}"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(
                self.recipe, self.stage, fraction, self.progress.plateau.reduction
            )
        self.optimizer.step()
        self.progress.n_updates += 1
        follow(self.average, self.network, self.recipe.average_decay, self.progress.n_updates)
        return {name: float(term.detach()) for name, term in terms.items()}, fraction

    def _backward(self, loss: Tensor, terms: str) -> None:
        """Leave the gradient of a loss; refuse one that no trained part of the network can change."""
        if not loss.requires_grad:
            raise ValueError(
                f"stage {self.stage.name}: trained: {self.stage.trained} has no influence on the loss of this step "
                f"({terms}); expected a part that has: add one to trained, or leave these terms out"
            )
        loss.backward()

    def _is_denoising(self, seed: int) -> bool:
        """Whether a step denoises: alike in all processes."""
        draw = torch.rand((), generator=torch.Generator().manual_seed(seed + 32452843))
        return float(draw) < self.stage.noise_steps

    def _denoise(
        self, chosen: list[TrainingStructure], seed: int, fraction: float
    ) -> tuple[dict[str, Tensor], float]:
        """As :meth:`_differentiate`, of the way back from noise."""
        stage = self.stage
        generator = torch.Generator().manual_seed(seed + 104729 * self.processes.rank + 1)
        structures, target = noisy(chosen, stage.noise, self.network.cutoff, generator)
        batch = collate(
            structures,
            self.baseline,
            self.network.cutoff,
            self.precision.dtype,
            device=self.processes.device,
        )
        forces = given_forces(chosen, self.scale) if stage.encode_forces else None
        term = stage.weights.denoising * denoising_loss(self.network, batch, target, forces)
        self.optimizer.zero_grad()
        self._backward(term, "denoising")
        fraction = self.processes.average_gradients(self._trained(), fraction)
        return {"denoising": term, "total": term}, fraction

    def _differentiate(
        self,
        chosen: list[TrainingStructure],
        displacements: list[Tensor] | None,
        fraction: float,
        has_negatives: bool,
    ) -> tuple[dict[str, Tensor], float]:
        """Leave the gradient of the loss, averaged over processes, in the parameters; return terms and fraction."""
        weights = self.stage.weights
        if displacements is not None or not any(c.is_labelled for c in chosen):
            weights = weights.without_labels()
        batch = collate(
            chosen,
            self.baseline,
            self.network.cutoff,
            self.precision.dtype,
            displacements,
            self.stage.perturbation,
            with_pairs=displacements is None and weights.non_conservative_slope > 0.0,
            device=self.processes.device,
        )
        prediction = predict(
            self.network,
            batch,
            self.scale,
            differentiate=weights.differentiates,
            with_non_conservative=weights.uses_head,
            create_graph=weights.trains_gradient,
            with_stress=weights.uses_stress,
            autocast=self.precision.autocast,
        )
        terms = loss(prediction, batch, weights)
        self.optimizer.zero_grad()
        self._backward(terms["total"], ", ".join(sorted(set(terms) - {"total"})))
        if has_negatives:
            terms["negative"] = self.stage.negative_weight * self.negatives.loss(
                self.stage.negative_margin
            )
            terms["negative"].backward()
        return terms, self.processes.average_gradients(self._trained(), fraction)

    def _report(self) -> None:
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
            "epoch": str(self.progress.epoch),
            "minutes": f"{self.progress.elapsed / 60.0:.2f}",
            "learning_rate": f"{self.optimizer.param_groups[0]['lr']:.3e}",
            "loss": f"{self.progress.mean_loss:.5f}",
            **{name: f"{value:.3f}" for name, value in errors.items()},
        }
        self.progress.history.append(row)
        tqdm.write("  ".join(f"{name} {value}" for name, value in row.items()))
        if self.recipe.schedule == "plateau":
            self.progress.plateau.judge(
                weighted_error(errors, self.stage.weights),
                patience=self.recipe.patience,
                reduction=self.recipe.reduction,
            )
