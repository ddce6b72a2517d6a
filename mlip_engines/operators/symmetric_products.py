"""Products of the features of one atom with each other."""

from __future__ import annotations

import torch
from torch import Tensor


def polynomial(
    features: Tensor,
    species: Tensor,
    coefficients: Tensor,
    factors: Tensor,
    output: Tensor,
    size: int,
) -> Tensor:
    """Polynomials of the features of each atom, channel by channel, with coefficients of its element.

    B[i, o, c] = sum over the terms t with o(t) = o of V[z(i), t, c] x[i, f1(t), c] x[i, f2(t), c] x[i, f3(t), c]

    where x[i, A, c] is 1, for terms of fewer than three factors. This is the symmetric contraction of MACE.

    Parameters
    ----------
    features : (n, A, C) tensor
        x
    species : (n,) int64 tensor
        z
    coefficients : (Z, T, C) tensor
        V
    factors : (T, 3) int64 tensor
        f1, f2, f3, each from 0 to A.
    output : (T,) int64 tensor
        o, not decreasing.
    size : int
        How many different o there are, O.

    Returns
    -------
    (n, O, C) tensor

    References
    ----------
    Batatia et al., NeurIPS 2022 (arXiv:2206.07697), eq. 10.
    """
    if features.is_cpu:
        return torch.ops.mlip.polynomial(features, species, coefficients, factors, output, size)
    return composed_polynomial(features, species, coefficients, factors, output, size)


def composed_polynomial(
    features: Tensor,
    species: Tensor,
    coefficients: Tensor,
    factors: Tensor,
    output: Tensor,
    size: int,
) -> Tensor:
    """:func:`polynomial` of torch's own operators, element by element."""
    n, n_channels = features.size(0), features.size(2)
    one = torch.ones((n, 1, n_channels), dtype=features.dtype, device=features.device)
    extended = torch.cat((features, one), dim=1)  # (n, A + 1, C)
    found = torch.zeros((n, size, n_channels), dtype=features.dtype, device=features.device)
    for z in range(coefficients.size(0)):
        atoms = torch.nonzero(species == z).flatten()
        if atoms.size(0) > 0:
            x = extended.index_select(0, atoms)
            terms = coefficients[z] * x.index_select(1, factors[:, 0])  # (n_z, T, C)
            terms = terms * x.index_select(1, factors[:, 1]) * x.index_select(1, factors[:, 2])
            sums = torch.zeros(
                (atoms.size(0), size, n_channels), dtype=features.dtype, device=features.device
            ).index_add(1, output, terms)
            found = found.index_add(0, atoms, sums)
    return found
