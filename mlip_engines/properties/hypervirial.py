r"""The temperature that positions have, without velocities: squared forces over curvature.

In the canonical ensemble <F_i^2> = kT <d^2E/dx_i^2> holds for every coordinate, so that for any set of atoms

    kT = <sum_i F_i^2> / <sum_i d^2E/dx_i^2>.

A step that is too long shows here before it does in the kinetic temperature, which thermostats hold. The sum of second
derivatives is the trace of a part of the Hessian, estimated with vectors of random signs (Hutchinson).

References
----------
Rugh, Phys. Rev. Lett. 78, 772 (1997); Butler, Ayton, Jepps, Evans, J. Chem. Phys. 109, 6519 (1998); Hutchinson, Commun.
Stat. Simul. Comput. 18, 1059 (1989), for the estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.simulations.statistics import Estimate, mean_and_error

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel


def configurational_temperature(
    model: LoadedModel, structures: Sequence[Atoms], *, seed: int = 1
) -> dict[str, Estimate]:
    """Return the configurational temperature of all atoms and of each element.

    Parameters
    ----------
    model : LoadedModel
        Its conservative forces count, whatever forces moved the atoms.
    structures : sequence of ase.Atoms
        Frames of one simulation in order of time, with the same atoms in each. A frame costs about two
        evaluations, and two more for each element.
    seed : int
        Of the random signs.

    Returns
    -------
    dict of str to Estimate, K
        Of ``"all"`` atoms and of each element. Errors are those of correlated series.

    Raises
    ------
    ValueError
        If there is no structure, the atoms differ between structures, or the model does not know an element.
    """
    from ase.units import kB

    squares, curvatures, elements = squared_forces_and_curvatures(model, structures, seed=seed)
    found = {}
    for name, chosen in {"all": elements, **{e: [e] for e in elements}}.items():
        columns = [elements.index(e) for e in chosen]
        estimate = ratio_of_means(
            squares[:, columns].sum(axis=1), curvatures[:, columns].sum(axis=1)
        )
        found[name] = Estimate(estimate.value / kB, estimate.error / kB)
    return found


def squared_forces_and_curvatures(
    model: LoadedModel, structures: Sequence[Atoms], *, seed: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return sums over the atoms of each element, in each structure.

    Parameters
    ----------
    model, structures, seed
        As of :func:`configurational_temperature`, with the same errors.

    Returns
    -------
    squares : (F, S) array, eV^2/Å^2
        Of the forces.
    curvatures : (F, S) array, eV/Å^2
        Second derivatives of the energy, by the signs of one random vector.
    elements : list of str
        The sorted symbols.
    """
    from mlip_engines.properties.force_field import ForceField

    if not structures:
        raise ValueError("expected at least one structure, got none")
    symbols = structures[0].get_chemical_symbols()
    elements = sorted(set(symbols))
    members = [np.array(symbols) == e for e in elements]
    field = ForceField(model, structures[0], conservative=True)
    random = np.random.default_rng(seed)
    squares = np.zeros((len(structures), len(elements)))
    curvatures = np.zeros_like(squares)
    for frame, atoms in enumerate(structures):
        if atoms.get_chemical_symbols() != symbols:
            raise ValueError(
                f"expected the atoms of the first structure in each, got {atoms.symbols} in "
                f"structure {frame}"
            )
        field.atoms = atoms.copy()  # the cell may change
        linearised = field.linearised(atoms.positions)
        forces = linearised.forces.detach().numpy()
        signs = random.choice([-1.0, 1.0], size=forces.shape)
        for k, member in enumerate(members):
            vector = np.where(member[:, None], signs, 0.0)
            squares[frame, k] = (forces[member] ** 2).sum()
            curvatures[frame, k] = -(vector * linearised.vector_jacobian(vector)).sum()
    return squares, curvatures, elements


def ratio_of_means(above: NDArray[np.float64], below: NDArray[np.float64]) -> Estimate:
    """Return <above>/<below> of two correlated series (F,) in order of time; the error is one of first order."""
    ratio = above.mean() / below.mean()
    error = mean_and_error((above - ratio * below) / below.mean()).error
    return Estimate(float(ratio), float(error))
