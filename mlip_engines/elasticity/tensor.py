"""The elastic tensor of a crystal, and what follows from it for a polycrystal.

References
----------
Hill, Proc. Phys. Soc. A 65, 349 (1952), for the averages; Ranganathan, Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504
(2008), for the anisotropy; Mouhat, Coudert, Phys. Rev. B 90, 224104 (2014), for stability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # xx yy zz yz xz xy


@dataclass(frozen=True)
class ElasticTensor:
    """Elastic constants C in Voigt's notation: stress = C strain, shear strains counted twice.

    Parameters
    ----------
    constants : (6, 6) array, GPa
        Symmetric; in the order xx yy zz yz xz xy of Cartesian axes.
    """

    constants: NDArray[np.float64]

    @property
    def bulk(self) -> dict[str, float]:
        """Bulk modulus in GPa: of Voigt and Reuss, the limits, and of Hill, their mean."""
        c, s = self.constants, np.linalg.inv(self.constants)
        voigt = float(c[:3, :3].sum() / 9.0)
        reuss = float(1.0 / s[:3, :3].sum())
        return {"voigt": voigt, "reuss": reuss, "hill": 0.5 * (voigt + reuss)}

    @property
    def shear(self) -> dict[str, float]:
        """Shear modulus in GPa, as :attr:`bulk`."""
        voigt = _shear(self.constants, 1.0, 3.0) / 15.0
        reuss = 15.0 / _shear(np.linalg.inv(self.constants), 4.0, 3.0)
        return {"voigt": voigt, "reuss": reuss, "hill": 0.5 * (voigt + reuss)}

    @property
    def young(self) -> float:
        """Young's modulus in GPa of a polycrystal, from Hill's averages."""
        k, g = self.bulk["hill"], self.shear["hill"]
        return 9.0 * k * g / (3.0 * k + g)

    @property
    def poisson(self) -> float:
        """Poisson's ratio of a polycrystal, from Hill's averages."""
        k, g = self.bulk["hill"], self.shear["hill"]
        return (3.0 * k - 2.0 * g) / (2.0 * (3.0 * k + g))

    @property
    def anisotropy(self) -> float:
        """The universal anisotropy: 0 if all directions are the same."""
        k, g = self.bulk, self.shear
        return 5.0 * g["voigt"] / g["reuss"] + k["voigt"] / k["reuss"] - 6.0

    @property
    def is_stable(self) -> bool:
        """Whether every strain costs energy."""
        return bool(np.linalg.eigvalsh(self.constants).min() > 0.0)

    def averaged(self, rotations: Sequence[ArrayLike]) -> ElasticTensor:
        """Return the average over orthogonal matrices (3, 3), such as those of the point group of the crystal."""
        full = full_tensor(self.constants)
        turned = [
            np.einsum("ai,bj,ck,dl,ijkl->abcd", r, r, r, r, full, optimize=True) for r in rotations
        ]
        return ElasticTensor(voigt_matrix(np.mean(turned, axis=0)))


def _shear(matrix: NDArray[np.float64], normal: float, shear: float) -> float:
    diagonal = np.trace(matrix[:3, :3])
    off = matrix[0, 1] + matrix[0, 2] + matrix[1, 2]
    return float(normal * (diagonal - off) + shear * np.trace(matrix[3:, 3:]))


def full_tensor(constants: ArrayLike) -> NDArray[np.float64]:
    """Return C_abcd (3, 3, 3, 3) of a matrix (6, 6) in Voigt's notation."""
    index = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    return np.asarray(constants)[index[:, :, None, None], index[None, None, :, :]]


def voigt_matrix(tensor: ArrayLike) -> NDArray[np.float64]:
    """Return the matrix (6, 6) of C_abcd, made symmetric."""
    tensor = np.asarray(tensor)
    matrix = np.array([[tensor[a, b, c, d] for c, d in VOIGT] for a, b in VOIGT])
    return 0.5 * (matrix + matrix.T)
