"""What is wrong, or looks wrong, with structures and labels.

What cannot be right is an error, what may be right is a warning; both name file and index. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from os import SEEK_END
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_engines.labels.agreement import agreement_warnings
from mlip_engines.labels.energies import energy_warnings
from mlip_engines.labels.forces import (
    consistency_warnings,
    force_warnings,
    net_force_warnings,
)
from mlip_engines.labels.geometry import check_geometry, implausible_lengths
from mlip_engines.labels.places import place
from mlip_engines.labels.presence import check_presence, presence_warnings
from mlip_engines.labels.strained import strain_warnings
from mlip_engines.labels.stresses import stress_warnings
from mlip_engines.labels.weights import config_weights
from mlip_engines.readers import has_own_units


def checked(
    structures: Iterable[Atoms],
    source: str | Path,
    indices: Iterable[int] | None = None,
    *,
    labels: bool = True,
) -> Iterator[Atoms]:
    """Yield structures as they come; refuse the first that cannot be right.

    Parameters
    ----------
    structures : iterable of ase.Atoms
    source : str or Path
        The file, for messages.
    indices : iterable of int, optional
        What to call the structures; by default they are counted.
    labels : bool
        Whether each must have an energy or forces.

    Raises
    ------
    ValueError
        As :func:`mlip_engines.labels.geometry.check_geometry` and :func:`mlip_engines.labels.presence.check_presence`.
    """
    for k, atoms in zip(count() if indices is None else indices, structures, strict=False):
        where = place(atoms, k, source)
        check_geometry(atoms, where)
        if labels:
            check_presence(atoms, where)
            try:
                config_weights(atoms)
            except ValueError as e:
                raise ValueError(f"{where}: {e}") from e
        yield atoms


def doubts(
    structures: list[Atoms],
    source: str | Path,
    units: str | None,
    indices: Sequence[int] | None = None,
    *,
    labels: bool = True,
) -> list[str]:
    """Return warnings about structures, and about their labels if they have any.

    Parameters
    ----------
    structures : list of ase.Atoms
        As of :func:`checked`, or a sample of them.
    source : str or Path
        Their file.
    units : {"metal", "atomic"} or None
        What the user said of them.
    indices : sequence of int, optional
        What to call the structures; by default they are counted.
    labels : bool
        Whether they have labels.

    Raises
    ------
    ValueError
        If nobody states the units, neither the user nor the format, and the distances are unlikely to be in Å.
    """
    doubt = implausible_lengths(structures)
    if doubt is not None and units is None and not has_own_units(source):
        raise ValueError(f"{source}: {doubt}; say what they are with --units metal or atomic")
    warnings = [] if doubt is None else [f"{source}: {doubt}"]
    if _ends_within_a_line(Path(source)):
        warnings.append(
            f"{source}: the last line has no end; if the file is cut off there, the last number of the last structure "
            "is wrong"
        )
    return [*warnings, *check_labels(structures, source, indices)] if labels else warnings


def _ends_within_a_line(path: Path) -> bool:
    """Return whether a text file of structures does not end as its writers end it."""
    if path.suffix.lower() not in (".xyz", ".extxyz") or not path.is_file():
        return False
    with open(path, "rb") as file:
        file.seek(-1, SEEK_END)
        return file.read(1) not in b"\r\n"


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
        One sentence each, on: labels that some structures lack, stress of an unlikely sign or size, outliers of forces
        and energy, energies that are not extensive, forces that do not look like eV/Å, energies, forces and stresses
        that do not belong together.

    Raises
    ------
    ValueError
        If a structure has neither energy nor forces, or a label is not finite.
    """
    names = np.arange(len(structures)) if indices is None else np.asarray(indices)
    for k, atoms in zip(names.tolist(), structures, strict=True):
        check_presence(atoms, place(atoms, k, source))
    with_energy, with_forces = (
        np.array([name in atoms.calc.results for atoms in structures])
        for name in ("energy", "forces")
    )

    def chosen(mask: np.ndarray) -> tuple[list[Atoms], np.ndarray]:
        return [structures[k] for k in np.flatnonzero(mask)], names[mask]

    both = chosen(with_energy & with_forces)
    of_neighbours = consistency_warnings(both[0])
    together, is_stress_settled = agreement_warnings(*both, with_energies=not of_neighbours)
    of_stress = stress_warnings(structures, names, with_trend=not is_stress_settled)
    is_stress_named = any("unit" in w or "sign" in w for w in of_stress) or any(
        "the stress" in w for w in together
    )
    warnings = [
        *presence_warnings(structures, names),
        *of_stress,
        *(force_warnings(*chosen(with_forces)) if with_forces.any() else []),
        *net_force_warnings(*chosen(with_forces)),
        *(energy_warnings(*chosen(with_energy)) if with_energy.any() else []),
        *of_neighbours,
        *together,
        # A stress of another unit or sign is named already; it lacks more than a pressure.
        *([] if is_stress_named else strain_warnings(*both)),
    ]
    return [f"{source}: {warning}" for warning in warnings]
