"""Energies, forces and virials of several structures that were evaluated together, each structure by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlip_engines.model.graph import Graph, batch_graphs, graph_to_device
from mlip_engines.model.load import LoadedModel


@dataclass(frozen=True)
class Prediction:
    """Energies in eV, forces in eV/Å, virials -dE/d(strain) in eV; None for what was not asked for."""

    energies: Tensor  # (S,)
    conservative: Tensor | None  # (N, 3)
    non_conservative: Tensor | None  # (N, 3), net force of each structure removed
    virials: Tensor | None = None  # (S, 3, 3) conservative, symmetrised
    non_conservative_virials: Tensor | None = None  # (S, 3, 3) of the head, symmetrised


def predict_together(
    model: LoadedModel, graphs: Sequence[Graph], *, with_virials: bool = False
) -> Prediction:
    """Evaluate a model file for several structures at once.

    Parameters
    ----------
    model : LoadedModel
    graphs : sequence of Graph
        At least one.
    with_virials : bool
        Whether virials are wanted as well.

    Returns
    -------
    Prediction
        On the CPU, in float64; energies with the reference energies. Non-conservative forces and virials are those
        of the model's heads, None where it has none.
    """
    device = next(model.module.buffers()).device
    joined, structure = batch_graphs(graphs)
    with_head = model.metadata.has_non_conservative_forces
    output = model.evaluate(
        graph_to_device(joined, device),
        with_non_conservative=with_head,
        with_atomic_virials=with_virials,
    )
    output = {name: value.cpu() for name, value in output.items()}
    n_atoms = torch.bincount(structure, minlength=len(graphs))
    head = virials = head_virials = None
    if with_head:
        # The model removes the net force of all structures together: do it for each.
        head = without_net_force(output["non_conservative_forces"], structure, n_atoms)
    if with_virials:
        virials = symmetric(by_structure(output["atomic_virials"], structure, len(graphs)))
    if with_virials and model.metadata.has_non_conservative_stress:
        # The head gives one virial for all structures together: ask it for each.
        alone = [model.non_conservative(graph_to_device(graph, device)) for graph in graphs]
        head_virials = torch.stack([each["non_conservative_virial"].cpu() for each in alone])
    return Prediction(
        energies=by_structure(output["atomic_energies"], structure, len(graphs)),
        conservative=output["forces"],
        non_conservative=head,
        virials=virials,
        non_conservative_virials=head_virials,
    )


def by_structure(values: Tensor, structure: Tensor, n_structures: int) -> Tensor:
    """Sum values of atoms (N, ...) over the atoms of each structure (S, ...)."""
    zero = values.new_zeros((n_structures, *values.shape[1:]))
    return zero.index_add(0, structure, values)


def without_net_force(forces: Tensor, structure: Tensor, n_atoms: Tensor) -> Tensor:
    """Subtract from forces (N, 3) their mean over the atoms of each structure, of which ``n_atoms`` (S,) tells."""
    mean = by_structure(forces, structure, n_atoms.numel()) / n_atoms[:, None]  # (S, 3)
    return forces - mean[structure]


def symmetric(virials: Tensor) -> Tensor:
    """Return the symmetric part of virials (..., 3, 3)."""
    return 0.5 * (virials + virials.mT)
