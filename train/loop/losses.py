"""What is minimised: energies, forces and stress, conservative and not, and the match of the two heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mlip_engines.model.prediction import Prediction
from mlip_train.data.batching import Batch
from mlip_train.loss_weights import LossWeights


def loss(prediction: Prediction, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """Return the weighted terms by name, and their sum as ``total``.

    The terms ``match`` and ``match_slope`` have no gradient into the conservative forces. Perturbed structures have
    no labels and enter only there. ``match_slope`` is a stochastic estimate of the Jacobian of C - NC: what heats
    r-RESPA is not C - NC itself, which the outer step adds back, but how fast it changes while the atoms vibrate
    between two outer steps.

    With a threshold d, ``huber`` is |x| - d/2 above d and x^2 / (2 d) below: in the unit of the error, as ``mae`` is.
    ``mse`` is in its square.
    """
    terms: dict[str, Tensor] = {}
    labels = batch.labels
    n_atoms = labels.n_atoms.to(labels.virials.dtype)[:, None, None]  # (S, 1, 1)

    def add(name: str, threshold: float, difference: Callable[[], Tensor]) -> None:
        weight = getattr(weights, name)
        if weight > 0.0:
            function = weights.functions.get(name, "huber")
            terms[name] = weight * _mean(function, difference(), threshold)

    if labels.labelled.any():
        labelled = labels.labelled
        atoms = labelled[batch.graph.structure_index]  # (N,)
        add(
            "energy",
            weights.huber_energy,
            lambda: ((prediction.energies.double() - labels.energies) / labels.n_atoms)[labelled],
        )
        forces = labels.forces
        add("conservative", weights.huber, lambda: (prediction.conservative - forces)[atoms])
        add(
            "non_conservative",
            weights.huber,
            lambda: (prediction.non_conservative - forces)[atoms],
        )
    if labels.has_stress.any():
        known, virials = labels.has_stress, labels.virials
        add(
            "stress",
            weights.huber_virial,
            lambda: ((prediction.virials.double() - virials) / n_atoms)[known],
        )
        add(
            "non_conservative_stress",
            weights.huber_virial,
            lambda: ((prediction.non_conservative_virials.double() - virials) / n_atoms)[known],
        )
    if weights.match > 0.0:
        difference = prediction.non_conservative - prediction.conservative.detach()
        add("match", weights.huber, lambda: difference)
        if batch.perturbation > 0.0:
            before, after = difference.chunk(2)  # (N / 2, 3) each, the same atoms
            slope = (after - before) / batch.perturbation
            add("match_slope", weights.huber_slope, lambda: slope)
    if terms:
        terms["total"] = torch.stack([term.double() for term in terms.values()]).sum()
    else:  # no structure of this batch has the labels: a step that moves nothing
        terms["total"] = 0.0 * prediction.energies.double().sum()
    return terms


def _mean(function: str, difference: Tensor, threshold: float) -> Tensor:
    if function == "mse":
        return (difference * difference).mean()
    if function == "mae":
        return difference.abs().mean()
    zero = torch.zeros_like(difference)
    return functional.huber_loss(difference, zero, delta=threshold) / threshold
