"""Graphs as sums over neighbours take them."""

import torch
from torch import Tensor


def random_graph(n_atoms: int, n_edges: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return centre (E,), first_edge (N + 1,) and neighbor (E,): edges by centre.

    Some centres are without any, some pairs joined several times.
    """
    centre = torch.sort(torch.randint(n_atoms, (n_edges,)))[0] if n_edges else torch.empty(0).long()
    neighbor = torch.randint(n_atoms, (n_edges,)) if n_edges else torch.empty(0).long()
    counts = torch.bincount(centre, minlength=n_atoms)
    return centre, torch.cat((torch.zeros(1).long(), counts.cumsum(0))), neighbor
