"""Isolated atoms in a set: single atoms whose energies are those of free elements."""

from __future__ import annotations

from collections.abc import Iterable

from ase import Atoms

LARGEST_DISAGREEMENT = 1e-3  # eV, between two isolated atoms of one element


def config_type(atoms: Atoms) -> str:
    """Return what kind of structure a file says it is, ``config_type=...``; empty if it says nothing."""
    return str(atoms.info.get("config_type", ""))


def is_isolated(atoms: Atoms) -> bool:
    """Return whether a file says that this is an isolated atom, however it is spelled (``IsolatedAtom``)."""
    name = config_type(atoms).lower().replace("_", "").replace("-", "").replace(" ", "")
    return len(atoms) == 1 and name in ("isolatedatom", "isolated")


def isolated_energies(structures: Iterable[Atoms]) -> dict[str, float]:
    """Return the energy (eV) of each element that has an isolated atom.

    Raises
    ------
    ValueError
        If two isolated atoms of one element disagree, as those of two methods or spins do.
    """
    found: dict[str, float] = {}
    for atoms in structures:
        if not is_isolated(atoms) or atoms.calc is None or "energy" not in atoms.calc.results:
            continue
        symbol, energy = atoms.get_chemical_symbols()[0], float(atoms.calc.results["energy"])
        if abs(found.setdefault(symbol, energy) - energy) > LARGEST_DISAGREEMENT:
            raise ValueError(
                f"expected one energy of an isolated atom of {symbol}, got {found[symbol]:.6g} and {energy:.6g} eV; "
                "remove one"
            )
    return found
