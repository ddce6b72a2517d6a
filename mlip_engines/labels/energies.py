"""What may be wrong with labels of energy: outliers, and energies that do not grow with the number of atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from mlip_engines.labels.composition import fit_composition
from mlip_engines.labels.places import listed

LARGEST_DEVIATION = 10.0  # robust standard deviations of the energy per atom
TAIL, BEYOND_TAIL = 0.95, 3.0  # a quantile, and how many times further an outlier is
THERMAL_SPREAD = 0.03  # eV per atom, what cells of one kind at different temperatures differ by


def energy_warnings(structures: list[Atoms], names: np.ndarray) -> list[str]:
    """Return warnings about labels of energy; ``names`` are the indices of the structures in their file."""
    energies = np.array([atoms.calc.results["energy"] for atoms in structures])  # (S,)
    elements = sorted({int(z) for atoms in structures for z in atoms.numbers})
    counts = np.array([[(a.numbers == z).sum() for z in elements] for a in structures], dtype=float)
    n_atoms = counts.sum(axis=1)  # (S,)
    warning = _extensivity_warning(energies, counts, n_atoms)
    warnings = [] if warning is None else [warning]

    reference = fit_composition(structures)
    baseline = counts @ np.array([reference[chemical_symbols[z]] for z in elements])
    residual = (energies - baseline) / n_atoms
    # Free atoms are meant to be far from what is bound.
    is_bound = n_atoms > 1
    if not is_bound.any():
        return warnings
    residual = np.where(is_bound, residual - np.median(residual[is_bound]), 0.0)
    of_bound = np.abs(residual[is_bound])
    # At least 1 meV: where most structures are alike, a difference that is no error would count as one.
    deviation = max(1.4826 * float(np.median(of_bound)), 1e-3)
    # A tail is no outlier: dimers, surfaces and hot frames reach far, but not far beyond each other.
    limit = max(LARGEST_DEVIATION * deviation, BEYOND_TAIL * float(np.quantile(of_bound, TAIL)))
    outliers = np.flatnonzero(np.abs(residual) > limit)
    if len(outliers):
        outliers = outliers[np.argsort(-np.abs(residual[outliers]), kind="stable")]
        warnings.append(
            f"{listed(names[outliers])} have an energy per atom further than {limit:.3g} eV from their composition, up "
            f"to {np.abs(residual).max():.3g} eV, where most are within {deviation:.3g} eV; check whether they are "
            "intended"
        )
    return warnings


def _extensivity_warning(
    energies: np.ndarray, counts: np.ndarray, n_atoms: np.ndarray
) -> str | None:
    """Compare fits of the energy per atom: as a sum over atoms, with a constant a structure, and as it is given."""
    n_structures, n_elements = counts.shape
    sizes = np.unique(n_atoms)
    if len(sizes) < 3 or sizes[-1] < 1.5 * sizes[0] or n_structures < 3 * (n_elements + 1):
        return None
    fractions, per_atom = counts / n_atoms[:, None], energies / n_atoms

    def misfit(features: np.ndarray, values: np.ndarray) -> np.ndarray:
        return values - features @ np.linalg.lstsq(features, values, rcond=None)[0]

    def spread(values: np.ndarray) -> float:
        return float(np.median(np.abs(values)))

    residual = misfit(fractions, per_atom)
    expected = spread(residual)
    if expected < 1e-3:  # eV/atom
        return None
    # Total energies cannot do that: their spread, unlike that of energies per atom, has the size as a factor.
    if spread(misfit(fractions, energies)) < 0.5 * expected:
        return "the energies do not grow with the number of atoms; expected total energies, got energies per atom?"
    if spread(misfit(np.c_[fractions, 1.0 / n_atoms], per_atom)) < 0.2 * expected:
        return (
            "the energies are not extensive: a constant for each structure, whatever its size, explains most of what "
            "the composition does not; is a reference subtracted once per structure?"
        )
    small = residual[n_atoms <= np.quantile(n_atoms, 0.25)]
    large = residual[n_atoms >= np.quantile(n_atoms, 0.75)]
    # About their own medians: a fit that large structures pull away leaves the small ones off by a constant.
    of_small, of_large = (spread(group - np.median(group)) for group in (small, large))
    is_quadratic = spread(misfit(np.c_[fractions, n_atoms], per_atom)) < 0.2 * expected
    is_enough = min(len(small), len(large)) >= 5
    if is_quadratic or (is_enough and of_large > 5.0 * max(of_small, THERMAL_SPREAD)):
        return (
            "the energies are not extensive: what the composition does not explain grows with the number of atoms, "
            f"per atom by {np.median(large) - np.median(small):.2g} eV from small to large structures, and its spread "
            f"from {of_small:.2g} to {of_large:.2g} eV"
        )
    return None
