"""Whether the forces of a model are the gradient of an energy: without one there is nothing to conserve."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mlip_engines.calculator import MlipCalculator
from mlip_engines.model.load import LoadedModel

_DISPLACEMENT = 0.05  # Å, of all atoms: forces vanish in a crystal at rest
_STEP = 0.005  # Å
_DIFFERENCE = 0.05  # relative: wrong forces are off by far more, float32 by far less


def check_energy(model: LoadedModel, atoms: Atoms) -> None:
    """Compare the energy along the forces with the forces, by a central difference.

    Raises
    ------
    ValueError
        If an energy or a force is not finite, there are no forces, or they are not the gradient of the energy.
    """
    moved = Atoms(atoms.get_chemical_symbols(), atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    moved.info.update(atoms.info)
    random = np.random.default_rng(1)
    moved.positions += random.normal(scale=_DISPLACEMENT, size=moved.positions.shape)
    moved.calc = MlipCalculator(model)
    forces = moved.get_forces()
    size = float(np.linalg.norm(forces))
    if not np.isfinite(size) or size == 0.0:
        raise ValueError(
            f"{model.path}: expected forces that are the gradient of an energy, got forces of length {size} eV/Å on "
            f"displaced atoms of {moved.get_chemical_formula()}; an inner force needs a model whose energy can be "
            "differentiated"
        )
    here, energies = moved.positions.copy(), []
    for sign in (1.0, -1.0):
        moved.positions = here + sign * _STEP * forces / size
        energies.append(moved.get_potential_energy())
    slope = -(energies[0] - energies[1]) / (2.0 * _STEP)
    if not abs(slope - size) <= _DIFFERENCE * size:
        raise ValueError(
            f"{model.path}: expected forces that are the gradient of an energy; along the forces on displaced atoms of "
            f"{moved.get_chemical_formula()} the energy falls by {slope:.4g} eV/Å, the forces say {size:.4g}. An inner "
            "force needs a model whose energy can be differentiated"
        )
