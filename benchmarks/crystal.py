"""A cubic crystal: lattice constant, elastic constants, vacancy, phonons, and whether it is harmonic at all.

    python benchmarks/crystal.py copper --symbol Cu --structure fcc

The force constant of one atom should be the same for every small displacement: if it grows as the displacement shrinks,
the energy has a cone at the symmetric site and neither force constants nor phonons exist.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.optimize import BFGS
from ase.phonons import Phonons

from mlip_engines import MlipCalculator
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA

EV_PER_PLANCK_TO_THZ = 241.798924  # 1 / h
DISPLACEMENTS = (1e-4, 1e-3, 5e-3, 0.02, 0.05, 0.1)  # Å
POINTS = {"X": [0.5, 0.5, 0.0], "L": [0.5, 0.5, 0.5]}  # of the fcc primitive cell


def lattice_constant(symbol: str, structure: str, calculator: MlipCalculator) -> float:
    """Return the lattice constant of least energy, Å, from a parabola through the lowest of a scan."""
    guess = bulk(symbol, structure, cubic=True).cell[0, 0]
    lengths = guess * np.linspace(0.96, 1.04, 33)
    energies = []
    for a in lengths:
        atoms = bulk(symbol, structure, a=a, cubic=True)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    k = int(np.clip(np.argmin(energies), 2, len(lengths) - 3))
    fit = np.polyfit(lengths[k - 2 : k + 3], energies[k - 2 : k + 3], 2)
    return float(-fit[1] / (2.0 * fit[0]))


def elastic_constants(crystal: Atoms, strain: float = 2e-3) -> tuple[float, float, float]:
    """Return C11, C12 and C44 in GPa from the stress of small strains of both signs."""

    def slope(of: np.ndarray) -> np.ndarray:
        stresses = []
        for sign in (1.0, -1.0):
            strained = crystal.copy()
            strained.set_cell(crystal.cell.array @ (np.eye(3) + sign * strain * of), True)
            strained.calc = crystal.calc
            stresses.append(strained.get_stress(voigt=False))
        return EV_PER_CUBIC_ANGSTROM_TO_GPA * (stresses[0] - stresses[1]) / (2.0 * strain)

    stretched = slope(np.diag([1.0, 0.0, 0.0]))
    sheared = slope(np.array([[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    return float(stretched[0, 0]), float(stretched[1, 1]), float(sheared[0, 1])


def vacancy_energy(crystal: Atoms, repeats: int = 3) -> float:
    """Return the formation energy of a relaxed vacancy at constant volume, eV."""
    full = crystal.repeat(repeats)
    full.calc = crystal.calc
    per_atom = full.get_potential_energy() / len(full)
    vacant = full.copy()
    del vacant[0]
    vacant.calc = crystal.calc
    BFGS(vacant, logfile=None).run(fmax=0.005, steps=200)
    return float(vacant.get_potential_energy() - per_atom * len(vacant))


def force_constants(crystal: Atoms, repeats: int = 3) -> list[float]:
    """Return -dF/du of one atom along x in eV/Å^2, for each of the displacements."""
    values = []
    for u in DISPLACEMENTS:
        forces = []
        for sign in (1.0, -1.0):
            moved = crystal.repeat(repeats)
            moved.positions[0, 0] += sign * u
            moved.calc = crystal.calc
            forces.append(sign * moved.get_forces()[0, 0])
        values.append(-sum(forces) / (2.0 * u))
    return values


def frequencies(primitive: Atoms, displacement: float = 0.01) -> dict[str, np.ndarray]:
    """Return the phonon frequencies at the points of POINTS in THz; imaginary ones are negative."""
    # an even supercell has the points of POINTS exactly, others would be interpolated
    with tempfile.TemporaryDirectory() as folder:
        phonons = Phonons(
            primitive, primitive.calc, supercell=(4, 4, 4), delta=displacement, name=f"{folder}/ph"
        )
        phonons.run()
        phonons.read(acoustic=True)
        energies = phonons.band_structure(list(POINTS.values()), verbose=False)  # eV
    return {k: EV_PER_PLANCK_TO_THZ * e for k, e in zip(POINTS, energies, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model file, or the name of a shipped model")
    parser.add_argument("--symbol", default="Cu")
    parser.add_argument("--structure", default="fcc", choices=("fcc",))
    options = parser.parse_args()
    calculator = MlipCalculator(options.model)
    a = lattice_constant(options.symbol, options.structure, calculator)
    crystal = bulk(options.symbol, options.structure, a=a, cubic=True)
    primitive = bulk(options.symbol, options.structure, a=a)
    crystal.calc = primitive.calc = calculator
    print(f"lattice constant  {a:.4f} Å")
    print("C11, C12, C44     {:.0f}, {:.0f}, {:.0f} GPa".format(*elastic_constants(crystal)))
    print(f"vacancy           {vacancy_energy(crystal):.2f} eV")
    for displacement in (0.005, 0.02):
        for point, values in frequencies(primitive, displacement).items():
            shown = ", ".join(f"{value:.2f}" for value in values)
            print(f"phonons at {point}      {shown} THz (displacement {displacement} Å)")
    print("force constant    u, Å: -F/u, eV/Å^2")
    for u, value in zip(DISPLACEMENTS, force_constants(crystal), strict=True):
        print(f"  {u:<7g} {value:.3f}")


if __name__ == "__main__":
    main()
