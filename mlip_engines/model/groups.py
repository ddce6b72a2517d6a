"""Structures in groups that are evaluated together: many small ones cost one evaluation, a large one is alone."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

# About where an evaluation of a small network costs more for its atoms than for its calls, and far below what memory
# of a small machine holds with the derivatives of a large one.
MOST_ATOMS = 256


def groups(
    structures: Iterable[T], most_atoms: int = MOST_ATOMS, n_atoms: Callable[[T], Any] = len
) -> Iterator[list[T]]:
    """Yield the structures in their order, as many at once as have `most_atoms` atoms together, and at least one.

    Parameters
    ----------
    structures : iterable
    most_atoms : int
    n_atoms : callable
        Gives the number of atoms of a structure.

    Examples
    --------
    >>> list(groups(["water", "ion", "methane", "x"], most_atoms=8))
    [['water', 'ion'], ['methane', 'x']]
    >>> list(groups(["larger than that"], most_atoms=8))
    [['larger than that']]
    """
    group: list[T] = []
    total = 0
    for structure in structures:
        size = int(n_atoms(structure))
        if group and total + size > most_atoms:
            yield group
            group, total = [], 0
        group.append(structure)
        total += size
    if group:
        yield group
