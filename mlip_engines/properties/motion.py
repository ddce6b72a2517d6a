r"""Kinds of motion of a molecule: its temperature as a whole, as it turns, bends and stretches.

In mass-weighted coordinates y = M^{1/2} x, the directions of a molecule of n atoms fall into four subspaces that are
perpendicular to each other:

- *translation* of all atoms together,
- *libration*: rotation about the centre of mass,
- *stretch*: the gradients of the bond lengths,
- *bend*: all that is left, angles and torsions.

With the projectors P_m on them, sum_m P_m = 1, the hypervirial theorem for the vector field M^{-1/2} P_m M^{-1/2} dE/dx
gives each kind a configurational temperature,

    kT = < F^T Q_m F > / < tr(Q_m H) - (div Q_m) F >,    Q_m = M^{-1/2} P_m M^{-1/2},

with the forces F and the Hessian H. The last term is there because a molecule that turns takes its directions with it:
without it, a free rotor would have no temperature. For molecules near their wells it is small.

References
----------
Jepps, Ayton, Evans, Phys. Rev. E 62, 4757 (2000), for general vector fields; Wilson, Decius, Cross, Molecular
Vibrations (1955), chapter 2, for the coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.properties.hypervirial import ratio_of_means
from mlip_engines.properties.molecules import bonds, find_molecules, in_one_piece
from mlip_engines.simulations.statistics import Estimate

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel
    from mlip_engines.properties.force_field import ForceField

MOTIONS = ("translation", "libration", "bend", "stretch")
SMALLEST = 1e-6  # of the largest singular value: directions that are the same, such as a rotation about a line of atoms
AT_ONCE = 12  # coordinates of a molecule that are displaced together: what is in memory
LARGEST = 50  # atoms of a molecule
DIFFERENCE_STEP = 1e-4  # Å, of projectors, which are smooth functions of positions


def motion_projectors(
    positions: NDArray[np.float64], masses: NDArray[np.float64], pairs: NDArray[np.int_]
) -> dict[str, NDArray[np.float64]]:
    """Return the projector on each kind of motion in mass-weighted coordinates.

    Parameters
    ----------
    positions : (..., n, 3) array, Å
        Of a molecule in one piece; or of many alike, with more axes in front.
    masses : (n,) array
        In any unit.
    pairs : (B, 2) array
        The bonds.

    Returns
    -------
    dict of str to (..., 3n, 3n) array
        Symmetric, for each of :data:`MOTIONS`; together they are one. A kind that a molecule does not have, such as the
        bend of two atoms, is zero.
    """
    n = positions.shape[-2]
    root = np.sqrt(masses)  # (n,)
    lead = positions.shape[:-2]
    centred = positions - np.average(positions, axis=-2, weights=masses)[..., None, :]
    translations = np.zeros((*lead, n, 3, 3))
    translations[...] = root[:, None, None] * np.eye(3)
    # rotation about axis a moves atom i by a x r_i
    rotations = np.stack([np.cross(axis, centred) for axis in np.eye(3)], axis=-1)
    rotations *= root[:, None, None]
    stretches = np.zeros((*lead, n, 3, max(1, len(pairs))))
    for b, (i, j) in enumerate(pairs):
        along = positions[..., j, :] - positions[..., i, :]
        along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-300)
        stretches[..., i, :, b] = -along / root[i]
        stretches[..., j, :, b] = along / root[j]
    found = {
        name: _projector(part.reshape(*lead, 3 * n, part.shape[-1]))
        for name, part in (
            ("translation", translations),
            ("libration", rotations),
            ("stretch", stretches),
        )
    }
    rest = np.eye(3 * n) - found["translation"] - found["libration"] - found["stretch"]
    is_there = np.trace(rest, axis1=-2, axis2=-1) > 0.5  # else it is rounding
    found["bend"] = np.where(is_there[..., None, None], rest, 0.0)
    return {name: found[name] for name in MOTIONS}


def configurational_temperature_of_motions(
    model: LoadedModel, structures: Sequence[Atoms], *, seed: int = 1
) -> dict[str, Estimate]:
    """Return the configurational temperature of translation, libration, bend and stretch of molecules.

    Parameters
    ----------
    model : LoadedModel
        Its conservative forces count, whatever forces moved the atoms.
    structures : sequence of ase.Atoms
        Frames of one simulation in order of time, with the same atoms in each. Molecules are those of the first one. A
        frame costs about two evaluations, and two more for each kind.
    seed : int
        Of random signs, see :func:`~mlip_engines.properties.hypervirial.squared_forces_and_curvatures`.

    Returns
    -------
    dict of str to Estimate, K
        Of the kinds of motion that the molecules have, and that forces act on. Errors are those of correlated series.
        Molecules that are nearly straight, such as carbon dioxide, have a noisy libration: the turn about their axis.

    Raises
    ------
    ValueError
        If there is no structure, the atoms differ between structures, the model does not know an element, or there is a
        molecule of more than 50 atoms, as a metal is.
    """
    from mlip_engines.properties.force_field import ForceField

    if not structures:
        raise ValueError("expected at least one structure, got none")
    field = ForceField(model, structures[0], conservative=True)
    return temperatures_of_field(field, structures, seed=seed)


def temperatures_of_field(
    field: ForceField, structures: Sequence[Atoms], *, seed: int = 1
) -> dict[str, Estimate]:
    """Return what :func:`configurational_temperature_of_motions` does, for forces that are given as a field."""
    from ase.units import kB

    symbols = structures[0].get_chemical_symbols()
    masses = structures[0].get_masses()
    families = _families(structures[0])
    largest = max(groups.shape[1] for groups, _ in families)
    if largest > LARGEST:
        raise ValueError(
            f"expected molecules of at most {LARGEST} atoms, got one of {largest}; "
            "a network of bonds has no such motion"
        )
    random = np.random.default_rng(seed)
    squares = {name: np.zeros(len(structures)) for name in MOTIONS}
    curvatures = {name: np.zeros(len(structures)) for name in MOTIONS}
    for frame, atoms in enumerate(structures):
        if atoms.get_chemical_symbols() != symbols:
            raise ValueError(
                f"expected the atoms of the first structure in each, got {atoms.symbols} in structure {frame}"
            )
        field.atoms = atoms.copy()  # the cell may change
        linearised = field.linearised(atoms.positions)
        forces = linearised.forces.detach().numpy()
        signs = random.choice([-1.0, 1.0], size=forces.shape)
        vectors = {name: np.zeros_like(forces) for name in MOTIONS}
        for groups, pairs in families:
            of_frame = in_one_piece(atoms, groups, pairs)  # (m, n, 3)
            m, n = groups.shape
            root = np.sqrt(masses[groups[0]]).repeat(3)  # (3n,)
            f = forces[groups].reshape(m, 3 * n)
            z = signs[groups].reshape(m, 3 * n)
            here = motion_projectors(of_frame, masses[groups[0]], pairs)
            divergences = _divergences(of_frame, masses[groups[0]], pairs)
            for name, projector in here.items():
                reduced = np.einsum("mab,mb->ma", projector, f / root)
                squares[name][frame] += (reduced**2).sum()
                curvatures[name][frame] -= (divergences[name] * f).sum()
                # of random signs z, (P M^-1/2)^T z has the covariance Q
                turned = np.einsum("mab,mb->ma", projector, z) / root
                vectors[name][groups] = turned.reshape(m, n, 3)
        for name, vector in vectors.items():
            if vector.any():
                curvatures[name][frame] -= (vector * linearised.vector_jacobian(vector)).sum()
    found = {}
    total = sum(values.mean() for values in squares.values())
    for name in MOTIONS:
        # what nothing hinders, such as a rotation in a vacuum, has neither forces nor curvature: no temperature
        if squares[name].mean() > SMALLEST**2 * total:
            estimate = ratio_of_means(squares[name], curvatures[name])
            found[name] = Estimate(estimate.value / kB, estimate.error / kB)
    return found


def bonds_within(symbols: Sequence[str], positions: NDArray[np.float64]) -> NDArray[np.int_]:
    """Return the bonds (B, 2) of a molecule in one piece, positions (n, 3) in Å."""
    from ase import Atoms

    if len(symbols) < 2:
        return np.zeros((0, 2), dtype=int)
    return bonds(Atoms(symbols, positions))


def _projector(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the projectors (..., d, d) on the span of columns (..., d, k)."""
    # inertia tensor and the like: small, where the directions are many
    gram = np.swapaxes(directions, -1, -2) @ directions  # (..., k, k)
    squares, axes = np.linalg.eigh(gram)
    largest = np.maximum(squares[..., -1:], 1e-300)
    kept = squares > SMALLEST**2 * largest
    inverse = np.where(kept, 1.0 / np.where(kept, squares, 1.0), 0.0)
    turned = directions @ axes  # (..., d, k)
    return (turned * inverse[..., None, :]) @ np.swapaxes(turned, -1, -2)


def _divergences(
    positions: NDArray[np.float64], masses: NDArray[np.float64], pairs: NDArray[np.int_]
) -> dict[str, NDArray[np.float64]]:
    """Return sum_a dQ_ab / dx_a (m, 3n) for each kind of motion, of positions (m, n, 3)."""
    m, n, _ = positions.shape
    root = np.sqrt(masses).repeat(3)
    steps = DIFFERENCE_STEP * np.eye(3 * n).reshape(3 * n, 1, n, 3)
    found = {name: np.zeros((m, 3 * n)) for name in MOTIONS}
    for some in np.array_split(np.arange(3 * n), -(-3 * n // AT_ONCE)):
        above = motion_projectors(positions + steps[some], masses, pairs)
        below = motion_projectors(positions - steps[some], masses, pairs)
        for name in MOTIONS:
            rows = (above[name] - below[name])[np.arange(len(some)), :, some]  # (some, m, 3n)
            slopes = rows / (2.0 * DIFFERENCE_STEP * root[some, None, None] * root)
            found[name] += slopes.sum(axis=0)
    return found


def _families(atoms: Atoms) -> list[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Return molecules that are alike, indices (m, n), with their bonds (B, 2) among the n."""
    found: dict[tuple, list[NDArray[np.int_]]] = {}
    everywhere = bonds(atoms)
    for group in find_molecules(atoms):
        inside = np.isin(everywhere, group).all(axis=1)
        pairs = np.searchsorted(group, everywhere[inside])
        key = (tuple(atoms.numbers[group]), tuple(map(tuple, pairs.tolist())))
        found.setdefault(key, []).append(group)
    return [
        (np.array(groups), np.array(pairs, dtype=int).reshape(-1, 2))
        for (_, pairs), groups in found.items()
    ]
