"""Tensor products of features with spherical harmonics, summed over the neighbours of each atom."""

from __future__ import annotations

import torch
from torch import Tensor


def tensor_product_sum(
    sources: Tensor,
    harmonics: Tensor,
    weights: Tensor,
    coupling: Tensor,
    path: Tensor,
    first_edge: Tensor,
    neighbor: Tensor,
) -> Tensor:
    """What each atom collects from its neighbours through a channelwise tensor product.

    m[i, k, c] = sum over the edges e = (i -> j) and over a, b of G[b, k, a] Y[e, b] X[j, a, c] W[e, p(k), c]

    This is the convolution of NequIP, MACE and SevenNet ("uvu" in e3nn): every channel c of a neighbour's features is
    coupled with the spherical harmonics of the edge by Clebsch-Gordan coefficients G, each path p with a weight of its
    own that depends on the distance.

    Parameters
    ----------
    sources : (N, A, C) tensor
        X, all components of the features, channels last.
    harmonics : (E, B) tensor
        Y
    weights : (E, P, C) tensor
        W, zero where an edge ends at the cutoff.
    coupling : (B, K, A) tensor
        G, mostly zeros.
    path : (K,) int64 tensor
        p, the path that each component of the result belongs to.
    first_edge : (n + 1,) int64 tensor
        The edges of centre i are first_edge[i] <= e < first_edge[i + 1]; the first n <= N atoms are centres.
    neighbor : (E,) int64 tensor
        The atom j of each edge.

    Returns
    -------
    (n, K, C) tensor

    References
    ----------
    Thomas et al., arXiv:1802.08219 (2018), eq. 2; Batatia et al., NeurIPS 2022 (arXiv:2206.07697), eq. 8.
    """
    if sources.is_cpu:
        return torch.ops.mlip.tensor_product_sum(
            sources, harmonics, weights, coupling, path, first_edge, neighbor
        )
    return composed_tensor_product_sum(
        sources, harmonics, weights, coupling, path, first_edge, neighbor
    )


def composed_tensor_product_sum(
    sources: Tensor,
    harmonics: Tensor,
    weights: Tensor,
    coupling: Tensor,
    path: Tensor,
    first_edge: Tensor,
    neighbor: Tensor,
) -> Tensor:
    """:func:`tensor_product_sum` of torch's own operators: messages of all edges, then their sums."""
    n_centres, n_edges = first_edge.size(0) - 1, neighbor.size(0)
    n_out, n_in, n_channels = coupling.size(1), coupling.size(2), sources.size(2)
    mixing = (harmonics @ coupling.flatten(1)).view(n_edges, n_out, n_in)
    messages = torch.bmm(mixing, sources.index_select(0, neighbor))  # (E, K, C)
    messages = messages * weights.index_select(1, path)
    centre = torch.repeat_interleave(first_edge[1:] - first_edge[:-1])  # (E,)
    result = torch.zeros((n_centres, n_out, n_channels), dtype=sources.dtype, device=sources.device)
    return result.index_add(0, centre, messages)
