"""Operators that an exported file may call besides torch's own.

On a CPU they run compiled, if ``mlip-lammps build`` has compiled them for the installed torch; anywhere else they are
composed of torch's operators, slower and with the same result. Importing this module registers them, which has to
happen before a file that calls them is loaded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlip_engines.lammps import OPERATORS_LIBRARY_NAME, PluginError, find_plugin, plugin_target
from mlip_engines.padding import neighbor_ranks, pad

SCHEMA = (
    "neighbor_sum(Tensor weights, Tensor features, Tensor first_edge, Tensor neighbor) -> Tensor"
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
    first_edge : (N + 1,) int64 tensor
        The edges of centre i are first_edge[i] <= e < first_edge[i + 1].
    neighbor : (E,) int64 tensor
        The atom j of each edge.

    Returns
    -------
    (N, K, C) tensor
    """
    if weights.is_cpu:
        return torch.ops.mlip.neighbor_sum(weights, features, first_edge, neighbor)
    return composed_neighbor_sum(weights, features, first_edge, neighbor)


def composed_neighbor_sum(
    weights: Tensor, features: Tensor, first_edge: Tensor, neighbor: Tensor
) -> Tensor:
    """:func:`neighbor_sum` of torch's own operators: a batched matrix product over padded neighbours."""
    n_atoms = features.size(0)
    centre = torch.repeat_interleave(first_edge[1:] - first_edge[:-1])  # (E,)
    rank, width = neighbor_ranks(centre, n_atoms)  # (E,), J
    slot = centre * width + rank  # (E,)
    padded = pad(weights, slot, n_atoms * width).view(n_atoms, width, weights.size(1))  # (N, J, K)
    # Padding points to atom 0 and has zero weights, so it adds exactly nothing.
    neighbors = pad(neighbor[:, None], slot, n_atoms * width).flatten()  # (N J,)
    gathered = features.index_select(0, neighbors).view(n_atoms, width, features.size(1))
    return torch.bmm(padded.transpose(1, 2), gathered)  # (N, K, C)


def _register() -> torch.library.Library | None:
    """Load the compiled operators; define composed ones, and return their registration, if there are none."""
    if hasattr(torch.ops.mlip, "neighbor_sum"):  # LAMMPS in the same process was first
        return None
    try:
        folder = find_plugin(plugin_target())
    except PluginError:
        folder = None
    if folder is not None:
        torch.ops.load_library(str(folder / OPERATORS_LIBRARY_NAME))
        return None
    library = torch.library.Library("mlip", "FRAGMENT")
    library.define(SCHEMA)
    library.impl("neighbor_sum", composed_neighbor_sum, "CompositeImplicitAutograd")
    return library


_composed = _register()  # kept: without it the registration ends


def are_compiled() -> bool:
    """Whether the compiled operators are in use."""
    return _composed is None
