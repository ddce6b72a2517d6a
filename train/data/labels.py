"""What is wrong, or looks wrong, with structures and labels before anyone trains on them.

What cannot be right is an error, what may be right is a warning; both name file and index. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.units import EV_TO_KCAL_PER_MOL, EV_TO_KJ_PER_MOL
from mlip_train.data.composition import fit_composition
from mlip_train.data.stress_labels import listed, stress_warnings

CLOSEST_ATOMS = 0.3  # Å; the shortest bond there is, of H2, has 0.74
SMALLEST_VOLUME = 0.5  # Å^3 per atom; diamond has 5.7
LARGEST_FORCE = 30.0  # eV/Å
LARGEST_DEVIATION = 10.0  # robust standard deviations of the energy per atom
THERMAL_SPREAD = 0.03  # eV per atom, what cells of one kind at different temperatures differ by
PLAUSIBLE_FORCES = (
    0.02,
    15.0,
)  # eV/Å, RMS per component of a set that is neither relaxed nor on fire
PLAUSIBLE_BONDS = (0.65, 1.5)  # shortest distance over the sum of the covalent radii

_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_FORCE_UNITS = {
    "hartree/bohr": ase.units.Bohr / ase.units.Hartree,
    "kcal/mol/Å": EV_TO_KCAL_PER_MOL,
    "kJ/mol/Å": EV_TO_KJ_PER_MOL,
    "kJ/mol/nm": 10.0 * EV_TO_KJ_PER_MOL,
    "meV/Å": 1000.0,
    "eV/Å, but of the gradient, which has the other sign": -1.0,
}  # 1 eV/Å in other units


def check_geometry(structures: list[Atoms], source: str | Path) -> None:
    """Refuse structures that no calculation can have been made for.

    Parameters
    ----------
    structures : list of ase.Atoms
    source : str or Path
        The file, for messages.

    Raises
    ------
    ValueError
        If a structure has no atoms, an unknown element, a coordinate or lattice vector that is not finite, linearly
        dependent lattice vectors, less than :data:`SMALLEST_VOLUME` per atom, or two atoms (also periodic images)
        closer than :data:`CLOSEST_ATOMS`.
    """
    for _ in checked_geometry(structures, source):
        pass


def checked_geometry(structures: Iterable[Atoms], source: str | Path) -> Iterator[Atoms]:
    """Yield structures as they come, each after :func:`check_geometry` of it alone."""
    for k, atoms in enumerate(structures):
        where = _where(atoms, k, source)
        if len(atoms) == 0:
            raise ValueError(f"{where}: expected at least one atom, got none; remove the frame")
        if (atoms.numbers < 1).any():
            raise ValueError(f"{where}: expected elements, got atomic number {atoms.numbers.min()}")
        if atoms.pbc.all() and 0.0 < atoms.get_volume() < SMALLEST_VOLUME * len(atoms):
            raise ValueError(
                f"{where}: expected at least {SMALLEST_VOLUME} Å^3 per atom, got a cell of "
                f"{atoms.get_volume():.3g} Å^3 for {len(atoms)} atoms; is the lattice in Å?"
            )
        try:
            graph = neighbor_graph(atoms, 1.0)
        except ValueError as e:
            raise ValueError(f"{where}: {e}") from e
        lengths = graph.edge_vectors.norm(dim=1)
        if len(lengths) and lengths.min() < CLOSEST_ATOMS:
            i, j = graph.edge_index[:, int(lengths.argmin())].tolist()
            raise ValueError(
                f"{where}: expected atoms at least {CLOSEST_ATOMS} Å apart, got {lengths.min():.3f} Å between "
                f"atoms {i} and {j}; are positions and lattice in Å, and is the cell the right one?"
            )
        yield atoms


def checked_presence(structures: Iterable[Atoms], source: str | Path) -> Iterator[Atoms]:
    """Yield structures as they come; a ValueError names the first that lacks a label or has one that is not finite."""
    for k, atoms in enumerate(structures):
        _check_presence(atoms, _where(atoms, k, source))
        yield atoms


def check_labels(
    structures: list[Atoms], source: str | Path, indices: Sequence[int] | None = None
) -> list[str]:
    """Refuse labels that cannot be right; return warnings about those that may be wrong.

    Parameters
    ----------
    structures : list of ase.Atoms
        As of :func:`mlip_engines.readers.read_structures`.
    source : str or Path
        The file, for messages.
    indices : sequence of int, optional
        What to call the structures, if they are a sample of those in the file.

    Returns
    -------
    list of str
        One sentence each, on: some structures with stress and some without, stress of an unlikely sign or size,
        outliers of forces and energy, energies that are not extensive, forces that do not look like eV/Å.

    Raises
    ------
    ValueError
        If a structure has no energy or no forces, or a label is not finite.
    """
    names = np.arange(len(structures)) if indices is None else np.asarray(indices)
    for k, atoms in enumerate(structures):
        _check_presence(atoms, _where(atoms, int(names[k]), source))
    warnings = [
        *stress_warnings(structures, names),
        *_force_warnings(structures, names),
        *_energy_warnings(structures, names),
        *_consistency_warnings(structures),
    ]
    return [f"{source}: {warning}" for warning in warnings]


def implausible_lengths(structures: list[Atoms]) -> str | None:
    """Say why lengths are unlikely to be in Å, or None if they may be.

    The shortest distance in a structure is about the sum of two covalent radii, in molecules, ions and metals alike;
    taken for Å, bohr are 1.9 times too long. The median of 20 structures decides, and noble gases do not count.
    """
    ratios = []
    for k in np.linspace(0, len(structures) - 1, min(len(structures), 20)).astype(int):
        ratio = _shortest_bond(structures[k])
        if ratio is not None:
            ratios.append(ratio)
    if not ratios:
        return None
    ratio = float(np.median(ratios))
    if PLAUSIBLE_BONDS[0] <= ratio <= PLAUSIBLE_BONDS[1]:
        return None
    question = (
        "are lengths in bohr?" if ratio > 1.0 else "are they in nm, or in Å and taken for bohr?"
    )
    return (
        f"the shortest distances are {ratio:.2f} times the sum of the covalent radii, expected "
        f"{PLAUSIBLE_BONDS[0]} to {PLAUSIBLE_BONDS[1]} times; {question}"
    )


def _shortest_bond(atoms: Atoms) -> float | None:
    """Return the smallest distance over the sum of the covalent radii; None without neighbours within 8 Å."""
    smallest = None
    # From short to long: in a cell that is much too small, 8 Å would be millions of neighbours.
    for cutoff in (1.0, 2.0, 4.0, 8.0):
        graph = neighbor_graph(atoms, cutoff)
        pairs = atoms.numbers[graph.edge_index.numpy()]  # (2, E)
        counted = ~np.isin(pairs, _NOBLE_GASES).any(axis=0)  # (E,)
        if counted.any():
            ratios = graph.edge_vectors.norm(dim=1).numpy() / covalent_radii[pairs].sum(axis=0)
            smallest = float(ratios[counted].min())
            if smallest <= PLAUSIBLE_BONDS[1]:
                break
    return smallest


def _where(atoms: Atoms, index: int, source: str | Path) -> str:
    origin = atoms.info.get("origin")
    return f"{source}: structure {index}" + (f" ({origin})" if origin else "")


def _check_presence(atoms: Atoms, where: str) -> None:
    labels = {} if atoms.calc is None else atoms.calc.results
    for name, unit in (("energy", "eV"), ("forces", "eV/Å")):
        if name not in labels:
            found = sorted({*labels, *atoms.info, *atoms.arrays} - {"numbers", "positions"})
            raise ValueError(
                f"{where}: expected a label {name!r} in {unit}, got {found}; "
                "in extended XYZ the labels are energy=... and a column forces:R:3"
            )
    for name, values in labels.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{where}: {name} is not finite; remove the frame")


def _force_warnings(structures: list[Atoms], names: np.ndarray) -> list[str]:
    forces = [atoms.calc.results["forces"] for atoms in structures]
    largest = np.array([np.abs(f).max() for f in forces])
    warnings = []
    outliers = np.flatnonzero(largest > LARGEST_FORCE)
    if len(outliers):
        outliers = outliers[np.argsort(-largest[outliers], kind="stable")]
        warnings.append(
            f"{listed(names[outliers])} have a force component of more than {LARGEST_FORCE:g} eV/Å, "
            f"up to {largest.max():.4g}; look whether they are meant"
        )
    # The median: a few frames on fire do not make the units wrong.
    rms = float(np.median([np.sqrt(np.mean(f**2)) for f in forces]))
    if not PLAUSIBLE_FORCES[0] <= rms <= PLAUSIBLE_FORCES[1]:
        likely = "hartree/bohr" if rms < PLAUSIBLE_FORCES[0] else "kcal/mol/Å or kJ/mol/nm"
        warnings.append(
            f"the typical RMS force is {rms:.2g} eV/Å; are the forces in {likely}, or all structures relaxed?"
        )
    return warnings


def _energy_warnings(structures: list[Atoms], names: np.ndarray) -> list[str]:
    energies = np.array([atoms.calc.results["energy"] for atoms in structures])  # (S,)
    elements = sorted({int(z) for atoms in structures for z in atoms.numbers})
    counts = np.array([[(a.numbers == z).sum() for z in elements] for a in structures], dtype=float)
    n_atoms = counts.sum(axis=1)  # (S,)
    warning = _extensivity_warning(energies, counts, n_atoms)
    warnings = [] if warning is None else [warning]

    reference = fit_composition(structures)
    baseline = counts @ np.array([reference[chemical_symbols[z]] for z in elements])
    residual = (energies - baseline) / n_atoms
    residual -= np.median(residual)
    # At least 1 meV: where most structures are alike, a difference that is no error would count as one.
    deviation = max(1.4826 * float(np.median(np.abs(residual))), 1e-3)
    outliers = np.flatnonzero(np.abs(residual) > LARGEST_DEVIATION * deviation)
    if len(outliers):
        outliers = outliers[np.argsort(-np.abs(residual[outliers]), kind="stable")]
        warnings.append(
            f"{listed(names[outliers])} have an energy per atom further than {LARGEST_DEVIATION:g} robust standard "
            f"deviations ({deviation:.3g} eV) from their composition, up to {np.abs(residual).max():.3g} eV; "
            "look whether they are meant"
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


def _consistency_warnings(structures: list[Atoms]) -> list[str]:
    """Compare energy differences with the work of the forces between frames that follow closely on each other."""
    work, difference = [], []
    for one, two in zip(structures, structures[1:], strict=False):
        is_same = (
            len(one) == len(two)
            and (one.numbers == two.numbers).all()
            and np.allclose(one.cell.array, two.cell.array)
        )
        if not is_same:
            continue
        step = two.positions - one.positions  # (N, 3)
        if not 0.0 < np.abs(step).max() < 0.2:
            continue
        mean = 0.5 * (one.calc.results["forces"] + two.calc.results["forces"])
        work.append(-np.sum(mean * step))
        difference.append(two.calc.results["energy"] - one.calc.results["energy"])
    if len(work) < 10:
        return []
    work, difference = np.array(work), np.array(difference)
    norm = np.linalg.norm(work) * np.linalg.norm(difference)
    correlation = float(work @ difference / norm) if norm > 0.0 else 0.0
    # Without a clear proportionality the steps are too long, or the forces are of something else.
    if abs(correlation) < 0.95:
        return []
    factor = float(work @ work / (work @ difference))  # forces as given / forces that fit
    if 0.8 < factor < 1.25:
        return []
    matches = [name for name, value in _FORCE_UNITS.items() if 0.9 < factor / value < 1.1]
    hint = f"they look like {matches[0]}" if matches else "energy and forces are in different units"
    return [
        f"the forces are {factor:.3g} times the slope of the energy between neighbouring frames; {hint}"
    ]
