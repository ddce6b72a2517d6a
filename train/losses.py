"""What is minimised: energies, conservative and non-conservative forces, and the match of the two heads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.derivatives import forces_from_edges
from train.batching import Batch


@dataclass(frozen=True)
class LossWeights:
    """Weights of one stage; a term with weight 0 is not evaluated."""

    energy: float = 1.0  # of the energy per atom
    conservative: float = 0.0  # of forces by differentiation against labels
    non_conservative: float = 0.0  # of the head against labels
    match: float = 0.0  # of the head against the model's own conservative forces
    match_slope: float = 0.0  # of the change of C - NC over a perturbation, per Å of it
    huber: float = 0.1  # eV/Å, of force errors: quadratic below, linear above
    huber_energy: float = 0.01  # eV/atom, likewise
    huber_slope: float = 1.0  # eV/Å^2, likewise

    @property
    def differentiates(self) -> bool:
        """Whether conservative forces are needed."""
        return self.conservative > 0.0 or self.match > 0.0


@dataclass(frozen=True)
class Prediction:
    """A network's answer for a batch, in eV and eV/Å."""

    energies: Tensor  # (S,) without the baseline
    conservative: Tensor | None  # (N, 3)
    non_conservative: Tensor | None  # (N, 3), net force of each structure removed


def predict(
    network: nn.Module,
    batch: Batch,
    scale: float,
    *,
    differentiate: bool,
    with_non_conservative: bool,
    create_graph: bool,
) -> Prediction:
    """Evaluate a batch the way the exported model does, structure by structure.

    With ``create_graph`` the conservative forces can be trained; without, they are a constant, at a third of the cost.
    """
    vectors = batch.edge_vectors.detach().requires_grad_(differentiate)
    output = network(
        batch.atomic_numbers,
        batch.edge_index,
        vectors,
        batch.reverse_edge,
        batch.owned,
        with_non_conservative,
    )
    atomic = scale * output["atomic_energies"]  # (N,)
    n_structures = batch.n_atoms.numel()
    energies = atomic.new_zeros(n_structures).index_add(0, batch.structure, atomic)  # (S,)
    conservative = non_conservative = None
    if differentiate:
        (gradients,) = torch.autograd.grad(
            atomic.sum(), vectors, create_graph=create_graph, retain_graph=network.training
        )
        conservative = forces_from_edges(batch.edge_index, gradients, atomic.numel())
    if with_non_conservative:
        forces = scale * output["non_conservative_forces"]
        net = forces.new_zeros((n_structures, 3)).index_add(0, batch.structure, forces)
        non_conservative = forces - (net / batch.n_atoms[:, None])[batch.structure]
    return Prediction(energies, conservative, non_conservative)


def loss(prediction: Prediction, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
    """Return the weighted terms by name, and their sum as ``total``.

    The terms ``match`` and ``match_slope`` have no gradient into the conservative forces. Perturbed structures have
    no labels and enter only there. ``match_slope`` is a stochastic estimate of the Jacobian of C - NC: what heats
    r-RESPA is not C - NC itself, which the outer step adds back, but how fast it changes while the atoms vibrate
    between two outer steps.
    """
    terms: dict[str, Tensor] = {}
    labelled = batch.labelled
    atoms = labelled[batch.structure]  # (N,)

    def huber(difference: Tensor, delta: float = weights.huber) -> Tensor:
        zero = torch.zeros_like(difference)
        return functional.huber_loss(difference, zero, delta=delta) / delta

    if labelled.any():
        if weights.energy > 0.0:
            error = (prediction.energies.double() - batch.energies) / batch.n_atoms
            terms["energy"] = weights.energy * huber(error[labelled], weights.huber_energy)
        if weights.conservative > 0.0:
            terms["conservative"] = weights.conservative * huber(
                (prediction.conservative - batch.forces)[atoms]
            )
        if weights.non_conservative > 0.0:
            terms["non_conservative"] = weights.non_conservative * huber(
                (prediction.non_conservative - batch.forces)[atoms]
            )
    if weights.match > 0.0:
        difference = prediction.non_conservative - prediction.conservative.detach()
        terms["match"] = weights.match * huber(difference)
        if batch.perturbation > 0.0 and weights.match_slope > 0.0:
            before, after = difference.chunk(2)  # (N / 2, 3) each, the same atoms
            slope = (after - before) / batch.perturbation
            terms["match_slope"] = weights.match_slope * huber(slope, weights.huber_slope)
    terms["total"] = torch.stack([term.double() for term in terms.values()]).sum()
    return terms
