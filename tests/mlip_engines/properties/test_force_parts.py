"""Forces of a hybrid, part by part: they are those of the two potentials by themselves."""

import numpy as np
import torch
from ase.build import bulk

from mlip_engines import MlipCalculator
from mlip_engines.model.load import load_model
from mlip_engines.properties.force_parts import forces_of_parts
from mlip_train.networks import build_network
from tests.exact_models import write_model
from tests.tolerances import TOLERANCE

NETWORK = {
    "name": "painn",
    "species": [8, 14],
    "cutoff": 4.9,
    "n_features": 8,
    "n_layers": 1,
    "non_conservative_layer": 1,
}


def test_each_part_has_the_forces_of_its_own_model_and_they_sum_to_those_of_the_file(tmp_path):
    torch.manual_seed(0)
    hybrid = build_network({**NETWORK, "empirical": {"cutoff": 4.5}}).double()
    hybrid.set_scale(1.7)
    files = {"whole": write_model(tmp_path / "whole.pt", hybrid, ["O", "Si"], scale=1.7)}
    files["network"] = write_model(tmp_path / "net.pt", hybrid.network, ["O", "Si"], scale=1.7)
    files["empirical"] = write_model(tmp_path / "eam.pt", hybrid.empirical, ["O", "Si"])
    atoms = bulk("SiO", "rocksalt", 4.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    parts = forces_of_parts(load_model(files["whole"]), atoms)
    for name, file in files.items():
        atoms.calc = MlipCalculator(file)
        found = parts[name] if name in parts else parts["network"] + parts["empirical"]
        assert np.abs(atoms.get_forces()).max() > 0.01
        np.testing.assert_allclose(found, atoms.get_forces(), atol=TOLERANCE["float64"].force)
    assert forces_of_parts(load_model(files["network"]), atoms) is None
