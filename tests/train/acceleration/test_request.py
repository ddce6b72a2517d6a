"""What cannot be served is refused before anything runs."""

import pytest
from ase import Atoms
from ase.build import bulk

from mlip_engines.model.load import load_model
from mlip_train.acceleration.energy_check import check_energy
from mlip_train.acceleration.request import Request
from mlip_train.potentials.analytic import LennardJones
from tests.exact_models import argon, argon_model, write_model  # noqa: F401


@pytest.fixture
def model(argon_model):  # noqa: F811
    return load_model(argon_model)


def test_elements_that_the_model_does_not_know(model):
    with pytest.raises(ValueError, match="structure 1.*Ar.*got Cu"):
        Request(model, [bulk("Ar", a=5.3, cubic=True), bulk("Cu")])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"structures": []}, "at least one structure"),
        ({"structures": [Atoms("Ar")]}, "at least two atoms"),
        (
            {"structures": [Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=[9, 9, 9], pbc=[1, 1, 0])]},
            "vacuum",
        ),
        ({"temperatures_K": (300.0, -1.0)}, "temperatures must be positive"),
        ({"temperatures_K": ()}, "temperatures must be positive"),
        ({"pressures_bar": (float("nan"),)}, "pressures must be finite"),
        (
            {"structures": [Atoms("Ar2", [[0, 0, 0], [0, 0, 4]])], "pressures_bar": (1.0,)},
            "leave out --pressure",
        ),
        ({"minutes": 0.0}, "minutes must be positive"),
        ({"step_fs": -1.0}, "step must not be negative"),
    ],
)
def test_values_that_cannot_be_meant(model, argon, changes, message):  # noqa: F811
    with pytest.raises(ValueError, match=message):
        Request(**{"model": model, "structures": [argon], **changes})


def test_the_lightest_atom_decides_the_step(model, argon):  # noqa: F811
    assert Request(model, [argon]).inner_step_fs == 2.0
    assert Request(model, [argon], step_fs=3.0).inner_step_fs == 3.0


def test_forces_that_are_the_gradient_of_the_energy_pass(model, argon):  # noqa: F811
    check_energy(model, argon)


class _NoEnergy(LennardJones):
    """Direct forces only: the energy does not depend on where the atoms are."""

    def pair_energy(self, distance):
        return 0.0 * distance


def test_a_model_without_an_energy_is_refused(tmp_path, argon):  # noqa: F811
    network = _NoEnergy(7.0, 0.0104, 3.4, curl=0.0)
    path = write_model(tmp_path / "direct.pt", network, ["Ar"])
    with pytest.raises(ValueError, match="gradient of an energy"):
        check_energy(load_model(path), argon)
