"""CHGNet with weights of its own, as the contract wants it.

Deng, Zhong, Jun, Riebesell, Han, Bartel, Ceder, Nature Mach. Intell. 5, 1031 (2023). Atoms, bonds and angles have
features. A *short* bond is one within the second, smaller cutoff; an angle is an ordered pair of short bonds of one
atom. CHGNet has one row per bond and one per angle of the whole structure. Here a bond has a row at either end, and
what it collects at both ends is added up: so each atom can be evaluated on one process only.

The first matrix of each perceptron, which CHGNet applies to the features of atoms, bonds and angles side by side, is
applied to each of them before they are gathered: most atoms have more bonds than features need be multiplied for.

========  ==================================================================
symbol    size
========  ==================================================================
N, n      atoms, those of them that are evaluated here
E, S, A   edges, short ones among them, angles
F, H      features, hidden features of a perceptron
========  ==================================================================
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all, reverse_features
from mlip_engines.operators.edges import keep_edges


class RadialBasis(nn.Module):
    """Bessel functions times a polynomial that fades at the cutoff.

    Parameters
    ----------
    frequencies : (R,) tensor
    cutoff : float, Å
    power : float
        Of the polynomial: the larger, the later it fades.
    """

    def __init__(self, frequencies: Tensor, cutoff: float, power: float):
        super().__init__()
        self.register_buffer("frequencies", frequencies)
        self.cutoff, self.power = float(cutoff), float(power)

    def forward(self, lengths: Tensor) -> Tensor:
        """Return (E, R) for lengths (E,), Å."""
        r, p = lengths[:, None], self.power
        x = r / self.cutoff
        fade = (
            1.0
            - 0.5 * (p + 1.0) * (p + 2.0) * x**p
            + p * (p + 2.0) * x ** (p + 1.0)
            - 0.5 * p * (p + 1.0) * x ** (p + 2.0)
        )
        fade = torch.where(x < 1.0, fade, torch.zeros_like(fade))
        return fade * ((2.0 / self.cutoff) ** 0.5 * torch.sin(self.frequencies * x) / r)


class AngularBasis(nn.Module):
    """Sines and cosines of an angle, of frequencies (K,) that need not be whole numbers."""

    def __init__(self, frequencies: Tensor):
        super().__init__()
        self.register_buffer("frequencies", frequencies)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return (A, 1 + 2 K) for unit vectors (A, 3)."""
        # the factor is CHGNet's: without it, the slope of the angle is infinite where three atoms are in line
        angle = torch.acos((first * second).sum(dim=1) * (1.0 - 1e-6))
        phases = torch.outer(angle, self.frequencies)  # (A, K)
        one = torch.full_like(angle, 0.5**0.5)[:, None]
        return torch.cat((one, torch.sin(phases), torch.cos(phases)), dim=1) / torch.pi**0.5


class Gate(nn.Module):
    """A perceptron times another, both after their first matrices."""

    def __init__(self, core: nn.Sequential, gate: nn.Sequential):
        super().__init__()
        self.core, self.gate = core, gate

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., F) for (..., 2 H), of the core and of the gate."""
        core, gate = hidden.chunk(2, dim=1)
        return self.core(core) * self.gate(gate)


def pairs_of_edges(centre: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return all ordered pairs (A,), (A,) of different edges that have the same of n centres (S,), sorted."""
    counts = torch.bincount(centre, minlength=n)  # (n,)
    start = (torch.cumsum(counts, 0) - counts).index_select(0, centre)  # (S,)
    others = counts.index_select(0, centre)  # (S,), itself among them
    edges = torch.arange(centre.size(0), device=centre.device)
    first = torch.repeat_interleave(edges, others)
    before = (torch.cumsum(others, 0) - others).index_select(0, first)
    rank = torch.arange(first.size(0), device=centre.device) - before
    second = rank + start.index_select(0, first)
    kept = torch.nonzero(first != second).flatten()
    return first.index_select(0, kept), second.index_select(0, kept)


class Bonds(NamedTuple):
    """Edges, short edges and angles, and the weights with which what they say fades."""

    centre: Tensor  # (E,)
    neighbor: Tensor  # (E,)
    atom_weights: Tensor  # (E, F)
    short: Tensor  # (S,) which edges are short
    reverse: Tensor  # (S,) of short edges, as in reverse_features
    bond_weights: Tensor  # (S, F)
    first: Tensor  # (A,) the two short edges of each angle
    second: Tensor  # (A,)


class AtomConvolution(nn.Module):
    """What an atom learns from its neighbours.

    Parameters
    ----------
    of_centre, of_bond, of_neighbor : nn.Linear
        Parts of the first matrices of core and gate, F to 2 H.
    gate : Gate
    out, norm : nn.Module
        After the sum over neighbours; after the atom itself is added.
    """

    def __init__(
        self,
        of_centre: nn.Linear,
        of_bond: nn.Linear,
        of_neighbor: nn.Linear,
        gate: Gate,
        out: nn.Module,
        norm: nn.Module,
    ):
        super().__init__()
        self.of_centre, self.of_bond, self.of_neighbor = of_centre, of_bond, of_neighbor
        self.gate, self.out, self.norm = gate, out, norm

    def forward(self, atoms: Tensor, everywhere: Tensor, bonds: Tensor, graph: Bonds) -> Tensor:
        """Return features (n, F), from those of these atoms (n, F), of all atoms (N, F) and of edges (E, F)."""
        hidden = self.of_bond(bonds)  # (E, 2 H)
        hidden = hidden + self.of_centre(atoms).index_select(0, graph.centre)
        hidden = hidden + self.of_neighbor(everywhere).index_select(0, graph.neighbor)
        messages = self.gate(hidden) * graph.atom_weights  # (E, F)
        collected = torch.zeros_like(atoms).index_add(0, graph.centre, messages)  # (n, F)
        return self.norm(self.out(collected) + atoms)


class AngleMessage(nn.Module):
    """What an angle says, from its two bonds, itself and its atom.

    Parameters
    ----------
    of_first, of_second, of_angle, of_centre : nn.Linear
        Parts of the first matrices of core and gate, F to 2 H.
    gate : Gate
    """

    def __init__(
        self,
        of_first: nn.Linear,
        of_second: nn.Linear,
        of_angle: nn.Linear,
        of_centre: nn.Linear,
        gate: Gate,
    ):
        super().__init__()
        self.of_first, self.of_second = of_first, of_second
        self.of_angle, self.of_centre = of_angle, of_centre
        self.gate = gate

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, graph: Bonds) -> Tensor:
        """Return messages (A, F), from features of atoms (n, F), short edges (S, F) and angles (A, F)."""
        centre = graph.centre.index_select(0, graph.short)  # (S,)
        first = self.of_first(bonds) + self.of_centre(atoms).index_select(0, centre)  # (S, 2 H)
        hidden = self.of_angle(angles) + first.index_select(0, graph.first)  # (A, 2 H)
        hidden = hidden + self.of_second(bonds).index_select(0, graph.second)
        return self.gate(hidden)


class BondConvolution(nn.Module):
    """What a short bond learns from the angles at both of its ends.

    Parameters
    ----------
    message : AngleMessage
    out : nn.Module
        After the sum over angles, without a constant: a bond without angles learns nothing.
    """

    def __init__(self, message: AngleMessage, out: nn.Module):
        super().__init__()
        self.message, self.out = message, out

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, graph: Bonds) -> Tensor:
        """Return features of all edges (E, F) from those of atoms (n, F), edges and angles (A, F)."""
        short = bonds.index_select(0, graph.short)  # (S, F)
        messages = self.message(atoms, short, angles, graph)  # (A, F)
        messages = messages * graph.bond_weights.index_select(0, graph.second)
        collected = torch.zeros_like(short).index_add(0, graph.first, messages)
        collected = collected * graph.bond_weights  # (S, F), at this end
        collected = collected + reverse_features(collected, graph.reverse)
        return bonds.index_add(0, graph.short, self.out(collected))


class AngleUpdate(nn.Module):
    """What an angle learns from its two bonds and its atom."""

    def __init__(self, message: AngleMessage, norm: nn.Module):
        super().__init__()
        self.message, self.norm = message, norm

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, graph: Bonds) -> Tensor:
        """Return features (A, F); arguments as of :class:`BondConvolution`."""
        short = bonds.index_select(0, graph.short)  # (S, F)
        return self.norm(angles + self.message(atoms, short, angles, graph))


class Layer(nn.Module):
    """One round: atoms, then bonds, then angles; the last ones leave out what nobody reads."""

    def __init__(
        self,
        of_atoms: AtomConvolution,
        of_bonds: BondConvolution | None,
        of_angles: AngleUpdate | None,
    ):
        super().__init__()
        self.of_atoms, self.of_bonds, self.of_angles = of_atoms, of_bonds, of_angles

    def forward(
        self, atoms: Tensor, everywhere: Tensor, bonds: Tensor, angles: Tensor, graph: Bonds
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the new features of atoms (n, F), edges (E, F) and angles (A, F)."""
        atoms = self.of_atoms(atoms, everywhere, bonds, graph)
        if self.of_bonds is not None:
            bonds = self.of_bonds(atoms, bonds, angles, graph)
        if self.of_angles is not None:
            angles = self.of_angles(atoms, bonds, angles, graph)
        return atoms, bonds, angles


class BondAngleNetwork(nn.Module):
    """Atomic energies and magnetic moments; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    numbers : list of int
        Atomic numbers, in the order of the embedding.
    embedding : (Z, F) tensor
    cutoff, bond_cutoff : float, Å
        Of edges, and of short ones.
    edge_basis, short_basis : RadialBasis
        For edges, and for short ones.
    angle_basis : AngularBasis
    of_bonds, of_angles : nn.Linear
        From the bases to the first features of edges and angles.
    atom_weights, bond_weights : nn.Linear
        From the bases of edges and short edges to the weights of what they say.
    layers : list of Layer
    moment : nn.Linear
        Before the last layer, to a number whose size is the magnetic moment.
    readout : nn.Module
        After the last layer, to the energy.
    """

    heads: list[str]
    feature_exchange = True
    edge_exchange = True

    def __init__(
        self,
        numbers: list[int],
        embedding: Tensor,
        cutoff: float,
        bond_cutoff: float,
        edge_basis: RadialBasis,
        short_basis: RadialBasis,
        angle_basis: AngularBasis,
        of_bonds: nn.Linear,
        of_angles: nn.Linear,
        atom_weights: nn.Linear,
        bond_weights: nn.Linear,
        layers: list[Layer],
        moment: nn.Module,
        readout: nn.Module,
    ):
        super().__init__()
        self.cutoff, self.bond_cutoff = float(cutoff), float(bond_cutoff)
        self.message_passing_layers = len(layers)
        self.heads = ["energy", "magnetic_moments"]
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(numbers)] = torch.arange(len(numbers))
        self.register_buffer("species_index", index)
        self.register_buffer("embedding", embedding)
        self.edge_basis, self.short_basis = edge_basis, short_basis
        self.angle_basis = angle_basis
        self.of_bonds, self.of_angles = of_bonds, of_angles
        self.atom_weights, self.bond_weights = atom_weights, bond_weights
        self.layers = nn.ModuleList(layers)
        self.moment, self.readout = moment, readout

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,), and magnetic moments (N,) in Bohr magnetons."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        lengths = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        units = graph.edge_vectors / lengths[:, None]  # (E, 3)
        basis = self.edge_basis(lengths)  # (E, R)
        short, reverse = keep_edges(graph.reverse_edge, lengths < self.bond_cutoff)
        first, second = pairs_of_edges(graph.edge_index[0].index_select(0, short), n)
        bonds = Bonds(
            graph.edge_index[0],
            graph.edge_index[1],
            self.atom_weights(basis),
            short,
            reverse,
            self.bond_weights(self.short_basis(lengths.index_select(0, short))),
            first,
            second,
        )
        short_units = units.index_select(0, short)  # (S, 3)
        sides = short_units.index_select(0, first), short_units.index_select(0, second)
        of_bonds = self.of_bonds(basis)  # (E, F)
        of_angles = self.of_angles(self.angle_basis(sides[0], sides[1]))  # (A, F)
        everywhere = self.embedding[self.species_index[graph.atomic_numbers]]  # (N, F)
        of_atoms = everywhere[:n]
        moments = of_atoms
        for k, layer in enumerate(self.layers):
            if k > 0:
                everywhere = exchange([of_atoms], n_atoms)[0]
            if k == self.message_passing_layers - 1:
                moments = self.moment(of_atoms.detach())
            of_atoms, of_bonds, of_angles = layer(of_atoms, everywhere, of_bonds, of_angles, bonds)
        return {
            "atomic_energies": pad_to_all(self.readout(of_atoms).flatten(), n_atoms),
            "magnetic_moments": pad_to_all(moments.abs().flatten(), n_atoms),
        }

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        zero = torch.zeros_like(graph.edge_vectors[:1]).expand(graph.atomic_numbers.size(0), 3)
        return {"non_conservative_forces": zero}
