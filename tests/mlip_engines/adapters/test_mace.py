"""The adapter for MACE with a stand-in for its package; tests/adapters has the tests with the real one."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from mlip_engines import MlipCalculator, check_conformance, read_metadata
from mlip_engines.adapters.mace import open as open_mace
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.mlip_engines.adapters import mace_stand_in
from tests.mlip_engines.adapters.mace_stand_in import ScaleShiftMACE

pytestmark = pytest.mark.filterwarnings("ignore:.*is a pickle, and a pickle is a program")


@pytest.fixture(autouse=True)
def package(monkeypatch):
    mace_stand_in.installed(monkeypatch)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "trained.model"
    torch.save(ScaleShiftMACE([1, 8, 18]), path)
    return path


@pytest.mark.parametrize("head", ["pbe", "r2scan"])
def test_the_model_file_has_the_numbers_of_the_equations(head, file, tmp_path):
    model = tmp_path / "model.pt"
    command = ["--from", "mace", f"{file}#{head}", "-o", str(model), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    metadata = read_metadata(model)
    assert (metadata.name, metadata.species) == ("trained", ["H", "O", "Ar"])
    assert (metadata.cutoff, metadata.message_passing_layers) == (3.0, 2)
    assert metadata.feature_exchange
    assert "arXiv:2206.07697" in metadata.citation
    calculator = open_mace(f"{file}#{head}", None, "float64").reference
    for name in ("triclinic", "cell_smaller_than_cutoff", "molecule", "single_atom"):
        atoms = STRUCTURES[name]()
        atoms.calc = calculator
        found = atoms.copy()
        found.calc = MlipCalculator(model)
        energy = atoms.get_potential_energy()
        assert found.get_potential_energy() == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(found.get_forces(), atoms.get_forces(), atol=1e-9)


def test_the_contract_holds_for_the_elements_that_are_kept(file):
    opened = open_mace(f"{file}#pbe", ["O", "H"], "float64")
    assert opened.species == ["H", "O"]
    assert opened.reference_energies == pytest.approx({"H": -9.9, "O": -79.9})
    assert opened.network.embedding.size(0) == 2
    # the stand-in's products are no scalars: its energy depends on the orientation
    check_conformance(opened.network, opened.species)


def test_the_environment_is_as_before(file, monkeypatch):
    """mace-torch lets torch.load run any pickle from then on."""
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", raising=False)
    import os

    open_mace(f"{file}#pbe", None, "float32")
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


def test_whoever_opens_a_pickle_is_told(file):
    with pytest.warns(UserWarning, match="is a pickle, and a pickle is a program"):
        open_mace(f"{file}#pbe", None, "float32")


def test_a_model_by_name_has_a_licence(monkeypatch):
    opened = open_mace("small#pbe", None, "float32")
    assert (opened.name, opened.licence) == ("small", "MIT")
    assert "arXiv:2401.00096" in opened.citation
    with pytest.raises(ValueError, match="mace-torch could not get the model .OSError: no network"):
        open_mace("small-omat-0#pbe", None, "float32")
    with pytest.raises(FileNotFoundError, match="small, small-omat-0, off-small.*nothing at huge"):
        open_mace("huge", None, "float32")


def test_without_the_package_the_command_that_installs_it_is_named(file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mace", None)
    monkeypatch.setitem(sys.modules, "mace.calculators", None)
    assert main(["--from", "mace", str(file), "-o", str(file) + ".pt"]) == 1
    assert "run: pip install 'mlip-engines[mace]'" in capsys.readouterr().err


class PolarMACE(nn.Module):
    """Has electrostatics."""


class AtomicDipolesMACE(nn.Module):
    """Has no energy."""


class SomebodyElses(nn.Module):
    """Of another package."""


class RealAgnosticAttResidualInteractionBlock(mace_stand_in.Block):
    """Not taken over."""


def with_another_block():
    model = ScaleShiftMACE([1, 8])
    model.interactions[1] = RealAgnosticAttResidualInteractionBlock(True, 2)
    return model


def depending_on_charge():
    model = ScaleShiftMACE([1, 8])
    model.joint_embedding, model.embedding_specs = nn.Linear(1, 1), {"total_charge": {}}
    return model


@pytest.mark.parametrize(
    ("build", "head", "message"),
    [
        (PolarMACE, "", "has a long-range part, which no cutoff bounds.*dispersion/d3"),
        (AtomicDipolesMACE, "", "predicts no energy; expected MACE or ScaleShiftMACE"),
        (SomebodyElses, "", "SomebodyElses; if another package has trained it"),
        (lambda: {"model": 1, "epoch": 2}, "", "a checkpoint of a training has weights without"),
        (lambda: ScaleShiftMACE([1]), "", "several heads, one for each level of theory: pbe, r2"),
        (lambda: ScaleShiftMACE([1]), "#scan", "expected a head of pbe, r2scan, got 'scan'"),
        (with_another_block, "#pbe", "blocks of the kind RealAgnosticAttResidualInteractionBlock"),
        (depending_on_charge, "#pbe", "depends on total_charge"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(build, head, message, tmp_path):
    path = tmp_path / "file.model"
    torch.save(build(), path)
    with pytest.raises(ValueError, match=message):
        open_mace(f"{path}{head}", None, "float32")


def test_files_of_other_formats_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing at .*no.model"):
        open_mace(str(tmp_path / "no.model"), None, "float32")
    path = tmp_path / "text.model"
    path.write_text("hello")
    with pytest.raises(ValueError, match="expected a model that mace_run_train has written"):
        open_mace(str(path), None, "float32")
    torch.jit.script(nn.Linear(1, 1)).save(path)
    with pytest.raises(ValueError, match="got a compiled one"):
        open_mace(str(path), None, "float32")


def test_an_element_that_the_model_lacks_is_refused(file):
    with pytest.raises(ValueError, match="the model knows H, O, Ar, got Xe"):
        open_mace(f"{file}#pbe", ["O", "Xe"], "float32")
