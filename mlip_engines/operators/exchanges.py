"""Features of atoms and edges that an engine may evaluate on another process."""

from __future__ import annotations

import torch
from torch import Tensor

from mlip_engines.operators.padding import pad


def evaluated_atoms(n_atoms: int) -> int:
    """How many atoms of the local graph, its first ones, a network has to evaluate.

    All of them, unless an engine evaluates each atom on one process only and exchanges features (:func:`exchange`).
    """
    return torch.ops.mlip.evaluated_atoms(n_atoms)


def exchange(parts: list[Tensor], n_atoms: int) -> list[Tensor]:
    """Features of all atoms of the local graph from those of the atoms that are evaluated here.

    Returns its argument unless an engine exchanges features between processes. Then all processes have to call it
    equally often, and its derivative adds up what all of them have for an atom.

    Parameters
    ----------
    parts : list of (n, C_k) tensors
        Of the first n = ``evaluated_atoms(n_atoms)`` atoms, of one dtype. They travel together.
    n_atoms : int
        N

    Returns
    -------
    list of (N, C_k) tensors
    """
    if not torch.ops.mlip.is_exchanging(n_atoms):
        return parts
    sizes = [part.size(1) for part in parts]
    everything = torch.ops.mlip.exchange(torch.cat(parts, dim=1))  # (N, sum of C_k)
    return list(everything.split(sizes, dim=1))


def reverse_features(features: Tensor, reverse_edge: Tensor) -> Tensor:
    """Features of the edges j -> i for edges i -> j, wherever they are evaluated.

    Without an engine that exchanges features, rows of the argument. With one, an edge whose reverse belongs to another
    process gets the row from there, and that process the row of this edge; where the other has left the edge out it
    gets zeros. All processes have to call it equally often, and its derivative goes the way back.

    Parameters
    ----------
    features : (E, C) tensor
        Of the edges of the atoms that are evaluated here, or of some of them.
    reverse_edge : (E,) int64 tensor
        Below E an index of ``features``, from E on the place, less E, among the edges whose reverse is elsewhere.

    Returns
    -------
    (E, C) tensor
    """
    n_edges = features.size(0)
    if torch.ops.mlip.is_exchanging(n_edges):
        n_elsewhere = torch.ops.mlip.reverse_edges_elsewhere(n_edges)
        across = torch.nonzero(reverse_edge >= n_edges).flatten()  # edges with a reverse elsewhere
        place = reverse_edge.index_select(0, across) - n_edges
        rows = pad(features.index_select(0, across), place, n_elsewhere)
        features = torch.cat((features, torch.ops.mlip.swap_edges(rows)))
    return features.index_select(0, reverse_edge)


def pad_to_all(values: Tensor, n_atoms: int) -> Tensor:
    """Append zeros for atoms that are evaluated elsewhere, to (N, ...) from (n, ...)."""
    missing = n_atoms - values.size(0)
    if missing == 0:
        return values
    shape = [missing] + list(values.size())[1:]
    return torch.cat((values, torch.zeros(shape, dtype=values.dtype, device=values.device)))
