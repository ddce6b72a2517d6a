"""An ASE structure in OpenMM's terms: topology, positions, velocities, a box in reduced form."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import ase.units
import numpy as np
import openmm
from ase import Atoms
from ase.constraints import FixAtoms
from openmm import app, unit

from mlip_engines.units import ANGSTROM_TO_NM


class StructureTopology(app.Topology):
    """A topology that keeps masses, which OpenMM's own takes from the elements.

    ``create_system`` uses them. A topology that OpenMM makes from this one (``Modeller``, a file) has none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.masses: list[unit.Quantity] | None = None  # per atom; 0 for atoms that do not move


class Structure(NamedTuple):
    """A structure in OpenMM's orientation."""

    topology: (
        StructureTopology  # one residue; box vectors if periodic; masses if the structure has some
    )
    positions: unit.Quantity  # (N, 3)
    velocities: unit.Quantity | None  # (N, 3), where the structure has momenta
    rotation: np.ndarray  # (3, 3); a vector v of the ASE structure is rotation @ v here


def from_ase(atoms: Atoms) -> Structure:
    """Return the topology, positions and velocities of an ASE structure.

    A periodic cell is rotated so that its lattice is in OpenMM's reduced form: the first box vector
    along x, the second in the xy plane, each off-diagonal component at most half the diagonal one.

    Masses that the structure has been given (isotopes) stay with the topology, and ``create_system`` uses them. Atoms
    in ``FixAtoms`` get the mass 0, which means to OpenMM that they do not move. Other constraints of ASE are left out,
    with a warning.

    Raises
    ------
    ValueError
        If the structure is periodic in some directions only, or its cell has no volume.
    """
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(
            f"expected periodicity in all directions or in none, as OpenMM has it, got "
            f"pbc={atoms.pbc.tolist()}; leave enough vacuum in a periodic cell instead"
        )
    topology = StructureTopology()
    residue = topology.addResidue("SYS", topology.addChain())
    for symbol in atoms.symbols:
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    fixed = _fixed_atoms(atoms)
    if atoms.has("masses") or fixed.any():
        elements = [atom.element.mass for atom in topology.atoms()]
        given = atoms.get_masses() * unit.dalton if atoms.has("masses") else elements
        topology.masses = [
            0.0 * unit.dalton if is_fixed else mass
            for mass, is_fixed in zip(given, fixed, strict=True)
        ]
    rotation = np.eye(3)
    if atoms.pbc.all():
        box, rotation = reduced_box(atoms.cell.array)
        vectors = [openmm.Vec3(*row) for row in box * ANGSTROM_TO_NM]
        topology.setPeriodicBoxVectors(vectors * unit.nanometer)
    velocities = None
    if atoms.has("momenta"):
        with np.errstate(invalid="ignore", divide="ignore"):
            angstrom_per_ps = atoms.get_velocities() * (1000.0 * ase.units.fs)
        angstrom_per_ps[fixed] = 0.0  # or of massless atoms not a number
        velocities = angstrom_per_ps @ rotation.T * ANGSTROM_TO_NM
        velocities = velocities * unit.nanometer / unit.picosecond
    positions = atoms.positions @ rotation.T * ANGSTROM_TO_NM * unit.nanometer
    return Structure(topology, positions, velocities, rotation)


def _fixed_atoms(atoms: Atoms) -> np.ndarray:
    """Return a mask (N,) of the atoms that do not move; warn of constraints that OpenMM does not get."""
    fixed = np.zeros(len(atoms), dtype=bool)
    if atoms.has("masses"):
        fixed |= atoms.get_masses() == 0.0
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.index] = True
        else:
            warnings.warn(
                f"from_ase: the constraint {type(constraint).__name__} does not act in OpenMM; only FixAtoms does. Add "
                "constraints or forces to the System",
                stacklevel=3,
            )
    return fixed


def reduced_box(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return box vectors (3, 3) of the same lattice in reduced form, and the rotation to them.

    Parameters
    ----------
    cell : (3, 3) array
        Rows are lattice vectors, of either handedness.

    Returns
    -------
    box : (3, 3) array
        Rows, lower triangular with a positive diagonal.
    rotation : (3, 3) array
        Proper; a vector v in the frame of ``cell`` is ``rotation @ v`` in that of ``box``.

    Raises
    ------
    ValueError
        If the cell has no volume.
    """
    cell = np.array(cell, dtype=float)
    volume = np.linalg.det(cell)
    if not abs(volume) > 1e-9 * np.prod(np.linalg.norm(cell, axis=1)):
        raise ValueError(f"expected three independent lattice vectors, got {cell.tolist()}")
    if volume < 0.0:
        cell[2] *= -1.0  # the same lattice, right-handed
    q, r = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(r))
    rotation = (q * signs).T
    box = np.tril(r.T * signs)
    box[2] -= box[1] * np.round(box[2, 1] / box[1, 1])
    box[2] -= box[0] * np.round(box[2, 0] / box[0, 0])
    box[1] -= box[0] * np.round(box[1, 0] / box[0, 0])
    return box, rotation
