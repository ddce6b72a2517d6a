"""What is in a set of structures: elements, labels, distances, volumes, and the structures that stand out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from mlip_engines.labels.isolated import config_type, isolated_energies
from mlip_engines.labels.repeats import geometry_key
from mlip_engines.labels.shortest import shortest_distances
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.data.references import references_of

SAMPLE = 200  # structures for which neighbours are searched
SHOWN = 10  # structures that stand out, of each kind
CUTOFFS = (4.0, 4.5, 5.0, 5.5, 6.0)  # Å


@dataclass(frozen=True)
class ElementSurvey:
    """One element in a set."""

    symbol: str
    n_structures: int
    n_atoms: int
    force_rms: float | None  # eV/Å, of the length
    largest_force: float | None  # eV/Å, of the length
    reference: float  # eV, fitted
    isolated: float | None  # eV, of an isolated atom in the set


@dataclass(frozen=True)
class KindSurvey:
    """The structures of one ``config_type``."""

    name: str  # empty for those without
    n_structures: int
    n_atoms: int
    force_rms: float | None  # eV/Å per component
    energy_spread: float | None  # eV/atom, standard deviation above the reference energies


@dataclass(frozen=True)
class Standout:
    """A structure far from the others, by its place in the set."""

    index: int
    value: float


@dataclass
class Survey:
    """Numbers about a set; see the fields."""

    sizes: np.ndarray  # (S,) atoms
    n_periodic: Counter[int]  # structures by the number of periodic directions
    n_labels: dict[str, int]  # structures with energy, forces, stress
    elements: list[ElementSurvey]
    kinds: list[KindSurvey]
    splits: dict[str, int]  # structures by the value of split=
    keys: dict[str, int]  # other keys that group structures: number of values
    n_repeated: int
    shortest: dict[str, float]  # Å, by pair
    neighbors: dict[float, float]  # mean number of an atom within a distance, Å
    n_sampled: int  # structures that the last two are of
    volumes: np.ndarray  # Å^3 per atom, of structures periodic in three directions
    force_rms: float | None  # eV/Å per component
    energy_spread: float | None  # eV/atom
    net_force: float | None  # eV/Å, RMS of |sum of forces| / number of atoms
    standouts: dict[str, list[Standout]] = field(default_factory=dict)


def survey(structures: Sequence[Atoms]) -> Survey:
    """Return what is in a set of checked structures."""
    labels = [{} if a.calc is None else a.calc.results for a in structures]
    sizes = np.array([len(a) for a in structures])
    references = references_of(structures, "fit")
    residuals = np.array(
        [
            (found["energy"] - sum(references[s] for s in atoms.get_chemical_symbols()))
            / len(atoms)
            if "energy" in found
            else np.nan
            for atoms, found in zip(structures, labels, strict=True)
        ]
    )  # (S,) eV/atom
    lengths = [
        np.linalg.norm(found["forces"], axis=1) if "forces" in found else None for found in labels
    ]
    largest = np.array([np.nan if f is None else f.max() for f in lengths])  # (S,)
    net = [
        np.linalg.norm(found["forces"].sum(axis=0)) / len(found["forces"])
        for found in labels
        if "forces" in found and len(found["forces"]) > 1
    ]
    bulk = [k for k, a in enumerate(structures) if a.pbc.all()]
    volumes = np.array([structures[k].get_volume() / len(structures[k]) for k in bulk])
    chosen = np.linspace(0, len(structures) - 1, min(len(structures), SAMPLE)).astype(int)
    sample = [structures[k] for k in chosen]
    types = [config_type(a) for a in structures]
    standouts = {
        "energy per atom above the reference energies, eV": _farthest(residuals),
        "longest force, eV/Å": _highest(largest),
    }
    if len(volumes):
        at = np.full(len(structures), np.nan)
        at[bulk] = np.log(volumes / np.median(volumes))
        standouts["volume per atom over the median, natural logarithm"] = _farthest(at)
    return Survey(
        sizes=sizes,
        n_periodic=Counter(int(a.pbc.sum()) for a in structures),
        n_labels={n: sum(n in found for found in labels) for n in ("energy", "forces", "stress")},
        elements=_elements(structures, lengths, references),
        kinds=[
            _kind(
                name, [k for k, each in enumerate(types) if each == name], sizes, lengths, residuals
            )
            for name in sorted(set(types))
        ],
        splits=dict(Counter(str(a.info["split"]) for a in structures if "split" in a.info)),
        keys=_grouping_keys(structures),
        n_repeated=len(structures) - len({geometry_key(a) for a in structures}),
        shortest=shortest_distances(sample),
        neighbors=_neighbors(sample),
        n_sampled=len(sample),
        volumes=volumes,
        force_rms=_rms(lengths),
        energy_spread=_spread(residuals),
        net_force=float(np.sqrt(np.mean(np.square(net)))) if net else None,
        standouts={title: found for title, found in standouts.items() if found},
    )


def _rms(lengths: Sequence[np.ndarray | None]) -> float | None:
    """Return the root mean square of a component of forces, given their lengths."""
    known = [f for f in lengths if f is not None]
    return float(np.sqrt(np.mean(np.concatenate(known) ** 2) / 3.0)) if known else None


def _spread(residuals: np.ndarray) -> float | None:
    known = residuals[np.isfinite(residuals)]
    return float(known.std()) if len(known) else None


def _elements(
    structures: Sequence[Atoms], lengths: list[np.ndarray | None], references: dict[str, float]
) -> list[ElementSurvey]:
    isolated = isolated_energies(structures)
    found = []
    for symbol, reference in references.items():
        masks = [a.numbers == chemical_symbols.index(symbol) for a in structures]
        own = [f[m] for f, m in zip(lengths, masks, strict=True) if f is not None and m.any()]
        forces = np.concatenate(own) if own else None
        found.append(
            ElementSurvey(
                symbol,
                sum(bool(m.any()) for m in masks),
                sum(int(m.sum()) for m in masks),
                None if forces is None else float(np.sqrt(np.mean(forces**2))),
                None if forces is None else float(forces.max()),
                reference,
                isolated.get(symbol),
            )
        )
    return found


def _kind(
    name: str,
    members: list[int],
    sizes: np.ndarray,
    lengths: list[np.ndarray | None],
    residuals: np.ndarray,
) -> KindSurvey:
    return KindSurvey(
        name,
        len(members),
        int(sizes[members].sum()),
        _rms([lengths[k] for k in members]),
        _spread(residuals[members]),
    )


def _grouping_keys(structures: Sequence[Atoms]) -> dict[str, int]:
    """Return keys of all structures whose values repeat: names of trajectories, molecules, sources."""
    known = {"split", "origin", "config_type", "energy", "free_energy", "stress", "virial"}
    keys = set(structures[0].info) - known
    for atoms in structures:
        keys &= set(atoms.info)
    found = {}
    for key in sorted(map(str, keys)):
        values = [a.info[key] for a in structures]
        if all(isinstance(v, str | int | np.integer) for v in values):
            n = len({str(v) for v in values})
            if 1 < n <= len(structures) // 2:
                found[key] = n
    return found


def _neighbors(sample: Sequence[Atoms]) -> dict[float, float]:
    counts = dict.fromkeys(CUTOFFS, 0)
    n_atoms = 0
    for atoms in sample:
        if len(atoms) == 1 and not atoms.pbc.any():
            continue
        distances = neighbor_graph(atoms, CUTOFFS[-1]).edge_vectors.norm(dim=1).numpy()
        n_atoms += len(atoms)
        for cutoff in CUTOFFS:
            counts[cutoff] += int((distances < cutoff).sum())
    return {cutoff: count / max(n_atoms, 1) for cutoff, count in counts.items()}


def _farthest(values: np.ndarray) -> list[Standout]:
    """Return the structures farthest from the median."""
    if not np.isfinite(values).any():
        return []
    return _highest(np.abs(values - np.nanmedian(values)), values)


def _highest(order: np.ndarray, values: np.ndarray | None = None) -> list[Standout]:
    shown = order if values is None else values
    ranked = np.argsort(-np.where(np.isfinite(order), order, -np.inf), kind="stable")[:SHOWN]
    return [Standout(int(k), float(shown[k])) for k in ranked if np.isfinite(order[k])]
