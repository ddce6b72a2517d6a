"""Properties in model files: what ASE gives is what the trained network gives, and the energy does not notice."""

import csv
import json

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from mlip_engines import MlipCalculator, read_metadata
from mlip_engines.checkpoints import export_checkpoint
from mlip_engines.commands.eval import main as evaluate
from mlip_engines.commands.export import main as export
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import find_model
from mlip_engines.model.structure_properties import POOLINGS, StructureProperty, pooled
from mlip_train.property.checkpoint import read_property, save_property
from mlip_train.property.command import main as train
from mlip_train.property.predict_command import main as predict
from mlip_train.property.prediction import predict_properties
from structures import triclinic
from tests.property_models import write_checkpoint, write_property_model
from tests.small_networks import NETWORKS
from tolerances import EXACT

UNITS = [("gap", "eV"), ("polarizability", "Angstrom^3")]


@pytest.fixture(scope="module")
def painn(tmp_path_factory):
    return write_property_model(tmp_path_factory.mktemp("painn"), "painn", "attention")


@pytest.mark.parametrize(
    ("name", "pooling"), [(name, POOLINGS[k % 3]) for k, name in enumerate(sorted(NETWORKS))]
)
def test_a_file_gives_what_the_trained_network_gives(tmp_path, name, pooling):
    path, network = write_property_model(tmp_path, name, pooling)
    structures = [molecule("H2O"), molecule("H2O2"), triclinic()]
    expected, reasons = predict_properties(network, structures, [1, 8])
    assert not reasons
    calculator = MlipCalculator(path)
    found = [[calculator.get_property(p, a) for p, _ in UNITS] for a in structures]
    np.testing.assert_allclose(found, expected, rtol=EXACT)
    described = [(p["name"], p["unit"], p["pooling"]) for p in read_metadata(path).properties]
    assert described == [(*each, pooling) for each in UNITS]


def test_poolings_in_closed_form():
    values = torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0], [7.0, 7.0, 7.0]]).double()
    scores = torch.tensor([0.0, np.log(3.0), 800.0]).double()[:, None].expand(3, 3)
    found = pooled(values, scores, torch.tensor([0, 0, 1]), 2, ["sum", "mean", "attention"])
    np.testing.assert_allclose(found, [[4.0, 2.0, 2.5], [7.0, 7.0, 7.0]], rtol=EXACT)


def test_the_energy_is_that_of_the_potential(painn, tmp_path):
    """Of a file with the same potential and another property: nothing of the property's network is in it."""
    path, _ = painn
    other, _ = write_property_model(tmp_path, "painn", "mean")
    atoms = triclinic()
    energies = [MlipCalculator(p).get_potential_energy(atoms) for p in (path, other)]
    assert energies[0] == energies[1]
    calculator = MlipCalculator(path)
    atoms.calc = calculator
    atoms.get_forces()
    assert "gap" not in calculator.results  # nobody has asked
    gap = calculator.get_property("gap", atoms)
    assert calculator.results["gap"] == gap
    forces = calculator.results["forces"]  # and what was known stays known
    np.testing.assert_array_equal(forces, MlipCalculator(other).get_forces(atoms))


def test_exporting_a_file_again_keeps_its_properties(painn, tmp_path):
    path, _ = painn
    again = tmp_path / "again.pt"
    assert export([str(path), "-o", str(again), "--dtype", "float64"]) == 0
    atoms = molecule("H2O2")
    for name in ("energy", "gap", "polarizability"):
        values = [MlipCalculator(p).get_property(name, atoms) for p in (path, again)]
        assert values[0] == pytest.approx(values[1], rel=EXACT)
    assert read_metadata(again).properties == read_metadata(path).properties


def test_reference_values_are_not_rounded_in_a_float32_file(tmp_path):
    checkpoint, network = write_checkpoint(tmp_path / "sum.ckpt", "painn", "sum")
    with torch.no_grad():
        network.scales.per_element += 1.0e6 / 3.0
    state = read_property(checkpoint)
    save_property(checkpoint, {**state, "best": network.state_dict()})
    export_checkpoint(checkpoint, tmp_path / "sum.pt", "float32")
    expected = predict_properties(network, [molecule("H2O")], [1, 8])[0][0, 0]
    found = MlipCalculator(tmp_path / "sum.pt").get_property("gap", molecule("H2O"))
    assert found == pytest.approx(float(expected), abs=1e-4)  # the network itself is float32


def test_predict_reads_model_files_too(painn, tmp_path, capsys):
    path, network = painn
    frames = [molecule("H2O"), Atoms("Pt"), molecule("H2O2"), triclinic()]
    ase.io.write(tmp_path / "new.extxyz", frames)
    table = tmp_path / "table.csv"
    arguments = [str(path), str(tmp_path / "new.extxyz"), "-o", str(table), "--batch-size", "2"]
    assert predict(arguments) == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    expected, _ = predict_properties(network, ase.io.read(tmp_path / "new.extxyz", ":"), [1, 8])
    for k in (0, 2, 3):
        assert float(rows[k]["gap"]) == pytest.approx(float(expected[k, 0]), rel=EXACT)
    assert rows[1]["gap"] == "" and "Pt" in rows[1]["reason"]
    assert predict([str(find_model("water")), str(tmp_path / "new.extxyz"), "-o", str(table)]) == 1
    assert "model file with properties, got one with an energy alone" in capsys.readouterr().err


def test_eval_tells_the_errors_of_properties(painn, tmp_path, capsys):
    path, network = painn
    frames = [molecule("H2O"), molecule("H2O2"), triclinic()]
    true = predict_properties(network, frames, [1, 8])[0]
    for atoms, value, off in zip(frames, true, (0.1, -0.3, 0.2), strict=True):
        atoms.info["gap"] = float(value[0]) + off
    ase.io.write(tmp_path / "true.extxyz", frames)
    arguments = [str(path), str(tmp_path / "true.extxyz"), "--properties", "--json"]
    assert evaluate(arguments) == 0
    errors = json.loads(capsys.readouterr().out)
    assert errors["gap"]["mae"] == pytest.approx(0.2, abs=1e-6)  # of digits in the file
    assert errors["gap"]["rmse"] == pytest.approx(np.sqrt(0.14 / 3), abs=1e-6)
    assert errors["gap"]["unit"] == "eV" and errors["polarizability"]["n_structures"] == 0
    assert evaluate(arguments[:-1]) == 0
    assert "gap, eV" in capsys.readouterr().out
    assert evaluate(["water", *arguments[1:]]) == 1
    assert "expected a model with properties" in capsys.readouterr().err


def test_what_cannot_be_exported_is_refused_with_a_reason(tmp_path, capsys):
    checkpoint, _ = write_checkpoint(tmp_path / "a.ckpt", "painn", "mean")
    state = read_property(checkpoint)
    save_property(tmp_path / "none.ckpt", {**state, "potential": None})
    assert export([str(tmp_path / "none.ckpt"), "-o", str(tmp_path / "none.pt")]) == 1
    assert "mlip-property --from POTENTIAL" in capsys.readouterr().err
    state["build"]["targets"][0] = "energy"
    save_property(tmp_path / "energy.ckpt", state)
    assert export([str(tmp_path / "energy.ckpt"), "-o", str(tmp_path / "none.pt")]) == 1
    assert "has the name of something that engines know" in capsys.readouterr().err
    symmetric = [str(checkpoint), "-o", str(tmp_path / "s.pt"), "--symmetrise", "lebedev:3"]
    assert export(symmetric) == 1
    assert "not averaged over orientations" in capsys.readouterr().err
    assert not (tmp_path / "none.pt").exists()
    with pytest.raises(ModelContractError, match="letters, digits"):
        StructureProperty("the gap")


@pytest.mark.slow
@pytest.mark.training
def test_from_a_potential_to_a_model_file(tmp_path):
    """As a user does it: the energy is that of the potential to the last digit, and eval tells the errors."""
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(40):
        atoms = molecule("H2O")
        atoms.positions *= rng.uniform(0.9, 1.2)
        atoms.info["length"] = atoms.get_distance(0, 1)
        frames.append(atoms)
    ase.io.write(tmp_path / "data.extxyz", frames)
    run = tmp_path / "run"
    arguments = [
        "--data",
        str(tmp_path / "data.extxyz"),
        "--target",
        "length",
        "--unit",
        "Angstrom",
    ]
    arguments += ["--from", str(find_model("water")), "-o", str(run), "--epochs", "2"]
    assert train([*arguments, "--n-validation", "8", "--n-test", "8"]) == 0
    model = tmp_path / "model.pt"
    assert export([str(run / "checkpoint.pt"), "-o", str(model)]) == 0
    atoms = triclinic()
    before, after = MlipCalculator("water"), MlipCalculator(model)
    assert before.get_potential_energy(atoms) == after.get_potential_energy(atoms)
    np.testing.assert_array_equal(before.get_forces(atoms), after.get_forces(atoms))
    assert read_metadata(model).properties == [
        {"name": "length", "unit": "Angstrom", "pooling": "attention"}
    ]
    errors = json.loads((run / "test.json").read_text())["test"]["length"]
    assert errors["n"] == 8
