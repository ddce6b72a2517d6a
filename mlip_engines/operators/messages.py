"""Messages through radial filters, summed over the neighbours of each atom."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mlip_engines.operators.neighbor_sums import neighbor_sum


def equivariant_message(
    radial: Tensor,
    unit: Tensor,
    sources: Tensor,
    filters: Tensor,
    first_edge: Tensor,
    neighbor: Tensor,
) -> Tensor:
    """What each atom collects from its neighbours through radial filters, as scalars and vectors.

    m_s[i]    = sum over the edges e = (i -> j) of w_s[e] S[j]
    m_v[i, d] = sum over the edges e = (i -> j) of w_v[e] V[j, d] + w_a[e] A[j] u[e, d]
    w_x[e]    = sum over k of R[e, k] W_x[k]

    Feature by feature: the message block of PaiNN (Schütt, Unke, Gastegger, arXiv:2102.03150, eqs. 7 and 8), with
    filters that are linear in the radial functions. Differentiable by all but the graph, to any order.

    Parameters
    ----------
    radial : (E, K) tensor
        R, zero where an edge ends at the cutoff.
    unit : (E, 3) tensor
        u, the direction of each edge.
    sources : (N, 5 F) or (N, 2 F) tensor
        S, A and the three components of V, each F wide; without V where that is zero.
    filters : (3, K, F) tensor
        W_s, W_v, W_a.
    first_edge : (n + 1,) int64 tensor
        The edges of centre i are first_edge[i] <= e < first_edge[i + 1]; the first n <= N atoms are centres.
    neighbor : (E,) int64 tensor
        The atom j of each edge.

    Returns
    -------
    (n, 4, F) tensor
        m_s, then the components of m_v.
    """
    # Where filters are learned, every derivative that training takes is one of those that have no loops of their own.
    if radial.is_cpu and not filters.requires_grad:
        return torch.ops.mlip.equivariant_message(
            radial, unit, sources, filters, first_edge, neighbor
        )
    return composed_equivariant_message(radial, unit, sources, filters, first_edge, neighbor)


def composed_equivariant_message(
    radial: Tensor,
    unit: Tensor,
    sources: Tensor,
    filters: Tensor,
    first_edge: Tensor,
    neighbor: Tensor,
) -> Tensor:
    """:func:`equivariant_message` of :func:`neighbor_sum`: filters act on sums over neighbours, not on edges."""
    n, k, f = first_edge.size(0) - 1, filters.size(1), filters.size(2)
    directed = (unit[:, :, None] * radial[:, None, :]).flatten(1)  # (E, 3 K)
    summed = neighbor_sum(directed, sources[:, f : 2 * f], first_edge, neighbor)  # (n, 3 K, F)
    vectors = (summed.view(n, 3, k, f) * filters[2]).sum(dim=2)  # (n, 3, F)
    if sources.size(1) == 2 * f:
        summed = neighbor_sum(radial, sources[:, :f], first_edge, neighbor)  # (n, K, F)
        scalars = (summed * filters[0]).sum(dim=1)  # (n, F)
        return torch.cat((scalars[:, None], vectors), dim=1)
    carried = torch.cat((sources[:, :f], sources[:, 2 * f :]), dim=1)  # (N, 4 F)
    summed = neighbor_sum(radial, carried, first_edge, neighbor)  # (n, K, 4 F)
    of_each = torch.stack((filters[0], filters[1], filters[1], filters[1]), 1)  # (K, 4, F)
    gathered = (summed.view(n, k, 4, f) * of_each).sum(dim=1)  # (n, 4, F)
    return gathered + functional.pad(vectors, [0, 0, 1, 0])
