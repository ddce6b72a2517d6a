"""Operators that an exported file, or the module around it in OpenMM, may call besides torch's own.

On a CPU they run compiled, if ``mlip-lammps build`` has compiled them for the installed torch; anywhere else they are
composed of torch's operators, slower and with the same result. Importing this module registers them, which has to
happen before a file that calls them is loaded.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional

from mlip_engines.lammps.plugin import (
    BUILD_COMMAND,
    OPERATORS_LIBRARY_NAME,
    PluginError,
    find_plugin,
    has_stale_plugin,
    plugin_target,
)
from mlip_engines.operators.padding import neighbor_ranks, pad

SCHEMAS = (
    "neighbor_sum(Tensor weights, Tensor features, Tensor first_edge, Tensor neighbor) -> Tensor",
    "equivariant_message(Tensor radial, Tensor unit, Tensor sources, Tensor filters, Tensor first_edge, "
    "Tensor neighbor) -> Tensor",
    "near_edges(Tensor positions, Tensor cell, Tensor pairs, Tensor images, Tensor order, float cutoff) -> (Tensor, "
    "Tensor, Tensor)",
    "exchange(Tensor features) -> Tensor",
    "swap_edges(Tensor features) -> Tensor",
    "reverse_edges_elsewhere(int n_edges) -> int",
    "evaluated_atoms(int n_atoms) -> int",
    "is_exchanging(int n_atoms) -> bool",
)


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


def near_edges(
    positions: Tensor, cell: Tensor, pairs: Tensor, images: Tensor, order: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Edges within a cutoff, out of a list of pairs that reaches further. Not differentiable.

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


def pad_to_all(values: Tensor, n_atoms: int) -> Tensor:
    """Append zeros for atoms that are evaluated elsewhere, to (N, ...) from (n, ...)."""
    missing = n_atoms - values.size(0)
    if missing == 0:
        return values
    shape = [missing] + list(values.size())[1:]
    return torch.cat((values, torch.zeros(shape, dtype=values.dtype, device=values.device)))


def _register() -> torch.library.Library | None:
    """Load the compiled operators; define composed ones, and return their registration, if there are none."""
    if hasattr(torch.ops.mlip, "near_edges"):  # LAMMPS in the same process was first
        return None
    try:
        target = plugin_target()
        folder = find_plugin(target)
        is_stale = folder is None and has_stale_plugin(target)
    except PluginError:
        folder, is_stale = None, False
    if folder is not None:
        torch.ops.load_library(str(folder / OPERATORS_LIBRARY_NAME))
        return None
    if is_stale:
        warnings.warn(
            "the compiled operators belong to other sources of mlip-engines: models run several times slower without "
            f"them; run: {BUILD_COMMAND}",
            stacklevel=2,
        )
    library = torch.library.Library("mlip", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    library.impl("neighbor_sum", composed_neighbor_sum, "CompositeImplicitAutograd")
    library.impl("equivariant_message", composed_equivariant_message, "CompositeImplicitAutograd")
    library.impl("near_edges", composed_near_edges, "CompositeImplicitAutograd")
    # nobody exchanges anything through these
    library.impl("exchange", lambda features: features.clone(), "CompositeImplicitAutograd")
    library.impl("swap_edges", lambda features: features.clone(), "CompositeImplicitAutograd")
    library.impl("reverse_edges_elsewhere", lambda n_edges: 0, "CompositeImplicitAutograd")
    library.impl("evaluated_atoms", lambda n_atoms: n_atoms, "CompositeImplicitAutograd")
    library.impl("is_exchanging", lambda n_atoms: False, "CompositeImplicitAutograd")
    return library


_composed = _register()  # kept: without it the registration ends


def are_compiled() -> bool:
    """Whether the compiled operators are in use."""
    return _composed is None
