"""Make the labelled structures of the training example: copper under the effective medium theory of ASE.

    python examples/training/make_copper.py --output examples/training/copper.extxyz

writes fcc crystals of 32 atoms that are strained by up to 4 % and shaken as at 100 to 1200 K, some without an atom,
with energies, forces and stresses. The potential is fast and analytic, so that the file can be made anew anywhere; it
is no substitute for electronic-structure data.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

N_STRUCTURES = 40


def shaken_crystal(rng: np.random.Generator, *, has_vacancy: bool) -> Atoms:
    """Return a crystal that is strained and shaken at random."""
    atoms = bulk("Cu", "fcc", a=3.61, cubic=True) * (2, 2, 2)
    if has_vacancy:
        del atoms[0]
    strain = rng.uniform(-0.04, 0.04, (3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
    size = rng.uniform(0.03, 0.15)  # Å, root mean square; 0.15 Å is copper near 1200 K
    atoms.positions += rng.normal(scale=size, size=(len(atoms), 3))
    return atoms


def labelled(atoms: Atoms) -> Atoms:
    """Give a structure the energy, forces and stress of the potential."""
    atoms.calc = EMT()
    labels = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def main() -> None:
    """Build, label, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "copper.extxyz")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    structures = [
        labelled(shaken_crystal(rng, has_vacancy=k % 4 == 3)) for k in range(N_STRUCTURES)
    ]
    write(options.output, structures, format="extxyz")


if __name__ == "__main__":
    main()
