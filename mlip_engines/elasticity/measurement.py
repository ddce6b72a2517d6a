"""Elastic constants and the equation of state of a crystal, from strained cells that are relaxed together.

For each of the six strains the stress is measured at plus and minus d and 2 d, with relaxed atoms, and the slope
is extrapolated to zero strain (Richardson): (4 s(d) - s(2 d))/3. How far it is from s(d) says how nonlinear that is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_engines.elasticity.equation_of_state import EquationOfState, fit_equation_of_state
from mlip_engines.elasticity.tensor import VOIGT, ElasticTensor
from mlip_engines.model.load import LoadedModel
from mlip_engines.relaxation.evaluation import evaluate_each
from mlip_engines.relaxation.run import relax
from mlip_engines.relaxation.space_group import can_find_space_groups, point_group
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

VOLUME_SPAN = 0.06  # of the equation of state, relative to the volume, to both sides
N_VOLUMES = 9


@dataclass
class Elasticity:
    """What was measured.

    Parameters
    ----------
    tensor : ElasticTensor
        With the symmetry of the crystal, if spglib is installed.
    asymmetry : float, GPa
        The largest change that the symmetry has made.
    nonlinearity : float, GPa
        The largest difference between the slope at the smaller strain and that at zero.
    stress : (3, 3) array, GPa
        Of the crystal without strain.
    equation_of_state : EquationOfState
    warnings : list of str
    """

    tensor: ElasticTensor
    asymmetry: float
    nonlinearity: float
    stress: NDArray[np.float64]
    equation_of_state: EquationOfState
    warnings: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the numbers, as JSON can hold them; moduli of a crystal that is not stable are None."""
        t, e = self.tensor, self.equation_of_state
        moduli = {
            "bulk_modulus_GPa": t.bulk,
            "shear_modulus_GPa": t.shear,
            "young_modulus_GPa": t.young,
            "poisson_ratio": t.poisson,
            "anisotropy": t.anisotropy,
        }
        return {
            "elastic_constants_GPa": t.constants.tolist(),
            **{name: value if t.is_stable else None for name, value in moduli.items()},
            "is_stable": t.is_stable,
            "asymmetry_GPa": self.asymmetry,
            "nonlinearity_GPa": self.nonlinearity,
            "stress_GPa": self.stress.tolist(),
            "equation_of_state": {
                "volumes_A3_per_atom": e.volumes.tolist(),
                "energies_eV_per_atom": e.energies.tolist(),
                "volume_A3_per_atom": e.volume,
                "energy_eV_per_atom": e.energy,
                "bulk_modulus_GPa": e.bulk_modulus,
                "bulk_modulus_slope": e.slope,
                "residual_eV_per_atom": e.residual,
            },
            "warnings": self.warnings,
        }


def elasticity(
    model: LoadedModel,
    atoms: Atoms,
    *,
    strain: float = 0.005,
    fmax: float = 1e-3,
    max_edges: int = 20_000,
) -> Elasticity:
    """Measure elastic constants by the stress of the energy, and the equation of state.

    Parameters
    ----------
    model : LoadedModel
    atoms : ase.Atoms
        A crystal in its minimum, relaxed with the same model.
    strain : float
        The smaller of the two; shear strains have this as eps_xy, half the angle.
    fmax : float, eV/Å
        To which the atoms of each strained cell are relaxed.
    max_edges : int
        Of cells that are evaluated together.

    Raises
    ------
    ValueError
        If the strain is not between 0 and 0.05, the structure is no crystal, a strained cell cannot be relaxed, or the
        energy has no minimum near this volume.
    """
    if not (math.isfinite(strain) and 0.0 < strain <= 0.05):
        raise ValueError(f"expected a strain above 0 and up to 0.05, such as 0.005, got {strain}")
    if not atoms.pbc.all():
        raise ValueError(
            f"elastic constants need a crystal that is periodic in three directions, got pbc = {atoms.pbc.tolist()}"
        )
    sizes = (strain, -strain, 2.0 * strain, -2.0 * strain)
    strained = [_strained(atoms, k, size) for k in range(6) for size in sizes]
    scales = np.linspace(1.0 - VOLUME_SPAN, 1.0 + VOLUME_SPAN, N_VOLUMES) ** (1.0 / 3.0)
    swollen = [_deformed(atoms, scale * np.eye(3)) for scale in scales]
    found = relax(model, [*strained, *swollen], fmax=fmax, max_edges=max_edges, steps=1000)
    failed = [each for each in found if not each.converged]
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(found)} strained cells could not be relaxed: {failed[0].failure}, "
            f"{failed[0].reason}; give a larger --fmax, or look whether the crystal is stable"
        )
    ends = [atoms, *(each.atoms for each in found[: len(strained)])]
    evaluated = evaluate_each(model, ends, with_virials=True, max_edges=max_edges)
    stresses = np.array(
        [
            -EV_PER_CUBIC_ANGSTROM_TO_GPA * each.virial / cell.get_volume()
            for each, cell in zip(evaluated, ends, strict=True)
        ]
    )
    by_strain = stresses[1:].reshape(6, 4, 3, 3)
    near = (by_strain[:, 0] - by_strain[:, 1]) / (2.0 * strain)  # (6, 3, 3)
    far = (by_strain[:, 2] - by_strain[:, 3]) / (4.0 * strain)
    slopes = (4.0 * near - far) / 3.0
    raw = ElasticTensor(_matrix(slopes))
    tensor = raw.averaged(point_group(atoms, 0.01)) if can_find_space_groups() else raw
    n = len(atoms)
    state = fit_equation_of_state(
        np.array([each.atoms.get_volume() / n for each in found[len(strained) :]]),
        np.array([each.energy_after / n for each in found[len(strained) :]]),
    )
    result = Elasticity(
        tensor,
        asymmetry=float(np.abs(tensor.constants - raw.constants).max()),
        nonlinearity=float(np.abs(raw.constants - _matrix(near)).max()),
        stress=stresses[0],
        equation_of_state=state,
    )
    result.warnings += _warnings(result)
    return result


def _matrix(slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Voigt's matrix, symmetric, of the slopes of the stress by eps_xx, ..., eps_xy (and eps_yx)."""
    matrix = np.array([[slope[a, b] for slope in slopes] for a, b in VOIGT])
    matrix[:, 3:] /= 2.0  # a shear strain changes two elements
    return 0.5 * (matrix + matrix.T)


def _strained(atoms: Atoms, component: int, size: float) -> Atoms:
    a, b = VOIGT[component]
    deformation = np.eye(3)
    deformation[a, b] += size
    if a != b:
        deformation[b, a] += size
    return _deformed(atoms, deformation)


def _deformed(atoms: Atoms, deformation: NDArray[np.float64]) -> Atoms:
    deformed = atoms.copy()
    deformed.set_constraint()
    deformed.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return deformed


def _warnings(found: Elasticity) -> list[str]:
    warnings = []
    tensor, largest = found.tensor, float(np.abs(found.tensor.constants).max())
    pressure = float(np.abs(found.stress).max())
    if pressure > 0.01 * largest:
        warnings.append(
            f"The crystal is under a stress of {pressure:.2f} GPa: relax its cell first, since constants depend on it."
        )
    if found.asymmetry > 0.03 * largest:
        warnings.append(
            f"The symmetry of the crystal has changed constants by up to {found.asymmetry:.2f} GPa: the model is not "
            "symmetric, or strained cells went to other minima."
        )
    if found.nonlinearity > 0.05 * largest:
        warnings.append(
            f"The slope of the stress changes by {found.nonlinearity:.2f} GPa between strains: try a smaller --strain."
        )
    if not can_find_space_groups():
        warnings.append(
            "The symmetry of the crystal was not imposed, because spglib is not installed: pip install "
            "'mlip-engines[phonons]'."
        )
    if not tensor.is_stable:
        warnings.append("There are strains that cost no energy: the crystal is not stable.")
        return warnings
    from_energy, from_stress = found.equation_of_state.bulk_modulus, tensor.bulk["voigt"]
    if abs(from_energy - from_stress) > 0.1 * from_stress:
        warnings.append(
            f"The bulk modulus is {from_stress:.1f} GPa by stress and {from_energy:.1f} GPa by the equation of state; "
            "they should agree, unless the crystal changes its shape under pressure."
        )
    return warnings
