"""r-RESPA written out with ASE's calculators: what an engine's trajectory is compared with."""

import ase.units
import numpy as np
from ase import Atoms

from mlip_engines import MlipCalculator


def moving(atoms: Atoms) -> Atoms:
    """Return the structure with velocities of about 300 K, always the same."""
    drawn = np.random.default_rng(3).normal(size=(len(atoms), 3))
    copy = atoms.copy()
    copy.set_velocities(np.sqrt(300.0 * ase.units.kB / atoms.get_masses())[:, None] * drawn)
    return copy


def respa_steps(atoms: Atoms, model, inner_step_fs: float, inner_steps: int, outer_steps: int):
    """Positions (N, 3) in Å after outer steps of velocity Verlet with NC forces between kicks of C - NC.

    Tuckerman, Berne, Martyna, J. Chem. Phys. 97, 1990 (1992), with the velocities that ``atoms`` have at first.
    """
    conservative = MlipCalculator(model)
    direct = MlipCalculator(model, forces="non_conservative")
    h, mass = inner_step_fs * ase.units.fs, atoms.get_masses()[:, None]
    at = atoms.copy()
    v = at.get_velocities()

    def forces(calculator):
        return calculator.get_forces(at)

    for _ in range(outer_steps):
        v = v + 0.5 * inner_steps * h * (forces(conservative) - forces(direct)) / mass
        for _ in range(inner_steps):
            v = v + 0.5 * h * forces(direct) / mass
            at.positions = at.positions + h * v
            v = v + 0.5 * h * forces(direct) / mass
        v = v + 0.5 * inner_steps * h * (forces(conservative) - forces(direct)) / mass
    return np.array(at.positions)
