"""Small cells of an element, labelled by a model, for the PET of symmetry_breaking.py.

    python benchmarks/small_cells.py Cu copper cells_Cu.extxyz
    python benchmarks/small_cells.py Si 7net-crystals.pt cells_Si.extxyz

The structures of ``element_crystals.py`` in turn, of two to eight atoms, strained by 3 to 5 %, rattled by 0.02 to 0.2 Å
and turned at random. Cells in which a force is above 8 eV/Å are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from element_crystals import LATTICES, element_crystal
from scipy.spatial.transform import Rotation

from mlip_engines import load_model
from mlip_engines.properties.symmetry import turned
from mlip_engines.quantities import stress_from_virial, stress_to_ase_voigt
from mlip_engines.relaxation.evaluation import evaluate_each

LARGEST_FORCE = 8.0  # eV/Å


def cells(element: str, count: int) -> list[Atoms]:
    """Return so many cells without labels."""
    rng = np.random.default_rng(0)
    perfect = [element_crystal(element, structure) for structure in LATTICES[element]]
    found = []
    for k in range(count):
        cell = perfect[k % len(perfect)].copy()
        strain = 0.03 * rng.normal() * np.eye(3) + 0.04 * rng.normal(size=(3, 3))
        cell.set_cell(cell.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
        cell.positions += rng.normal(size=cell.positions.shape) * rng.choice([0.02, 0.1, 0.2])
        found.append(turned(cell, Rotation.random(rng=rng).as_matrix()))
    return found


def main() -> None:
    """Write the cells with energies, forces and stresses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("element", choices=sorted(LATTICES))
    parser.add_argument("model", help="a model file or the name of a shipped model")
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=700)
    options = parser.parse_args()
    labelled, every = [], cells(options.element, options.count)
    found = evaluate_each(load_model(options.model), every, with_virials=True)
    for cell, result in zip(every, found, strict=True):
        if np.abs(result.forces).max() < LARGEST_FORCE:
            stress = stress_to_ase_voigt(stress_from_virial(result.virial, cell.get_volume()))
            values = {"energy": result.energy, "forces": result.forces, "stress": stress}
            cell.calc = SinglePointCalculator(cell, **values)
            labelled.append(cell)
    ase.io.write(options.output, labelled)
    print(f"{len(labelled)} of {options.count} cells")


if __name__ == "__main__":
    main()
