"""What a structure says of itself, besides labels, that decides something in a training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ase import Atoms

SPLIT = "split"  # in which part it is to be
GROUP = "mlip_group"  # under this name, the value by which structures stay together
CONFIG_TYPE = "config_type"
WORDS = (CONFIG_TYPE, SPLIT, GROUP)


def grouped(structures: Iterable[Atoms], key: str) -> Iterator[Atoms]:
    """Yield structures with the value of a key of theirs as the group; without a key, as they are."""
    for atoms in structures:
        if key and key in atoms.info:
            atoms.info[GROUP] = str(atoms.info[key])
        yield atoms
