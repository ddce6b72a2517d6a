"""The equivariant transformer of TorchMD-Net, with an energy head and heads for non-conservative forces and stress.

Thölke, De Fabritiis, ICLR 2022 (arXiv:2202.02541). Names follow its section 3 and figure 1: invariant features ``x``,
equivariant features ``v``, radial functions ``e_RBF``, cutoff function ``phi``, queries ``q``, keys ``k``, and the
embedding of neighbours. An update layer is a residual block: layer normalisation, attention, exchange between x and v.

What differs from the paper:

- The cutoff function has a second derivative that is continuous; the cosine of the paper jumps there.
- Messages to the vectors fade out at the cutoff too, by the same function. Otherwise they, and the energy, would jump.
- Lengths of vectors in the heads are smooth at zero (:func:`mlip_train.networks.painn.smooth_norm`), so that crystals
  have force constants.
- An atom does not attend to itself.

========  ==========================================================
symbol    size
========  ==========================================================
N, n, E   atoms, those of them that are evaluated here, their edges
K         radial functions
F         features
H         attention heads, each F / H wide
========  ==========================================================
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, pad_to_all, tensor_product_sum
from mlip_train.networks.glorot import begin_with_glorot
from mlip_train.networks.neighborhood import first_edges
from mlip_train.networks.painn import GatedEquivariantBlock
from mlip_train.networks.plan import plan_heads
from mlip_train.networks.radial import polynomial_cutoff
from mlip_train.networks.species import species_rows
from mlip_train.networks.virial import EquivariantVirialHead


class ExponentialBasis(nn.Module):
    """Gaussians of exp(-a r), narrow at short distances, times the cutoff function.

    e_k(r) = phi(r) exp(-beta (exp(-a r) - mu_k)^2),  a = 5 / cutoff, so that a is 1 / Å for the 5 Å of the paper

    with mu_k at equal distances from exp(-5) to 1 and beta = (2 / K (1 - exp(-5)))^-2.
    """

    def __init__(self, n_basis: int, cutoff: float):
        super().__init__()
        self.cutoff = float(cutoff)
        self.rate = 5.0 / cutoff
        end = math.exp(-5.0)
        self.beta = (2.0 / n_basis * (1.0 - end)) ** -2
        self.register_buffer("mu", torch.linspace(end, 1.0, n_basis))

    def forward(self, distance: Tensor) -> Tensor:
        """Return the basis (E, K) at distances (E,), Å."""
        offset = torch.exp(-self.rate * distance)[:, None] - self.mu  # (E, K)
        fade = polynomial_cutoff(distance, self.cutoff)[:, None]  # (E, 1)
        return fade * torch.exp(-self.beta * offset * offset)


class Neighborhood(NamedTuple):
    """Edges by centre, with what depends on their vectors alone."""

    n_atoms: int  # N, of which the first n are evaluated here
    centre: Tensor  # (E,) int64
    neighbor: Tensor  # (E,) int64
    first_edge: Tensor  # (n + 1,) int64
    radial: Tensor  # (E, K)
    fade: Tensor  # (E, 1), phi
    harmonics: Tensor  # (E, 4): one, and the direction of the edge


class NeighborEmbedding(nn.Module):
    """Embedding layer: features of an atom from its own element and those of its neighbours."""

    def __init__(self, n_species: int, n_basis: int, n_features: int):
        super().__init__()
        self.own = nn.Embedding(n_species, n_features)
        self.neighbors = nn.Embedding(n_species, n_features)
        self.w_f = nn.Linear(n_basis, n_features)
        self.w_c = nn.Linear(2 * n_features, n_features)
        self.register_buffer("coupling", torch.ones(1, 1, 1))
        self.register_buffer("path", torch.zeros(1, dtype=torch.int64))

    def forward(self, kind: Tensor, edges: Neighborhood) -> Tensor:
        """Return x (n, F) from rows of the elements (N,)."""
        n = edges.first_edge.size(0) - 1
        filters = self.w_f(edges.radial).to(edges.fade.dtype) * edges.fade  # (E, F)
        sources = self.neighbors(kind)[:, None]  # (N, 1, F)
        one = edges.harmonics[:, :1].contiguous()  # (E, 1)
        gathered = tensor_product_sum(
            sources,
            one,
            filters[:, None],
            self.coupling,
            self.path,
            edges.first_edge,
            edges.neighbor,
        )
        return self.w_c(torch.cat((self.own(kind[:n]), gathered.flatten(1)), dim=1))  # (n, F)


class Attention(nn.Module):
    """Modified multi-head attention: what each atom gathers from its neighbours.

    A_ij = silu(sum over a head of q_i k_j D^K_ij) phi(r_ij),  D = silu(W e_RBF(r_ij) + b)
    s1, s2, s3 = v_j D^V_ij
    y_i = sum_j A_ij s3_ij,  u_i = sum_j phi(r_ij) (s1_ij v_j + s2_ij r_ij / |r_ij|)

    In the first layer the vectors are zero, and s1 is left out.
    """

    def __init__(self, n_features: int, n_basis: int, n_heads: int, is_first: bool):
        super().__init__()
        self.n_features = n_features
        self.n_heads = n_heads
        self.is_first = is_first
        n_values = 2 if is_first else 3  # s3, s2 and s1
        self.n_values = n_values
        self.query = nn.Linear(n_features, n_features)
        self.key = nn.Linear(n_features, n_features)
        self.value = nn.Linear(n_features, n_values * n_features)
        self.distance_key = nn.Linear(n_basis, n_features)
        self.distance_value = nn.Linear(n_basis, n_values * n_features)
        # One call gathers all: inputs s3, s2 and the components of s1 * v; outputs y, s2 * r and s1 * v.
        n_in, n_out = (2, 4) if is_first else (5, 7)
        coupling = torch.zeros(4, n_out, n_in)
        coupling[0, 0, 0] = 1.0
        for d in range(3):
            coupling[1 + d, 1 + d, 1] = 1.0
            if not is_first:
                coupling[0, 4 + d, 2 + d] = 1.0
        self.register_buffer("coupling", coupling)
        path = [0, 1, 1, 1] if is_first else [0, 1, 1, 1, 2, 2, 2]
        self.register_buffer("path", torch.tensor(path))

    def forward(self, x: Tensor, v: Tensor, edges: Neighborhood) -> tuple[Tensor, Tensor]:
        """Return y (n, F) and u (n, 3, F) from x (n, F) and v (n, 3, F)."""
        f = self.n_features
        values = self.value(x)  # (n, 2 F or 3 F)
        parts = [self.key(x), values[:, : 2 * f]]
        if not self.is_first:
            parts.append((values[:, None, 2 * f :] * v).flatten(1))  # (n, 3 F)
        # Under autocast these come in fewer digits; sums over neighbours keep those of the edges.
        carried = torch.cat(parts, dim=1).to(edges.fade.dtype)
        everywhere = exchange([carried], edges.n_atoms)[0]  # (N, 3 F or 6 F)

        d_k = functional.silu(self.distance_key(edges.radial)).to(edges.fade.dtype)  # (E, F)
        d_v = functional.silu(self.distance_value(edges.radial)).to(edges.fade.dtype)
        q = self.query(x).to(edges.fade.dtype).index_select(0, edges.centre)  # (E, F)
        k = everywhere[:, :f].index_select(0, edges.neighbor)  # (E, F)
        logits = (q * k * d_k).view(-1, self.n_heads, f // self.n_heads).sum(dim=2)  # (E, H)
        attention = functional.silu(logits)[:, :, None] * edges.fade[:, :, None]  # (E, H, 1)
        of_s3 = d_v[:, :f].view(-1, self.n_heads, f // self.n_heads) * attention
        of_vectors = d_v[:, f:] * edges.fade  # (E, F or 2 F)
        weights = torch.cat((of_s3.flatten(1), of_vectors), dim=1)
        gathered = tensor_product_sum(
            everywhere[:, f:].reshape(everywhere.size(0), -1, f),
            edges.harmonics,
            weights.view(-1, self.n_values, f),
            self.coupling,
            self.path,
            edges.first_edge,
            edges.neighbor,
        )  # (n, 4 or 7, F)
        u = gathered[:, 1:4]
        if not self.is_first:
            u = u + gathered[:, 4:7]
        return gathered[:, 0], u


class UpdateLayer(nn.Module):
    """Update layer: attention, then exchange between invariant and equivariant features.

    x + q1 + q2 <U1 v, U2 v>,  v + q3 U3 v + u,  with q1, q2, q3 = W y
    """

    def __init__(self, n_features: int, n_basis: int, n_heads: int, is_first: bool):
        super().__init__()
        self.n_features = n_features
        self.norm = nn.LayerNorm(n_features)
        self.attention = Attention(n_features, n_basis, n_heads, is_first)
        self.out = nn.Linear(n_features, 3 * n_features)
        self.u = nn.Linear(n_features, 3 * n_features, bias=False)

    def forward(self, x: Tensor, v: Tensor, edges: Neighborhood) -> tuple[Tensor, Tensor]:
        """Return the new x (n, F) and v (n, 3, F)."""
        y, u = self.attention(self.norm(x), v, edges)
        q1, q2, q3 = self.out(y).split(self.n_features, dim=1)  # (n, F) each
        u1, u2, u3 = self.u(v).split(self.n_features, dim=2)  # (n, 3, F) each
        x = x + q1 + q2 * (u1 * u2).sum(dim=1)
        return x, v + q3[:, None, :] * u3 + u


class VectorHead(nn.Module):
    """A scalar and a vector for each atom, from a gated equivariant block between normalisation and a gated sum."""

    def __init__(self, n_features: int, norm_width: float):
        super().__init__()
        n_half = max(n_features // 2, 1)
        self.norm = nn.LayerNorm(n_features)
        self.first = GatedEquivariantBlock(n_features, n_half, norm_width)
        self.vectors = nn.Linear(n_half, 1, bias=False)
        self.scalars = nn.Sequential(nn.Linear(n_half, n_half), nn.SiLU(), nn.Linear(n_half, 2))

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return a scalar (n,) and a vector (n, 3) from x (n, F) and v (n, 3, F)."""
        x, v = self.first(self.norm(x), v)  # (n, F / 2), (n, 3, F / 2)
        scalar, gate = self.scalars(x).unbind(1)  # (n,) each
        return scalar, gate[:, None] * self.vectors(v).flatten(1)


class TorchMDNet(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    n_features : int
        A multiple of ``n_heads``.
    n_basis : int
        Radial functions.
    n_heads : int
        Of attention.
    n_layers : int
        Update layers up to the energy.
    non_conservative_layer : int
        Layers shared by both heads, at most ``n_layers``; 0 for no non-conservative head.
    non_conservative_stress : bool
        Whether there is a head for stress too. It costs part of one more layer.
    norm_width : float
        Length of a vector feature below which its norm is a parabola
        (:func:`mlip_train.networks.painn.smooth_norm`).

    Raises
    ------
    ValueError
        If sizes or numbers of layers do not fit each other, or stress is asked for without a force head.
    """

    heads: list[str]
    feature_exchange = True

    def __init__(
        self,
        species: list[int],
        cutoff: float = 5.0,
        n_features: int = 64,
        n_basis: int = 32,
        n_heads: int = 8,
        n_layers: int = 3,
        non_conservative_layer: int = 2,
        non_conservative_stress: bool = False,
        norm_width: float = 1.0,
    ):
        super().__init__()
        if n_heads < 1 or n_features < 1 or n_features % n_heads != 0:
            raise ValueError(f"expected {n_features=} to be a multiple of {n_heads=}")
        if n_basis < 2:
            raise ValueError(f"expected {n_basis=} >= 2")
        if not norm_width > 0.0:
            raise ValueError(
                f"expected {norm_width=} > 0: at 0 the energy has a cone where vectors vanish"
            )
        # The embedding looks at neighbours, and the head for stress does once more.
        plan = plan_heads(
            n_layers,
            non_conservative_layer,
            stress=non_conservative_stress,
            further_layers=int(non_conservative_stress),
        )
        self.cutoff = float(cutoff)
        self.n_features = n_features
        self.heads = plan.heads
        has_head = non_conservative_layer > 0
        self.message_passing_layers = 1 + plan.message_passing_layers
        self.non_conservative_layers = 1 + plan.non_conservative_layers if has_head else 0
        self.register_buffer("species_index", species_rows(species))
        self.basis = ExponentialBasis(n_basis, cutoff)
        self.embedding = NeighborEmbedding(len(species), n_basis, n_features)

        def layers(count: int, start: int) -> nn.ModuleList:
            sizes = n_features, n_basis, n_heads
            return nn.ModuleList([UpdateLayer(*sizes, start + k == 0) for k in range(count)])

        self.shared = layers(plan.n_shared, 0)
        self.energy_layers = layers(n_layers - plan.n_shared, plan.n_shared)
        self.energy_head = VectorHead(n_features, norm_width)
        self.force_head = VectorHead(n_features, norm_width) if has_head else None
        self.stress_head = None
        if non_conservative_stress:
            self.stress_head = EquivariantVirialHead(n_features, min(n_basis, 8), cutoff)
        begin_with_glorot(self)

    def _features(self, graph: Graph) -> tuple[Tensor, Tensor, Neighborhood]:
        """Run the shared layers; return x (n, F), v (n, 3, F) and the edges."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        unit = graph.edge_vectors / distance[:, None]  # (E, 3)
        edges = Neighborhood(
            n_atoms,
            graph.edge_index[0],
            graph.edge_index[1].contiguous(),
            first_edges(graph.edge_index[0], n),
            self.basis(distance),
            polynomial_cutoff(distance, self.cutoff)[:, None],
            torch.cat((torch.ones_like(unit[:, :1]), unit), dim=1),
        )
        x = self.embedding(self.species_index[graph.atomic_numbers], edges)  # (n, F)
        v = torch.zeros((n, 3, self.n_features), dtype=unit.dtype, device=unit.device)
        for layer in self.shared:
            x, v = layer(x, v, edges)
        return x, v, edges

    def _heads(
        self, x: Tensor, v: Tensor, edge_index: Tensor, edge_vectors: Tensor, n_atoms: int
    ) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        output: dict[str, Tensor] = {}
        if self.force_head is not None:
            _, forces = self.force_head(x, v)  # (n, 3)
            output["non_conservative_forces"] = pad_to_all(forces, n_atoms)
        if self.stress_head is not None:
            virials = self.stress_head(x, edge_index, edge_vectors, n_atoms)  # (n, 3, 3)
            output["non_conservative_virials"] = pad_to_all(virials, n_atoms)
        return output

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        n_atoms = graph.atomic_numbers.size(0)
        x, v, edges = self._features(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative:
            if self.training:
                output = self._heads(x, v, graph.edge_index, graph.edge_vectors, n_atoms)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                vectors = graph.edge_vectors.detach()
                output = self._heads(x.detach(), v.detach(), graph.edge_index, vectors, n_atoms)
        for layer in self.energy_layers:
            x, v = layer(x, v, edges)
        energies, _ = self.energy_head(x, v)  # (n,)
        output["atomic_energies"] = pad_to_all(energies, n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        x, v, _ = self._features(graph)
        n_atoms = graph.atomic_numbers.size(0)
        return self._heads(x, v, graph.edge_index, graph.edge_vectors, n_atoms)
