"""Atoms in motion for calculators in ASE: all contestants see the same positions, and never the same twice in a row."""

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

EXAMPLES = Path(__file__).parents[2] / "examples"
STEP = 0.5  # fs between evaluations
PERIOD = 40.0  # fs; H swings by 0.17 Å (RMS), which a neighbour list with a skin survives
TEMPERATURE = 300.0  # K


class Swing:
    """Atoms that swing about the positions of a file, with thermal velocities: MD without trusting anyone's forces.

    Random weights, or those of few training steps, would tear a molecule apart in a simulation.
    """

    def __init__(self, copies: int):
        from ase import units

        self.atoms: Atoms = ase.io.read(EXAMPLES / "water_64.extxyz").repeat(copies)
        random = np.random.default_rng(4711)
        deviation = np.sqrt(units.kB * TEMPERATURE / self.atoms.get_masses())[:, None]
        velocities = deviation * random.standard_normal((len(self.atoms), 3)) * units.fs  # Å/fs
        self.amplitude = velocities * PERIOD / (2 * np.pi)  # (N, 3)
        self.centre = self.atoms.positions.copy()  # (N, 3)
        self.step = 0

    def forces(self) -> np.ndarray:
        """Move on by one step and evaluate the forces."""
        self.step += 1
        phase = 2 * np.pi * self.step * STEP / PERIOD
        self.atoms.positions = self.centre + np.sin(phase) * self.amplitude
        return self.atoms.get_forces()
