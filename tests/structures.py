"""Structures by name: the awkward cases that every engine and every model has to get right."""

import numpy as np
from ase import Atoms

TRICLINIC = np.array([[5.2, 0.0, 0.0], [1.1, 4.9, 0.0], [-0.7, 0.9, 5.6]])  # Å, rows; LAMMPS's form


def _water(centre, rotation=0.0):
    """Positions (3, 3) of one water molecule, O H H, slightly off its equilibrium."""
    c, s = np.cos(rotation), np.sin(rotation)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    molecule = np.array([[0.0, 0.0, 0.0], [0.93, 0.05, 0.21], [-0.31, 0.92, -0.08]])
    return molecule @ turn.T + np.asarray(centre)


def single_atom():
    return Atoms("O", [[0.3, -0.2, 0.1]])


def dimer():
    return Atoms("OH", [[0.0, 0.0, 0.0], [0.5, 0.6, 0.7]])


def no_neighbours():
    return Atoms("OHH", [[0.0, 0.0, 0.0], [40.0, 0.0, 0.0], [0.0, 55.0, 3.0]])


def molecule():
    return Atoms("OHH", _water([0.0, 0.0, 0.0]))


def molecules():
    """Four waters in vacuum."""
    centres = [[0.0, 0.0, 0.0], [2.9, 0.3, -0.2], [0.2, 2.8, 1.1], [2.1, 2.4, 3.0]]
    return Atoms("OHH" * 4, np.concatenate([_water(c, k) for k, c in enumerate(centres)]))


def orthogonal():
    """Eight waters in a box with three different edges."""
    box = np.array([6.2, 6.5, 6.9])
    grid = [[x, y, z] for x in (0.2, 0.7) for y in (0.15, 0.65) for z in (0.1, 0.6)]
    centres = np.array(grid) * box + 0.2 * np.sin(np.arange(24).reshape(8, 3))
    positions = np.concatenate([_water(c, 0.9 * k) for k, c in enumerate(centres)])
    return Atoms("OHH" * 8, positions, cell=box, pbc=True)


def triclinic():
    """Four waters in a cell with no right angle."""
    centres = np.array([[0.1, 0.1, 0.1], [0.6, 0.55, 0.15], [0.6, 0.1, 0.6], [0.1, 0.6, 0.65]])
    positions = np.concatenate([_water(c @ TRICLINIC, 1.3 * k) for k, c in enumerate(centres)])
    return Atoms("OHH" * 4, positions, cell=TRICLINIC, pbc=True)


def cell_smaller_than_cutoff():
    """One water whose images are its nearest neighbours."""
    cell = np.array([[2.7, 0.0, 0.0], [0.4, 2.9, 0.0], [0.3, -0.5, 3.1]])
    return Atoms("OHH", _water([0.2, 0.3, 0.1]), cell=cell, pbc=True)


def self_images():
    """One atom whose only neighbours are its own images."""
    return Atoms("O", [[0.1, 0.2, 0.3]], cell=[2.2, 2.4, 2.9], pbc=True)


def slab():
    """Periodic in two directions of three, the lattice vector of the third given and long."""
    cell = np.array([[5.2, 0.0, 0.0], [1.1, 4.9, 0.0], [0.0, 0.0, 30.0]])
    atoms = triclinic()
    return Atoms(atoms.symbols, atoms.positions, cell=cell, pbc=[True, True, False])


def wire():
    """Periodic in the second direction only, the other lattice vectors zero."""
    cell = np.array([[0.0, 0.0, 0.0], [0.6, 4.4, 0.3], [0.0, 0.0, 0.0]])
    return Atoms("OHH" * 4, molecules().positions, cell=cell, pbc=[False, True, False])


def unwrapped():
    """The triclinic cell with atoms moved by lattice vectors, a different one each."""
    atoms = triclinic()
    moves = np.random.default_rng(3).integers(-9, 10, size=(len(atoms), 3))
    atoms.positions += moves @ atoms.cell.array
    return atoms


STRUCTURES = {
    build.__name__: build
    for build in (
        single_atom,
        dimer,
        no_neighbours,
        molecule,
        molecules,
        orthogonal,
        triclinic,
        cell_smaller_than_cutoff,
        self_images,
        slab,
        wire,
        unwrapped,
    )
}
