"""M3GNet: graph convolutions with three-body terms, with heads for energy, non-conservative forces and stress.

Chen, Ong, Nature Comput. Sci. 2, 718 (2022) (arXiv:2202.02450). Names follow the paper: features ``v`` of atoms and
``e`` of bonds, three-body sums ``ẽ``, gated perceptrons ``phi``, gate ``g``, radial functions ``h``. Each direction of
an edge has features of its own, which belong to its centre i. The size of MatterSim-v1.0.0-1M (Yang et al.,
arXiv:2405.04967) is ``n_features=128, n_layers=3``.

The three-body sum runs over all pairs of short edges of an atom in the paper. Here no pair is formed: by the addition
theorem of spherical harmonics the sum over k is a sum over the edges of i for each harmonic, from which every edge ij
takes its part,

  sum_k R_k Y_l0(theta_jik) = sqrt((2 l + 1) / (4 pi)) sum_m C_lm(r_ij) (sum_k R_k C_lm(r_ik)),

with Racah's normalisation of C_lm, less the term k = j, for which theta is zero. The result is the same, and the cost
grows with the number of edges.

What differs from the paper: there is no state of the structure as a whole, bond features start linear in the radial
functions, and the perceptrons that put the three-body sums into the bonds have no biases, so that an edge between the
two cutoffs is left as it is. The heads for forces and stress are sums over edges of a scalar that the bond features of
both directions give, so forces turn with the structure and add up to zero.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import (
    evaluated_atoms,
    exchange,
    pad_to_all,
    reverse_features,
    tensor_product_sum,
)
from mlip_train.networks.glorot import begin_with_glorot
from mlip_train.networks.neighborhood import first_edges
from mlip_train.networks.plan import plan_heads
from mlip_train.networks.species import species_rows
from mlip_train.networks.three_body import SphericalBessel, racah_harmonics


class SmoothRadialBasis(nn.Module):
    """Orthonormal radial functions h_m that are zero at the cutoff with their first two derivatives.

    f_m(r) = (-1)^m sqrt(2) pi / c^(3/2) (m + 1)(m + 2) / sqrt((m + 1)^2 + (m + 2)^2)
             (sinc(r (m + 1) pi / c) + sinc(r (m + 2) pi / c)),  sinc(x) = sin(x) / x
    h_m = (f_m + sqrt(e_m / d_(m - 1)) h_(m - 1)) / sqrt(d_m)
    d_m = 1 - e_m / d_(m - 1),  e_m = m^2 (m + 2)^2 / (4 (m + 1)^4 + 1)

    References
    ----------
    Kocer, Mason, Erturk, J. Chem. Phys. 150, 154102 (2019); methods section of the paper on M3GNet.
    """

    def __init__(self, n_basis: int, cutoff: float):
        super().__init__()
        self.cutoff = float(cutoff)
        mixing = torch.zeros(n_basis, n_basis, dtype=torch.float64)  # h_m = sum_k mixing[m, k] f_k
        before = 1.0  # d_(m - 1)
        for m in range(n_basis):
            e = m**2 * (m + 2) ** 2 / (4 * (m + 1) ** 4 + 1)
            d = 1.0 - e / before
            factor = (-1) ** m * math.sqrt(2.0) * math.pi / cutoff**1.5
            factor *= (m + 1) * (m + 2) / math.sqrt((m + 1) ** 2 + (m + 2) ** 2)
            if m > 0:
                mixing[m] = math.sqrt(e / before) * mixing[m - 1]
            mixing[m, m] = factor
            mixing[m] /= math.sqrt(d)
            before = d
        waves = torch.zeros(n_basis, n_basis + 1, dtype=torch.float64)  # f in sinc functions
        for m in range(n_basis):
            waves[m, m] = waves[m, m + 1] = 1.0
        self.register_buffer("coefficients", (mixing @ waves).T.to(torch.float32))
        self.register_buffer("numbers", torch.arange(1, n_basis + 2).to(torch.float32))

    def forward(self, distance: Tensor) -> Tensor:
        """Return h (E, n_basis) at distances (E,), Å."""
        x = distance[:, None] * (self.numbers * (math.pi / self.cutoff))  # (E, n_basis + 1)
        return (torch.sin(x) / x) @ self.coefficients


def three_body_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    """Evaluate f_c(r) = 1 - 6 (r / c)^5 + 15 (r / c)^4 - 10 (r / c)^3 (E,) at distances (E,), Å, up to the cutoff c."""
    x = (distance / cutoff).clamp(max=1.0)
    return 1.0 - x * x * x * (10.0 - 15.0 * x + 6.0 * x * x)


class Neighborhood(NamedTuple):
    """Edges by centre, and those of them that are short enough for three-body terms."""

    n_atoms: int  # N, of which the first n are evaluated here
    centre: Tensor  # (E,) int64
    neighbor: Tensor  # (E,) int64
    radial: Tensor  # (E, K), h
    short: Tensor  # (S,) int64, the short edges
    short_first: Tensor  # (n + 1,) int64, where those of each atom begin
    harmonics: Tensor  # (S, L^2), C_lm
    bessel: Tensor  # (S, L, n_roots), j_l(z_ln r / c) f_c(r)
    fade: Tensor  # (S, 1, 1), f_c(r)


class ThreeBody(nn.Module):
    """Three-body sums of the short edges, and what they add to the bonds.

    ẽ_ij = f_c(r_ij) sum_(k not j) j_l(z_ln r_ik / c) Y_l0(theta_jik) f_c(r_ik) sigmoid(W_v v_k + b_v)
    e_ij + g(W_2 ẽ_ij) sigmoid(W_1 ẽ_ij)

    for degrees l and roots n, with g the SiLU.
    """

    def __init__(self, n_features: int, n_degrees: int, n_roots: int):
        super().__init__()
        self.n_degrees = n_degrees
        self.n_roots = n_roots
        size = n_degrees * n_roots
        self.of_third = nn.Linear(n_features, size)  # W_v
        self.gate_and_core = nn.Linear(size, 2 * n_features, bias=False)  # W_1, W_2
        degree = torch.tensor([k for k in range(n_degrees) for _ in range(2 * k + 1)])
        square = n_degrees * n_degrees
        coupling = torch.zeros(square, square, n_degrees)
        coupling[torch.arange(square), torch.arange(square), degree] = 1.0
        self.register_buffer("coupling", coupling)
        self.register_buffer("degree", degree)
        l_plus_half = torch.arange(n_degrees) + 0.5
        # Of the Legendre polynomial in Y_l0.
        self.register_buffer("scale", (l_plus_half / (2.0 * math.pi)).sqrt()[:, None])

    def sums(self, everywhere: Tensor, edges: Neighborhood) -> Tensor:
        """Return ẽ (S, L, n_roots) from features of all atoms (N, F)."""
        third = torch.sigmoid(self.of_third(everywhere)).to(edges.fade.dtype)  # (N, L n_roots)
        third = third.view(-1, self.n_degrees, self.n_roots)
        ends = edges.neighbor.index_select(0, edges.short)  # (S,)
        starts = edges.centre.index_select(0, edges.short)
        of_atoms = tensor_product_sum(
            third,
            edges.harmonics,
            edges.bessel,
            self.coupling,
            self.degree,
            edges.short_first,
            ends,
        )  # (n, L^2, n_roots), the sums over k for each harmonic
        parts = of_atoms.index_select(0, starts) * edges.harmonics[:, :, None]
        rows = []
        for k in range(self.n_degrees):
            rows.append(parts[:, k * k : (k + 1) * (k + 1)].sum(dim=1))
        own = edges.bessel * third.index_select(0, ends)  # the term k = j
        return edges.fade * self.scale * (torch.stack(rows, dim=1) - own)

    def forward(self, everywhere: Tensor, e: Tensor, edges: Neighborhood) -> Tensor:
        """Return the new e (E, F) from features of all atoms (N, F) and bonds (E, F)."""
        both = self.gate_and_core(self.sums(everywhere, edges).flatten(1))  # (S, 2 F)
        gate, core = both.chunk(2, dim=1)  # (S, F) each
        update = functional.silu(core) * torch.sigmoid(gate)  # (S, F)
        return e.index_add(0, edges.short, update.to(e.dtype))


class GatedPerceptron(nn.Module):
    """phi of the paper: two layers of a core times two layers of a gate, on two atoms and their bond joined.

    The first matrices are kept in the parts that act on v_i, v_j and e_ij: those of atoms act once on each atom.
    """

    def __init__(self, n_features: int):
        super().__init__()
        self.of_centre = nn.Linear(n_features, 2 * n_features)
        self.of_neighbor = nn.Linear(n_features, 2 * n_features, bias=False)
        self.of_bond = nn.Linear(n_features, 2 * n_features, bias=False)
        self.core = nn.Linear(n_features, n_features)
        self.gate = nn.Linear(n_features, n_features)

    def forward(self, v: Tensor, everywhere: Tensor, e: Tensor, edges: Neighborhood) -> Tensor:
        """Return (E, F) from features of these atoms (n, F), all atoms (N, F) and bonds (E, F)."""
        hidden = self.of_bond(e) + self.of_centre(v).index_select(0, edges.centre)  # (E, 2 F)
        hidden = hidden + self.of_neighbor(everywhere).index_select(0, edges.neighbor)
        core, gate = functional.silu(hidden).chunk(2, dim=1)  # (E, F) each
        return functional.silu(self.core(core)) * torch.sigmoid(self.gate(gate))


class Block(nn.Module):
    """One round: bonds from three-body sums, bonds from atoms, atoms from bonds.

    e_ij + phi_e(v_i, v_j, e_ij) W_e h_ij,  then  v_i + sum_j phi_v(v_i, v_j, e_ij) W_v h_ij
    """

    def __init__(self, n_features: int, n_basis: int, n_degrees: int, n_roots: int):
        super().__init__()
        self.three_body = ThreeBody(n_features, n_degrees, n_roots)
        self.phi_e = GatedPerceptron(n_features)
        self.phi_v = GatedPerceptron(n_features)
        self.w_e = nn.Linear(n_basis, n_features, bias=False)
        self.w_v = nn.Linear(n_basis, n_features, bias=False)

    def forward(self, v: Tensor, e: Tensor, edges: Neighborhood) -> tuple[Tensor, Tensor]:
        """Return the new v (n, F) and e (E, F)."""
        everywhere = exchange([v], edges.n_atoms)[0]  # (N, F)
        e = self.three_body(everywhere, e, edges)
        e = e + self.phi_e(v, everywhere, e, edges) * self.w_e(edges.radial)
        messages = self.phi_v(v, everywhere, e, edges) * self.w_v(edges.radial)  # (E, F)
        # Under autocast messages come in fewer digits; sums over neighbours keep those of the edges.
        return v.index_add(0, edges.centre, messages.to(v.dtype)), e


class BondScalars(nn.Module):
    """w_ij = w_ji: what the bond features of both directions say about an edge, zero at the cutoff.

    w_ij = b_ij + b_ji,  b_ij = sum_c a_c(e_ij) R_c(r_ij) with R linear in the radial functions
    """

    def __init__(self, n_features: int, n_basis: int):
        super().__init__()
        self.a = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, n_features)
        )
        self.radial = nn.Linear(n_basis, n_features, bias=False)  # R

    def forward(self, e: Tensor, radial: Tensor, reverse_edge: Tensor) -> Tensor:
        """Return w (E,) from bonds (E, F) and radial functions (E, K)."""
        b = (self.a(e) * self.radial(radial)).sum(dim=1, keepdim=True).to(radial.dtype)  # (E, 1)
        return (b + reverse_features(b, reverse_edge)).flatten()


class M3GNet(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    three_body_cutoff : float, Å
        At most ``cutoff``: pairs of edges shorter than this make three-body terms.
    n_features : int
        64 in the paper, 128 in MatterSim-v1.0.0-1M.
    n_basis : int
        Radial functions.
    n_degrees : int
        Of three-body terms, l = 0 .. n_degrees - 1; at most 4.
    n_roots : int
        Of each spherical Bessel function.
    n_layers : int
        Blocks up to the energy.
    non_conservative_layer : int
        Blocks shared by both heads, at most ``n_layers``; 0 for no non-conservative head.
    non_conservative_stress : bool
        Whether there is a head for stress too.

    Raises
    ------
    ValueError
        If cutoffs, degrees or numbers of layers do not fit each other, or stress is asked for without a force head.
    """

    heads: list[str]
    feature_exchange = True
    edge_exchange = True

    def __init__(
        self,
        species: list[int],
        cutoff: float = 5.0,
        three_body_cutoff: float = 4.0,
        n_features: int = 64,
        n_basis: int = 4,
        n_degrees: int = 4,
        n_roots: int = 4,
        n_layers: int = 3,
        non_conservative_layer: int = 2,
        non_conservative_stress: bool = False,
    ):
        super().__init__()
        if not 0.0 < three_body_cutoff <= cutoff:
            raise ValueError(f"expected 0 < {three_body_cutoff=} <= {cutoff=}")
        if n_basis < 1 or n_roots < 1:
            raise ValueError(f"expected at least 1, got {n_basis=} and {n_roots=}")
        # The bond that points back to an atom knows the neighbours of its neighbours.
        plan = plan_heads(
            n_layers, non_conservative_layer, stress=non_conservative_stress, further_layers=1
        )
        self.cutoff = float(cutoff)
        self.three_body_cutoff = float(three_body_cutoff)
        self.n_degrees = n_degrees
        self.heads = plan.heads
        self.message_passing_layers = plan.message_passing_layers
        self.non_conservative_layers = plan.non_conservative_layers
        self.register_buffer("species_index", species_rows(species))
        self.embedding = nn.Embedding(len(species), n_features)
        self.basis = SmoothRadialBasis(n_basis, cutoff)
        self.bessel = SphericalBessel(n_degrees, n_roots, three_body_cutoff)
        self.bonds = nn.Linear(n_basis, n_features, bias=False)

        def layers(count: int) -> nn.ModuleList:
            sizes = n_features, n_basis, n_degrees, n_roots
            return nn.ModuleList([Block(*sizes) for _ in range(count)])

        self.shared = layers(plan.n_shared)
        self.energy_layers = layers(n_layers - plan.n_shared)
        self.energy_head = nn.ModuleDict(
            {"core": self._readout(n_features), "gate": self._readout(n_features)}
        )
        has_head = plan.non_conservative_layers > 0
        self.force_head = BondScalars(n_features, n_basis) if has_head else None
        self.stress_head = BondScalars(n_features, n_basis) if non_conservative_stress else None
        begin_with_glorot(self)

    @staticmethod
    def _readout(n_features: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(n_features, n_features),
            nn.SiLU(),
            nn.Linear(n_features, n_features),
            nn.SiLU(),
            nn.Linear(n_features, 1),
        )

    def _features(self, graph: Graph) -> tuple[Tensor, Tensor, Neighborhood]:
        """Run the shared blocks; return v (n, F), e (E, F) and the edges."""
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        centre = graph.edge_index[0]
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        short = torch.nonzero(distance < self.three_body_cutoff).flatten()  # (S,), by centre
        length = distance.index_select(0, short)  # (S,)
        fade = three_body_cutoff(length, self.three_body_cutoff)[:, None, None]  # (S, 1, 1)
        unit = graph.edge_vectors.index_select(0, short) / length[:, None]  # (S, 3)
        radial = self.basis(distance)  # (E, K)
        edges = Neighborhood(
            n_atoms,
            centre,
            graph.edge_index[1].contiguous(),
            radial,
            short,
            first_edges(centre.index_select(0, short), n),
            racah_harmonics(unit, self.n_degrees),
            self.bessel(length) * fade,
            fade,
        )
        v = self.embedding(self.species_index[graph.atomic_numbers[:n]])  # (n, F)
        e = self.bonds(radial).to(v.dtype)  # (E, F)
        for layer in self.shared:
            v, e = layer(v, e, edges)
        return v, e, edges

    def _heads(
        self,
        e: Tensor,
        radial: Tensor,
        edge_index: Tensor,
        edge_vectors: Tensor,
        reverse_edge: Tensor,
        n_atoms: int,
    ) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        output: dict[str, Tensor] = {}
        n = evaluated_atoms(n_atoms)
        unit = edge_vectors / torch.linalg.vector_norm(edge_vectors, dim=1, keepdim=True)  # (E, 3)
        if self.force_head is not None:
            w = self.force_head(e, radial, reverse_edge)[:, None]  # (E, 1)
            zero = torch.zeros((n, 3), dtype=unit.dtype, device=unit.device)
            forces = zero.index_add(0, edge_index[0], w * unit)  # (n, 3)
            output["non_conservative_forces"] = pad_to_all(forces, n_atoms)
        if self.stress_head is not None:
            w = self.stress_head(e, radial, reverse_edge)[:, None, None]  # (E, 1, 1)
            zero = torch.zeros((n, 3, 3), dtype=unit.dtype, device=unit.device)
            outer = w * unit[:, :, None] * unit[:, None, :]  # (E, 3, 3)
            virials = zero.index_add(0, edge_index[0], outer)  # (n, 3, 3)
            output["non_conservative_virials"] = pad_to_all(virials, n_atoms)
        return output

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        n_atoms = graph.atomic_numbers.size(0)
        v, e, edges = self._features(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative:
            index, reverse = graph.edge_index, graph.reverse_edge
            if self.training:
                output = self._heads(e, edges.radial, index, graph.edge_vectors, reverse, n_atoms)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                vectors, radial = graph.edge_vectors.detach(), edges.radial.detach()
                output = self._heads(e.detach(), radial, index, vectors, reverse, n_atoms)
        for layer in self.energy_layers:
            v, e = layer(v, e, edges)
        energies = self.energy_head["core"](v) * torch.sigmoid(self.energy_head["gate"](v))
        output["atomic_energies"] = pad_to_all(energies.flatten(), n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        _, e, edges = self._features(graph)
        return self._heads(
            e,
            edges.radial,
            graph.edge_index,
            graph.edge_vectors,
            graph.reverse_edge,
            graph.atomic_numbers.size(0),
        )
