"""Edges within a cutoff, by centre, with their directions and radial functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def bessel_edges(
    edge_index: Tensor, edge_vectors: Tensor, n_basis: int, cutoff: float, n_centres: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Edges as sums over neighbours take them, with Bessel functions under a smooth cutoff.

    R_k = sqrt(2 / c) sin(k pi r / c) / r f(r / c),  k = 1 .. K
    f(x) = 1 - 28 x^6 + 48 x^7 - 21 x^8 below x = 1, else 0

    Edges from the cutoff on, whose radial functions are zero, may be left out or not. Differentiable by the vectors, to
    any order.

    Parameters
    ----------
    edge_index : (2, E) int64 tensor
        Sorted by centre.
    edge_vectors : (E, 3) tensor, Å
    n_basis : int
        K
    cutoff : float, Å
        c
    n_centres : int
        n; centres are the first atoms.

    Returns
    -------
    first_edge : (n + 1,) int64 tensor
        The edges of centre i are first_edge[i] <= e < first_edge[i + 1].
    neighbor : (E',) int64 tensor
    radial : (E', K) tensor
    unit : (E', 3) tensor

    References
    ----------
    Gasteiger, Groß, Günnemann, ICLR 2020 (arXiv:2003.03123), eqs. 7 and 8.
    """
    if edge_vectors.is_cpu:
        return torch.ops.mlip.bessel_edges(edge_index, edge_vectors, n_basis, cutoff, n_centres)
    return composed_bessel_edges(edge_index, edge_vectors, n_basis, cutoff, n_centres)


def composed_bessel_edges(
    edge_index: Tensor, edge_vectors: Tensor, n_basis: int, cutoff: float, n_centres: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """:func:`bessel_edges` of torch's own operators, which keep all edges."""
    counts = torch.bincount(edge_index[0], minlength=n_centres)  # (n,)
    first_edge = functional.pad(torch.cumsum(counts, 0), [1, 0])  # (n + 1,)
    distance = torch.linalg.vector_norm(edge_vectors, dim=1)  # (E,)
    x = (distance / cutoff).clamp(max=1.0)
    x6 = x * x * x * x * x * x
    envelope = 1.0 - x6 * (28.0 - 48.0 * x + 21.0 * x * x)  # (E,)
    k = torch.arange(1, n_basis + 1, dtype=distance.dtype, device=distance.device)
    wave = torch.sin(distance[:, None] * (k * (math.pi / cutoff)))  # (E, K)
    radial = wave * (math.sqrt(2.0 / cutoff) * envelope / distance)[:, None]  # (E, K)
    unit = edge_vectors / distance[:, None]  # (E, 3)
    return first_edge, edge_index[1].contiguous(), radial, unit
