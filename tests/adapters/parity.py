"""What every adapter must show: the numbers of the package's own calculator, in ASE, LAMMPS and OpenMM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers

from mlip_engines.checkpoints import Exportable
from mlip_engines.model.evaluation import evaluate
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES
from tests.lammps_plugin.runner import run_structures
from tests.openmm_forces.runner import single_point
from tolerances import TOLERANCE

# Water in three kinds of cells, in vacuum, and a single atom.
NAMES = ["triclinic", "cell_smaller_than_cutoff", "molecules", "single_atom", "orthogonal"]
# Of a force, eV/Å.
FORCE = {"float64": 1e-6, "float32": 1e-4}


def crowd() -> Atoms:
    """Return twenty elements in a triclinic cell."""
    atoms = bulk("Al", cubic=True).repeat((2, 2, 2))[:20]
    atoms.numbers = np.arange(1, 21)
    atoms.set_cell([[8.0, 0.0, 0.0], [1.5, 7.5, 0.0], [-1.0, 1.2, 8.2]])
    atoms.rattle(0.2, seed=3)
    return atoms


def salt() -> Atoms:
    """Return rock salt off its sites, in a cell smaller than twice any cutoff."""
    atoms = bulk("NaCl", "rocksalt", 5.6) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    return atoms


def evaluated(opened: Exportable, atoms: Atoms) -> dict:
    """Evaluate the network as it is put into a file, without writing one."""
    energies = {atomic_numbers[s]: e for s, e in opened.reference_energies.items()}
    graph = neighbor_graph(atoms, opened.network.cutoff)
    return evaluate(ExportedModel(opened.network, energies, opened.scale).eval(), graph)


def check_numbers(opened: Exportable, atoms: Atoms, dtype: str, energy: float = 1e-6) -> None:
    """Compare energy per atom, forces and stress with the package's calculator.

    Parameters
    ----------
    energy : float, eV/atom
        Allowed in float64; float32 may lose the digits of energies of free atoms, which packages add in float32.
    """
    found = evaluated(opened, atoms)
    atoms.calc = opened.reference
    per_atom = (atoms.get_potential_energy() - float(found["energy"])) / len(atoms)
    assert abs(per_atom) < (energy if dtype == "float64" else 2e-4)
    np.testing.assert_allclose(found["forces"], atoms.get_forces(), atol=FORCE[dtype], rtol=0)
    if atoms.pbc.all():
        stress = -found["virial"] / atoms.get_volume()
        expected = atoms.get_stress(voigt=False)
        limit = TOLERANCE[dtype].stress
        np.testing.assert_allclose(0.5 * (stress + stress.T), expected, atol=limit, rtol=0)


def check_lammps(model: Path, calculator: Calculator, processes: int, folder: Path) -> None:
    """Compare a float64 model file in LAMMPS with the package's calculator."""
    structures = [STRUCTURES[name]() for name in NAMES]
    results = run_structures(structures, model, folder, processes=processes)
    for atoms, result in zip(structures, results, strict=True):
        atoms.calc = calculator
        assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(result.forces, atoms.get_forces(), atol=FORCE["float64"])
        if atoms.pbc.all():
            virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
            np.testing.assert_allclose(result.virial, virial, atol=TOLERANCE["float64"].virial)


def check_openmm(model: Path, calculator: Calculator, name: str) -> None:
    """Compare a float64 model file in OpenMM with the package's calculator."""
    atoms = STRUCTURES[name]()
    energy, forces = single_point(atoms, model)
    atoms.calc = calculator
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=FORCE["float64"])


def check_stands_alone(
    model: Path, calculator: Calculator, hidden: tuple[str, ...], folder: Path
) -> None:
    """Load a model file where the packages cannot be imported, and compare its energy."""
    frame = folder / "frame.xyz"
    STRUCTURES["triclinic"]().write(frame)
    code = f"""
import sys
for name in {hidden!r}:
    sys.modules[name] = None  # an import of it fails
from ase.io import read
from mlip_engines import MlipCalculator
atoms = read({str(frame)!r})
atoms.calc = MlipCalculator({str(model)!r})
print(repr(atoms.get_potential_energy()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    atoms = ase.io.read(frame)
    atoms.calc = calculator
    assert float(done.stdout) == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


def drift_in_nve(model: Path, atoms: Atoms, picoseconds: float, step_fs: float) -> float:
    """Return the largest change of the total energy, meV/atom, in conservative dynamics from 300 K."""
    from mlip_engines.simulations import Forces, Simulation, simulate

    simulation = Simulation(
        Forces("conservative"), picoseconds, "nve", inner_step_fs=step_fs, temperature_K=300.0
    )
    run = simulate(str(model), atoms, simulation, engine="lammps")
    assert not run.stopped, run.stopped
    total = run.potential_eV + run.kinetic_eV.sum(axis=1)
    return 1000.0 * float(np.ptp(total)) / len(atoms)
