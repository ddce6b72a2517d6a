"""The trainings of a comparison of robustness: networks, recipes, and how many steps fit into a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from robustness_systems import System

from mlip_engines.labels.composition import fit_composition
from mlip_train.data.batching import collate
from mlip_train.data.sets import DataFiles
from mlip_train.data.structure import prepare
from mlip_train.loop.losses import loss
from mlip_train.loop.prediction import predict
from mlip_train.loop.run import train
from mlip_train.loop.stage import begin_stage
from mlip_train.loop.start import baseline_by_number
from mlip_train.networks import build_network, complete_settings
from mlip_train.recipe import Recipe, recipe_of

NETWORKS = {  # 32 features and two layers; what it costs to learn is 5 to 10 times less than at usual sizes
    "cgcnn": {"n_features": 32, "n_basis": 24, "n_layers": 2, "n_hidden": 64},
    "m3gnet": {"n_features": 32, "n_layers": 2, "three_body_cutoff": 3.5},
    "torchmdnet": {"n_features": 32, "n_basis": 16, "n_heads": 4, "n_layers": 2},
    "painn": {"n_features": 32, "n_basis": 8, "n_layers": 2},
}
LEARNING_RATES = {"eam": 0.05, "cgcnn": 0.008, "m3gnet": 0.012, "torchmdnet": 0.012, "painn": 0.008}
VALIDATION = 10  # structures


class Trainings:
    """Everything that the trainings of a system share.

    Parameters
    ----------
    system : System
    training, tested : list of ase.Atoms
        To train on, and to test on at the end of each training.
    """

    def __init__(self, system: System, training: list[Atoms], tested: list[Atoms]):
        self.system, self.training, self.tested = system, training, tested
        self.has_stress = "stress" in training[0].calc.results
        self.prices: dict[tuple[str, bool], float] = {}

    def network(self, name: str) -> dict[str, Any]:
        """Return the settings of a network without species."""
        own = {"name": name, "cutoff": self.system.cutoff}
        return own if name == "eam" else {**own, **NETWORKS[name], "non_conservative_layer": 0}

    def price(self, name: str, hybrid: bool) -> float:
        """Return what a step of training takes, in seconds of a processor."""
        if (name, hybrid) not in self.prices:
            self.prices[name, hybrid] = step_seconds(self.recipe(name, 1, 1, hybrid), self.training)
        return self.prices[name, hybrid]

    def weights(self) -> dict[str, Any]:
        """Return the weights of the loss; virials where there are labels."""
        terms = {"energy": 1.0, "conservative": 1.0}
        if self.has_stress:
            terms["stress"] = 0.2
        return {**terms, "functions": dict.fromkeys(terms, "mae")}

    def steps(self, name: str, seconds: float, *, way: str = "plain") -> int:
        """Return how many steps of training fit into a time; a step of SAM is two."""
        price = self.price(name, way == "hybrid") * (2.0 if way == "sam" else 1.0)
        return max(round(seconds / price), 20)

    def train(
        self,
        folder: Path,
        network: str,
        frames: list[Atoms],
        steps: int,
        *,
        start: Path | None = None,
        empirical: Path | None = None,
        **more: Any,
    ) -> None:
        """Train for a number of steps. Structures that would not be seen once are left out."""
        if (folder / "test.json").exists():
            return
        frames = [frames[k] for k in np.random.default_rng(2).permutation(len(frames))]
        validation, frames = frames[:VALIDATION], frames[VALIDATION:][: self.system.batch * steps]
        files = {"train": frames, "validation": validation, "test": self.tested[:5]}
        data = folder.with_name(f"{folder.name}-data")
        data.mkdir(parents=True, exist_ok=True)
        for name, part in files.items():
            ase.io.write(data / f"{name}.extxyz", part)
        paths = [(data / f"{name}.extxyz",) for name in files]
        recipe = self.recipe(network, len(frames), steps, empirical is not None, **more)
        train(
            recipe,
            DataFiles(train=paths[0], validation=paths[1], test=paths[2]),
            folder,
            start=start,
            empirical=empirical,
            resume=(folder / "checkpoint.pt").exists(),
        )

    def recipe(self, network: str, n: int, steps: int, hybrid: bool, **more: Any) -> Recipe:
        """Return a recipe of about so many steps on n structures."""
        epochs = max(round(steps * self.system.batch / n), 1)
        rate = LEARNING_RATES[network]
        stage = {
            "name": "fit",
            "epochs": epochs,
            "learning_rate": rate,
            "weights": self.weights(),
        }
        values = {
            "name": network,
            "network": self.network(network) | ({"empirical": True} if hybrid else {}),
            "batch_size": self.system.batch,
            "average_decay": 0.99,
            "validate_every": 10000,
            "optimizer": "adamw" if network == "eam" else "muon",
            "stages": [stage],
        }
        return recipe_of({**values, **more}, network)


def step_seconds(recipe: Recipe, frames: list[Atoms]) -> float:
    """Return the time that a processor needs for a step of training, mean of 12 batches."""
    size = recipe.batch_size
    chosen = [frames[k] for k in np.random.default_rng(3).permutation(len(frames))[: 14 * size]]
    species = sorted({int(z) for a in frames for z in set(a.numbers.tolist())})
    network = build_network(complete_settings({**recipe.network, "species": species}))
    baseline = baseline_by_number(fit_composition(chosen))
    prepared = [prepare(a, network.cutoff) for a in chosen]
    weights = recipe.stages[0].weights
    optimizer = begin_stage(recipe, recipe.stages[0], network)
    spent = 0.0
    for k in range(0, len(prepared), size):
        began = time.process_time()
        batch = collate(prepared[k : k + size], baseline, network.cutoff, torch.float32)
        prediction = predict(
            network,
            batch,
            1.0,
            differentiate=True,
            with_non_conservative=False,
            create_graph=True,
            with_stress=weights.uses_stress,
        )
        optimizer.zero_grad()
        loss(prediction, batch, weights)["total"].backward()
        optimizer.step()
        spent += (time.process_time() - began) * (k >= 2 * size)  # the first ones warm up
    return spent / (len(prepared) // size - 2)
