"""A network's answer for a batch: energies, forces and virials of each structure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlip_engines.model.derivatives import atomic_virials_from_edges, forces_from_edges
from mlip_train.data.batching import Batch


@dataclass(frozen=True)
class Prediction:
    """Energies in eV, forces in eV/Å, virials -dE/d(strain) in eV; None for what was not asked for."""

    energies: Tensor  # (S,) without the baseline
    conservative: Tensor | None  # (N, 3)
    non_conservative: Tensor | None  # (N, 3), net force of each structure removed
    virials: Tensor | None = None  # (S, 3, 3) conservative, symmetrised
    non_conservative_virials: Tensor | None = None  # (S, 3, 3) of the head, symmetrised


def predict(
    network: nn.Module,
    batch: Batch,
    scale: float,
    *,
    differentiate: bool,
    with_non_conservative: bool,
    create_graph: bool,
    with_stress: bool = False,
    autocast: bool = False,
) -> Prediction:
    """Evaluate a batch the way the exported model does, structure by structure.

    Parameters
    ----------
    network : nn.Module
    batch : Batch
        On the device of the network.
    scale : float
        Factor on all outputs of the network.
    differentiate : bool
        Whether conservative forces are wanted.
    with_non_conservative : bool
        Whether the heads are.
    create_graph : bool
        With it the conservative forces can be trained; without, they are a constant, at a third of the cost.
    with_stress : bool
        Whether virials are wanted, of what else is wanted.
    autocast : bool
        Whether matrix products of the network run in bfloat16. Sums over atoms and the derivative do not.
    """
    vectors = batch.edge_vectors.detach().requires_grad_(differentiate)
    with torch.autocast(vectors.device.type, torch.bfloat16, enabled=autocast):
        output = network(batch.graph._replace(edge_vectors=vectors), with_non_conservative)
    output = {name: scale * value.to(vectors.dtype) for name, value in output.items()}
    atomic = output["atomic_energies"]  # (N,)
    n_structures = batch.n_atoms.numel()

    def by_structure(values: Tensor) -> Tensor:
        zero = values.new_zeros((n_structures, *values.shape[1:]))
        return zero.index_add(0, batch.structure, values)

    def virial_by_structure(atomic_virials: Tensor) -> Tensor:
        virials = by_structure(atomic_virials)  # (S, 3, 3)
        return 0.5 * (virials + virials.mT)

    conservative = non_conservative = virials = head_virials = None
    if differentiate:
        (gradients,) = torch.autograd.grad(
            atomic.sum(),
            vectors,
            create_graph=create_graph,
            retain_graph=network.training,
            materialize_grads=True,  # without edges nothing depends on them
        )
        conservative = forces_from_edges(batch.edge_index, gradients, atomic.numel())
        if with_stress:
            per_atom = atomic_virials_from_edges(
                batch.edge_index, batch.edge_vectors, gradients, atomic.numel()
            )
            virials = virial_by_structure(per_atom)
    if with_non_conservative:
        forces = output["non_conservative_forces"]
        mean = by_structure(forces) / batch.n_atoms[:, None]  # (S, 3)
        non_conservative = forces - mean[batch.structure]
        if with_stress and "non_conservative_virials" in output:
            head_virials = virial_by_structure(output["non_conservative_virials"])
    return Prediction(by_structure(atomic), conservative, non_conservative, virials, head_virials)
