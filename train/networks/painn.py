"""PaiNN: polarizable atom interaction network, with an energy head and heads for non-conservative forces and stress.

Schütt, Unke, Gastegger, ICML 2021 (arXiv:2102.03150). Names follow its figure 2: scalar features ``s``, vector
features ``v``, message block (b), update block (c), gated equivariant block (figure 3).

Two things differ from the paper, neither changes the function class of a block:

- The filters W are linear in the radial basis, so no tensor of size edges x features is made of them
  (:func:`mlip_engines.operators.equivariant_message`).
- After ``non_conservative_layer`` shared layers the network splits: the energy goes on through its own layers, the
  non-conservative head through ``n_force_layers`` of its own. The head alone therefore costs only these two parts.

Each layer evaluates atoms on their own, then takes what it gathers from neighbours out of :func:`exchange`. An engine
that divides the atoms among processes can so evaluate each atom of a local graph of N once: here the first n only.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlip_engines.model.graph import Graph
from mlip_engines.operators import (
    bessel_edges,
    equivariant_message,
    equivariant_update,
    evaluated_atoms,
    exchange,
    gated_vectors,
    message_sources,
    pad_to_all,
)
from mlip_train.networks.radial import BesselBasis
from mlip_train.networks.structure_embedding import StructureEmbedding
from mlip_train.networks.virial import EquivariantVirialHead


class Neighborhood(NamedTuple):
    """Edges as the sums over neighbours take them, by centre, with their radial functions."""

    n_atoms: int  # N, of which the first n are evaluated here
    first_edge: Tensor  # (n + 1,) int64
    neighbor: Tensor  # (E,) int64
    radial: Tensor  # (E, K)
    unit: Tensor  # (E, 3), direction of the edge


class Edges(nn.Module):
    """Edge vectors to a neighbourhood."""

    def __init__(self, n_basis: int, cutoff: float):
        super().__init__()
        self.basis = BesselBasis(n_basis, cutoff)

    def forward(self, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int) -> Neighborhood:
        """Return the neighbourhood for edges (2, E) and their vectors (E, 3)."""
        first_edge, neighbor, radial, unit = bessel_edges(
            edge_index,
            edge_vectors,
            self.basis.wavenumbers.size(0),
            self.basis.cutoff,
            evaluated_atoms(n_atoms),
        )
        return Neighborhood(n_atoms, first_edge, neighbor, radial, unit)


class Message(nn.Module):
    """Figure 2b: each atom gathers scalars and vectors from its neighbours."""

    def __init__(self, n_features: int, n_basis: int, is_first: bool = False):
        super().__init__()
        self.n_features = n_features
        self.is_first = is_first
        self.phi = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )
        # W of the paper, one row per basis function: for ds, for dv from v_j, for dv from r_ij.
        scale = n_basis**-0.5
        self.filter_s = nn.Parameter(scale * torch.randn(n_basis, n_features))
        self.filter_vv = nn.Parameter(scale * torch.randn(n_basis, n_features))
        self.filter_vs = nn.Parameter(scale * torch.randn(n_basis, n_features))

    def forward(self, s: Tensor, v: Tensor, edges: Neighborhood) -> Tensor:
        """Return ds, then the components of dv: (n, 4, F)."""
        n_atoms, first_edge, neighbor, radial, unit = edges
        sources = message_sources(
            s,
            v,
            self.phi[0].weight,
            self.phi[0].bias,
            self.phi[2].weight,
            self.phi[2].bias,
            not self.is_first,  # there v is zero, and so is what it would carry
        )  # (n, 2 F or 5 F)
        # Under autocast the scalars come in fewer digits; sums over neighbours keep those of the edges.
        everywhere = exchange([sources.to(radial.dtype)], n_atoms)[0]  # (N, 2 F or 5 F)
        filters = torch.stack((self.filter_s, self.filter_vv, self.filter_vs))  # (3, K, F)
        return equivariant_message(radial, unit, everywhere, filters, first_edge, neighbor)


class Update(nn.Module):
    """Figure 2c: scalars and vectors of one atom act on each other."""

    def __init__(self, n_features: int, norm_width: float):
        super().__init__()
        self.n_features = n_features
        self.norm_width = norm_width
        self.uv = nn.Linear(n_features, 2 * n_features, bias=False)
        self.a = nn.Sequential(
            nn.Linear(2 * n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )

    def forward(self, s: Tensor, v: Tensor, messages: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new s (n, F) and v (n, 3, F), with the messages (n, 4, F) added first."""
        return equivariant_update(
            s,
            v,
            messages,
            self.uv.weight,
            self.a[0].weight,
            self.a[0].bias,
            self.a[2].weight,
            self.a[2].bias,
            self.norm_width,
        )


class Interaction(nn.Module):
    """A message block followed by an update block."""

    def __init__(self, n_features: int, n_basis: int, is_first: bool, norm_width: float):
        super().__init__()
        self.message = Message(n_features, n_basis, is_first)
        self.update = Update(n_features, norm_width)

    def forward(self, s: Tensor, v: Tensor, edges: Neighborhood) -> tuple[Tensor, Tensor]:
        """Return the new s (n, F) and v (n, 3, F)."""
        return self.update(s, v, self.message(s, v, edges))


class GatedEquivariantBlock(nn.Module):
    """Figure 3: scalars gate vectors; the last one leaves a single vector per atom."""

    def __init__(self, n_in: int, n_out: int, norm_width: float):
        super().__init__()
        self.n_out = n_out
        self.norm_width = norm_width
        self.vectors = nn.Linear(n_in, 2 * n_out, bias=False)
        self.scalars = nn.Sequential(
            nn.Linear(n_in + n_out, n_in), nn.SiLU(), nn.Linear(n_in, 2 * n_out)
        )

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return s (N, n_out) and v (N, 3, n_out)."""
        return gated_vectors(
            s,
            v,
            self.vectors.weight,
            self.scalars[0].weight,
            self.scalars[0].bias,
            self.scalars[2].weight,
            self.scalars[2].bias,
            self.norm_width,
        )


class PaiNN(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    n_features : int
    n_basis : int
        Radial functions.
    n_layers : int
        Message-passing layers up to the energy.
    non_conservative_layer : int
        Layers shared by both heads, at most ``n_layers``; 0 for no non-conservative head.
    n_force_layers : int
        Further layers of the non-conservative head alone.
    non_conservative_stress : bool
        Whether there is a head for stress too. It reads the layers of the force head and costs part of one more.
    norm_width : float
        Length of a vector feature below which its norm is a parabola, see
        :func:`mlip_engines.operators.atom_blocks.smooth_norm`.
    force_encoding : bool
        Whether the network can be given forces, as the denoising of structures away from equilibrium needs it
        (:mod:`mlip_train.loop.denoising`). Without forces, in engines above all, its vectors begin with zero as ever.
    charge, spin : bool
        Whether the network depends on the total charge, and on the spin multiplicity. First features are then
        those of the element and of these (:class:`~mlip_train.networks.structure_embedding.StructureEmbedding`).

    Raises
    ------
    ValueError
        If the numbers of layers do not fit each other, or stress is asked for without a force head.
    """

    heads: list[str]
    structure_inputs: list[str]
    encoded_forces: Tensor | None
    feature_exchange = True
    selects_edges = True  # leaves out edges from its cutoff on, so nobody has to before

    def __init__(
        self,
        species: list[int],
        cutoff: float = 4.5,
        n_features: int = 64,
        n_basis: int = 12,
        n_layers: int = 3,
        non_conservative_layer: int = 2,
        n_force_layers: int = 1,
        non_conservative_stress: bool = False,
        norm_width: float = 1.0,
        charge: bool = False,
        spin: bool = False,
        force_encoding: bool = False,
    ):
        super().__init__()
        if n_force_layers < 0:
            raise ValueError(f"expected 0 <= {n_force_layers=}")
        if not norm_width > 0.0:
            raise ValueError(
                f"expected {norm_width=} > 0: at 0 the energy has a cone where vectors vanish"
            )
        if not 0 <= non_conservative_layer <= n_layers:
            raise ValueError(f"expected 0 <= {non_conservative_layer=} <= {n_layers=}")
        self.cutoff = float(cutoff)
        self.n_features = n_features
        self.has_non_conservative = non_conservative_layer > 0
        if non_conservative_stress and not self.has_non_conservative:
            raise ValueError(
                f"{non_conservative_stress=} needs a non-conservative head, got {non_conservative_layer=}"
            )
        self.heads = ["energy"] + ["non_conservative_forces"] * self.has_non_conservative
        self.heads += ["non_conservative_stress"] * non_conservative_stress
        self.message_passing_layers = n_layers
        self.non_conservative_layers = 0
        if self.has_non_conservative:  # the head for stress looks at its neighbours once more
            self.non_conservative_layers = (
                non_conservative_layer + n_force_layers + int(non_conservative_stress)
            )
            self.message_passing_layers = max(n_layers, self.non_conservative_layers)
        n_shared = non_conservative_layer if self.has_non_conservative else n_layers
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(species)] = torch.arange(len(species))
        self.register_buffer("species_index", index)
        self.embedding = nn.Embedding(len(species), n_features)
        self.structure_inputs = ["total_charge"] * charge + ["spin_multiplicity"] * spin
        self.of_charge = StructureEmbedding(n_features, 0.0) if charge else None
        self.of_spin = StructureEmbedding(n_features, 1.0) if spin else None
        self.edges = Edges(n_basis, cutoff)

        def layers(count: int, start: int) -> nn.ModuleList:
            return nn.ModuleList(
                [
                    Interaction(
                        n_features, n_basis, start + k == 0 and not force_encoding, norm_width
                    )
                    for k in range(count)
                ]
            )

        self.encoded_forces = (
            None  # (N, 3) in the unit of the network, while it is trained to denoise
        )
        of_forces = nn.Parameter(torch.randn(n_features)) if force_encoding else None
        self.register_parameter("of_forces", of_forces)  # (F,)
        self.shared = layers(n_shared, 0)
        self.energy_layers = layers(n_layers - n_shared, n_shared)
        self.energy_head = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 1)
        )
        self.force_layers = layers(n_force_layers if self.has_non_conservative else 0, n_shared)
        self.force_head = nn.ModuleList(
            [
                GatedEquivariantBlock(n_features, n_features, norm_width),
                GatedEquivariantBlock(n_features, 1, norm_width),
            ]
        )
        self.stress_head = (
            EquivariantVirialHead(n_features, n_basis, cutoff) if non_conservative_stress else None
        )

    def _features(self, graph: Graph) -> tuple[Tensor, Tensor, Neighborhood]:
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        edges = self.edges(graph.edge_index, graph.edge_vectors, n_atoms)
        s = self.embedding(self.species_index[graph.atomic_numbers[:n]])  # (n, F)
        charge, spin = graph.total_charge, graph.spin_multiplicity
        if self.of_charge is not None and charge is not None:  # a network is given what it declares
            s = s + self.of_charge(charge, graph.structure_index, n)
        if self.of_spin is not None and spin is not None:
            s = s + self.of_spin(spin, graph.structure_index, n)
        v = torch.zeros((n, 3, self.n_features), dtype=s.dtype, device=s.device)  # (n, 3, F)
        given, of_forces = self.encoded_forces, self.of_forces
        if given is not None and of_forces is not None:
            # each layer multiplies vectors with each other: long ones would grow to the fourth, the eighth, ... power
            length = torch.linalg.vector_norm(given, dim=1, keepdim=True)
            v = (given / (1.0 + length))[:n, :, None] * of_forces
        for layer in self.shared:
            s, v = layer(s, v, edges)
        return s, v, edges

    def _heads(
        self,
        s: Tensor,
        v: Tensor,
        edges: Neighborhood,
        edge_index: Tensor,
        edge_vectors: Tensor,
    ) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        output: dict[str, Tensor] = {}
        for layer in self.force_layers:
            s, v = layer(s, v, edges)
        if self.stress_head is not None:
            virials = self.stress_head(s, edge_index, edge_vectors, edges.n_atoms)  # (n, 3, 3)
            output["non_conservative_virials"] = pad_to_all(virials, edges.n_atoms)
        for block in self.force_head:
            s, v = block(s, v)
        output["non_conservative_forces"] = pad_to_all(v.flatten(1), edges.n_atoms)  # (N, 3)
        return output

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        s, v, edges = self._features(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative and self.has_non_conservative:
            if self.training:
                output = self._heads(s, v, edges, graph.edge_index, graph.edge_vectors)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                constant = Neighborhood(
                    edges.n_atoms,
                    edges.first_edge,
                    edges.neighbor,
                    edges.radial.detach(),
                    edges.unit.detach(),
                )
                output = self._heads(
                    s.detach(), v.detach(), constant, graph.edge_index, graph.edge_vectors.detach()
                )
        for layer in self.energy_layers:
            s, v = layer(s, v, edges)
        energies = self.energy_head(s).flatten()  # (n,)
        output["atomic_energies"] = pad_to_all(energies, edges.n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        s, v, edges = self._features(graph)
        return self._heads(s, v, edges, graph.edge_index, graph.edge_vectors)
