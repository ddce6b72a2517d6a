"""The parts of a run: what the user has chosen by file or by ``split=``, and the rest at random."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ase import Atoms
from ase.data import chemical_symbols

from mlip_engines.labels.isolated import is_isolated
from mlip_engines.labels.repeats import geometry_key
from mlip_train.data.sets import DIVIDED, OpenedSets
from mlip_train.data.split import split_indices
from mlip_train.data.tags import GROUP, SPLIT

# What a file may say, in any case; train_300K is training as well.
_WORD = re.compile(r"(train|val|dev|test)(ing|id|idation)?(?![a-z])")
_PARTS = {"train": "train", "val": "validation", "dev": "validation", "test": "test"}


@dataclass
class Division:
    """Indices of structures by part, and sentences about how they came there."""

    parts: dict[str, list[int]]  # test, validation, train
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Traits:
    elements: frozenset[int]
    key: bytes
    part: str  # chosen by the user; DIVIDED if not
    group: str | None
    is_isolated: bool
    word: str | None  # of split=


def divide(
    frames: OpenedSets, *, n_validation: int, n_test: int, seed: int, split_by: str = ""
) -> Division:
    """Return which structures are trained on, which validate and which test.

    - A structure of a file for one part is in this part; one of other files with ``split=...`` is where that says.
      ``split=`` counts if it tells at least two parts apart; a set that is one part of a larger one is divided like
      any other. A word that is none of a part makes it count for nothing, with a note.
    - The rest is divided at random, by these numbers and this seed. A part that has structures already gets
      no more. Without a file to divide, only the validation is drawn from those to train on, if it has none.
    - Of equal geometries one is used: in the test if one is there, else in the validation.
    - Isolated atoms that are divided are trained on.

    Raises
    ------
    ValueError
        If an element is in validation or test alone, no structure has the key to split by, or as
        :func:`mlip_train.data.split.split_indices`.
    """
    traits = [_traits(frames.part(k), frames[k]) for k in range(len(frames))]
    said, notes = _said(traits)
    if any(part != t.part for part, t in zip(said, traits, strict=True) if t.part and part):
        n = sum(
            bool(part) and t.part not in (DIVIDED, part)
            for part, t in zip(said, traits, strict=True)
        )
        notes.append(
            f"{n} structures say split=... of another part than their file was given for; the file counts"
        )
    traits = [replace(t, part=t.part or part) for t, part in zip(traits, said, strict=True)]
    if split_by and all(t.group is None for t in traits):
        raise ValueError(
            f"split_by: expected structures with the key {split_by!r}, got none; in extended XYZ it is "
            f"{split_by}=... in the comment line"
        )
    is_drawn_from_train = not any(
        t.part in (DIVIDED, "validation") for t in traits
    )  # only files to train on, or to test
    if is_drawn_from_train:
        traits = [replace(t, part=DIVIDED if t.part == "train" else t.part) for t in traits]
    repeated = _repeats(traits)
    chosen = {
        part: [k for k, t in enumerate(traits) if t.part == part and k not in repeated]
        for part in ("test", "validation", "train")
    }
    has_pool = any(t.part == DIVIDED for t in traits)
    n_validation = n_validation if has_pool and not chosen["validation"] else 0
    is_test_drawn = has_pool and not chosen["test"] and not is_drawn_from_train
    n_test = n_test if is_test_drawn else 0
    divided = split_indices(
        [t.elements for t in traits],
        n_validation,
        n_test,
        seed,
        repeated.union(chosen["test"], chosen["validation"]),
        trained={*chosen["train"], *(k for k, t in enumerate(traits) if t.is_isolated)},
        groups=[t.group for t in traits] if split_by else None,
    )
    parts = {
        "test": sorted(divided["test"] + chosen["test"]),
        "validation": sorted(divided["validation"] + chosen["validation"]),
        "train": divided["train"],
    }
    _check_elements(frames, traits, parts)
    notes += _leaks(traits, repeated)
    return Division(parts, notes)


def _traits(part: str, atoms: Atoms) -> _Traits:
    group, word = atoms.info.get(GROUP), atoms.info.get(SPLIT)
    return _Traits(
        frozenset(atoms.numbers.tolist()),
        geometry_key(atoms),
        part,
        None if group is None else str(group),
        is_isolated(atoms) or str(word).lower() == "isolated",
        None if word is None else str(word),
    )


def _said(traits: list[_Traits]) -> tuple[list[str], list[str]]:
    """Return the part that each structure says, and notes; no part where it counts for nothing."""
    matches = [None if t.word is None else _WORD.match(t.word.lower()) for t in traits]
    said = [DIVIDED if m is None else _PARTS[m[1]] for m in matches]
    unknown = {
        t.word
        for t, m in zip(traits, matches, strict=True)
        if t.word is not None and m is None and not t.is_isolated
    }
    nothing = [DIVIDED] * len(traits)
    if unknown:
        return nothing, [
            f"split= is not used: expected words such as train, valid and test, got {sorted(unknown)[:5]}"
        ]
    if len({part for part in said if part}) < 2:
        return nothing, []
    return said, []


def _order(traits: list[_Traits]) -> Iterator[int]:
    """Yield indices in the order in which of equal geometries the first is kept."""
    for part in ("test", "validation", "train", DIVIDED):
        yield from (k for k, t in enumerate(traits) if t.part == part)


def _repeats(traits: list[_Traits]) -> set[int]:
    seen: set[bytes] = set()
    repeated = set()
    for k in _order(traits):
        if traits[k].key in seen:
            repeated.add(k)
        seen.add(traits[k].key)
    return repeated


def _leaks(traits: list[_Traits], repeated: set[int]) -> list[str]:
    held_out = {t.key for k, t in enumerate(traits) if t.part in ("test", "validation")}
    n = sum(traits[k].part in ("train", DIVIDED) and traits[k].key in held_out for k in repeated)
    if not n:
        return []
    return [
        f"{n} structures are the same as some that were chosen for validation or test; they are not trained on"
    ]


def _check_elements(frames: OpenedSets, traits: list[_Traits], parts: dict[str, list[int]]) -> None:
    known = {z for k in parts["train"] for z in traits[k].elements}
    for part in ("validation", "test"):
        for k in parts[part]:
            unknown = sorted(traits[k].elements - known)
            if unknown:
                path, index = frames.place(k)
                raise ValueError(
                    f"{path}: structure {index}, of {part}, has {[chemical_symbols[z] for z in unknown]}, which no "
                    "structure to train on has; move some there, or leave it out"
                )
