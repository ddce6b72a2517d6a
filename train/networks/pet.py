"""PET: point edge transformer, with an energy head and heads for non-conservative forces and stress.

Pozdnyakov, Ceriotti, NeurIPS 2023 (arXiv:2305.19302), in the form in which Bigi, Pegolo, Mazitov, Schmidt, Ceriotti
scale it up (arXiv:2601.16195). A message-passing layer is a transformer over the neighbourhood of one atom: its tokens
are the centre i and the edges ij. Names follow the papers: node features ``h_i``, edge tokens ``x_ij``, messages
``m_ij``, cutoff function ``f_c``, embedding of an edge ``E_r`` and of a species ``E_c`` (centre) and ``E_n``
(neighbour), heads ``H_c`` (centre) and ``H_n`` (neighbour).

As in the second paper, transformers are normalised before each block (RMSNorm) with SwiGLU feed-forward blocks, the
node features are four times as wide as the tokens and pass from layer to layer, the messages run through skip
connections instead of adding up predictions of all layers, and a small network combines ij with ji. Two things are
chosen here:

- Messages start as E_n(s_j) and skip connections carry it on, so E_n is not fed to every layer once more.
- The share of the centre in the non-conservative force fades with its neighbours (:class:`FadingHead`), because
  without rotational symmetry nothing else keeps an isolated atom from pulling itself.

Linear layers act on a list of tokens, one per atom and edge; only attention needs the rectangle of tokens by centre,
padded to the largest number of neighbours J. The network is not equivariant: it learns rotations from rotated data.

Only the combination of ij with ji looks beyond a neighbourhood, through :func:`reverse_features`. An engine that
divides the atoms among processes can so run the transformer of each atom once: here for the first n of N.

========  ==================================================================
symbol    size
========  ==================================================================
N, n, E   atoms, those of them that are evaluated here, their edges
M         n + E tokens: the centres, then the edges
T         1 + J tokens in a row: the centre, its edges, padding
F         edge features (a token); the node features are 4 F wide
H         attention heads, each F / H wide
========  ==================================================================
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, pad_to_all, reverse_features
from mlip_engines.operators.padding import neighbor_ranks, pad

NODE_WIDTH = 4  # node features per edge feature

# CUDA runs at most 65,535 blocks in two of three directions: one call gets no more matrices than that.
LARGEST_BATCH = 65_535


class SmoothCutoff(nn.Module):
    """Cutoff function with all derivatives zero at both ends.

    f_c(r) = 1                                      r <= c - w
           = (1 + tanh(1 / x + 1 / (x - 1))) / 2    x = (r - c + w) / w between 0 and 1
           = 0                                      r >= c

    References
    ----------
    Pozdnyakov, Ceriotti, NeurIPS 2023 (arXiv:2305.19302).
    """

    def __init__(self, cutoff: float, width: float):
        super().__init__()
        self.cutoff = float(cutoff)
        self.width = float(width)

    def forward(self, distance: Tensor) -> Tensor:
        """Evaluate f_c (E,) at distances (E,), Å."""
        # Between 0 and 0.01, and between 0.99 and 1, f_c is 1 or 0 to the last digit of float64; its formula is not.
        x = ((distance - self.cutoff) / self.width + 1.0).clamp(0.01, 0.99)
        return 0.5 + 0.5 * torch.tanh(1.0 / x + 1.0 / (x - 1.0))


class RMSNorm(nn.Module):
    """x / rms(x) times a weight per feature (Zhang, Sennrich, arXiv:1910.07467, eq. 4)."""

    def __init__(self, n_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features, (..., F) as x."""
        mean_square = (x * x).mean(dim=-1, keepdim=True)  # (..., 1)
        return x * torch.rsqrt(mean_square + 1e-6) * self.weight  # (..., F)


class FeedForward(nn.Module):
    """SwiGLU: W_3 (silu(W_1 x) * W_2 x) (Shazeer, arXiv:2002.05202, eq. 6)."""

    def __init__(self, n_features: int):
        super().__init__()
        self.gate_and_value = nn.Linear(n_features, 4 * n_features, bias=False)  # W_1, W_2
        self.out = nn.Linear(2 * n_features, n_features, bias=False)  # W_3

    def forward(self, x: Tensor) -> Tensor:
        """Return features (..., F) from x (..., F)."""
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)  # (..., 2 F) each
        return self.out(functional.silu(gate) * value)  # (..., F)


class Attention(nn.Module):
    """Self-attention among the tokens of one centre, each weighted by its cutoff function.

    A_ab = f_b exp(q_a k_b / sqrt(F / H)) / sum_c f_c exp(q_a k_c / sqrt(F / H)),  y_a = W sum_b A_ab v_b

    with f = 1 for the centre, f_c(r_ij) for an edge and 0 for padding: an edge at the cutoff is not seen by the
    others, and the sum in the denominator has at least the term of the centre.
    """

    def __init__(self, n_features: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.n_rows = max(LARGEST_BATCH // n_heads, 1)  # of the rectangle, in one call
        self.scale = (n_features // n_heads) ** -0.5
        self.query_key_value = nn.Linear(n_features, 3 * n_features)
        self.out = nn.Linear(n_features, n_features)  # W

    def forward(self, tokens: Tensor, slot: Tensor, weight: Tensor) -> Tensor:
        """Let tokens (M, F) attend to each other.

        Parameters
        ----------
        tokens : (M, F) tensor
        slot : (M,) int64 tensor
            The place of each token in the rectangle of n rows and T columns.
        weight : (n, T) tensor
            f by row and column.

        Returns
        -------
        (M, F) tensor
        """
        n_atoms, n_columns = weight.size(0), weight.size(1)  # n, T
        n_slots, n_features = n_atoms * n_columns, tokens.size(1)  # n T, F
        qkv = pad(self.query_key_value(tokens), slot, n_slots)  # (n T, 3 F)
        width = n_features // self.n_heads  # F / H
        qkv = qkv.view(n_atoms, n_columns, 3, self.n_heads, width)  # (n, T, 3, H, F / H)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, n, H, T, F / H)
        parts: list[Tensor] = []
        for first in range(0, max(n_atoms, 1), self.n_rows):  # without atoms, one empty part
            q, k, v = qkv[:, first : first + self.n_rows].unbind(0)  # (b, H, T, F / H) each
            parts.append(self._attend(q, k, v, weight[first : first + self.n_rows]))  # (b, T, F)
        y = torch.cat(parts).flatten(0, 1)  # (n T, F)
        return self.out(y.index_select(0, slot))  # (M, F)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, weight: Tensor) -> Tensor:
        """Return y (b, T, F) before W, for queries, keys and values (b, H, T, F / H), weights (b, T)."""
        if not torch.is_grad_enabled():  # one kernel, which cannot be differentiated by f
            mask = torch.log(weight)[:, None, None, :]  # (b, 1, 1, T)
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.scale)
            return y.transpose(1, 2).flatten(2)  # (b, T, F)
        f = weight[:, None, :, None].expand(-1, v.size(1), -1, -1)  # (b, H, T, 1)
        logits = torch.matmul(q * self.scale, k.transpose(2, 3))  # (b, H, T, T)
        # What is not there must not decide the largest logit, or exp of all others may vanish. The centre always
        # is, so no row is empty. The largest only shifts both sums, so nothing is differentiated by it.
        absent = (weight == 0.0)[:, None, None, :]  # (b, 1, 1, T)
        logits = logits.masked_fill(absent, -torch.inf)
        # Numerator and denominator are summed apart: the derivatives of exp cost less than those of softmax, and
        # most of all the second ones, which training on forces takes.
        attention = torch.exp(logits - logits.detach().amax(dim=3, keepdim=True))  # (b, H, T, T)
        # f multiplies the values and a column of ones, rather than T^2 weights. Adding log f to the logits would give
        # the same, but no gradient at the cutoff.
        sums = torch.matmul(attention, torch.cat((f * v, f), dim=3))  # (b, H, T, F / H + 1)
        y, total = sums.split([v.size(3), 1], dim=3)  # (b, H, T, F / H), (b, H, T, 1)
        y = y / total
        return y.transpose(1, 2).flatten(2)  # (b, T, F)


class AttentionLayer(nn.Module):
    """One layer of the transformer: attention, then feed-forward, each normalised before and added to its input."""

    def __init__(self, n_features: int, n_heads: int):
        super().__init__()
        n_node = NODE_WIDTH * n_features
        self.contract = nn.Linear(n_node, n_features)  # h_i to the token of the centre
        self.expand = nn.Linear(n_features, n_node)  # and back
        self.attention_norm = RMSNorm(n_features)
        self.attention = Attention(n_features, n_heads)
        self.node_norm = RMSNorm(n_node)
        self.node_feed_forward = FeedForward(n_node)
        self.edge_norm = RMSNorm(n_features)
        self.edge_feed_forward = FeedForward(n_features)

    def forward(self, h: Tensor, x: Tensor, slot: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new h (n, 4 F) and x (E, F); slot (M,) and weight (n, T) as in :class:`Attention`."""
        tokens = torch.cat((self.contract(h), x))  # (M, F)
        attended = self.attention(self.attention_norm(tokens), slot, weight)  # (M, F)
        centre, edges = attended.split([h.size(0), x.size(0)])  # (n, F), (E, F)
        h = h + self.expand(centre)
        x = x + edges
        h = h + self.node_feed_forward(self.node_norm(h))
        x = x + self.edge_feed_forward(self.edge_norm(x))
        return h, x


class Combination(nn.Module):
    """Messages from the tokens of an edge and its reverse: m_ij + x_ij + MLP(x_ij, x_ji)."""

    def __init__(self, n_features: int):
        super().__init__()
        self.norm = RMSNorm(n_features)
        self.mlp = nn.Sequential(
            nn.Linear(2 * n_features, 2 * n_features),
            nn.SiLU(),
            nn.Linear(2 * n_features, n_features),
        )

    def forward(self, m: Tensor, x: Tensor, reverse_edge: Tensor) -> Tensor:
        """Return new messages (E, F)."""
        normed = self.norm(x)  # (E, F)
        both = torch.cat((normed, reverse_features(normed, reverse_edge)), dim=1)  # (E, 2 F)
        return m + x + self.mlp(both)  # (E, F)


class MessagePassingLayer(nn.Module):
    """Messages in, tokens out: combine what the layer before left, embed the edges, run the transformer."""

    def __init__(self, n_features: int, n_heads: int, n_attention_layers: int, is_first: bool):
        super().__init__()
        self.combination = None if is_first else Combination(n_features)
        self.e_r = nn.Linear(4, n_features)  # E_r, of the vector and its length
        self.compress = nn.Sequential(
            nn.Linear(2 * n_features, n_features), nn.SiLU(), nn.Linear(n_features, n_features)
        )
        self.attention_layers = nn.ModuleList(
            [AttentionLayer(n_features, n_heads) for _ in range(n_attention_layers)]
        )

    def forward(
        self,
        h: Tensor,
        x: Tensor,
        m: Tensor,
        geometry: Tensor,
        reverse_edge: Tensor,
        slot: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the new h (n, 4 F), x (E, F) and m (E, F); geometry (E, 4) is r_ij and |r_ij|."""
        if self.combination is not None:
            m = self.combination(m, x, reverse_edge)
        x = self.compress(torch.cat((self.e_r(geometry), m), dim=1))  # (E, F)
        for layer in self.attention_layers:
            h, x = layer(h, x, slot, weight)
        return h, x, m


class Readout(nn.Module):
    """H_c or H_n: normalisation and a layer of F neurons."""

    def __init__(self, n_in: int, n_features: int, n_out: int):
        super().__init__()
        self.layers = nn.Sequential(
            RMSNorm(n_in), nn.Linear(n_in, n_features), nn.SiLU(), nn.Linear(n_features, n_out)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return values (..., n_out) from features (..., n_in)."""
        return self.layers(features)  # (..., n_out)


class EnergyHead(nn.Module):
    """e_i = H_c(h_i) + sum_j f_c(r_ij) H_n(x_ij)."""

    def __init__(self, n_features: int):
        super().__init__()
        self.h_c = Readout(NODE_WIDTH * n_features, n_features, 1)
        self.h_n = Readout(n_features, n_features, 1)

    def forward(self, h: Tensor, x: Tensor, fade: Tensor, centre: Tensor) -> Tensor:
        """Return atomic energies (n,); fade (E,) is f_c, centre (E,) the atom i of each edge."""
        edges = fade * self.h_n(x).flatten()  # (E,)
        zero = torch.zeros(h.size(0), dtype=edges.dtype, device=edges.device)  # (n,)
        return self.h_c(h).flatten() + zero.index_add(0, centre, edges)  # (n,)


class FadingHead(nn.Module):
    """F_i = n_i / (1 + n_i) H_c(h_i) + sum_j f_c(r_ij) H_n(x_ij) with the number of neighbours n_i = sum_j f_c(r_ij).

    The factor of H_c is close to 1 in condensed matter and goes smoothly to zero with the last neighbour. F_i has K
    components, 3 of a force or 6 of a symmetric virial.
    """

    def __init__(self, n_features: int, n_components: int):
        super().__init__()
        self.h_c = Readout(NODE_WIDTH * n_features, n_features, n_components)
        self.h_n = Readout(n_features, n_features, n_components)

    def forward(self, h: Tensor, x: Tensor, fade: Tensor, centre: Tensor) -> Tensor:
        """Return values (n, K); arguments as in :class:`EnergyHead`."""
        zero = torch.zeros(h.size(0), dtype=fade.dtype, device=h.device)  # (n,)
        count = zero.index_add(0, centre, fade)  # (n,)
        values = (count / (1.0 + count))[:, None] * self.h_c(h)  # (n, K)
        edges = fade[:, None] * self.h_n(x)  # (E, K)
        return values.index_add(0, centre, edges)  # (n, K)


class PET(nn.Module):
    """Atomic energies and non-conservative forces; see :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    species : list of int
        Atomic numbers that the network knows.
    cutoff : float, Å
    cutoff_width : float, Å
        Over which an edge fades before the cutoff.
    n_edge_features : int
        F, a multiple of ``n_heads``; the node features are four times as many. 192 in the reference.
    n_heads : int
        Of attention.
    n_layers : int
        Message-passing layers up to the energy.
    n_attention_layers : int
        Of the transformer in each message-passing layer.
    non_conservative_layer : int
        Message-passing layers up to the non-conservative head, at most ``n_layers``; 0 for no such head.
    non_conservative_stress : bool
        Whether there is a head for stress beside that for forces.
    combine_last : bool
        Whether ij and ji are combined after the last layer as well, as the second paper has it: heads read the
        messages that a further layer would get, and all of them after ``n_layers``. It lets every atom see one edge
        farther.

    Raises
    ------
    ValueError
        If sizes or numbers of layers do not fit each other, or stress is asked for without a force head.
    """

    heads: list[str]
    feature_exchange = True
    edge_exchange = True

    def __init__(
        self,
        species: list[int],
        cutoff: float = 4.5,
        cutoff_width: float = 1.0,
        n_edge_features: int = 64,
        n_heads: int = 4,
        n_layers: int = 3,
        n_attention_layers: int = 1,
        non_conservative_layer: int = 2,
        non_conservative_stress: bool = False,
        combine_last: bool = False,
    ):
        super().__init__()
        if not 0.0 < cutoff_width <= cutoff:
            raise ValueError(f"expected 0 < {cutoff_width=} <= {cutoff=}")
        if n_heads < 1 or n_edge_features < 1 or n_edge_features % n_heads != 0:
            raise ValueError(f"expected {n_edge_features=} to be a multiple of {n_heads=}")
        if n_layers < 1 or n_attention_layers < 1:
            raise ValueError(f"expected at least 1, got {n_layers=} and {n_attention_layers=}")
        if not 0 <= non_conservative_layer <= n_layers:
            raise ValueError(f"expected 0 <= {non_conservative_layer=} <= {n_layers=}")
        if combine_last and non_conservative_layer not in (0, n_layers):
            raise ValueError(
                f"{combine_last=} needs heads that read after the same layer: expected {non_conservative_layer=} to be "
                f"0 or {n_layers=}"
            )
        self.cutoff = float(cutoff)
        # A reverse edge belongs to the neighbour, which has seen its own neighbours.
        self.message_passing_layers = n_layers + combine_last
        self.non_conservative_layers = non_conservative_layer + (
            combine_last and non_conservative_layer > 0
        )
        self.has_non_conservative = non_conservative_layer > 0
        if non_conservative_stress and not self.has_non_conservative:
            raise ValueError(
                f"{non_conservative_stress=} needs a non-conservative head, got {non_conservative_layer=}"
            )
        self.heads = ["energy"] + ["non_conservative_forces"] * self.has_non_conservative
        self.heads += ["non_conservative_stress"] * non_conservative_stress
        n_shared = non_conservative_layer if self.has_non_conservative else n_layers
        index = torch.full((119,), -1, dtype=torch.int64)
        index[torch.tensor(species)] = torch.arange(len(species))
        self.register_buffer("species_index", index)
        self.e_c = nn.Embedding(len(species), NODE_WIDTH * n_edge_features)
        self.e_n = nn.Embedding(len(species), n_edge_features)
        self.f_c = SmoothCutoff(cutoff, cutoff_width)

        def layers(count: int, start: int) -> nn.ModuleList:
            sizes = n_edge_features, n_heads, n_attention_layers
            return nn.ModuleList(
                [MessagePassingLayer(*sizes, start + k == 0) for k in range(count)]
            )

        self.shared = layers(n_shared, 0)
        self.energy_layers = layers(n_layers - n_shared, n_shared)
        self.last_combination = Combination(n_edge_features) if combine_last else None
        self.energy_head = EnergyHead(n_edge_features)
        self.force_head = FadingHead(n_edge_features, 3) if self.has_non_conservative else None
        self.stress_head = FadingHead(n_edge_features, 6) if non_conservative_stress else None

    def _heads(
        self, h: Tensor, x: Tensor, fade: Tensor, centre: Tensor, n_atoms: int
    ) -> dict[str, Tensor]:
        """Run what is not conservative: forces (N, 3) and, with its head, virials (N, 3, 3)."""
        output: dict[str, Tensor] = {}
        if self.force_head is not None:
            forces = self.force_head(h, x, fade, centre)  # (n, 3)
            output["non_conservative_forces"] = pad_to_all(forces, n_atoms)
        if self.stress_head is not None:
            w = self.stress_head(h, x, fade, centre).unbind(1)  # xx yy zz yz xz xy, (n,) each
            rows = [w[0], w[5], w[4], w[5], w[1], w[3], w[4], w[3], w[2]]
            virials = torch.stack(rows, dim=1).view(-1, 3, 3)  # (n, 3, 3)
            output["non_conservative_virials"] = pad_to_all(virials, n_atoms)
        return output

    def _tokens(
        self, graph: Graph
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Run the shared layers; return h, x, m, geometry, fade, slot and weight."""
        n = evaluated_atoms(graph.atomic_numbers.size(0))
        centre, neighbor = graph.edge_index[0], graph.edge_index[1]  # (E,) each
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        geometry = torch.cat((graph.edge_vectors, distance[:, None]), dim=1)  # (E, 4)
        fade = self.f_c(distance)  # (E,)

        rank, n_neighbors = neighbor_ranks(centre, n)  # (E,), J
        n_columns = n_neighbors + 1  # T
        rows = torch.arange(n, device=centre.device)  # (n,)
        slot = n_columns * torch.cat((rows, centre))  # (M,) the first of the row
        slot = slot + torch.cat((torch.zeros_like(rows), rank + 1))  # (M,)
        one = torch.ones(n, dtype=fade.dtype, device=fade.device)  # (n,)
        weight = torch.cat((one, fade))[:, None]  # (M, 1)
        weight = pad(weight, slot, n * n_columns).view(n, n_columns)  # (n, T)

        kind = self.species_index[graph.atomic_numbers]  # (N,)
        h = self.e_c(kind[:n])  # (n, 4 F)
        m = self.e_n(kind).index_select(0, neighbor)  # (E, F)
        x = m  # (E, F), which the first layer does not read
        for layer in self.shared:
            h, x, m = layer(h, x, m, geometry, graph.reverse_edge, slot, weight)
        if self.last_combination is not None:  # all layers are shared then
            x = self.last_combination(m, x, graph.reverse_edge)
        return h, x, m, geometry, fade, slot, weight

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, non-conservative forces (N, 3) and virials (N, 3, 3)."""
        n_atoms = graph.atomic_numbers.size(0)  # N
        h, x, m, geometry, fade, slot, weight = self._tokens(graph)
        output: dict[str, Tensor] = {}
        if with_non_conservative:
            if self.training:
                output = self._heads(h, x, fade, graph.edge_index[0], n_atoms)
            else:  # an engine differentiates the energy only: keep this branch off its graph
                output = self._heads(
                    h.detach(), x.detach(), fade.detach(), graph.edge_index[0], n_atoms
                )
        for layer in self.energy_layers:
            h, x, m = layer(h, x, m, geometry, graph.reverse_edge, slot, weight)
        energies = self.energy_head(h, x, fade, graph.edge_index[0])  # (n,)
        output["atomic_energies"] = pad_to_all(energies, n_atoms)  # (N,)
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate non-conservative forces (N, 3), and virials (N, 3, 3) with their head, only."""
        h, x, _, _, fade, _, _ = self._tokens(graph)
        return self._heads(h, x, fade, graph.edge_index[0], graph.atomic_numbers.size(0))
