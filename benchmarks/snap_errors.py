"""Errors of a published SNAP potential on the test part of a data set, to compare with those of benchmarks/accuracy.py.

    python benchmarks/snap_errors.py --data mlearn_cu.extxyz --test test --potential mvl_models/Cu/snap/SNAPotential Cu

The potential is a pair of files, ``.snapcoeff`` and ``.snapparam``, as LAMMPS reads them; those of Zuo et al. are in
materialsvirtuallab/mlearn. A line ``diagonalstyle`` of older versions of LAMMPS must be taken out of the second.
"""

from __future__ import annotations

import argparse

import numpy as np
from ase import Atoms
from ase.calculators.lammpslib import LAMMPSlib
from ase.io import read

from mlip_engines.units import MEV_PER_EV


def main() -> None:
    """Evaluate and print root mean square errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--test", required=True, help="value of the key split of the structures")
    parser.add_argument("--potential", required=True, help="both files without their suffixes")
    parser.add_argument("element")
    options = parser.parse_args()
    energies, forces = [], []
    for labelled in read(options.data, ":"):
        if labelled.info.get("split") != options.test:
            continue
        atoms = Atoms(labelled.numbers, labelled.positions, cell=labelled.cell, pbc=labelled.pbc)
        files = f"{options.potential}.snapcoeff {options.potential}.snapparam"
        atoms.calc = LAMMPSlib(
            lmpcmds=["pair_style snap", f"pair_coeff * * {files} {options.element}"],
            atom_types={options.element: 1},
            keep_alive=False,
        )
        own = atoms.get_potential_energy() - labelled.get_potential_energy()
        energies.append(own / len(atoms))
        forces.append((atoms.get_forces() - labelled.get_forces()).ravel())
    if not energies:
        raise SystemExit(f"snap_errors: no structure of {options.data} has split={options.test}")
    found = [
        MEV_PER_EV * np.sqrt(np.mean(np.square(e))) for e in (energies, np.concatenate(forces))
    ]
    print(
        f"{len(energies)} structures: energy {found[0]:.2f} meV/atom, forces {found[1]:.1f} meV/Å"
    )


if __name__ == "__main__":
    main()
