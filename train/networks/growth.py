"""Weights of a network for some elements, as those of a network for these and more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from ase.data import chemical_symbols, covalent_radii
from torch import Tensor, nn


def grown_weights(
    weights: Mapping[str, Tensor],
    before: Sequence[int],
    network: nn.Module,
    species: Sequence[int],
) -> dict[str, Tensor]:
    """Return the weights of a network for a larger network.

    A tensor with one row for each element gets more rows. Known elements keep theirs, so what they give among
    themselves stays the same. A new element begins with the row of the known element whose covalent radius is the
    nearest: in the middle of what the network has learned, where a random row would be anywhere.

    Parameters
    ----------
    weights : mapping of str to tensor
        State of the network for the elements ``before``.
    before, species : sequence of int
        Atomic numbers in the order of the rows; ``species`` has those of ``before`` and others.
    network : nn.Module
        Built for ``species``.

    Returns
    -------
    dict of str to tensor
        State for ``network``.

    Raises
    ------
    ValueError
        If the two networks differ in more than rows of elements.
    """
    before, species = list(before), list(species)
    alike = [before.index(z if z in before else nearest_element(z, before)) for z in species]
    grown = {}
    state = network.state_dict()
    if set(state) != set(weights):
        raise ValueError(
            f"expected the weights of the same network to start from, but "
            f"{sorted(set(state) ^ set(weights))} are in one of both only"
        )
    for name, built in state.items():
        old = weights[name]
        if old.shape[1:] != built.shape[1:]:
            raise ValueError(
                f"expected weights {name} {tuple(built.shape)} to start from, except for rows of elements, got "
                f"{tuple(old.shape)}"
            )
        if old.shape == built.shape:
            # A table of whole numbers says which row an element has: that of the larger network counts.
            grown[name] = old if old.is_floating_point() else built.clone()
        elif len(old) == len(before) and len(built) == len(species):
            grown[name] = old[torch.tensor(alike)].clone()
        else:
            added = [chemical_symbols[z] for z in species if z not in before]
            raise ValueError(
                f"this network cannot take the new elements {added}: {name} has {len(old)} rows for {len(before)} "
                f"elements and {len(built)} for {len(species)}; train from scratch"
            )
    return grown


def nearest_element(number: int, known: Sequence[int]) -> int:
    """Return the atomic number among those known whose covalent radius is nearest to that of an element."""
    return known[int(np.abs(covalent_radii[list(known)] - covalent_radii[number]).argmin())]
