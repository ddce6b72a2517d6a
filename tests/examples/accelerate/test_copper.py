"""The structure of the tutorial can be accelerated with the model of the tutorial."""

from pathlib import Path

import ase.io

from mlip_engines.model.load import load_model
from mlip_train.acceleration.energy_check import check_energy
from mlip_train.acceleration.request import Request

STRUCTURE = Path(__file__).parents[3] / "examples/accelerate/copper_32.extxyz"


def test_the_model_serves_the_structure():
    atoms = ase.io.read(STRUCTURE)
    request = Request(load_model("copper"), [atoms], (300.0, 600.0), 4.0)
    check_energy(request.model, atoms)
    assert request.inner_step_fs == 2.0 and request.symbols == ["Cu"]
