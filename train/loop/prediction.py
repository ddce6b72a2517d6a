"""A network's answer for a batch: energies, forces and virials of each structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlip_engines.model.derivatives import (
    atomic_virials_from_edges,
    energy_gradient,
    forces_from_edges,
)
from mlip_engines.model.prediction import (
    Prediction,
    by_structure,
    symmetric,
    without_net_force,
)
from mlip_train.data.batching import Batch


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
    """Evaluate a batch the way the exported model does, structure by structure; energies are without the baseline.

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
    vectors = batch.graph.edge_vectors.detach().requires_grad_(differentiate)
    graph = batch.graph._replace(edge_vectors=vectors)
    with torch.autocast(vectors.device.type, torch.bfloat16, enabled=autocast):
        output = network(graph, with_non_conservative)
    output = {name: scale * value.to(vectors.dtype) for name, value in output.items()}
    atomic = output["atomic_energies"]  # (N,)
    structure, n_atoms = graph.structure_index, batch.labels.n_atoms

    def virials_of(atomic_virials: Tensor) -> Tensor:
        return symmetric(by_structure(atomic_virials, structure, n_atoms.numel()))  # (S, 3, 3)

    conservative = non_conservative = virials = head_virials = None
    if differentiate:
        gradients = energy_gradient(
            atomic.sum(), vectors, create_graph=create_graph, retain_graph=network.training
        )
        conservative = forces_from_edges(graph.edge_index, gradients, atomic.numel())
        if with_stress:
            per_atom = atomic_virials_from_edges(
                graph.edge_index, batch.graph.edge_vectors, gradients, atomic.numel()
            )
            virials = virials_of(per_atom)
    if with_non_conservative:
        forces = output["non_conservative_forces"]
        non_conservative = without_net_force(forces, structure, n_atoms)
        if with_stress and "non_conservative_virials" in output:
            head_virials = virials_of(output["non_conservative_virials"])
    energies = by_structure(atomic, structure, n_atoms.numel())
    return Prediction(energies, conservative, non_conservative, virials, head_virials)
