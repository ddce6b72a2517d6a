"""Linear maps of equivariant features, in the layout of this adapter: (atoms, components, channels).

The features of an atom are a list of *irreps*: a scalar has one component, a vector three, and so on. All irreps have
the same number of channels. Components of one irrep are neighbours, and so are several copies of one irrep.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Irrep(NamedTuple):
    """What a row of components is: an irrep, and how many copies of it follow each other."""

    degree: int
    parity: int
    copies: int

    @property
    def n_components(self) -> int:
        """Components of all copies."""
        return self.copies * (2 * self.degree + 1)


def n_components(irreps: list[Irrep]) -> int:
    """Return the number of components of features."""
    return sum(irrep.n_components for irrep in irreps)


class Linear(nn.Module):
    """Mix channels and copies of each irrep.

    Parameters
    ----------
    irreps : list of Irrep
        What goes in.
    matrices : list of (copies C, C') tensors
        One for each irrep, in the order of ``irreps``; None for one that does not go on.
    """

    starts: list[int]
    sizes: list[int]
    copies: list[int]

    def __init__(self, irreps: list[Irrep], matrices: list[Tensor | None]):
        super().__init__()
        self.starts, self.sizes, self.copies = [], [], []
        self.matrices = nn.ParameterList()
        start = 0
        for irrep, matrix in zip(irreps, matrices, strict=True):
            if matrix is not None:
                self.starts.append(start)
                self.sizes.append(2 * irrep.degree + 1)
                self.copies.append(irrep.copies)
                self.matrices.append(nn.Parameter(matrix, requires_grad=False))
            start += irrep.n_components

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, K', C') for features (n, K, C)."""
        n, n_channels = features.size(0), features.size(2)
        mixed: list[Tensor] = []
        for k, matrix in enumerate(self.matrices):
            size, copies = self.sizes[k], self.copies[k]
            rows = features.narrow(1, self.starts[k], size * copies)
            if copies > 1:  # the copies of a component beside each other
                rows = rows.reshape(n, copies, size, n_channels).transpose(1, 2)
                rows = rows.reshape(n, size, copies * n_channels)
            mixed.append(torch.matmul(rows, matrix))  # (n, 2 l + 1, C')
        return torch.cat(mixed, dim=1)


class LinearOfSpecies(nn.Module):
    """Mix the channels of each irrep by a matrix of the atom's element.

    Parameters
    ----------
    irreps : list of Irrep
        One copy of each.
    matrices : list of (Z, C, C') tensors
        None for an irrep that does not go on.
    """

    starts: list[int]
    sizes: list[int]

    def __init__(self, irreps: list[Irrep], matrices: list[Tensor | None]):
        super().__init__()
        self.starts, self.sizes = [], []
        self.matrices = nn.ParameterList()
        start = 0
        for irrep, matrix in zip(irreps, matrices, strict=True):
            if matrix is not None:
                self.starts.append(start)
                self.sizes.append(irrep.n_components)
                self.matrices.append(nn.Parameter(matrix, requires_grad=False))
            start += irrep.n_components
        self.n_species = self.matrices[0].size(0)

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Return (n, K', C') for features (n, K, C) and species (n,)."""
        order: list[Tensor] = []
        mixed: list[Tensor] = []
        for z in range(self.n_species):
            atoms = torch.nonzero(species == z).flatten()
            if atoms.size(0) > 0 or z == 0:  # one at least, also where there are no atoms
                order.append(atoms)
                rows = features.index_select(0, atoms)
                parts: list[Tensor] = []
                for k, matrix in enumerate(self.matrices):
                    part = rows.narrow(1, self.starts[k], self.sizes[k])
                    parts.append(torch.matmul(part, matrix[z]))
                mixed.append(torch.cat(parts, dim=1))
        return torch.cat(mixed).index_select(0, torch.argsort(torch.cat(order)))
