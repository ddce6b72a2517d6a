"""What is minimised: energies, forces and stress, conservative and not, and the match of the two heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mlip_engines.model.prediction import Prediction
from mlip_train.data.batching import Batch
from mlip_train.loss_weights import VECTOR_FUNCTIONS, LossWeights


def loss(prediction: Prediction, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """Return the weighted terms by name, and their sum as ``total``.

    The terms ``match`` and ``match_slope`` have no gradient into the conservative forces. Perturbed structures have
    no labels and enter only there. A structure that lacks a label does without its term, and counts by its weights.
    ``match_slope`` is a stochastic estimate of the Jacobian of C - NC: what heats
    r-RESPA is not C - NC itself, which the outer step adds back, but how fast it changes while the atoms vibrate
    between two outer steps. ``non_conservative_slope`` is the same for a head that learns from labels: over a
    displacement whose both ends are labelled, the change of the head less that of the labels, per Å.

    With a threshold d, ``huber`` is |x| - d/2 above d and x^2 / (2 d) below: in the unit of the error, as ``mae`` is.
    ``mse`` is in its square. ``norm`` is the mean length of the error of the force vectors, which does not depend on
    the axes as ``mae`` does, and ``rms_norm`` the root of the mean square of this length over the batch (Fu et al.,
    "Augmenting molecular graphs with geometries via machine learning interatomic potentials", eq. 6).
    """
    terms: dict[str, Tensor] = {}
    labels = batch.labels
    n_atoms = labels.n_atoms.to(labels.virials.dtype)[:, None, None]  # (S, 1, 1)

    def add(
        name: str,
        threshold: float,
        difference: Callable[[], Tensor],
        importance: Tensor | None = None,
    ) -> None:
        weight = getattr(weights, name)
        if weight > 0.0:
            function = weights.functions.get(name, "huber")
            terms[name] = weight * _mean(function, difference(), threshold, importance)

    def counted(known: Tensor, column: int) -> Tensor | None:
        """Return the weights of labels that are there; None where all are 1, which is the usual case."""
        chosen = labels.weights[known, column]
        return None if bool((chosen == 1.0).all()) else chosen

    if labels.has_energy.any():
        known = labels.has_energy
        add(
            "energy",
            weights.huber_energy,
            lambda: ((prediction.energies.double() - labels.energies) / labels.n_atoms)[known],
            counted(known, 0),
        )
    if labels.has_forces.any():
        atoms, forces = labels.forces_known, labels.forces
        of_structures = counted(labels.has_forces, 1)
        importance = None
        if of_structures is not None:
            importance = labels.weights[labels.structure_index, 1][atoms, None]  # (A, 1)
        for name in ("conservative", "non_conservative"):
            add(
                name,
                weights.huber,
                lambda name=name: (getattr(prediction, name) - forces)[atoms],
                importance,
            )
    if labels.has_stress.any():
        with_stress, virials = labels.has_stress, labels.virials
        importance = counted(with_stress, 2)
        importance = importance if importance is None else importance[:, None, None]
        for name, predicted in (
            ("stress", prediction.virials),
            ("non_conservative_stress", prediction.non_conservative_virials),
        ):
            add(
                name,
                weights.huber_virial,
                lambda predicted=predicted: ((predicted.double() - virials) / n_atoms)[with_stress],
                importance,
            )
    pairs = batch.pairs
    if pairs is not None:
        forces = prediction.non_conservative
        counts = labels.weights[labels.structure_index, 1][pairs.displaced]
        importance = None if bool((counts == 1.0).all()) else counts[:, None]
        add(
            "non_conservative_slope",
            weights.huber_slope,
            lambda: (forces[pairs.displaced] - forces[pairs.undisplaced] - pairs.change)
            / pairs.length,
            importance,
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


def _mean(
    function: str, difference: Tensor, threshold: float, importance: Tensor | None = None
) -> Tensor:
    """Return the mean of a loss function; ``importance`` is a factor on each error, of a shape that broadcasts."""
    if function in VECTOR_FUNCTIONS:
        # vector_norm has the derivative zero at zero; a root of a sum of squares would make all gradients nan there
        if function == "rms_norm":
            roots = 1.0 if importance is None else importance.to(difference.dtype).sqrt()
            return torch.linalg.vector_norm(roots * difference) / len(difference) ** 0.5
        each = torch.linalg.vector_norm(difference, dim=-1, keepdim=True)  # (A, 1)
    elif function == "mse":
        each = difference * difference
    elif function == "mae":
        each = difference.abs()
    elif importance is None:
        zero = torch.zeros_like(difference)
        return functional.huber_loss(difference, zero, delta=threshold) / threshold
    else:
        zero = torch.zeros_like(difference)
        each = (
            functional.huber_loss(difference, zero, delta=threshold, reduction="none") / threshold
        )
    return each.mean() if importance is None else (importance.to(each.dtype) * each).mean()
