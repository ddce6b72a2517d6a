"""Averages over orientations in OpenMM: as in ASE."""

import numpy as np
import torch

from mlip_engines import MlipCalculator
from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.export import export_model
from mlip_engines.model.orientations import lebedev_orientations
from mlip_engines.model.symmetrised import Symmetrised
from mlip_train.networks.pet import PET
from structures import STRUCTURES
from tests.openmm_forces.runner import single_point
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"]


def test_openmm_gives_what_ase_gives(any_host, tmp_path):
    torch.manual_seed(5)
    pet = PET([1, 8], 2.6, n_edge_features=8, n_heads=2, n_layers=2)
    network = Symmetrised(pet.double().eval(), lebedev_orientations(3))
    metadata = ModelMetadata(
        "pet", ["H", "O"], 2.6, 2, network.heads, "float64", 5.2, licence="BSD-3-Clause"
    )
    model = tmp_path / "pet.pt"
    export_model(network, metadata, model)
    atoms = STRUCTURES["orthogonal"]()
    calculator = MlipCalculator(model)
    calculator.calculate(atoms, ["energy", "forces", "non_conservative_forces"])
    expected = calculator.results
    energy, forces = single_point(atoms, model, host=any_host)
    assert abs(energy - expected["energy"]) < LIMIT.energy
    assert np.abs(forces - expected["forces"]).max() < LIMIT.force
    _, direct = single_point(atoms, model, host=any_host, forces="non_conservative")
    assert np.abs(direct - expected["non_conservative_forces"]).max() < LIMIT.force
