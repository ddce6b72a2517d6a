"""CGCNN: crystal graph convolutions, with an energy head and heads for non-conservative forces and stress.

Xie, Grossman, Phys. Rev. Lett. 120, 145301 (2018) (arXiv:1710.10324). Names follow the paper: features ``v`` of atoms
and ``u`` of bonds, ``z`` of both atoms and the bond, the convolution of equation 5 with its gate ``W_f`` and its core
``W_s``.

The paper predicts one number for a crystal; a force field differs from it in these points:

- Every atom within the cutoff is a neighbour, and what it adds fades out at the cutoff. The paper takes the twelve
  nearest atoms, which changes abruptly as atoms move.
- Sums over neighbours are divided by twelve in place of batch normalisation, with which the energy of a structure
  would depend on the others in its batch.
- The fully connected layers act on each atom and their results are added, instead of a mean over atoms before them.
- Elements have features that are learned, instead of a table of their properties.

The heads for forces and stress are sums over edges (:mod:`mlip_train.networks.pair_forces`,
:mod:`mlip_train.networks.virial`), because invariant features have no direction.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all
from mlip_train.networks.pair_forces import PairForceHead
from mlip_train.networks.plan import plan_heads
from mlip_train.networks.radial import GaussianBasis, polynomial_cutoff
from mlip_train.networks.species import species_rows
from mlip_train.networks.virial import EquivariantVirialHead

N_NEIGHBORS = 12.0  # of the paper


class Convolution(nn.Module):
    """Equation 5: v_i + 1/12 sum_j f_c(r_ij) sigmoid(z_ij W_f + b_f) * g(z_ij W_s + b_s).

    z_ij is v_i, v_j and u_ij joined, g the softplus. Matrices are kept in the parts that act on v_i, v_j and u_ij, each
    for gate and core: those of atoms act once on each atom and not once on each edge.
    """

    def __init__(self, n_features: int, n_basis: int):
        super().__init__()
        self.scale = 1.0 / N_NEIGHBORS
        self.of_centre = nn.Linear(n_features, 2 * n_features)
        self.of_neighbor = nn.Linear(n_features, 2 * n_features, bias=False)
        self.of_bond = nn.Linear(n_basis, 2 * n_features, bias=False)

    def forward(
        self, v: Tensor, u: Tensor, fade: Tensor, edge_index: Tensor, n_atoms: int
    ) -> Tensor:
        """Return the new v (n, F) from v (n, F), bonds u (E, K), the cutoff function (E,) and edges (2, E)."""
        neighbors = exchange([self.of_neighbor(v).to(fade.dtype)], n_atoms)[0]  # (N, 2 F)
        z = self.of_bond(u) + self.of_centre(v).index_select(0, edge_index[0])  # (E, 2 F)
        z = z + neighbors.index_select(0, edge_index[1])
        gate, core = z.chunk(2, dim=1)  # (E, F) each
        weight = (self.scale * fade)[:, None]  # (E, 1)
        messages = weight * torch.sigmoid(gate) * functional.softplus(core)  # (E, F)
        return v.to(messages.dtype).index_add(0, edge_index[0], messages)


class CGCNN(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    n_features : int
    n_basis : int
        Gaussians of the distance.
    n_layers : int
        Convolutions up to the energy.
    n_hidden : int
        Neurons of the fully connected layer after them.
    non_conservative_layer : int
        Convolutions shared by both heads, at most ``n_layers``; 0 for no non-conservative head.
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
        cutoff: float = 5.0,
        n_features: int = 100,
        n_basis: int = 41,
        n_layers: int = 4,
        n_hidden: int = 128,
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
            return nn.ModuleList([Convolution(n_features, n_basis) for _ in range(count)])

        self.shared = layers(plan.n_shared)
        self.energy_layers = layers(n_layers - plan.n_shared)
        self.energy_head = nn.Sequential(
            nn.Linear(n_features, n_hidden), nn.Softplus(), nn.Linear(n_hidden, 1)
        )
        head = (n_features, n_head_basis, cutoff)
        has_head, has_stress = plan.non_conservative_layers > 0, non_conservative_stress
        self.force_head = PairForceHead(*head) if has_head else None
        self.stress_head = EquivariantVirialHead(*head) if has_stress else None

    def _features(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """Run the shared convolutions; return v (n, F), bonds (E, K) and their cutoff function (E,)."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        u, fade = self.basis(distance), polynomial_cutoff(distance, self.cutoff)  # (E, K), (E,)
        v = self.embedding(self.species_index[graph.atomic_numbers[:n]])  # (n, F)
        for layer in self.shared:
            v = layer(v, u, fade, graph.edge_index, n_atoms)
        return v, u, fade

    def _heads(
        self, v: Tensor, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int
    ) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        output: dict[str, Tensor] = {}
        if self.force_head is not None:
            forces = self.force_head(v, edge_index, edge_vectors, n_atoms)  # (n, 3)
            output["non_conservative_forces"] = pad_to_all(forces, n_atoms)
        if self.stress_head is not None:
            virials = self.stress_head(v, edge_index, edge_vectors, n_atoms)  # (n, 3, 3)
            output["non_conservative_virials"] = pad_to_all(virials, n_atoms)
        return output

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        n_atoms = graph.atomic_numbers.size(0)
        v, u, fade = self._features(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative:
            if self.training:
                output = self._heads(v, graph.edge_index, graph.edge_vectors, n_atoms)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                vectors = graph.edge_vectors.detach()
                output = self._heads(v.detach(), graph.edge_index, vectors, n_atoms)
        for layer in self.energy_layers:
            v = layer(v, u, fade, graph.edge_index, n_atoms)
        output["atomic_energies"] = pad_to_all(self.energy_head(v).flatten(), n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        v, _, _ = self._features(graph)
        return self._heads(v, graph.edge_index, graph.edge_vectors, graph.atomic_numbers.size(0))
