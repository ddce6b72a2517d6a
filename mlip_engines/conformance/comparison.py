"""A model file beside the calculator of the package that its network comes from: does it give the same numbers?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.conformance.probes import cluster, crowded_cell
from mlip_engines.model.contract import ModelContractError, ModelMetadata

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

# How much the two may differ, relative to the largest value or 1 eV, eV/Å, eV/Å^3. Energies of free atoms are left out.
TOLERANCE = {"float32": 1e-3, "float64": 1e-6}
# Total charge and spin multiplicity of what a model that takes them is compared on.
_ION = {"total_charge": 1, "spin_multiplicity": 2}
_SYMMETRIC = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # ASE's order of a stress


@dataclass(frozen=True)
class Comparison:
    """The largest differences between a model file and the calculator of another package.

    ``stress`` is NaN where the calculator has none.
    """

    calculator: str  # "mace-torch 0.3.16, MACECalculator"
    energy: float  # eV/atom
    forces: float  # eV/Å, of a component
    stress: float  # eV/Å^3, of a component
    structures: int

    def as_metadata(self) -> dict[str, Any]:
        """Return what a model file says about it."""
        found: dict[str, Any] = {
            "calculator": self.calculator,
            "energy_per_atom": self.energy,
            "forces": self.forces,
            "structures": self.structures,
        }
        return found if math.isnan(self.stress) else {**found, "stress": self.stress}


def compare_with_reference(
    path: Path,
    metadata: ModelMetadata,
    reference: Calculator,
    structures: Sequence[Atoms] = (),
) -> Comparison:
    """Compare a model file with the calculator of the package that its network comes from.

    Parameters
    ----------
    path : Path
        The model file.
    metadata : ModelMetadata
        Its metadata.
    reference : Calculator
        The other package's.
    structures : sequence of Atoms
        Compared on besides a cluster in vacuum and a periodic cell that is smaller than the cutoff.

    Raises
    ------
    ModelContractError
        If energy, forces or stress differ by more than rounding in the precision of the file.
    """
    from ase.calculators.calculator import PropertyNotImplementedError

    from mlip_engines.calculator import MlipCalculator

    worst = {"energy": 0.0, "forces": 0.0, "stress": math.nan}
    probes = [*_probes(metadata), *(atoms.copy() for atoms in structures)]
    for atoms in probes:
        found = atoms.copy()
        found.calc, atoms.calc = MlipCalculator(path), reference
        # Energies of free atoms are hundreds of eV in some packages: relative to them, a wrong bond is rounding.
        free = sum(metadata.reference_energies.get(symbol, 0.0) for symbol in atoms.symbols)
        energies = [a.get_potential_energy() - free for a in (atoms, found)]
        pairs = [
            ("energy", *energies, len(atoms)),
            ("forces", atoms.get_forces(), found.get_forces(), 1),
        ]
        if atoms.pbc.all():
            try:
                pairs.append(("stress", atoms.get_stress(), found.get_stress(), 1))
            except (PropertyNotImplementedError, NotImplementedError):
                pass
        for quantity, value, other, atoms_in_it in pairs:
            value, other = np.asarray(value, dtype=float), np.asarray(other, dtype=float)
            difference = float(np.abs(value - other).max())
            if not difference <= TOLERANCE[metadata.dtype] * max(1.0, float(np.abs(value).max())):
                raise ModelContractError(
                    f"{metadata.name}: {quantity} of the model file differ by {difference:.2e} from those of "
                    f"{type(reference).__name__} ({atoms.get_chemical_formula()}), allowed are "
                    f"{TOLERANCE[metadata.dtype]:.0e} relative; the file was not written"
                )
            worst[quantity] = float(np.fmax(worst[quantity], difference / atoms_in_it))
    return Comparison(_described(reference), **worst, structures=len(probes))


def _probes(metadata: ModelMetadata) -> list[Atoms]:
    """Return a cluster in vacuum, and a periodic cell with images nearer than the cutoff."""
    from ase import Atoms
    from ase.data import atomic_numbers

    numbers = [atomic_numbers[symbol] for symbol in metadata.species]
    found = []
    for build in (cluster, crowded_cell):
        probe = build(metadata.cutoff, numbers)
        cell = None if probe.cell is None else probe.cell.numpy()
        atoms = Atoms(probe.numbers, probe.positions.numpy(), cell=cell, pbc=cell is not None)
        atoms.info.update({name: _ION[name] for name in metadata.structure_inputs})
        found.append(atoms)
    return found


def _described(reference: Calculator) -> str:
    """Return package, version and class of a calculator."""
    from importlib.metadata import packages_distributions, version

    ours = __name__.partition(".")[0]
    # the first that is not of this package, whose adapter may have derived one
    kind = next(
        kind for kind in type(reference).__mro__ if kind.__module__.partition(".")[0] != ours
    )
    for distribution in packages_distributions().get(kind.__module__.partition(".")[0], []):
        return f"{distribution} {version(distribution)}, {kind.__name__}"
    return kind.__name__
