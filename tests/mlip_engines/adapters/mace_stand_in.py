"""A package with the interface of mace-torch and e3nn, as far as the adapter reads it, and its energies written out.

It knows scalars and vectors only, and two factors in a product. Its energies are those of MACE's equations, with dense
coefficients and one edge after the other: neither the layout nor the operators of the adapter.
"""

import sys
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from torch import nn


class Ir(NamedTuple):
    l: int  # noqa: E741  as e3nn calls it
    p: int


class MulIr(NamedTuple):
    mul: int
    ir: Ir


SCALAR, VECTOR = Ir(0, 1), Ir(1, -1)
CHANNELS, CUTOFF = 3, 3.0
BOTH = [MulIr(CHANNELS, SCALAR), MulIr(CHANNELS, VECTOR)]


class Path(NamedTuple):
    """An instruction of e3nn, of all its kinds."""

    path_weight: float
    path_shape: tuple = ()
    i_in: int = 0
    i_out: int = 0
    i_in1: int = 0
    i_in2: int = 0
    connection_mode: str = "uvu"
    has_weight: bool = True


class Linear(nn.Module):
    def __init__(self, irreps_in, irreps_out):
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        pairs = [
            (i, o)
            for i, (_, a) in enumerate(irreps_in)
            for o, (_, b) in enumerate(irreps_out)
            if a == b
        ]
        shape = (CHANNELS, CHANNELS)
        self.instructions = [Path(0.5, shape, i_in=i, i_out=o) for i, o in pairs]
        self.weight = nn.Parameter(torch.randn(len(pairs) * CHANNELS**2))

    def of(self, i, o):
        """Return the matrix between two irreps."""
        k = [(p.i_in, p.i_out) for p in self.instructions].index((i, o))
        return 0.5 * self.weight[k * CHANNELS**2 :][: CHANNELS**2].view(CHANNELS, CHANNELS)


class OfElement(nn.Module):
    def __init__(self, irreps_in1, n_elements):
        super().__init__()
        self.irreps_in1, self.irreps_out = irreps_in1, BOTH[: len(irreps_in1)]
        shape = (CHANNELS, n_elements, CHANNELS)
        self.instructions = [
            Path(0.4, shape, i_in1=k, i_out=k) for k in range(len(self.irreps_in1))
        ]
        self.weight = nn.Parameter(torch.randn(len(irreps_in1) * int(np.prod(shape))))

    def of(self, k, element):
        size = self.weight.numel() // len(self.irreps_in1)
        matrices = self.weight[k * size : (k + 1) * size].view(CHANNELS, -1, CHANNELS)
        # what e3nn multiplies by: a Clebsch-Gordan coefficient with a scalar
        return 0.4 * matrices[:, element] / (2 * self.irreps_in1[k].ir.l + 1) ** 0.5


class TensorProduct(nn.Module):
    """Paths 0 0 0 and 0 1 1, and with vectors as well 1 1 0 and 1 0 1; results sorted by degree."""

    def __init__(self, has_vectors):
        super().__init__()
        self.irreps_in1 = BOTH if has_vectors else BOTH[:1]
        self.irreps_in2 = [MulIr(1, SCALAR), MulIr(1, VECTOR)]
        of = [(0, 0), (1, 1), (0, 1), (1, 0)] if has_vectors else [(0, 0), (0, 1)]
        outs = [SCALAR, SCALAR, VECTOR, VECTOR] if has_vectors else [SCALAR, VECTOR]
        self.irreps_out = [MulIr(CHANNELS, ir) for ir in outs]
        self.instructions = [
            Path(0.3 + 0.1 * k, i_in1=a, i_in2=b, i_out=k) for k, (a, b) in enumerate(of)
        ]

    def message(self, scalars, vectors, weights, direction):
        """Return what one edge brings: scalars (P, C), vectors (P', 3, C)."""
        w = [p.path_weight * weights[k] for k, p in enumerate(self.instructions)]
        if vectors is None:
            return [w[0] * scalars], [w[1] * direction[:, None] * scalars / 3**0.5]
        return (
            [w[0] * scalars, w[1] * (direction @ vectors) / 3**0.5],
            [w[2] * direction[:, None] * scalars / 3**0.5, w[3] * vectors / 3**0.5],
        )


class Radial(nn.Module):
    def __init__(self, n_paths):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, n_paths * CHANNELS))

    def forward(self, radial: torch.Tensor) -> torch.Tensor:
        return radial @ self.weight


class Block(nn.Module):
    def __init__(self, has_vectors, n_elements):
        super().__init__()
        incoming = BOTH if has_vectors else BOTH[:1]
        self.linear_up, self.conv_tp = Linear(incoming, incoming), TensorProduct(has_vectors)
        self.conv_tp_weights = Radial(len(self.conv_tp.instructions))
        self.linear = Linear(self.conv_tp.irreps_out, BOTH)
        self.skip_tp = OfElement(incoming, n_elements)
        self.avg_num_neighbors = 4.0


class RealAgnosticResidualInteractionBlock(Block):
    """By its name the adapter knows the kind."""


class Contraction(nn.Module):
    def __init__(self, n_components, n_elements):
        super().__init__()
        lead = (n_components,) if n_components > 1 else ()
        self.correlation = 2
        self.register_buffer("U_matrix_1", torch.randn(*lead, 4, 2))
        self.register_buffer("U_matrix_2", torch.randn(*lead, 4, 4, 3))
        self.weights_max = nn.Parameter(torch.randn(n_elements, 3, CHANNELS))
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(n_elements, 2, CHANNELS))])

    def of(self, x, element):
        """Return (components, C) for features x (4, C)."""
        one = self.U_matrix_1.reshape(-1, 4, 2)
        two = self.U_matrix_2.reshape(-1, 4, 4, 3)
        first = torch.einsum("oik,kc,ic->oc", one, self.weights[0][element], x)
        return first + torch.einsum("oijk,kc,ic,jc->oc", two, self.weights_max[element], x, x)


class Product(nn.Module):
    def __init__(self, n_elements):
        super().__init__()
        self.symmetric_contractions = nn.Module()
        self.symmetric_contractions.contractions = nn.ModuleList(
            [Contraction(1, n_elements), Contraction(3, n_elements)]
        )
        self.linear = Linear(BOTH, BOTH)


class Readout(nn.Module):
    """One head from the scalars, another that is three times the first."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS))

    def forward(self, features: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
        first = torch.tanh(features[:, : self.weight.size(0)] @ self.weight)
        return torch.stack((first, 3.0 * first), dim=1)


class Harmonics(nn.Module):
    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        one = torch.ones_like(vectors[:, :1])
        unit = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return torch.cat((one, unit), dim=1)


class RadialEmbedding(nn.Module):
    def forward(
        self,
        lengths: torch.Tensor,
        node_attrs: torch.Tensor,
        edge_index: torch.Tensor,
        atomic_numbers: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        fade = (1.0 - (lengths / 3.0) ** 2) ** 3
        return torch.cat((fade, fade * torch.cos(2.0 * lengths)), dim=1), None


class ScaleShiftMACE(nn.Module):
    """Two layers, two heads."""

    heads = ["pbe", "r2scan"]

    def __init__(self, numbers):
        super().__init__()
        torch.manual_seed(3)
        n = len(numbers)
        self.register_buffer("atomic_numbers", torch.tensor(numbers))
        self.register_buffer("r_max", torch.tensor(CUTOFF))
        self.node_embedding = nn.Module()
        self.node_embedding.linear = nn.Linear(n, CHANNELS, bias=False)
        self.spherical_harmonics, self.radial_embedding = Harmonics(), RadialEmbedding()
        kind = RealAgnosticResidualInteractionBlock
        self.interactions = nn.ModuleList([kind(False, n), kind(True, n)])
        self.products = nn.ModuleList([Product(n), Product(n)])
        self.readouts = nn.ModuleList([Readout(), Readout()])
        self.atomic_energies_fn, self.scale_shift = nn.Module(), nn.Module()
        energies = torch.tensor([[-10.0 * z for z in numbers], [-11.0 * z for z in numbers]])
        self.atomic_energies_fn.register_buffer("atomic_energies", energies)
        self.scale_shift.register_buffer("scale", torch.tensor([0.02, 0.03]))
        self.scale_shift.register_buffer("shift", torch.tensor([0.1, 0.2]))

    def energy(self, numbers, centre, neighbor, vectors, head):
        """Return the energy of a structure; vectors from the centre to the neighbour."""
        elements = [self.atomic_numbers.tolist().index(z) for z in numbers]
        harmonics = self.spherical_harmonics(-vectors)
        radial, _ = self.radial_embedding(vectors.norm(dim=1, keepdim=True), None, None, None)
        scalars = [self.node_embedding.linear.weight[:, z] for z in elements]
        vector = [None] * len(elements)
        total = sum(self.atomic_energies_fn.atomic_energies[head][z] for z in elements)
        total = total + len(elements) * self.scale_shift.shift[head]
        for block, product, readout in zip(
            self.interactions, self.products, self.readouts, strict=True
        ):
            n_paths = len(block.conv_tp.instructions)
            weights = block.conv_tp_weights(radial).view(-1, n_paths, CHANNELS)
            up = block.linear_up
            sums = [None] * len(elements)
            for e, (i, j) in enumerate(zip(centre, neighbor, strict=True)):
                v = None if vector[j] is None else vector[j] @ up.of(1, 1)
                s, d = block.conv_tp.message(
                    scalars[j] @ up.of(0, 0), v, weights[e], harmonics[e, 1:]
                )
                s = sum(x @ block.linear.of(k, 0) for k, x in enumerate(s)) / 4.0
                d = sum(x @ block.linear.of(len(d) + k, 1) for k, x in enumerate(d)) / 4.0
                row = torch.cat((s[None], d))
                sums[i] = row if sums[i] is None else sums[i] + row
            for i, z in enumerate(elements):
                x = torch.zeros(4, CHANNELS) if sums[i] is None else sums[i]
                of = [c.of(x, z) for c in product.symmetric_contractions.contractions]
                before = scalars[i] @ block.skip_tp.of(0, z)
                new = (of[0] @ product.linear.of(0, 0))[0] + before
                rotated = of[1] @ product.linear.of(1, 1)
                if vector[i] is not None:
                    rotated = rotated + vector[i] @ block.skip_tp.of(1, z)
                scalars[i], vector[i] = new, rotated
                read = readout(new[None], torch.zeros(1, dtype=torch.int64))[0, head]
                total = total + self.scale_shift.scale[head] * read
        return total


class MACECalculator(Calculator):
    implemented_properties = ["energy", "forces"]

    def __init__(self, models, device, default_dtype, head):
        super().__init__()
        self.model, self.head = models[0], models[0].heads.index(head)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, j, d = neighbor_list("ijD", atoms, CUTOFF)
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.model.r_max.dtype)
        try:
            vectors = torch.tensor(d, dtype=self.model.r_max.dtype, requires_grad=True)
            energy = self.model.energy(atoms.numbers.tolist(), i, j, vectors, self.head)
            forces = np.zeros((len(atoms), 3))
            if len(i):
                (slope,) = torch.autograd.grad(energy, vectors)
                np.add.at(forces, i, slope.numpy())
                np.add.at(forces, j, -slope.numpy())
        finally:
            torch.set_default_dtype(before)
        self.results = {"energy": float(energy), "forces": forces}


def wigner_3j(first, second, last, dtype):
    """The symbols of e3nn for scalars and vectors, without the one of three vectors."""
    symbol = torch.zeros(2 * first + 1, 2 * second + 1, 2 * last + 1, dtype=dtype)
    if 0 not in (first, second, last):
        raise ValueError("three vectors")
    for k in range(2 * max(first, second, last) + 1):
        place = [k if degree else 0 for degree in (first, second, last)]
        symbol[tuple(place)] = (2 * max(first, second, last) + 1) ** -0.5
    return symbol


def installed(monkeypatch):
    """Put the package where mace-torch and e3nn would be."""
    modules = {
        name: ModuleType(name)
        for name in (
            *("mace", "mace.calculators", "mace.calculators.foundations_models"),
            *("e3nn", "e3nn.o3", "e3nn.util", "e3nn.util.jit"),
        )
    }
    calculators, known = modules["mace.calculators"], modules["mace.calculators.foundations_models"]
    modules["mace"].calculators = calculators
    calculators.MACECalculator, calculators.foundations_models = MACECalculator, known
    known.mace_mp_names = [None, "small", "small-omat-0"]

    def mace_mp(model, device, return_raw_model):
        if model != "small":
            raise OSError("no network")
        return ScaleShiftMACE([1, 8])

    known.mace_mp = mace_mp
    modules["e3nn"].o3, modules["e3nn"].util = modules["e3nn.o3"], modules["e3nn.util"]
    modules["e3nn.o3"].wigner_3j = wigner_3j
    modules["e3nn.util"].jit = modules["e3nn.util.jit"]
    modules["e3nn.util.jit"].compile = lambda module, in_place: module
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
