"""A small labelled data set whose labels are exact: argon under ASE's Lennard-Jones potential."""

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator


def argon_frames(n_frames: int, seed: int = 0) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n_frames):
        grid = np.array([[x, y, z] for x in range(2) for y in range(2) for z in range(2)])
        positions = 3.8 * grid + rng.normal(scale=0.15, size=(8, 3))
        atoms = Atoms("Ar8", positions, cell=[7.6, 7.7, 7.8], pbc=True)
        atoms.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=5.0, smooth=True)
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        results["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def write_argon(path: Path, n_frames: int = 12) -> Path:
    ase.io.write(path, argon_frames(n_frames), format="extxyz")
    return path


RECIPE = """
name: argon
network: {name: painn, cutoff: 5.0, n_features: 8, n_basis: 6, n_layers: 2, non_conservative_layer: 1}
n_validation: 2
n_test: 2
card: {summary: Argon of a test.}
stages:
  - name: non_conservative
    epochs: 2
    learning_rate: 0.005
    weights: {energy: 1.0, non_conservative: 1.0}
  - name: conservative
    epochs: 2
    learning_rate: 0.005
    weights: {energy: 1.0, conservative: 1.0, match: 0.5}
    perturbed_steps: 0.3
"""


def write_recipe(path: Path, text: str = RECIPE) -> Path:
    path.write_text(text)
    return path
