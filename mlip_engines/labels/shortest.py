"""The shortest distance between two elements in a set of structures: nearer than that, a network only guesses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ase import Atoms

from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.short_range import pair_name

SEARCHED = 4.0  # Å; pairs that come no nearer are not bound by what is learned here
# A simulation hotter than the data has shorter bonds, of which a network still knows more than a repulsion does. Of
# 3BPA trained at 300 K and evaluated at up to 1200 K, 0.95 leaves nearly the errors of the network alone, not 0.97.
# With 0.92, minimisers of copper that start from crowds got stuck more often (docs/measurements/accuracy.md).
MARGIN = 0.95


def shortest_distances(structures: Iterable[Atoms]) -> dict[str, float]:
    """Return the shortest distance of each pair of elements.

    Parameters
    ----------
    structures : iterable of ase.Atoms

    Returns
    -------
    dict of str to float, Å
        By pair, such as ``"H-O"``; pairs that come no nearer than :data:`SEARCHED` are missing.
    """
    found: dict[tuple[int, int], float] = {}
    for atoms in structures:
        graph = neighbor_graph(atoms, SEARCHED)
        lengths = graph.edge_vectors.norm(dim=1)  # (E,)
        numbers = graph.atomic_numbers[graph.edge_index]  # (2, E)
        code = numbers.amin(dim=0) * 119 + numbers.amax(dim=0)  # (E,)
        for each in code.unique().tolist():
            shortest = float(lengths[code == each].min())
            pair = divmod(each, 119)
            found[pair] = min(shortest, found.get(pair, SEARCHED))
    return {pair_name(*pair): value for pair, value in sorted(found.items())}


def with_margin(shortest: Mapping[str, float]) -> dict[str, float]:
    """Return the distances below which the repulsion of a model file begins, from the shortest of its data, Å."""
    return {pair: MARGIN * distance for pair, distance in shortest.items()}
