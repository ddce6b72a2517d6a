"""An inner force that a model has serves the energy of another, and a training goes on from it."""

import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator
from mlip_engines.model.load import load_model
from mlip_train.acceleration.inner import check_inner, given_size, write_inner
from mlip_train.acceleration.sizes import find_size, sizes_for, with_inner
from mlip_train.loop.model_file import inner_of_file
from mlip_train.loop.start import read_start
from tests.exact_models import argon_model  # noqa: F401
from tests.structures import orthogonal


def forces(model, kind):
    atoms = orthogonal()
    atoms.calc = MlipCalculator(model, forces=kind)
    return atoms.get_forces()


@pytest.mark.parametrize("name", ["water-fast", "water"])  # two networks, and one with two heads
def test_the_forces_are_those_of_its_model_and_the_energy_is_that_of_the_other(name, tmp_path):
    large, path = load_model("water-large"), tmp_path / "both.pt"
    with_inner(large, inner_of_file(load_model(name)), ["H", "O"], path, "both")
    inner = forces(path, "non_conservative") - forces(name, "non_conservative")
    energy = forces(path, "conservative") - forces("water-large", "conservative")
    assert np.abs(inner).max() < 1e-5  # float32, with another unit
    assert np.abs(energy).max() < 1e-5


def test_a_training_starts_from_its_weights_and_in_its_unit(tmp_path):
    model = load_model("water-fast")
    start, opened = read_start(write_inner(model, tmp_path / "inner.pt")), inner_of_file(model)
    assert start.network == given_size(model).settings(["H", "O"], 4.5)
    assert start.scale == pytest.approx(opened.scale, rel=1e-12)
    weights = opened.network.state_dict()
    assert start.weights.keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in start.weights.items())


def test_only_its_own_size_is_trained():
    model = load_model("water-fast")
    (size,) = sizes_for(model)
    assert size.name == "that of water-fast" and find_size(size.name, model) == size


def test_what_cannot_be_an_inner_force_to_begin_with(argon_model):  # noqa: F811
    argon, water, copper = load_model(argon_model), load_model("water-fast"), load_model("copper")
    with pytest.raises(ValueError, match="knows Ar, got copper, which knows Cu"):
        check_inner(copper, argon, ["Ar"])
    with pytest.raises(ValueError, match="does not say what its network was built from"):
        check_inner(argon, argon, ["Ar"])
    with pytest.raises(ValueError, match="no farther than"):
        check_inner(load_model("water-fast"), _short_sighted(water), ["H", "O"])
    check_inner(water, load_model("water-large"), ["H", "O"])


def _short_sighted(model):
    from dataclasses import replace

    return replace(model, metadata=replace(model.metadata, cutoff=2.0))
