"""Pair distribution functions of each pair of elements up to any distance, images included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.short_range import pair_name

if TYPE_CHECKING:
    from ase import Atoms


def partial_distributions(
    structures: Iterable[Atoms], radius: float, n_bins: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Return g(r) of each pair of elements, averaged over structures that have both.

    Unlike :func:`mlip_engines.properties.radial_distribution.pair_distribution`, the radius may exceed half the cell:
    all images are counted, as in a crystal.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Periodic in all directions; others are passed over.
    radius : float, Å
    n_bins : int

    Returns
    -------
    r : (n_bins,) array, Å
        Centres of the bins.
    g : dict of str to (n_bins,) array
        By pair, such as ``"O-Si"``.
    """
    edges = np.linspace(0.0, radius, n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)  # Å^3
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    for atoms in structures:
        if not atoms.pbc.all():
            continue
        graph = neighbor_graph(atoms, radius)
        lengths = graph.edge_vectors.norm(dim=1).numpy()
        first, second = atoms.numbers[graph.edge_index.numpy()]
        elements = np.unique(atoms.numbers).tolist()
        for k, a in enumerate(elements):
            for b in elements[k:]:
                found = np.histogram(lengths[(first == a) & (second == b)], edges)[0]
                n_a, n_b = (atoms.numbers == a).sum(), (atoms.numbers == b).sum()
                g = found / (shells * n_a * n_b / atoms.cell.volume)
                name = pair_name(a, b)
                sums[name] = sums.get(name, 0.0) + g
                counts[name] = counts.get(name, 0) + 1
    return 0.5 * (edges[1:] + edges[:-1]), {name: s / counts[name] for name, s in sums.items()}
