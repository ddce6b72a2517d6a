"""What is minimised: energies, forces and stress, conservative and not, and the match of the two heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor
from torch.nn import functional

from mlip_train.data.batching import Batch
from mlip_train.loop.prediction import Prediction

LOSS_FUNCTIONS = ("huber", "mse", "mae")
TERMS = (
    "energy",
    "conservative",
    "non_conservative",
    "stress",
    "non_conservative_stress",
    "match",
    "match_slope",
)
LABELLED_TERMS = TERMS[:5]


@dataclass(frozen=True)
class LossWeights:
    """Weights of one stage; a term with weight 0 is not evaluated.

    Stress enters as the virial per atom, -V stress / N: it is of the size of energies, intensive, and does not
    depend on how much vacuum is in a cell. Structures without a label of stress do without these terms.
    """

    energy: float = 1.0  # of the energy per atom
    conservative: float = 0.0  # of forces by differentiation against labels
    non_conservative: float = 0.0  # of the head against labels
    stress: float = 0.0  # of the virial per atom by differentiation against labels
    non_conservative_stress: float = 0.0  # of the virial per atom of the head against labels
    match: float = 0.0  # of the head against the model's own conservative forces
    match_slope: float = 0.0  # of the change of C - NC over a perturbation, per Å of it
    huber: float = 0.1  # eV/Å, of force errors: quadratic below, linear above
    huber_energy: float = 0.01  # eV/atom, likewise
    huber_virial: float = 0.05  # eV/atom, likewise
    huber_slope: float = 1.0  # eV/Å^2, likewise
    functions: dict[str, str] = field(default_factory=dict)  # term: huber (if not named), mse, mae

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises
        ------
        ValueError
            If a weight is negative, a threshold not positive, or a term or loss function unknown.
        """
        for name in TERMS:
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in (f.name for f in fields(self) if f.name.startswith("huber")):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for term, function in self.functions.items():
            if term not in TERMS or function not in LOSS_FUNCTIONS:
                raise ValueError(
                    f"functions must map terms {list(TERMS)} to {list(LOSS_FUNCTIONS)}, got {term}: {function}"
                )

    @property
    def differentiates(self) -> bool:
        """Whether conservative forces are needed."""
        return self.conservative > 0.0 or self.match > 0.0 or self.stress > 0.0

    @property
    def trains_gradient(self) -> bool:
        """Whether derivatives of the energy are compared with labels, so that they have to be differentiated too."""
        return self.conservative > 0.0 or self.stress > 0.0

    @property
    def uses_head(self) -> bool:
        """Whether the non-conservative head is needed."""
        return self.non_conservative > 0.0 or self.non_conservative_stress > 0.0 or self.match > 0.0

    @property
    def uses_stress(self) -> bool:
        """Whether labels of stress are needed."""
        return self.stress > 0.0 or self.non_conservative_stress > 0.0

    def without_labels(self) -> LossWeights:
        """Return the weights of the terms that need no labels."""
        return replace(self, **dict.fromkeys(LABELLED_TERMS, 0.0))


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
    n_atoms = batch.n_atoms.to(batch.virials.dtype)[:, None, None]  # (S, 1, 1)

    def add(name: str, threshold: float, difference: Callable[[], Tensor]) -> None:
        weight = getattr(weights, name)
        if weight > 0.0:
            function = weights.functions.get(name, "huber")
            terms[name] = weight * _mean(function, difference(), threshold)

    if batch.labelled.any():
        labelled = batch.labelled
        atoms = labelled[batch.structure]  # (N,)
        add(
            "energy",
            weights.huber_energy,
            lambda: ((prediction.energies.double() - batch.energies) / batch.n_atoms)[labelled],
        )
        forces = batch.forces
        add("conservative", weights.huber, lambda: (prediction.conservative - forces)[atoms])
        add(
            "non_conservative",
            weights.huber,
            lambda: (prediction.non_conservative - forces)[atoms],
        )
    if batch.has_stress.any():
        known, virials = batch.has_stress, batch.virials
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
