r"""How far forces are from being the gradient of anything: the antisymmetric part of their Jacobian.

J_ij = dF_i/dr_j. Forces with an energy have J = J^T. The measure is

    lambda = |J_anti|_F / |J|_F,   J_anti = (J - J^T)/2,

0 for a gradient, 1 for forces with nothing but curl. For few atoms J is built row by row. For many, with random
vectors v of independent components +-1, |J v|^2 and |(J - J^T) v|^2/4 have the expectations |J|_F^2 and
|J_anti|_F^2 (Hutchinson); J v comes from differences of forces, J^T v from reverse differentiation. For
conservative forces the two ways to J v agree to the error of the differences, about 1e-8.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), section 3 and figure 1; Hutchinson, Commun. Stat. Simul.
Comput. 18, 1059 (1989), for the estimator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.simulations.statistics import Estimate

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel
    from mlip_engines.properties.force_field import ForceField


def jacobian_asymmetry(
    model: LoadedModel,
    atoms: Atoms,
    *,
    conservative: bool = False,
    n_probes: int = 32,
    seed: int = 1,
) -> Estimate:
    """Estimate lambda of the forces of a model on a structure from products with random vectors.

    Parameters
    ----------
    model : LoadedModel
    atoms : ase.Atoms
    conservative : bool
        Of the conservative forces, where it is zero to about 1e-8, or of those that the head predicts.
    n_probes : int
        Random vectors; each costs about seven evaluations of the structure.
    seed : int
        Of the random vectors.

    Returns
    -------
    Estimate, no unit
        As of :func:`stochastic_asymmetry`.

    Raises
    ------
    ValueError
        If the model has no head for non-conservative forces and they are asked for, or does not know an element.
    """
    from mlip_engines.properties.force_field import ForceField

    field = ForceField(model, atoms, conservative=conservative)
    positions = atoms.positions
    linearised = field.linearised(positions)
    return stochastic_asymmetry(
        lambda v: field.jacobian_vector(positions, v.reshape(positions.shape)).ravel(),
        lambda v: linearised.vector_jacobian(v.reshape(positions.shape)).ravel(),
        positions.size,
        n_probes,
        np.random.default_rng(seed),
    )


def asymmetry(jacobian: NDArray[np.float64]) -> float:
    """Return lambda = |(J - J^T)/2|_F / |J|_F of a square matrix; 0 for a matrix of zeros."""
    norm = np.linalg.norm(jacobian)
    return float(np.linalg.norm(jacobian - jacobian.T) / 2.0 / norm) if norm > 0.0 else 0.0


def stochastic_asymmetry(
    forward: Callable[[NDArray], NDArray],
    backward: Callable[[NDArray], NDArray],
    n_components: int,
    n_probes: int,
    rng: np.random.Generator,
) -> Estimate:
    """Estimate lambda of a matrix that is known by its products with vectors only.

    Parameters
    ----------
    forward, backward : callables
        v to J v and to J^T v, arrays of shape (n_components,).
    n_components : int
    n_probes : int
        Random vectors.
    rng : numpy.random.Generator

    Returns
    -------
    Estimate, no unit
        The error is that of a ratio of means, to first order; NaN for a single probe.
    """
    whole, anti = np.zeros(n_probes), np.zeros(n_probes)
    for k in range(n_probes):
        v = rng.choice([-1.0, 1.0], size=n_components)
        there, back = forward(v), backward(v)
        whole[k] = 0.5 * (there @ there + back @ back)
        anti[k] = ((there - back) ** 2).sum() / 4.0
    if whole.mean() == 0.0:
        return Estimate(0.0, 0.0)
    squared = anti.mean() / whole.mean()
    value = np.sqrt(squared)
    if n_probes < 2:
        return Estimate(float(value), float("nan"))
    error = (anti - squared * whole).std(ddof=1) / np.sqrt(n_probes) / whole.mean()
    return Estimate(float(value), float(error / (2.0 * value)) if value > 0.0 else 0.0)


def jacobian_rows(
    field: ForceField, positions: NDArray[np.float64], chosen: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Rows of J that belong to some atoms, by reverse differentiation.

    Parameters
    ----------
    field : ForceField
    positions : (N, 3) array, Å
    chosen : (n,) int array
        Indices of the atoms.

    Returns
    -------
    (3n, 3N) array, eV/Å^2
    """
    linearised = field.linearised(positions)
    rows = np.zeros((3 * len(chosen), positions.size))
    for k, atom in enumerate(chosen):
        for axis in range(3):
            vector = np.zeros_like(positions)
            vector[atom, axis] = 1.0
            rows[3 * k + axis] = linearised.vector_jacobian(vector).ravel()
    return rows


def pair_blocks(jacobian: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Frobenius norms of the 3x3 blocks of J and of its antisymmetric part.

    Parameters
    ----------
    jacobian : (3n, 3n) array, eV/Å^2

    Returns
    -------
    whole, antisymmetric : (n, n) arrays, eV/Å^2
    """
    n = len(jacobian) // 3

    def norms(matrix: NDArray) -> NDArray:
        return np.sqrt((matrix.reshape(n, 3, n, 3) ** 2).sum(axis=(1, 3)))

    return norms(jacobian), norms((jacobian - jacobian.T) / 2.0)


def nearest_atoms(atoms: Atoms, n: int) -> NDArray[np.int_]:
    """Return the indices of the n atoms nearest to the first one, in order of the structure."""
    distances = atoms.get_distances(0, np.arange(len(atoms)), mic=bool(atoms.pbc.any()))
    return np.sort(np.argsort(distances, kind="stable")[:n])
