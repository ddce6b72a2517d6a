"""ORB's graph network, force head and repulsion as a module of TorchScript.

Only to be imported where orb-models is installed.
"""

import warnings
from types import SimpleNamespace
from typing import Any

import torch
from orb_models.forcefield.gns import MoleculeGNS
from torch import Tensor, nn

_ELEMENTS = 118


class Core(nn.Module):
    """Forces (N, 3) from atomic numbers (N,), edges (2, E) and their vectors (E, 3).

    Parameters
    ----------
    model : nn.Module
        A ``DirectForcefieldRegressor``.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.network: MoleculeGNS = model.model
        self.head = model.heads["forces"]
        self.repulsion = Repulsion(model.pair_repulsion_fn) if model.pair_repulsion else None

    def forward(self, numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> Tensor:
        """Return forces before a net force is removed."""
        one_hot = torch.nn.functional.one_hot(numbers, num_classes=_ELEMENTS)
        batch = SimpleNamespace(
            senders=edge_index[0],
            receivers=edge_index[1],
            node_features={
                "atomic_numbers": numbers,
                "atomic_numbers_embedding": one_hot.to(edge_vectors.dtype),
            },
            edge_features={"vectors": edge_vectors},
        )
        features = self.network(batch)["node_features"]
        forces = self.head.normalizer.inverse(self.head.mlp(features))
        if self.repulsion is not None:
            forces = forces + self.repulsion(numbers, edge_index, edge_vectors)
        return forces


class Repulsion(nn.Module):
    """Forces of ORB's screened nuclear repulsion, in the dtype of the vectors.

    Those of ORB itself follow torch's default dtype, which a file must not depend on. Source: Ziegler, Biersack,
    Littmark, The Stopping and Range of Ions in Solids (1985), with a polynomial envelope (arXiv:2003.03123, equation 8)
    that ends at the sum of the covalent radii.

    Parameters
    ----------
    theirs : nn.Module
        A ``ZBLBasis`` of ORB, whose constants are taken.
    """

    def __init__(self, theirs: Any):
        super().__init__()
        self.register_buffer("weights", theirs.c.detach().clone().flatten())
        self.register_buffer("rates", theirs.d.detach().clone().flatten())
        # ORB takes the number of the next element for each, in the radii as well; it was trained so
        following = torch.arange(1, theirs.covalent_radii.numel())
        dtype = theirs.covalent_radii.dtype
        self.register_buffer("charges", following.to(dtype))
        self.register_buffer("radii", theirs.covalent_radii.detach()[1:].clone())
        self.exponent, self.length = float(theirs.a_exp), float(theirs.a_prefactor) * 0.529
        self.power = int(theirs.p)

    def forward(self, numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> Tensor:
        """Return forces (N, 3), eV/Å."""
        first, second = numbers[edge_index[0]], numbers[edge_index[1]]
        r = torch.linalg.vector_norm(edge_vectors, dim=1)
        one, other = self.charges[first], self.charges[second]
        a = self.length / (one**self.exponent + other**self.exponent)
        terms = self.weights * torch.exp(-self.rates * (r / a)[:, None])  # (E, 4)
        phi, slope = terms.sum(dim=1), -(self.rates * terms).sum(dim=1) / a
        coulomb = 14.3996 * one * other / r  # ORB's rounding of the unit
        end = self.radii[first] + self.radii[second]
        x, p = r / end, float(self.power)
        fade = 1.0 - 0.5 * (p + 1.0) * (p + 2.0) * x**p
        fade = fade + p * (p + 2.0) * x ** (p + 1.0) - 0.5 * p * (p + 1.0) * x ** (p + 2.0)
        fade_slope = -0.5 * p * (p + 1.0) * (p + 2.0) * x ** (p - 1.0) * (1.0 - x) ** 2 / end
        pull = coulomb * ((slope - phi / r) * fade + phi * fade_slope)  # dE/dr of the pair
        pull = pull * (r < end)
        forces = torch.zeros_like(edge_vectors[:1]).expand(numbers.size(0), 3)
        return forces.index_add(0, edge_index[0], (pull / r)[:, None] * edge_vectors)


def traced(model: Any, dtype: str) -> torch.jit.ScriptModule:
    """Trace a model, which has no branches, on five atoms; the numbers of atoms and edges stay free."""
    numbers = torch.tensor([8, 1, 1, 29, 6])
    first, second = torch.cartesian_prod(torch.arange(5), torch.arange(5)).T
    first, second = first[first != second], second[first != second]
    positions = 1.7 * torch.tensor(
        [[0.0, 0.0, 0.1], [1.0, 0.1, 0.0], [0.0, 1.1, 0.0], [1.0, 1.0, 0.2], [0.3, 0.2, 1.0]],
        dtype=getattr(torch, dtype),
    )
    edges, vectors = torch.stack((first, second)), positions[second] - positions[first]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of shapes in which torch suspects constants
        return torch.jit.trace(Core(model).eval(), (numbers, edges, vectors), check_trace=False)
