"""A small CHGNet of the interface of chgnet 0.4, evaluated atom by atom with ASE's neighbour list.

One feature row per bond, whose two ends share it, and one per ordered pair of short bonds of an atom, as in the paper:
Deng et al., Nature Mach. Intell. 5, 1031 (2023).
"""

from types import SimpleNamespace

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

ATOM, BOND, ANGLE, HIDDEN = 5, 4, 3, 6
RADIAL, ORDER, LAYERS = 4, 2, 3
CUTOFF, BOND_CUTOFF = 3.4, 2.1


class Mlp(nn.Module):
    def __init__(self, *sizes: int, bias: bool = True):
        super().__init__()
        layers = [nn.Dropout(0)]
        for k, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
            layers += [nn.SiLU()] * (k > 0) + [nn.Linear(n_in, n_out, bias=bias)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class GatedMlp(nn.Module):
    norm = "layer"

    def __init__(self, *sizes: int):
        super().__init__()
        self.mlp_core, self.mlp_gate = Mlp(*sizes), Mlp(*sizes)
        self.bn1, self.bn2 = nn.LayerNorm(sizes[-1]), nn.LayerNorm(sizes[-1])
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.bn1(self.mlp_core(x))) * torch.sigmoid(self.bn2(self.mlp_gate(x)))  # fmt: skip


class Convolution(nn.Module):
    """Of atoms, bonds or angles; which of its attributes count is the business of the reader."""

    def __init__(self, name: str, n_in: int, n_out: int, hidden: list[int], norm: bool = False):
        super().__init__()
        setattr(self, name, GatedMlp(n_in, *hidden, n_out))
        self.mlp_out = Mlp(n_out, n_out, bias=False)
        self.atom_norm = nn.LayerNorm(n_out) if norm else None
        self.bond_norm = self.angle_norm = None


def radial(cutoff: float) -> nn.Module:
    basis = nn.Module()
    basis.frequencies = nn.Parameter(np.pi * torch.arange(1, RADIAL + 1) * 1.03)
    basis.smooth_cutoff = SimpleNamespace(cutoff=cutoff, p=6)
    basis.inv_cutoff = 1.0 / cutoff
    return basis


class Chgnet(nn.Module):
    """Random weights for hydrogen to neon."""

    atom_fea_dim, bond_fea_dim = ATOM, BOND
    mlp_first = True

    def __init__(self):
        super().__init__()
        self.atom_embedding, self.bond_basis_expansion = nn.Module(), nn.Module()
        self.atom_embedding.embedding = nn.Embedding(10, ATOM)
        self.bond_basis_expansion.rbf_expansion_ag = radial(CUTOFF)
        self.bond_basis_expansion.rbf_expansion_bg = radial(BOND_CUTOFF)
        self.angle_basis_expansion = nn.Module()
        self.angle_basis_expansion.fourier_expansion = nn.Module()
        frequencies = nn.Parameter(0.98 * torch.arange(1, ORDER + 1))
        self.angle_basis_expansion.fourier_expansion.frequencies = frequencies
        self.bond_embedding = nn.Linear(RADIAL, BOND, bias=False)
        self.bond_weights_ag = nn.Linear(RADIAL, ATOM, bias=False)
        self.bond_weights_bg = nn.Linear(RADIAL, BOND, bias=False)
        self.angle_embedding = nn.Linear(2 * ORDER + 1, ANGLE, bias=False)
        self.atom_conv_layers = nn.ModuleList(
            [Convolution("twoBody_atom", 2 * ATOM + BOND, ATOM, [HIDDEN], True) for _ in range(LAYERS)]
        )  # fmt: skip
        everything = ATOM + 2 * BOND + ANGLE
        self.bond_conv_layers, self.angle_layers = (
            nn.ModuleList([Convolution("twoBody_bond", everything, n_out, hidden) for _ in range(2)])
            for n_out, hidden in ((BOND, [HIDDEN]), (ANGLE, []))
        )  # fmt: skip
        self.site_wise = nn.Linear(ATOM, 1)
        self.readout_norm = nn.LayerNorm(ATOM)
        self.mlp = Mlp(ATOM, HIDDEN, HIDDEN, 1)

    def _basis(self, basis: nn.Module, r: float) -> Tensor:
        cutoff, p = basis.smooth_cutoff.cutoff, basis.smooth_cutoff.p
        x = r / cutoff
        fade = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1)
        fade -= p * (p + 1) / 2 * x ** (p + 2)
        return fade * np.sqrt(2 / cutoff) * torch.sin(basis.frequencies * x) / r * (r < cutoff)

    def evaluate(self, atoms: Atoms) -> tuple[Tensor, Tensor]:
        """Return energies (N,) and magnetic moments (N,) of atoms."""
        long, short = (
            self.bond_basis_expansion.rbf_expansion_ag,
            self.bond_basis_expansion.rbf_expansion_bg,
        )
        ends: list[tuple[int, int, int]] = []  # of each edge: atom, neighbour, bond
        bond_of: dict[tuple, int] = {}
        lengths, units = [], []
        for i, j, r, vector, shift in zip(*neighbor_list("ijdDS", atoms, CUTOFF), strict=True):
            there, back = (i, j, *shift), (j, i, *-shift)
            bond = bond_of.setdefault(there, bond_of.get(back, len(lengths)))
            if bond == len(lengths):
                lengths.append(r)
            ends.append((int(i), int(j), bond))
            units.append(vector / r)
        wide, narrow = ([self._basis(b, r) for r in lengths] for b in (long, short))
        x = list(self.atom_embedding.embedding(torch.tensor(atoms.numbers) - 1))
        e = [self.bond_embedding(b) for b in wide]
        angles = []
        for a, (i, _, u) in enumerate(ends):
            for b, (k, _, w) in enumerate(ends):
                if i == k and a != b and max(lengths[u], lengths[w]) < BOND_CUTOFF:
                    angle = torch.tensor(np.arccos(units[a] @ units[b] * (1 - 1e-6)))
                    phases = angle * self.angle_basis_expansion.fourier_expansion.frequencies
                    basis = torch.cat((torch.tensor([0.5**0.5]), phases.sin(), phases.cos()))
                    angles.append([i, u, w, self.angle_embedding(basis / np.pi**0.5)])
        for k, atom_layer in enumerate(self.atom_conv_layers):
            if k == LAYERS - 1:
                moments = torch.cat([self.site_wise(row).abs() for row in x])
            sums = [torch.zeros(ATOM, dtype=torch.float64) for _ in x]
            for i, j, u in ends:
                message = atom_layer.twoBody_atom(torch.cat((x[i], e[u], x[j])))
                sums[i] = sums[i] + message * self.bond_weights_ag(wide[u])
            x = [atom_layer.atom_norm(atom_layer.mlp_out(s) + a) for s, a in zip(sums, x, strict=True)]  # fmt: skip
            if k == LAYERS - 1:
                break
            layer, angle_layer = self.bond_conv_layers[k], self.angle_layers[k]
            sums = [torch.zeros(BOND, dtype=torch.float64) for _ in e]
            for i, u, w, row in angles:
                message = layer.twoBody_bond(torch.cat((e[u], e[w], row, x[i])))
                weights = [self.bond_weights_bg(narrow[b]) for b in (u, w)]
                sums[u] = sums[u] + message * weights[0] * weights[1]
            e = [layer.mlp_out(s) + b for s, b in zip(sums, e, strict=True)]
            for angle in angles:
                i, u, w, row = angle
                angle[3] = row + angle_layer.twoBody_bond(torch.cat((e[u], e[w], row, x[i])))
        return torch.cat([self.mlp(self.readout_norm(row)) for row in x]), moments
