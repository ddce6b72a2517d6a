"""Training on sets in which labels are missing: what is there is learned from, what a recipe needs is asked for."""

import json

import ase.io
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.commands.eval import main as evaluate_file
from mlip_engines.commands.export import main as export
from mlip_train.command import main as train
from mlip_train.data.references import references_of
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.report import errors_section
from tests.dataset_files import write_extxyz
from tests.labelled import RECIPE, argon_frames, write_recipe

ENERGY_ONLY = (
    RECIPE[: RECIPE.index("  - name: non_conservative")]
    + """
  - {name: energy, epochs: 2, learning_rate: 0.005, weights: {energy: 1.0, match: 1.0}}
"""
)


@pytest.mark.training
def test_energies_alone_train_export_and_are_evaluated(tmp_path, capsys):
    frames = argon_frames(12)
    for atoms in frames:
        del atoms.calc.results["forces"], atoms.calc.results["stress"]
    data = tmp_path / "energies.xyz"
    ase.io.write(data, frames, format="extxyz")
    wanted = write_recipe(tmp_path / "recipe.yaml")
    assert train([str(wanted), "--data", str(data), "-o", str(tmp_path / "refused")]) == 1
    message = capsys.readouterr().err
    assert "stages ['non_conservative', 'conservative'] use forces" in message
    assert "set the weights ['conservative', 'non_conservative'] to 0" in message

    recipe = write_recipe(tmp_path / "energy.yaml", ENERGY_ONLY)
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "errors on 2 test structures" in printed and "energy, meV/atom" in printed
    errors = json.loads((tmp_path / "run/test.json").read_text())
    assert "energy_rmse" in errors and "conservative_rmse" not in errors
    model = tmp_path / "model.pt"
    assert export([str(tmp_path / "run/checkpoint.pt"), "-o", str(model)]) == 0
    assert evaluate_file([str(model), str(data), "--json"]) == 0


@pytest.mark.training
def test_a_run_with_no_test_split_says_so(tmp_path, capsys):
    data = write_extxyz(tmp_path / "argon.xyz", argon_frames(8))
    recipe = write_recipe(tmp_path / "recipe.yaml", ENERGY_ONLY.replace("n_test: 2", "n_test: 0"))
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "No structure was kept for a test" in printed and "{}" not in printed
    assert json.loads((tmp_path / "run/test.json").read_text()) == {}
    section = "".join(errors_section({}, {}, 0))
    assert "No structure was kept for a test" in section and "0 test structures" not in section
    training = read_checkpoint(tmp_path / "run/checkpoint.pt")["metadata"]
    assert training["errors"] == {}


def atom(symbol, energy, **info):
    atoms = Atoms(symbol, info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=[[0.0, 0.0, 0.0]])
    return atoms


def test_reference_energies_are_fitted_taken_from_isolated_atoms_or_given():
    frames = [*argon_frames(3), atom("Ar", -2.5, config_type="IsolatedAtom"), atom("Ne", -1.0)]
    assert references_of(frames[:4], "isolated_atoms") == {"Ar": -2.5}
    with pytest.raises(ValueError, match=r"none of \['Ne'\]"):
        references_of(frames, "isolated_atoms")  # the neon does not say that it is one
    assert references_of(frames, {"Ar": 1, "Ne": 2.0, "Kr": 3.0}) == {"Ne": 2.0, "Ar": 1.0}
    with pytest.raises(ValueError, match=r"none for \['Ar'\]"):
        references_of(frames, {"Ne": 2.0})
    twice = [*frames[:4], atom("Ar", -2.6, config_type="isolated_atom")]
    with pytest.raises(ValueError, match="one energy of an isolated atom of Ar, got -2.5 and -2.6"):
        references_of(twice, "isolated_atoms")


def test_an_element_without_any_energy_has_the_median_of_the_others():
    frames = [atom("Ar", -2.0), atom("Ne", -4.0), atom("He", 0.0)]
    del frames[2].calc.results["energy"]
    found = references_of(frames, "fit")
    assert list(found) == ["He", "Ne", "Ar"]
    assert found["He"] == pytest.approx(0.5 * (found["Ne"] + found["Ar"]))
    del frames[0].calc.results["energy"], frames[1].calc.results["energy"]
    assert references_of(frames, "fit") == {"He": 0.0, "Ne": 0.0, "Ar": 0.0}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("reference_energies: {H: low}", "expected an energy in eV for H"),
        ("reference_energies: {Xx: 1.0}", "expected elements, got 'Xx'"),
        ("reference_energies: guess", "isolated_atoms"),
        ("config_type_weights: {hot: -1}", "hot: -1"),
        ("n_test: -1", "must not be negative"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting, message, tmp_path, capsys):
    text = RECIPE.replace("n_test: 2", setting)
    recipe = write_recipe(tmp_path / "recipe.yaml", text)
    assert train([str(recipe), "--data", "a.xyz", "-o", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
