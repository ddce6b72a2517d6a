"""Sums over the neighbours of each atom."""

from __future__ import annotations

import torch
from torch import Tensor

from mlip_engines.operators.padding import neighbor_ranks, pad


def neighbor_sum(weights: Tensor, features: Tensor, first_edge: Tensor, neighbor: Tensor) -> Tensor:
    """What each atom collects from its neighbours, for every radial function of an edge.

    T[i, k, c] = sum over the edges e = (i -> j) of R[e, k] X[j, c]

    Differentiable by R and X, to any order.

    Parameters
    ----------
    weights : (E, K) tensor
        R, zero where an edge ends at the cutoff.
    features : (N, C) tensor
        X, in the dtype of R.
    first_edge : (n + 1,) int64 tensor
        The edges of centre i are first_edge[i] <= e < first_edge[i + 1]; the first n <= N atoms are centres.
    neighbor : (E,) int64 tensor
        The atom j of each edge.

    Returns
    -------
    (n, K, C) tensor
    """
    if weights.is_cpu:
        return torch.ops.mlip.neighbor_sum(weights, features, first_edge, neighbor)
    return composed_neighbor_sum(weights, features, first_edge, neighbor)


def composed_neighbor_sum(
    weights: Tensor, features: Tensor, first_edge: Tensor, neighbor: Tensor
) -> Tensor:
    """:func:`neighbor_sum` of torch's own operators: a batched matrix product over padded neighbours."""
    n_atoms = first_edge.size(0) - 1
    centre = torch.repeat_interleave(first_edge[1:] - first_edge[:-1])  # (E,)
    rank, width = neighbor_ranks(centre, n_atoms)  # (E,), J
    slot = centre * width + rank  # (E,)
    padded = pad(weights, slot, n_atoms * width).view(n_atoms, width, weights.size(1))  # (N, J, K)
    # Padding points to atom 0 and has zero weights, so it adds exactly nothing.
    neighbors = pad(neighbor[:, None], slot, n_atoms * width).flatten()  # (N J,)
    gathered = features.index_select(0, neighbors).view(n_atoms, width, features.size(1))
    return torch.bmm(padded.transpose(1, 2), gathered)  # (N, K, C)
