"""Make the start of the water examples: 64 molecules at 300 K, equilibrated with a model of this package.

    python examples/make_water_box.py --output examples

writes ``water_64.extxyz`` (ASE, OpenMM) and ``lammps/water.data`` (LAMMPS), the same positions and velocities.
Molecules are placed on a lattice with random orientations, relaxed, and run with Langevin dynamics.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.io import write
from ase.io.lammpsdata import write_lammps_data
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary
from ase.optimize import FIRE
from scipy.spatial.transform import Rotation

from mlip_engines import MlipCalculator

BOX = 12.42  # Å; 64 molecules at 0.9997 g/cm3


def lattice_of_molecules(n_per_edge: int, rng: np.random.Generator) -> Atoms:
    """Place n^3 water molecules on a cubic lattice, turned at random."""
    water = molecule("H2O")  # O first
    water.positions -= water.positions[0]
    spacing = BOX / 4
    box = Atoms(cell=[n_per_edge * spacing] * 3, pbc=True)
    for point in np.ndindex(n_per_edge, n_per_edge, n_per_edge):
        turned = Rotation.random(random_state=rng).apply(water.positions)
        box += Atoms("OHH", turned + spacing * (np.array(point) + 0.5))
    return box


def main() -> None:
    """Build, relax, equilibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    parser.add_argument("--ps", type=float, default=4.0, help="length of the equilibration, ps")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    atoms = lattice_of_molecules(4, rng)
    atoms.calc = MlipCalculator(options.model)
    FIRE(atoms, logfile=None).run(fmax=0.3, steps=100)
    width = np.sqrt(atoms.get_masses() * units.kB * 300.0)[:, None]
    atoms.set_momenta(width * rng.standard_normal((len(atoms), 3)))
    # The lattice melts under the cheap forces, with enough friction to take up what they heat.
    for share, forces, friction in ((0.7, "non_conservative", 0.02), (0.3, "conservative", 0.005)):
        atoms.calc = MlipCalculator(options.model, forces=forces)
        dynamics = Langevin(
            atoms,
            0.5 * units.fs,
            temperature_K=300.0,
            friction=friction / units.fs,
            rng=rng,
            fixcm=False,  # set to rest below
        )
        dynamics.attach(
            lambda d=dynamics: print(
                f"{d.get_time() / (1000 * units.fs):.2f} ps  {atoms.get_temperature():.0f} K",
                flush=True,
            ),
            interval=500,
        )
        dynamics.run(int(share * options.ps * 2000))
    Stationary(atoms)
    atoms.set_momenta(atoms.get_momenta() * np.sqrt(300.0 / atoms.get_temperature()))

    options.output.joinpath("lammps").mkdir(parents=True, exist_ok=True)
    atoms.wrap()
    atoms.calc = None
    write(options.output / "water_64.extxyz", atoms, columns=["symbols", "positions", "momenta"])
    write_lammps_data(
        options.output / "lammps" / "water.data",
        atoms,
        specorder=["O", "H"],
        masses=True,
        velocities=True,
        units="metal",
        atom_style="atomic",
    )


if __name__ == "__main__":
    main()
