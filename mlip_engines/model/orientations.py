"""Sets of orientations in space, with the weights by which answers in them are averaged.

An orientation is an orthogonal matrix Q, a proper rotation or one with an inversion: a structure with positions x has
the positions Q x in it.

A grid of degree L averages over all rotations what depends on the orientation as a sum of Wigner functions up to L, and
leaves of it exactly the part that does not. It is the product of a Lebedev rule of degree L, for where the z axis
points, and of L + 1 equally spaced turns about it. The grid of degree 3 is the rotation group of the cube.

A point group is a set of orientations too. The average over it does not know every direction, but a crystal of that
group, in that orientation, is given its full symmetry.

References
----------
Lebedev, Laikov, Dokl. Math. 59, 477 (1999). Averages over such grids for models without rotational symmetry: Langer,
Pozdnyakov, Ceriotti, Mach. Learn.: Sci. Technol. 5, 04LT01 (2024).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

LARGEST_DEGREE = 131


@dataclass(frozen=True)
class Orientations:
    """Orthogonal matrices (M, 3, 3), their weights (M,), which sum to one, and how they came about."""

    matrices: NDArray[np.float64]
    weights: NDArray[np.float64]
    origin: dict[str, str | int | bool]
    """For the metadata of a model file."""

    def __len__(self) -> int:
        """Return the number of orientations M."""
        return len(self.weights)


def lebedev_orientations(degree: int, *, inversion: bool = True) -> Orientations:
    """Return a grid that averages over all rotations exactly up to a degree.

    Parameters
    ----------
    degree : int
        L. The next rule that exists is taken: 3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 29, 31, 35, 41, ... 131. Those of
        degree 13, 25 and 27 have negative weights, which would enlarge what they should average out.
    inversion : bool
        Whether each orientation is there with its mirror image too.

    Raises
    ------
    ValueError
        If there is no rule of this degree or a higher one.
    ImportError
        If scipy is older than 1.15.

    Examples
    --------
    >>> len(lebedev_orientations(3)), len(lebedev_orientations(5, inversion=False))
    (48, 84)
    """
    if not 1 <= degree <= LARGEST_DEGREE:
        raise ValueError(
            f"expected the degree of a Lebedev grid between 1 and {LARGEST_DEGREE}, got {degree}"
        )
    try:
        from scipy.integrate import lebedev_rule
    except ImportError as e:
        raise ImportError(
            "Lebedev grids need scipy 1.15 or newer: pip install 'scipy>=1.15'"
        ) from e
    from scipy.spatial.transform import Rotation

    while True:
        try:
            points, weights = lebedev_rule(degree)  # (3, P), (P,)
        except NotImplementedError:  # no rule of this degree
            degree += 1
            continue
        if weights.min() > 0.0:
            break
        degree += 1
    polar = np.arccos(np.clip(points[2], -1.0, 1.0))  # (P,)
    azimuth = np.arctan2(points[1], points[0])  # (P,)
    about = 2.0 * np.pi * np.arange(degree + 1) / (degree + 1)  # (L + 1,)
    n_points, n_turns = len(weights), len(about)
    angles = np.stack(
        [np.repeat(azimuth, n_turns), np.repeat(polar, n_turns), np.tile(about, n_points)], axis=1
    )
    turns = Rotation.from_euler("ZYZ", angles).as_matrix()  # (M, 3, 3)
    each = np.repeat(weights, n_turns)
    origin = {"grid": "lebedev", "degree": degree, "inversion": inversion}
    return _orientations(turns, each, origin, inversion=inversion)


def point_group_orientations(atoms: Atoms, tolerance: float = 1e-3) -> Orientations:
    """Return the operations of the point group of a crystal, improper ones among them.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic in three directions, in the orientation in which it will be simulated.
    tolerance : float, Å
        Within which atoms coincide.

    Raises
    ------
    ValueError
        If the structure is not periodic in three directions, or its symmetry is not found.
    ImportError
        If spglib is not installed.
    """
    try:
        import spglib
    except ImportError as e:
        raise ImportError("point groups need spglib: pip install 'mlip-engines[phonons]'") from e
    if not atoms.pbc.all():
        raise ValueError(f"expected a crystal, periodic in three directions, got pbc = {atoms.pbc}")
    lattice = atoms.cell.array
    crystal = lattice, atoms.get_scaled_positions(), atoms.numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how spglib will tell of failures
        try:
            found = spglib.get_symmetry_dataset(crystal, symprec=tolerance)
        except spglib.SpglibError:
            found = None
    if found is None:
        raise ValueError(
            f"expected a crystal with a symmetry to {tolerance} Å, spglib finds none: look for atoms at one place"
        )
    in_lattice = np.unique(found.rotations, axis=0)  # (M, 3, 3)
    matrices = lattice.T @ in_lattice @ np.linalg.inv(lattice.T)
    # A lattice that has its symmetry only to the tolerance gives matrices that are not quite orthogonal.
    u, _, v = np.linalg.svd(matrices)
    origin = {"grid": "point group", "space_group": str(found.international)}
    return _orientations(u @ v, np.ones(len(matrices)), origin, inversion=False)


def stored_orientations(
    origin: dict[str, str | int | bool],
    matrices: NDArray[np.floating],
    weights: NDArray[np.floating],
) -> Orientations:
    """Return the orientations of a model file.

    Parameters
    ----------
    origin : dict
        What the metadata of the file say of them. A Lebedev grid is made anew from it.
    matrices : (M, 3, 3) array
        In the precision of the file; the nearest orthogonal matrices are taken.
    weights : (M,) array
    """
    if origin.get("grid") == "lebedev":
        return lebedev_orientations(int(origin["degree"]), inversion=bool(origin["inversion"]))
    u, _, v = np.linalg.svd(np.asarray(matrices, dtype=np.float64))
    given = np.asarray(weights, dtype=np.float64)
    return Orientations(u @ v, given / given.sum(), dict(origin))


def _orientations(
    turns: NDArray[np.float64],
    weights: NDArray[np.float64],
    origin: dict[str, str | int | bool],
    *,
    inversion: bool,
) -> Orientations:
    if inversion:
        turns, weights = np.concatenate([turns, -turns]), np.concatenate([weights, weights])
    return Orientations(turns, weights / weights.sum(), {**origin, "orientations": len(weights)})
