"""What the adapter for PET refuses, with a stand-in for metatrain; tests/adapters has the tests with the package."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from mlip_engines.commands.export import main


class Model(nn.Module):
    """What the adapter looks at before it takes a model apart."""

    def __init__(self, target_names=("energy", "energy/pbe"), **hypers):
        super().__init__()
        self.target_names, self.atomic_types = list(target_names), [1, 8]
        self.hypers = {"long_range": {"enable": False}, "zbl": False, **hypers}


@pytest.fixture
def package(monkeypatch):
    """Put a metatrain into sys.modules that opens every checkpoint as the model that is given to it."""

    def install(model: Model) -> None:
        for name in ("metatrain", "metatrain.utils", "metatrain.utils.io"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["metatrain.utils.io"].model_from_checkpoint = lambda checkpoint, context: model

    return install


@pytest.fixture
def refused(tmp_path, capsys):
    def refused(*arguments: str, architecture: str = "pet") -> str:
        path = tmp_path / "model.ckpt"
        torch.save({"architecture_name": architecture}, path)
        file, *more = [argument.replace("CKPT", str(path)) for argument in arguments]
        assert main(["--from", "pet", file, *more, "-o", str(tmp_path / "model.pt")]) == 1
        return capsys.readouterr().err

    return refused


def test_without_the_package_the_command_that_installs_it_is_named(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "metatrain", None)
    assert "pip install 'mlip-engines[pet]'" in refused("CKPT")


def test_files_of_another_kind_are_refused(package, refused, tmp_path):
    package(Model())
    assert "found nothing at /none.ckpt" in refused("/none.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    assert "expected a checkpoint of metatrain" in refused(str(tmp_path / "text.ckpt"))
    assert "architecture pet, got nanopet" in refused("CKPT", architecture="nanopet")


def test_the_output_is_chosen_by_name(package, refused):
    package(Model(["energy/pbe", "energy/scan", "dipole"]))
    assert "expected an output 'energy', found energy/pbe, energy/scan" in refused("CKPT")
    assert "expected an output 'energy/lda'" in refused("CKPT#lda")
    package(Model(["dipole"]))
    assert "found none among dipole" in refused("CKPT")


@pytest.mark.parametrize(
    ("hypers", "message"),
    [
        ({"long_range": {"enable": True}}, "a long-range part"),
        ({"zbl": True}, "metatrain's ZBL repulsion"),
        ({"system_conditioning": True}, "charge and spin as inputs"),
    ],
)
def test_what_no_sum_over_neighbours_can_be_is_refused(hypers, message, package, refused):
    package(Model(**hypers))
    assert message in refused("CKPT#pbe")


def test_an_element_that_the_model_lacks_is_named(package, refused):
    package(Model())
    assert "the model knows H, O, got Po" in refused("CKPT", "--species", "Po")


def test_direct_forces_of_another_variant_are_not_left_out_in_silence(package):
    from mlip_engines.adapters.pet import _targets

    names = ["energy", "energy/pbe", "non_conservative_forces", "non_conservative_stress"]
    assert _targets("x.ckpt", names, "") == (
        "energy",
        "non_conservative_forces",
        "non_conservative_stress",
    )
    with pytest.warns(UserWarning, match="expected non_conservative_forces/pbe beside energy/pbe"):
        assert _targets("x.ckpt", names, "pbe") == ("energy/pbe", "", "")
    assert _targets("x.ckpt", ["energy"], "") == ("energy", "", "")  # none at all: no warning
