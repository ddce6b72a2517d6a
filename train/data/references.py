"""Reference energies of the elements: fitted, of isolated atoms in the data, or given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers as number_of
from ase.data import chemical_symbols

from mlip_engines.labels.composition import fit_composition
from mlip_engines.labels.isolated import isolated_energies

FIT, ISOLATED = "fit", "isolated_atoms"


def elements_of(structures: Iterable[Atoms]) -> list[str]:
    """Return the chemical symbols that occur, by atomic number."""
    numbers = {int(z) for atoms in structures for z in np.unique(atoms.numbers)}
    return [chemical_symbols[z] for z in sorted(numbers)]


def references_of(structures: Sequence[Atoms], wanted: str | dict[str, float]) -> dict[str, float]:
    """Return a reference energy for each element that occurs.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        The structures to train on.
    wanted : "fit", "isolated_atoms" or dict of str to float, eV
        Energies that fit the structures, those of the isolated atoms among them, or given ones.

    Returns
    -------
    dict of str to float, eV
        With ``fit``, an element without any label of energy has the median of the others, and all have zero where no
        structure has an energy.

    Raises
    ------
    ValueError
        If an element has no isolated atom, or none of the given energies.
    """
    elements = elements_of(structures)
    if wanted == FIT:
        has_energy = any(a.calc is not None and "energy" in a.calc.results for a in structures)
        fitted = fit_composition(structures) if has_energy else {}
        other = float(np.median(list(fitted.values()))) if fitted else 0.0
        return {symbol: fitted.get(symbol, other) for symbol in elements}
    known = isolated_energies(structures) if wanted == ISOLATED else dict(wanted)
    missing = [symbol for symbol in elements if symbol not in known]
    if missing and wanted == ISOLATED:
        raise ValueError(
            f"reference_energies: expected an isolated atom of each element among the structures to train on, got none "
            f"of {missing}; an isolated atom is one atom with an energy and config_type=IsolatedAtom"
        )
    if missing:
        raise ValueError(
            f"reference_energies: expected one for each element of the data, {elements}; got none for {missing}"
        )
    return {symbol: float(known[symbol]) for symbol in elements}


def check_references(wanted: object) -> str | dict[str, float]:
    """Return reference energies as a recipe may give them; refuse what is neither a word nor energies by element.

    Raises
    ------
    ValueError
        Naming what was got.
    """
    if wanted in (FIT, ISOLATED):
        return wanted
    if not isinstance(wanted, dict) or not wanted:
        raise ValueError(
            f"reference_energies: expected {FIT!r}, {ISOLATED!r} or energies by element in eV, {{H: -13.6, O: -430.2}};"
            f" got {wanted!r}"
        )
    energies = {}
    for symbol, value in wanted.items():
        # YAML reads N and Y as they are, but NO as false
        if number_of.get(symbol, 0) == 0:
            raise ValueError(f"reference_energies: expected elements, got {symbol!r}")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise ValueError(
                f"reference_energies: expected an energy in eV for {symbol}, got {value!r}"
            )
        energies[symbol] = float(value)
    return energies
