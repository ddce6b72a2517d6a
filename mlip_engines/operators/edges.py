"""Choosing edges: those within a cutoff, and leaving some out."""

from __future__ import annotations

import torch
from torch import Tensor


def near_edges(
    positions: Tensor, cell: Tensor, pairs: Tensor, images: Tensor, order: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Edges within a cutoff, out of a list of pairs that reaches further.

    The vectors can be differentiated by positions and cell, to any order.

    Parameters
    ----------
    positions : (N, 3) float64 tensor
    cell : (3, 3) float64 tensor
        Rows are lattice vectors.
    pairs : (2, H) int32 tensor
        Atoms i and j, each pair in one direction.
    images : (H, 3) int32 tensor
        The vector of a pair is x[j] - x[i] + image @ cell.
    order : (2 H,) int32 tensor
        A permutation: the edges are in this order, h for pair h from i to j, H + h for pair h from j to i.
    cutoff : float

    Returns
    -------
    edge_index : (2, E) int64 tensor
    edge_vectors : (E, 3) float64 tensor
    reverse_edge : (E,) int64 tensor
    """
    if positions.is_cpu:
        return torch.ops.mlip.near_edges(positions, cell, pairs, images, order, cutoff)
    return composed_near_edges(positions, cell, pairs, images, order, cutoff)


def composed_near_edges(
    positions: Tensor, cell: Tensor, pairs: Tensor, images: Tensor, order: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`near_edges` of torch's own operators."""
    n_pairs = images.size(0)
    steps = images.to(cell.dtype)
    shifts = steps[:, 0:1] * cell[0] + steps[:, 1:2] * cell[1] + steps[:, 2:3] * cell[2]
    vectors = positions.index_select(0, pairs[1]) - positions.index_select(0, pairs[0]) + shifts
    x, y, z = vectors.unbind(1)
    near = x * x + y * y + z * z < cutoff * cutoff  # (H,), faster than a sum over rows
    kept = order[torch.cat((near, near)).index_select(0, order)].to(torch.int64)  # (E,)
    edge_index = torch.cat((pairs, pairs.flip(0)), dim=1).index_select(1, kept).to(torch.int64)
    edge_vectors = torch.cat((vectors, -vectors)).index_select(0, kept)
    place = torch.zeros(2 * n_pairs, dtype=torch.int64, device=order.device)
    place[kept] = torch.arange(kept.size(0), device=order.device)
    reverse_edge = place[torch.where(kept < n_pairs, kept + n_pairs, kept - n_pairs)]
    return edge_index, edge_vectors, reverse_edge


def keep_edges(reverse_edge: Tensor, is_kept: Tensor) -> tuple[Tensor, Tensor]:
    """Leave edges out: which ones stay (E',), with their reverses, and where these are then (E',).

    Parameters
    ----------
    reverse_edge : (E,) int64 tensor
        As in :func:`reverse_features`.
    is_kept : (E,) bool tensor
        Both directions of an edge are kept or none, should they disagree.
    """
    n_edges = reverse_edge.size(0)
    is_elsewhere = reverse_edge >= n_edges
    everywhere = torch.arange(n_edges, device=reverse_edge.device)
    back = torch.where(is_elsewhere, everywhere, reverse_edge)  # (E,), itself if it is not here
    is_kept = torch.logical_and(is_kept, is_kept[back])
    kept = torch.nonzero(is_kept).flatten()  # (E',)
    position = torch.cumsum(is_kept.to(torch.int64), 0) - 1  # (E,), where an edge is kept
    moved = torch.where(is_elsewhere, reverse_edge - n_edges + kept.size(0), position[back])
    return kept, moved[kept]
