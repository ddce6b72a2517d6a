"""The energy of any model file takes the inner force of another network, and stays what it is."""

import numpy as np
import pytest

from mlip_engines import MlipCalculator
from mlip_engines.checkpoints import Exportable
from mlip_engines.model.load import load_model
from mlip_train.acceleration.outer import ScriptedEnergy, open_outer
from mlip_train.acceleration.sizes import SIZES, with_inner
from mlip_train.networks import build_network
from tests.exact_models import argon, argon_model  # noqa: F401


def untrained(symbols, cutoff=6.0):
    network = build_network(SIZES[0].settings(symbols, cutoff))
    return Exportable(network, symbols, name="untrained")


def test_a_model_that_this_package_has_not_trained_keeps_its_energy(argon_model, argon, tmp_path):  # noqa: F811
    model = load_model(argon_model)
    assert isinstance(open_outer(model).network, ScriptedEnergy)
    path = tmp_path / "fast.pt"
    metadata = with_inner(model, untrained(["Ar"]), ["Ar"], path, "fast")
    assert metadata.has_non_conservative_forces and metadata.name == "fast"
    atoms = argon.copy()
    atoms.rattle(0.05, seed=3)
    found = {}
    for name in (argon_model, path):
        atoms.calc = MlipCalculator(name)
        found[name] = atoms.get_potential_energy(), atoms.get_forces()
    assert found[path][0] == pytest.approx(found[argon_model][0], abs=1e-12)
    assert np.abs(found[path][1] - found[argon_model][1]).max() < 1e-12
    # once more: the energy of an accelerated model, without its inner force
    again = tmp_path / "again.pt"
    with_inner(load_model(path), untrained(["Ar"]), ["Ar"], again, "again")
    atoms.calc = MlipCalculator(again)
    assert atoms.get_potential_energy() == pytest.approx(found[argon_model][0], abs=1e-12)


def test_a_network_of_this_package_is_built_anew_without_its_head():
    opened = open_outer(load_model("copper"))
    assert type(opened.network).__name__ == "PaiNN"
    assert type(open_outer(load_model("water-fast")).network).__name__ == "PaiNN"
