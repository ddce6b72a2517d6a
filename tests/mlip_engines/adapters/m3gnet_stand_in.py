"""A small M3GNet of the interface of matgl 4.1, edge by edge: Chen, Ong, Nature Comput. Sci. 2, 718 (2022)."""

import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

ATOM, EDGE, HIDDEN, RADIAL, ANGULAR, LAYERS = 4, 3, 5, 3, 2, 2
CUTOFF, PAIR_CUTOFF = 3.2, 2.3


class Radial(nn.Module):
    """Three functions that fade at the cutoff with two derivatives."""

    def forward(self, lengths: Tensor) -> Tensor:
        x = (lengths / CUTOFF)[:, None]
        return (1.0 - x**2) ** 3 * torch.cat([torch.ones_like(x), x, x**2], dim=1)


class Angular(nn.Module):
    use_phi = False

    def forward(self, lengths: Tensor, cosines: Tensor, zeros: Tensor) -> Tensor:
        return torch.stack((torch.sin(lengths), lengths * cosines**2 + zeros), dim=1)


class Mlp(nn.Module):
    def __init__(self, n_in: int, n_out: int, last: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out), last])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[1](self.layers[0](x))


class GatedMlp(nn.Module):
    def __init__(self, *sizes: int, bias: bool = True):
        super().__init__()
        self.layers, self.gates = nn.Sequential(), nn.Sequential()
        for a, b in zip(sizes, sizes[1:], strict=False):
            is_last = b == sizes[-1]
            self.layers.extend([nn.Linear(a, b, bias=bias), nn.SiLU()])
            self.gates.extend([nn.Linear(a, b, bias=bias), nn.Sigmoid() if is_last else nn.SiLU()])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) * self.gates(x)


class M3GNet(nn.Module):
    """Random weights for as many elements as there are names."""

    is_intensive = include_state = False
    cutoff, threebody_cutoff = CUTOFF, PAIR_CUTOFF

    def __init__(self, element_types: list[str]):
        super().__init__()
        self.element_types = element_types
        self.bond_expansion, self.basis_expansion = Radial(), Angular()
        self.embedding = nn.Module()
        self.embedding.layer_node_embedding = nn.Embedding(len(element_types), ATOM)
        self.embedding.layer_edge_embedding = Mlp(RADIAL, EDGE, nn.SiLU())
        self.three_body_interactions, self.graph_layers = nn.ModuleList(), nn.ModuleList()
        for _ in range(LAYERS):
            three, block = nn.Module(), nn.Module()
            three.update_network_atom = Mlp(ATOM, ANGULAR, nn.Sigmoid())
            three.update_network_bond = GatedMlp(ANGULAR, EDGE, bias=False)
            block.conv = nn.Module()
            for name, size in (("edge", EDGE), ("node", ATOM)):
                update = GatedMlp(2 * ATOM + EDGE, HIDDEN, size)
                setattr(block.conv, f"{name}_update_func", update)
                setattr(block.conv, f"{name}_weight_func", nn.Linear(RADIAL, size, bias=False))
            self.three_body_interactions.append(three)
            self.graph_layers.append(block)
        self.final_layer = nn.Module()
        self.final_layer.gated = GatedMlp(ATOM, HIDDEN, 1)

    def energies(self, atoms: Atoms) -> Tensor:
        """Return energies (N,) of atoms."""
        kinds = torch.tensor([self.element_types.index(s) for s in atoms.symbols])
        edges = list(zip(*neighbor_list("ijdD", atoms, CUTOFF), strict=True))
        lengths = torch.tensor([r for _, _, r, _ in edges])
        radial = self.bond_expansion(lengths)
        y = lengths / PAIR_CUTOFF
        fade = torch.where(y < 1.0, (1.0 - y) ** 3 * (1.0 + 3.0 * y + 6.0 * y**2), 0.0)
        v = list(self.embedding.layer_node_embedding(kinds))
        e = list(self.embedding.layer_edge_embedding(radial))
        for three, block in zip(self.three_body_interactions, self.graph_layers, strict=True):
            said = [torch.zeros(ANGULAR) for _ in edges]
            for a, (i, _, r, d) in enumerate(edges):
                for b, (m, k, s, f) in enumerate(edges):
                    if i == m and a != b and max(r, s) < PAIR_CUTOFF:
                        cosine = torch.tensor([d @ f / (r * s)]).clamp(-1.0 + 1e-7, 1.0 - 1e-7)
                        basis = self.basis_expansion(lengths[b : b + 1], cosine, torch.zeros(1))[0]
                        third = three.update_network_atom(v[k])
                        said[a] = said[a] + basis * third * fade[a] * fade[b]
            new = list(v)
            for a, (i, j, _, _) in enumerate(edges):
                conv = block.conv
                e[a] = e[a] + three.update_network_bond(said[a])
                both = torch.cat((v[i], v[j], e[a]))
                e[a] = e[a] + conv.edge_update_func(both) * conv.edge_weight_func(radial[a])
                both = torch.cat((v[i], v[j], e[a]))
                new[i] = new[i] + conv.node_update_func(both) * conv.node_weight_func(radial[a])
            v = new
        return torch.cat([self.final_layer.gated(row) for row in v])
