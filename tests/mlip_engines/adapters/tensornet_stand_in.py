"""A small TensorNet of the interface of matgl 4.1, evaluated edge by edge with matrices of three by three.

Simeon, De Fabritiis, NeurIPS 2023 (arXiv:2306.06482), algorithm 1 and what follows.
"""

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

CHANNELS, RADIAL, LAYERS, CUTOFF = 4, 3, 2, 3.2


def parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Divide matrices (..., 3, 3) into multiples of one, skew, and symmetric traceless ones."""
    one = x.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] * torch.eye(3)
    return one, 0.5 * (x - x.mT), 0.5 * (x + x.mT) - one


def norm(x: Tensor) -> Tensor:
    return (x * x).sum((-2, -1))


class Radial(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("centres", torch.tensor([0.8, 1.7, 2.6]))

    def forward(self, lengths: Tensor) -> Tensor:
        return torch.exp(-1.5 * (lengths[:, None] - self.centres) ** 2)


def perceptron(*sizes: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)])


def mixers(count: int) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(CHANNELS, CHANNELS, bias=False) for _ in range(count)])


class TensorNet(nn.Module):
    """Random weights for as many elements as there are names."""

    is_intensive, cutoff = False, CUTOFF

    def __init__(self, element_types: list[str], group: str):
        super().__init__()
        self.element_types, c = element_types, CHANNELS
        self.bond_expansion = Radial()
        own = self.tensor_embedding = nn.Module()
        own.emb, own.emb2 = nn.Embedding(len(element_types), c), nn.Linear(2 * c, c)
        for k in (1, 2, 3):
            setattr(own, f"distance_proj{k}", nn.Linear(RADIAL, c))
        own.init_norm, own.act = nn.LayerNorm(c), nn.SiLU()
        own.linears_tensor, own.linears_scalar = mixers(3), perceptron(c, 2 * c, 3 * c)
        self.layers = nn.ModuleList([nn.Module() for _ in range(LAYERS)])
        for layer in self.layers:
            layer.linears_scalar, layer.act = perceptron(RADIAL, c, 2 * c, 3 * c), nn.Tanh()
            layer.linears_tensor, layer.equivariance_invariance_group = mixers(6), group
        self.out_norm, self.linear = nn.LayerNorm(3 * c), nn.Linear(3 * c, c)
        self.final_layer = nn.Module()
        gated = self.final_layer.gated = nn.Module()
        gated.layers = nn.Sequential(nn.Linear(c, 1))
        gated.gates = nn.Sequential(nn.Linear(c, 1), nn.Sigmoid())

    def energies(self, atoms: Atoms) -> Tensor:
        """Return energies (N,) of atoms."""

        def mixed(linears, x):
            three = zip(linears, parts(x), strict=True)
            return sum(torch.einsum("dc,ncij->ndij", linear.weight, p) for linear, p in three)

        def scaled(x, factors):
            return sum(factors[..., k, None, None] * p for k, p in enumerate(parts(x)))

        own = self.tensor_embedding
        kinds = torch.tensor([self.element_types.index(s) for s in atoms.symbols])
        edges = list(zip(*neighbor_list("ijdD", atoms, CUTOFF), strict=True))
        fade = [0.5 * (np.cos(np.pi * r / CUTOFF) + 1.0) for _, _, r, _ in edges]
        basis = [self.bond_expansion(torch.tensor([r]))[0] for _, _, r, _ in edges]
        x = torch.zeros(len(atoms), CHANNELS, 3, 3)
        for (i, j, r, vector), f, b in zip(edges, fade, basis, strict=True):
            u = torch.tensor(vector / r)
            skew = torch.linalg.cross(u[None].expand(3, 3), torch.eye(3)).T  # skew @ w = u x w
            matrix = torch.eye(3) + skew + torch.outer(u, u) - torch.eye(3) / 3.0
            z = own.emb2(torch.cat((own.emb(kinds[i]), own.emb(kinds[j]))))
            w = [f * getattr(own, f"distance_proj{k}")(b) for k in (1, 2, 3)]
            x[i] += z[:, None, None] * scaled(matrix[None], torch.stack(w, dim=1))
        factors = own.init_norm(norm(x))
        for linear in own.linears_scalar:
            factors = own.act(linear(factors))
        x = scaled(mixed(own.linears_tensor, x), factors.view(-1, CHANNELS, 3))
        for layer in self.layers:
            x = x / (norm(x) + 1.0)[..., None, None]
            y = mixed(layer.linears_tensor[:3], x)
            message = torch.zeros_like(y)
            for (i, j, _, _), f, b in zip(edges, fade, basis, strict=True):
                for linear in layer.linears_scalar:
                    b = layer.act(linear(b))
                message[i] += scaled(y[j], f * b.view(CHANNELS, 3))
            product = y @ message
            is_mirrored = layer.equivariance_invariance_group == "O(3)"
            product = product + (message @ y if is_mirrored else product)
            product = product / (norm(product) + 1.0)[..., None, None]
            change = mixed(layer.linears_tensor[3:], product)
            x = x + change + change @ change
        out = self.linear(self.out_norm(torch.cat([norm(p) for p in parts(x)], dim=1)))
        return (self.final_layer.gated.layers(out) * self.final_layer.gated.gates(out)).flatten()
