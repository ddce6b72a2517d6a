"""SchNet: continuous-filter convolutions, with an energy head and heads for non-conservative forces and stress.

Schütt, Sauceda, Kindermans, Tkatchenko, Müller, J. Chem. Phys. 148, 241722 (2018) (arXiv:1712.06113). Names follow
the paper and its figure 2: features ``x``, interaction blocks, continuous-filter convolution ``cfconv``,
filter-generating network ``W``, ``atom_wise`` layers, shifted softplus ``ssp``.

What differs from the paper: the filters fade out at the cutoff, so that energy and forces are smooth there, and the
Gaussians of the distance are spread over the cutoff. The heads for forces and stress are sums over edges
(:mod:`mlip_train.networks.pair_forces`, :mod:`mlip_train.networks.virial`), because invariant features have no
direction.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all, tensor_product_sum
from mlip_train.networks.neighborhood import first_edges
from mlip_train.networks.pair_forces import PairForceHead
from mlip_train.networks.plan import plan_heads
from mlip_train.networks.radial import GaussianBasis, polynomial_cutoff
from mlip_train.networks.species import species_rows
from mlip_train.networks.virial import EquivariantVirialHead


class ShiftedSoftplus(nn.Module):
    """ssp(x) = ln(0.5 e^x + 0.5)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return values of the shape of x."""
        return functional.softplus(x) - math.log(2.0)


class FilterGenerator(nn.Module):
    """W: two layers on Gaussians of the distance, faded out at the cutoff."""

    def __init__(self, n_basis: int, n_features: int, cutoff: float):
        super().__init__()
        self.cutoff = float(cutoff)
        self.layers = nn.Sequential(
            nn.Linear(n_basis, n_features),
            ShiftedSoftplus(),
            nn.Linear(n_features, n_features),
            ShiftedSoftplus(),
        )

    def forward(self, gaussians: Tensor, distance: Tensor) -> Tensor:
        """Return filters (E, F) from Gaussians (E, K) of distances (E,)."""
        filters = self.layers(gaussians).to(distance.dtype)  # (E, F)
        return filters * polynomial_cutoff(distance, self.cutoff)[:, None]


class Interaction(nn.Module):
    """An interaction block: x + v, with v from an atom-wise layer, cfconv, and two more atom-wise layers."""

    def __init__(self, n_features: int, n_basis: int, cutoff: float):
        super().__init__()
        self.atom_wise_in = nn.Linear(n_features, n_features, bias=False)
        self.filter_generator = FilterGenerator(n_basis, n_features, cutoff)
        self.atom_wise_out = nn.Sequential(
            nn.Linear(n_features, n_features), ShiftedSoftplus(), nn.Linear(n_features, n_features)
        )
        self.register_buffer("coupling", torch.ones(1, 1, 1))
        self.register_buffer("path", torch.zeros(1, dtype=torch.int64))

    def cfconv(self, x: Tensor, filters: Tensor, first_edge: Tensor, neighbor: Tensor) -> Tensor:
        """Return sum_j x_j * W(r_ij) (n, F) from x (N, F) and filters (E, F)."""
        one = torch.ones((filters.size(0), 1), dtype=filters.dtype, device=filters.device)
        # The tensor product of scalars: every feature of a neighbour times its filter.
        return tensor_product_sum(
            x[:, None], one, filters[:, None], self.coupling, self.path, first_edge, neighbor
        ).flatten(1)

    def forward(
        self,
        x: Tensor,
        gaussians: Tensor,
        distance: Tensor,
        first_edge: Tensor,
        neighbor: Tensor,
        n_atoms: int,
    ) -> Tensor:
        """Return the new x (n, F) from x (n, F)."""
        filters = self.filter_generator(gaussians, distance)  # (E, F)
        everywhere = exchange([self.atom_wise_in(x).to(filters.dtype)], n_atoms)[0]  # (N, F)
        return x + self.atom_wise_out(self.cfconv(everywhere, filters, first_edge, neighbor))


class SchNet(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    n_features : int
        64 in the paper.
    n_basis : int
        Gaussians of the distance.
    n_layers : int
        Interaction blocks up to the energy.
    non_conservative_layer : int
        Interaction blocks shared by both heads, at most ``n_layers``; 0 for no non-conservative head.
    non_conservative_stress : bool
        Whether there is a head for stress too.
    n_head_basis : int
        Radial functions of the non-conservative heads.

    Raises
    ------
    ValueError
        If the numbers of layers do not fit each other, or stress is asked for without a force head.
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        species: list[int],
        cutoff: float = 4.5,
        n_features: int = 64,
        n_basis: int = 25,
        n_layers: int = 3,
        non_conservative_layer: int = 2,
        non_conservative_stress: bool = False,
        n_head_basis: int = 8,
    ):
        super().__init__()
        # The heads look at their neighbours once more.
        plan = plan_heads(
            n_layers, non_conservative_layer, stress=non_conservative_stress, further_layers=1
        )
        self.cutoff = float(cutoff)
        self.heads = plan.heads
        self.message_passing_layers = plan.message_passing_layers
        self.non_conservative_layers = plan.non_conservative_layers
        self.register_buffer("species_index", species_rows(species))
        self.embedding = nn.Embedding(len(species), n_features)
        self.basis = GaussianBasis(n_basis, cutoff)

        def layers(count: int) -> nn.ModuleList:
            return nn.ModuleList([Interaction(n_features, n_basis, cutoff) for _ in range(count)])

        self.shared = layers(plan.n_shared)
        self.energy_layers = layers(n_layers - plan.n_shared)
        n_hidden = max(n_features // 2, 1)
        self.energy_head = nn.Sequential(
            nn.Linear(n_features, n_hidden), ShiftedSoftplus(), nn.Linear(n_hidden, 1)
        )
        head = (n_features, n_head_basis, cutoff)
        has_head, has_stress = plan.non_conservative_layers > 0, non_conservative_stress
        self.force_head = PairForceHead(*head) if has_head else None
        self.stress_head = EquivariantVirialHead(*head) if has_stress else None

    def _features(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the shared blocks; return x (n, F), Gaussians (E, K), distances (E,) and first edges (n + 1,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        gaussians = self.basis(distance)  # (E, K)
        first_edge = first_edges(graph.edge_index[0], n)  # (n + 1,)
        neighbor = graph.edge_index[1].contiguous()  # (E,)
        x = self.embedding(self.species_index[graph.atomic_numbers[:n]])  # (n, F)
        for layer in self.shared:
            x = layer(x, gaussians, distance, first_edge, neighbor, n_atoms)
        return x, gaussians, distance, first_edge

    def _heads(
        self, x: Tensor, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int
    ) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        output: dict[str, Tensor] = {}
        if self.force_head is not None:
            forces = self.force_head(x, edge_index, edge_vectors, n_atoms)  # (n, 3)
            output["non_conservative_forces"] = pad_to_all(forces, n_atoms)
        if self.stress_head is not None:
            virials = self.stress_head(x, edge_index, edge_vectors, n_atoms)  # (n, 3, 3)
            output["non_conservative_virials"] = pad_to_all(virials, n_atoms)
        return output

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        n_atoms = graph.atomic_numbers.size(0)
        x, gaussians, distance, first_edge = self._features(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative:
            if self.training:
                output = self._heads(x, graph.edge_index, graph.edge_vectors, n_atoms)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                vectors = graph.edge_vectors.detach()
                output = self._heads(x.detach(), graph.edge_index, vectors, n_atoms)
        neighbor = graph.edge_index[1].contiguous()
        for layer in self.energy_layers:
            x = layer(x, gaussians, distance, first_edge, neighbor, n_atoms)
        output["atomic_energies"] = pad_to_all(self.energy_head(x).flatten(), n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        x, _, _, _ = self._features(graph)
        return self._heads(x, graph.edge_index, graph.edge_vectors, graph.atomic_numbers.size(0))
