"""A pair potential fitted to the forces of a data set: crude, but it knows the unit and the sign of a force.

Energy and virial of such a potential follow from its forces without another number, so they say what size and sign the
labels of energy and stress should have (force matching: Ercolessi, Adams, Europhys. Lett. 26, 583 (1994)). That it is
crude does not matter: a wrong unit is a factor of ten or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mlip_engines.model.neighbors import neighbor_graph

LARGEST_SAMPLE = 200  # structures
MOST_EDGES = 600_000
LEAST_FORCE = 1e-4  # eV/Å, RMS; below, structures are relaxed
MOST_KINDS = 15  # pairs of elements with a potential of their own; with more, all share one in reduced distances

# Distances are in units of the sum of two covalent radii.
_CENTRES = np.linspace(0.6, 2.1, 11)
_WIDTH = 1.2 * (_CENTRES[1] - _CENTRES[0])
_REACH = 2.4


@dataclass(frozen=True)
class PairPrediction:
    """What the potential gives for S structures of a set."""

    indices: np.ndarray  # (S,) their indices in the set
    energies: np.ndarray  # (S,) eV
    virials: np.ndarray  # (S, 3, 3) eV, V times the stress
    neighbors: np.ndarray  # (S,) mean number of neighbours of an atom
    explained: float  # fraction of the variance of the forces


def predict_from_forces(structures: Sequence[Atoms]) -> PairPrediction | None:
    """Fit a pair potential to the forces of some structures; return its energies and virials of them.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        With labels of forces.

    Returns
    -------
    PairPrediction or None
        None if there are no pairs of atoms, or no forces to fit to.
    """
    kinds = _kinds(structures)
    indices, energies, forces, virials, rows, neighbors = [], [], [], [], [], []
    n_edges = 0
    usable = _with_forces(structures)
    order = np.random.default_rng(0).permutation(usable)
    for k in order.tolist():
        atoms = structures[k]
        of_energy, of_forces, of_virial, n = _features(atoms, kinds)
        label = atoms.calc.results["forces"].ravel()  # (3N,)
        indices.append(k)
        energies.append(of_energy)
        virials.append(of_virial)
        rows.append(of_forces.reshape(label.size, -1))
        forces.append(label)
        neighbors.append(n / len(atoms))
        n_edges += n
        if len(indices) >= LARGEST_SAMPLE or n_edges > MOST_EDGES:
            break
    if not indices:
        return None
    rms = np.array([np.sqrt(np.mean(f**2)) for f in forces])  # (S,)
    typical = float(np.median(rms))
    # Structures with large forces would decide alone.
    weights = [
        1.0 / np.hypot(value, typical) / np.sqrt(len(f))
        for value, f in zip(rms, forces, strict=True)
    ]
    matrix = np.concatenate([w * row for w, row in zip(weights, rows, strict=True)])
    target = np.concatenate([w * f for w, f in zip(weights, forces, strict=True)])
    normal = matrix.T @ matrix
    ridge = 1e-6 * np.trace(normal) / len(normal)
    if ridge == 0.0:
        return None
    solution = np.linalg.solve(normal + ridge * np.eye(len(normal)), matrix.T @ target)
    explained = 1.0 - np.sum((matrix @ solution - target) ** 2) / np.sum(target**2)
    return PairPrediction(
        np.array(indices),
        np.array(energies) @ solution,
        np.array(virials) @ solution,
        np.array(neighbors),
        float(explained),
    )


def _with_forces(structures: Sequence[Atoms]) -> list[int]:
    """Return the indices of structures whose forces are not far smaller than usual, as in perfect crystals."""
    rms = np.array(
        [np.sqrt(np.mean(a.calc.results["forces"] ** 2)) if len(a) > 1 else 0.0 for a in structures]
    )
    usual = (
        np.sqrt(np.mean(np.minimum(rms, 10.0 * np.median(rms[rms > 0.0])) ** 2))
        if rms.any()
        else 0.0
    )
    return np.flatnonzero(rms >= max(0.2 * usual, LEAST_FORCE)).tolist()


def _kinds(structures: Sequence[Atoms]) -> np.ndarray:
    """Return the number of the potential (119, 119) between two elements."""
    elements = sorted({int(z) for atoms in structures for z in atoms.numbers})
    kinds = np.zeros((119, 119), dtype=int)
    if len(elements) * (len(elements) + 1) // 2 <= MOST_KINDS:
        pairs = [(a, b) for k, a in enumerate(elements) for b in elements[k:]]
        for n, (a, b) in enumerate(pairs):
            kinds[a, b] = kinds[b, a] = n
    return kinds


def _features(atoms: Atoms, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return energy (B,), forces (N, 3, B) and virial (3, 3, B) of every basis function, and the number of edges."""
    radii = covalent_radii[atoms.numbers]
    graph = neighbor_graph(atoms, 2.0 * _REACH * float(radii.max()))
    i, j = graph.edge_index.numpy()
    vectors = graph.edge_vectors.numpy()  # (E, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    unit = radii[i] + radii[j]
    near = lengths < _REACH * unit
    i, j, vectors, lengths, unit = (each[near] for each in (i, j, vectors, lengths, unit))
    values, slopes = _basis(lengths / unit)  # (E, F)
    slopes = slopes / unit[:, None]
    directions = vectors / lengths[:, None]
    kind = kinds[atoms.numbers[i], atoms.numbers[j]]
    n_functions, n_kinds = len(_CENTRES), int(kinds.max()) + 1
    energy = np.zeros((n_kinds, n_functions))
    forces = np.zeros((len(atoms), 3, n_kinds, n_functions))
    virial = np.zeros((3, 3, n_kinds, n_functions))
    for n in np.unique(kind).tolist():
        of_kind = kind == n
        slope, direction = slopes[of_kind], directions[of_kind]
        energy[n] = 0.5 * values[of_kind].sum(axis=0)
        centres, starts = np.unique(i[of_kind], return_index=True)  # edges are sorted by centre
        forces[centres, :, n] = np.add.reduceat(
            direction[:, :, None] * slope[:, None, :], starts, axis=0
        )
        tensors = (direction[:, :, None] * vectors[of_kind][:, None, :]).reshape(-1, 9)
        virial[:, :, n] = 0.5 * (tensors.T @ slope).reshape(3, 3, n_functions)
    width = n_kinds * n_functions
    return (
        energy.reshape(width),
        forces.reshape(len(atoms), 3, width),
        virial.reshape(3, 3, width),
        len(i),
    )


def _basis(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussians (E, F) of reduced distances that end at the reach, and their derivatives."""
    offsets = (x[:, None] - _CENTRES) / _WIDTH
    gaussians = np.exp(-0.5 * offsets**2)
    u = x[:, None] / _REACH
    end, end_slope = (1.0 - u**2) ** 2, -4.0 * u * (1.0 - u**2) / _REACH
    return gaussians * end, gaussians * (end_slope - end * offsets / _WIDTH)
