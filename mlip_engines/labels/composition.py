"""The composition baseline: energies per element that fit a set of structures, and the scale of what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

_STEPS = 50  # of reweighting; it has converged long before
_TUNING = 2.385  # of Cauchy's weights: 95 % as good as least squares where errors are normal
_LARGEST_FRAME = 5.0  # RMS force of a structure, in units of that of the upper quartile


def fit_composition(
    structures: Iterable[Atoms], known: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Fit one energy per element to energies per atom.

    A structure counts less the further it is off (iteratively reweighted least squares with the weights of Cauchy;
    Holland, Welsch, Commun. Stat. 6, 813 (1977)), so one wrong energy moves nothing. An element that few structures
    have is drawn to the median of all elements, in proportion to how little its structures decide: ridge regression
    (Hoerl, Kennard, Technometrics 12, 55 (1970)) with the spread of the elements as the prior.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        With labels of energy; others are passed over.
    known : mapping of str to float, eV, optional
        Energies of elements that are given. Only the others are fitted, to the structures that have them.

    Returns
    -------
    dict of str to float, eV
        Of the elements that are not known. Exact where the energies are sums over elements. Minimum-norm solution
        if there are elements that the structures do not tell apart, as those of one compound.

    Raises
    ------
    ValueError
        If no structure has an energy.
    """
    given = np.zeros(len(chemical_symbols))
    for symbol, energy in (known or {}).items():
        given[atomic_numbers[symbol]] = energy
    rows, energies = [], []
    for atoms in structures:
        if atoms.calc is None or "energy" not in atoms.calc.results:
            continue
        rows.append(np.bincount(atoms.numbers, minlength=len(chemical_symbols)))
        energies.append(float(atoms.calc.results["energy"]))
    if not rows:
        raise ValueError("expected at least one structure with an energy, got none")
    counts = np.array(rows, dtype=float)  # (S, 119)
    sizes = counts.sum(axis=1)
    fitted = counts.any(axis=0)
    fitted[[atomic_numbers[symbol] for symbol in known or {}]] = False
    numbers = np.flatnonzero(fitted)
    if len(numbers) == 0:
        return {}
    values = (np.array(energies) - counts @ given) / sizes
    tells = counts[:, numbers].any(axis=1)
    solution = _robust_fit((counts[:, numbers] / sizes[:, None])[tells], values[tells])
    return {chemical_symbols[z]: float(e) for z, e in zip(numbers, solution, strict=True)}


def _robust_fit(fractions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the energies (Z,) of elements from fractions (S, Z) and energies per atom (S,)."""
    is_determined = np.linalg.matrix_rank(fractions) == fractions.shape[1]
    centre, ridge = float(np.median(values)), 0.0
    weights = np.ones(len(values))
    solution = np.linalg.lstsq(fractions, values, rcond=None)[0]
    for step in range(_STEPS):
        before = solution
        root = np.sqrt(weights)
        matrix, target = fractions * root[:, None], values * root
        if is_determined and ridge > 0.0:
            prior = np.sqrt(ridge) * np.eye(fractions.shape[1])
            matrix = np.concatenate([matrix, prior])
            target = np.concatenate([target, np.sqrt(ridge) * np.full(len(prior), centre)])
        solution = np.linalg.lstsq(matrix, target, rcond=None)[0]
        residual = values - fractions @ solution
        deviation = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
        # Of exact sums only rounding is left.
        deviation = max(deviation, 1e-12 * (1.0 + float(np.abs(values).max())))
        weights = 1.0 / (1.0 + (residual / (_TUNING * deviation)) ** 2)
        centre = float(np.median(solution))
        spread = 1.4826 * float(np.median(np.abs(solution - centre)))
        ridge = (deviation / spread) ** 2 if spread > 0.0 else 0.0
        change = float(np.abs(solution - before).max())
        if step > 0 and change < 1e-9 * (1.0 + float(np.abs(solution).max())):
            break
    return solution


def force_scale(structures: Iterable[Atoms]) -> float:
    """Return the RMS force per component, eV/Å; networks are trained in units of it.

    A structure whose RMS is more than five times that of the upper quartile counts as one of five times: a frame on
    fire does not set the scale.

    Raises
    ------
    ValueError
        If no structure has a force other than zero.
    """
    squares = np.array(
        [
            np.mean(atoms.calc.results["forces"] ** 2)
            for atoms in structures
            if atoms.calc is not None and "forces" in atoms.calc.results
        ]
    )
    if len(squares) == 0 or not squares.any():
        raise ValueError("expected at least one structure with forces other than zero, got none")
    limit = _LARGEST_FRAME**2 * float(np.quantile(squares, 0.75))
    return float(np.sqrt(np.mean(np.minimum(squares, limit) if limit > 0.0 else squares)))


def energy_scale(structures: Iterable[Atoms], references: dict[str, float]) -> float:
    """Return the spread of the energy per atom above reference energies, eV: the scale of a set without forces.

    It is the robust standard deviation (1.4826 times the median of the deviations from the median), and 1 where there
    is no energy or no spread.
    """
    above = [
        (atoms.calc.results["energy"] - sum(references[s] for s in atoms.get_chemical_symbols()))
        / len(atoms)
        for atoms in structures
        if atoms.calc is not None and "energy" in atoms.calc.results
    ]
    if not above:
        return 1.0
    deviation = 1.4826 * float(np.median(np.abs(np.array(above) - np.median(above))))
    return deviation if deviation > 0.0 else 1.0
