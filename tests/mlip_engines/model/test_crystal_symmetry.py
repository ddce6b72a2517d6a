"""Point groups of crystals, and models that are kept in them."""

import warnings

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from mlip_engines import MlipCalculator
from mlip_engines.checkpoints import Exportable, export_network
from mlip_engines.model.orientations import point_group_orientations
from mlip_engines.relaxation.space_group import space_group
from mlip_train.networks import build_network
from tests.small_networks import CUTOFF, NETWORKS
from tolerances import EXACT, TOLERANCE

LIMIT = TOLERANCE["float64"]


def silicon(path, orientations):
    torch.manual_seed(5)
    network = build_network({"name": "pet", "species": [14], "cutoff": CUTOFF, **NETWORKS["pet"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # shortest distances are guessed
        export_network(
            Exportable(network.double(), ["Si"]), path, "float64", orientations=orientations
        )
    return MlipCalculator(path)


@pytest.mark.parametrize(
    ("atoms", "order", "symbol"),
    [
        (bulk("Si", cubic=True), 48, "Fd-3m"),
        (bulk("Ti", "hcp", a=2.95, c=4.68), 24, "P6_3/mmc"),
        (bulk("Cu").repeat(2), 48, "Fm-3m"),
    ],
)
def test_the_operations_of_a_point_group_map_the_crystal_onto_itself(atoms, order, symbol):
    atoms = atoms.copy()
    atoms.rotate(25, (1, 2, 3), rotate_cell=True)
    found = point_group_orientations(atoms)
    assert len(found) == order
    assert found.origin["space_group"] == symbol
    inverse = np.linalg.inv(atoms.cell.array)
    for matrix in found.matrices:
        steps = atoms.cell.array @ matrix.T @ inverse  # lattice vectors stay lattice vectors
        assert np.abs(steps - np.rint(steps)).max() < 1e-6
        assert np.abs(matrix @ matrix.T - np.eye(3)).max() < EXACT


def test_a_molecule_has_no_point_group_here():
    with pytest.raises(ValueError, match="three directions"):
        point_group_orientations(Atoms("OH", [[0, 0, 0], [0, 0, 1]]))
    with pytest.raises(ValueError, match="one place"):
        point_group_orientations(Atoms("OO", np.zeros((2, 3)), cell=np.eye(3) * 4, pbc=True))


def test_the_point_group_of_a_crystal_restores_its_symmetry(tmp_path):
    """Forces at symmetric sites vanish and the stress is isotropic; without, neither is so."""
    crystal = bulk("Si", cubic=True)
    crystal.rotate(25, (1, 2, 3), rotate_cell=True)
    group = point_group_orientations(crystal)
    assert group.origin["orientations"] == 48
    for orientations, symmetric in ((None, False), (group, True)):
        crystal.calc = silicon(tmp_path / "si.pt", orientations)
        stress = crystal.get_stress(voigt=False)
        anisotropy = np.abs(stress - np.trace(stress) / 3.0 * np.eye(3)).max()
        force = np.abs(crystal.get_forces()).max()
        assert (force < LIMIT.force and anisotropy < LIMIT.stress) == symmetric


def test_ase_keeps_the_space_group_of_a_crystal(tmp_path):
    """FixSymmetry projects forces and stress of a model that breaks the symmetry; the cell moves too."""
    crystal = bulk("Si", cubic=True)
    crystal.set_cell(crystal.cell * 1.02, scale_atoms=True)
    calculator = silicon(tmp_path / "si.pt", None)
    groups = {}
    for fixed in (True, False):
        atoms = crystal.copy()
        atoms.calc = calculator
        if fixed:
            atoms.set_constraint(FixSymmetry(atoms))
        BFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.02).run(fmax=1e-4, steps=4)
        assert np.abs(atoms.cell.array - crystal.cell.array).max() > 1e-3
        groups[fixed] = space_group(atoms, 1e-4).number
    assert groups[True] == 227 > groups[False]
