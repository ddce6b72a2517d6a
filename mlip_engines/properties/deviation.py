r"""How far the models of a committee deviate from their mean: a sign of structures that training has not seen.

Over the models m of a committee, the deviation of the force on atom i is

    s_i = sqrt(<|F_m,i - <F_m,i>|^2>),

that of each component of the virial W and that of the energy E, per atom of N,

    sqrt(<(W_m - <W_m>)^2>)/N,   sqrt(<(E_m - <E_m>)^2>)/N.

The mean < > is over all models, the one that drives a simulation included; its weight is 1/n, not 1/(n - 1).

References
----------
Zhang, Lin, Wang, Car, E, Phys. Rev. Materials 3, 023804 (2019), for the forces; DeePMD-kit for the virial: Zeng et al.,
J. Chem. Phys. 159, 054801 (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Deviation:
    """The deviation of a committee at one structure."""

    forces: NDArray[np.float64]  # (N,) eV/Å
    virial: NDArray[np.float64]  # (3, 3) eV/atom
    energy: float  # eV/atom

    columns: ClassVar[tuple[str, ...]] = (
        "max_force_eV_per_A",
        "min_force_eV_per_A",
        "mean_force_eV_per_A",
        "max_virial_eV_per_atom",
        "min_virial_eV_per_atom",
        "rms_virial_eV_per_atom",
        "energy_eV_per_atom",
    )

    def row(self) -> tuple[float, ...]:
        """Return the numbers of a line of a table, as ``columns`` names them."""
        return (
            float(self.forces.max()),
            float(self.forces.min()),
            float(self.forces.mean()),
            float(self.virial.max()),
            float(self.virial.min()),
            float(np.sqrt(np.mean(self.virial**2))),
            self.energy,
        )


def committee_deviation(energies: ArrayLike, forces: ArrayLike, virials: ArrayLike) -> Deviation:
    """Return how far models deviate from their mean.

    Parameters
    ----------
    energies : array_like, (n_models,), eV
    forces : array_like, (n_models, N, 3), eV/Å
    virials : array_like, (n_models, 3, 3), eV

    Raises
    ------
    ValueError
        If there are fewer than two models, no atoms, or arrays of other shapes.

    Examples
    --------
    >>> found = committee_deviation([0.0, 2.0], [[[3.0, 0.0, 0.0]], [[-3.0, 0.0, 0.0]]], np.zeros((2, 3, 3)))
    >>> found.forces, found.energy
    (array([3.]), 1.0)
    """
    energies, forces, virials = (
        np.asarray(a, dtype=np.float64) for a in (energies, forces, virials)
    )
    n_models = energies.size
    if n_models < 2:
        raise ValueError(
            f"a committee has two models or more, got {n_models}; the driving one counts"
        )
    if forces.ndim != 3 or forces.shape[::2] != (n_models, 3) or forces.shape[1] == 0:
        raise ValueError(
            f"expected forces of shape ({n_models}, number of atoms, 3), got {forces.shape}"
        )
    if virials.shape != (n_models, 3, 3):
        raise ValueError(f"expected virials of shape ({n_models}, 3, 3), got {virials.shape}")
    n_atoms = forces.shape[1]
    return Deviation(
        np.sqrt(np.mean(np.sum((forces - forces.mean(axis=0)) ** 2, axis=2), axis=0)),
        virials.std(axis=0) / n_atoms,
        float(energies.std()) / n_atoms,
    )
