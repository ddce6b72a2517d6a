"""The page of names: every quantity with its shape, unit and sign, and the two orders of six.

Internal units are eV, Å and amu; an engine that has others uses :mod:`mlip_engines.units`.

===========================  ==========  =========  ===============================================
name                         shape       unit       meaning
===========================  ==========  =========  ===============================================
``positions``                (N, 3)      Å          need not be wrapped into the cell
``atomic_numbers``           (N,)                   never engine types, never guessed from masses
``cell``                     (3, 3)      Å          rows are lattice vectors
``pbc``                      (3,)                   periodicity along each lattice vector
``edge_index``               (2, E)                 row 0 centre i, row 1 neighbour j (not vice
                                                    versa); both directions, sorted by centre
``cell_shifts``              (E, 3)                 integers, lattice vectors added to the neighbour
``edge_vectors``             (E, 3)      Å          r_j - r_i + ``cell_shifts @ cell``
``reverse_edge``             (E,)                   index of the edge j -> i with the opposite shift
``owned``                    (N,)                   atoms whose energy counts
``cutoff``                               Å          longest edge
``interaction_range``                    Å          cutoff times message-passing layers: its reach
``energy``                   ()          eV
``atomic_energies``          (N,)        eV         they sum to the energy
``forces``                   (N, 3)      eV/Å       conservative: minus the gradient of the energy
``non_conservative_forces``  (N, 3)      eV/Å       of a head, net force removed (direct forces)
``correction``               (N, 3)      eV/Å       conservative - non-conservative, slow in r-RESPA
``virial``                   (3, 3)      eV         -dE/d(strain), LAMMPS's sign
``atomic_virials``           (N, 3, 3)   eV         they sum to the virial
``centroid_virials``         (N, 3, 3)   eV         they do too; with velocities they give the heat flux
``non_conservative_virial``  (3, 3)      eV         of a head, same sign; no derivative of the energy
``stress``                   (3, 3)      eV/Å^3     +(1/V) dE/d(strain) = -virial/V, ASE's sign:
                                                    negative in a system that wants to expand
``outer_step``                           fs         between two corrections of r-RESPA
``inner_steps``                                     M: non-conservative steps per outer step
===========================  ==========  =========  ===============================================

Six components: ASE's (Voigt's) order is xx yy zz yz xz xy, LAMMPS's is xx yy zz xy xz yz.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def stress_from_virial(virial: ArrayLike, volume: float) -> NDArray[np.float64]:
    """Stress, ASE's sign, from the virial, LAMMPS's sign: -W/V, symmetrised.

    Parameters
    ----------
    virial : (3, 3) array, eV
    volume : float, Å^3

    Returns
    -------
    (3, 3) array, eV/Å^3

    Raises
    ------
    ValueError
        If the volume is not positive.
    """
    if not volume > 0.0:
        raise ValueError(f"volume must be positive to define a stress, got {volume}")
    matrix = _matrix(virial, "virial")
    return -0.5 * (matrix + matrix.T) / volume


def stress_to_ase_voigt(stress: ArrayLike) -> NDArray[np.float64]:
    """Return xx, yy, zz, yz, xz, xy of a stress, the order of ASE.

    Parameters
    ----------
    stress : (3, 3) array, eV/Å^3
        Averaged over the two off-diagonal places.

    Returns
    -------
    (6,) array, eV/Å^3

    Examples
    --------
    >>> stress_to_ase_voigt([[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    array([1., 2., 3., 4., 5., 6.])
    """
    s = _matrix(stress, "stress")
    yz, xz, xy = 0.5 * (s[1, 2] + s[2, 1]), 0.5 * (s[0, 2] + s[2, 0]), 0.5 * (s[0, 1] + s[1, 0])
    return np.array([s[0, 0], s[1, 1], s[2, 2], yz, xz, xy])


def virial_to_lammps_order(virial: ArrayLike) -> NDArray[np.float64]:
    """Return xx, yy, zz, xy, xz, yz of a virial, the order of LAMMPS.

    Parameters
    ----------
    virial : (3, 3) array, eV
        Averaged over the two off-diagonal places.

    Returns
    -------
    (6,) array, eV

    Examples
    --------
    >>> virial_to_lammps_order([[1, 4, 5], [4, 2, 6], [5, 6, 3]])
    array([1., 2., 3., 4., 5., 6.])
    """
    w = _matrix(virial, "virial")
    xy, xz, yz = 0.5 * (w[0, 1] + w[1, 0]), 0.5 * (w[0, 2] + w[2, 0]), 0.5 * (w[1, 2] + w[2, 1])
    return np.array([w[0, 0], w[1, 1], w[2, 2], xy, xz, yz])


def _matrix(value: ArrayLike, name: str) -> NDArray[np.float64]:
    matrix = np.asarray(value, dtype=np.float64)
    if matrix.shape != (3, 3):
        raise ValueError(f"expected a {name} of shape (3, 3), got {matrix.shape}")
    return matrix
