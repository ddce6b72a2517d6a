"""Runs that begin with the weights of another run, or of a model file, on other data."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

from mlip_engines.commands.export import main as export
from mlip_engines.model.load import models_directory, read_metadata
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.command import main as train
from mlip_train.data.structure import prepare
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.start import less_what_the_network_gives, read_start
from mlip_train.networks import build_network
from tests.labelled import RECIPE, argon_frames, write_argon, write_recipe
from tests.tolerances import TOLERANCE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def fine_tune(tmp_path):
    """The recipe of the package, with fewer epochs."""
    text = (ROOT / "train/recipes/fine_tune.yaml").read_text()
    assert "epochs: 20" in text
    return str(write_recipe(tmp_path / "fine_tune.yaml", text.replace("epochs: 20", "epochs: 2")))


@pytest.mark.parametrize("path", sorted(models_directory().glob("*.pt")), ids=lambda p: p.stem)
def test_a_run_can_start_from_every_shipped_model(path):
    """Their files are older than this version: weights must still fit the network that the recipe builds today."""
    start = read_start(path)
    network = build_network(start.network)
    network.load_state_dict(start.weights)
    assert set(start.reference_energies) == set(read_metadata(path).species)
    assert start.scale > 0.0


@pytest.mark.training
def test_a_model_file_is_as_good_a_start_as_its_checkpoint(argon_run, tmp_path, fine_tune, capsys):
    data, checkpoint = argon_run / "argon.xyz", argon_run / "run/checkpoint.pt"
    model = tmp_path / "model.pt"
    assert export([str(checkpoint), "-o", str(model)]) == 0
    averages, few = [], str(write_argon(tmp_path / "few.xyz", 23))
    for name, origin in (("a", checkpoint), ("b", model)):
        arguments = [fine_tune, "--data", few, "--from", str(origin)]
        assert train([*arguments, "-o", str(tmp_path / name)]) == 0
        averages.append(read_checkpoint(tmp_path / name / "checkpoint.pt"))
    for name, value in averages[0]["average"].items():
        assert torch.equal(value, averages[1]["average"][name]), name
    assert averages[0]["network"] == read_checkpoint(checkpoint)["network"]
    # the network has seen the distances of both sets of data
    before, after = (
        state["metadata"]["training"]["shortest_distances"]["Ar-Ar"]
        for state in (read_checkpoint(checkpoint), averages[0])
    )
    frames = ase.io.read(few, ":")
    closest = min(np.min(a.get_all_distances(mic=True)[np.triu_indices(len(a), 1)]) for a in frames)
    assert after == pytest.approx(min(before, closest))
    assert averages[0]["metadata"]["training"]["range_of_start"] == "kept"
    assert averages[1]["metadata"]["training"]["shortest_distances"]["Ar-Ar"] == after
    # bonds of hotter simulations are shorter than those of the data: the repulsion leaves them room
    assert read_metadata(model).short_range == {"Ar-Ar": pytest.approx(0.95 * before)}
    # and it has given energies for both: the lowest of the first run are among them
    ranges = [
        state["metadata"]["training"]["energy_range"]["Ar"]
        for state in (read_checkpoint(checkpoint), *averages)
    ]
    assert ranges[1] == ranges[2]
    assert ranges[1][0] <= ranges[0][0] < ranges[0][1] <= ranges[1][1]
    assert read_metadata(model).energy_range == {"Ar": ranges[0]}
    capsys.readouterr()
    assert train([fine_tune, "--data", str(data), "-o", str(tmp_path / "c")]) == 1
    assert "--from" in capsys.readouterr().err
    assert train([fine_tune, "--data", few, "-o", str(tmp_path / "d"), "--from", str(data)]) == 1
    assert "expected a checkpoint of mlip-train or a model file" in capsys.readouterr().err


@pytest.mark.training
def test_reference_energies_are_fitted_anew_where_the_recipe_says_so(
    argon_run, tmp_path, fine_tune
):
    frames = argon_frames(25, seed=3)
    for atoms in frames:
        atoms.calc.results["energy"] += 8 * 100.0  # another zero of energy
    ase.io.write(tmp_path / "other.xyz", frames, format="extxyz")
    checkpoint = argon_run / "run/checkpoint.pt"
    arguments = ["--data", str(tmp_path / "other.xyz"), "--from", str(checkpoint), "-o"]
    assert train([fine_tune, *arguments, str(tmp_path / "second")]) == 0
    before, after = map(read_checkpoint, (checkpoint, tmp_path / "second/checkpoint.pt"))
    shift = after["reference_energies"]["Ar"] - before["reference_energies"]["Ar"]
    assert shift == pytest.approx(100.0, abs=0.1)
    assert json.loads((tmp_path / "second/test.json").read_text())["energy_mae"] < 10.0  # meV/atom


def two_elements(path, n_frames):
    """Some argon renamed: what the labels mean does not matter here."""
    frames = argon_frames(n_frames)
    for k, atoms in enumerate(frames):
        atoms.numbers[: k % 3 + 1] = 36
        atoms.calc.atoms = atoms.copy()
    ase.io.write(path, frames, format="extxyz")
    return path


@pytest.mark.training
def test_data_of_fewer_elements_keep_the_network(argon_run, tmp_path, fine_tune):
    mixed, argon = two_elements(tmp_path / "mixed.xyz", 25), write_argon(tmp_path / "argon.xyz", 25)
    recipe = str(argon_run / "recipe.yaml")
    assert train([recipe, "--data", str(mixed), "-o", str(tmp_path / "mixed")]) == 0
    arguments = [fine_tune, "--data", str(argon), "--from", str(tmp_path / "mixed/checkpoint.pt")]
    assert train([*arguments, "-o", str(tmp_path / "fewer")]) == 0
    before, after = (read_checkpoint(tmp_path / n / "checkpoint.pt") for n in ("mixed", "fewer"))
    assert after["network"]["species"] == [18, 36]
    assert after["reference_energies"]["Kr"] == before["reference_energies"]["Kr"]
    assert after["reference_energies"]["Ar"] != before["reference_energies"]["Ar"]
    assert export([str(tmp_path / "fewer/checkpoint.pt"), "-o", str(tmp_path / "model.pt")]) == 0
    assert read_metadata(tmp_path / "model.pt").species == ["Ar", "Kr"]


@pytest.mark.training
def test_a_new_element_gets_rows_of_its_own_and_old_ones_keep_theirs(
    argon_run, tmp_path, fine_tune
):
    """The new kind of atom is argon under another name with another zero of energy: both must be learned."""
    mixed, zero = tmp_path / "mixed.xyz", -50.0
    frames = ase.io.read(two_elements(mixed, 25), ":")
    for atoms in frames:
        atoms.calc.results["energy"] += zero * np.count_nonzero(atoms.numbers == 36)
    ase.io.write(mixed, frames, format="extxyz")
    recipe = Path(fine_tune)
    recipe.write_text(recipe.read_text().replace("refit_composition: true\n", ""))
    checkpoint = argon_run / "run/checkpoint.pt"
    arguments = [fine_tune, "--data", str(mixed), "--from", str(checkpoint)]
    assert train([*arguments, "-o", str(tmp_path / "more")]) == 0
    before, after = read_checkpoint(checkpoint), read_checkpoint(tmp_path / "more/checkpoint.pt")
    assert after["network"] == {**before["network"], "species": [18, 36]}
    energies = after["reference_energies"]
    assert energies["Ar"] == before["reference_energies"]["Ar"]
    assert energies["Kr"] - energies["Ar"] == pytest.approx(zero, abs=0.2)  # eV, of an atom
    assert json.loads((tmp_path / "more/test.json").read_text())["energy_mae"] < 20.0  # meV/atom
    assert export([str(tmp_path / "more/checkpoint.pt"), "-o", str(tmp_path / "model.pt")]) == 0
    assert read_metadata(tmp_path / "model.pt").species == ["Ar", "Kr"]


@pytest.mark.training
def test_replayed_structures_are_trained_on_and_belong_to_the_run(
    argon_run, tmp_path, fine_tune, capsys
):
    few, old = str(write_argon(tmp_path / "few.xyz", 22)), str(argon_run / "argon.xyz")
    start = ["--data", few, "--from", str(argon_run / "run/checkpoint.pt"), "-o"]
    recipe = Path(fine_tune)
    states = []
    for name, words in (("without", ""), ("with", f"replay: {{data: {old}, fraction: 0.9}}\n")):
        recipe.write_text(recipe.read_text().replace("epochs: 2", "epochs: 1") + words)
        assert train([fine_tune, *start, str(tmp_path / name)]) == 0
        states.append(read_checkpoint(tmp_path / name / "checkpoint.pt"))
    assert states[1]["metadata"]["training"]["n_replay"] == 12
    name = "energy_head.0.weight"
    assert not torch.equal(states[0]["weights"][name], states[1]["weights"][name])
    capsys.readouterr()
    write_argon(Path(old), 11)  # another file
    assert train([fine_tune, *start, str(tmp_path / "with"), "--resume"]) == 1
    assert "replay_sha256" in capsys.readouterr().err


@pytest.mark.training
def test_a_start_in_a_unit_that_is_too_coarse_is_warned_of(tmp_path, fine_tune, capsys):
    """Forces before are a hundred times those of the data; with the unit of these there is no warning."""
    frames = argon_frames(6)
    own = float(np.sqrt(np.mean([a.get_forces() ** 2 for a in frames])))
    for atoms in frames:
        for name in ("energy", "forces", "stress"):
            atoms.calc.results[name] = 100.0 * np.asarray(atoms.calc.results[name])
    ase.io.write(tmp_path / "large.xyz", frames, format="extxyz")
    data = str(write_argon(tmp_path / "argon.xyz", 23))
    for name, more in (("coarse", ""), ("fine", f"force_scale: {own}\n")):
        recipe = str(write_recipe(tmp_path / f"{name}.yaml", RECIPE + more))
        before = tmp_path / name / "checkpoint.pt"
        assert train([recipe, "--data", str(tmp_path / "large.xyz"), "-o", str(before.parent)]) == 0
        capsys.readouterr()
        out = str(tmp_path / f"{name}-after")
        assert train([fine_tune, "--data", data, "--from", str(before), "-o", out]) == 0
        said = capsys.readouterr().err
        assert ("in a unit of" in said and "force_scale: " in said) == (name == "coarse")
        scale = read_checkpoint(tmp_path / f"{name}-after/checkpoint.pt")["scale"]
        assert scale == pytest.approx(own if name == "fine" else 100.0 * own, rel=0.3)


def test_reference_energies_leave_nothing_to_unlearn():
    """Labels are what the network gives and 7 eV per atom: so much is the reference energy, whatever was fitted."""
    torch.manual_seed(0)
    network = build_network(
        {"name": "painn", "species": [18], "cutoff": 5.0, "n_features": 8, "n_layers": 1}
        | {"non_conservative_layer": 0}
    ).double()
    frames, scale = argon_frames(5), 40.0
    for atoms in frames:
        graph = neighbor_graph(atoms, 5.0)
        own = float(network(graph, False)["atomic_energies"].sum().detach())
        atoms.calc.results["energy"] = scale * own + 7.0 * len(atoms)
    structures = [prepare(atoms, 5.0) for atoms in frames]
    given = {"Ar": -3.0, "Kr": 5.0}
    found = less_what_the_network_gives(given, network, structures, scale, {"Ar"})
    assert found["Ar"] == pytest.approx(7.0, abs=TOLERANCE["float64"].energy)
    assert found["Kr"] == 5.0


@pytest.mark.training
def test_reference_energies_that_are_given_are_not_moved(argon_run, tmp_path):
    """With labels of another method they are refitted only if they are fitted at all."""
    text = RECIPE + "refit_composition: true\nreference_energies: {Ar: -3.0}\n"
    recipe = str(write_recipe(tmp_path / "given.yaml", text))
    arguments = [recipe, "--data", str(argon_run / "argon.xyz"), "-o", str(tmp_path / "run")]
    assert train([*arguments, "--from", str(argon_run / "run/checkpoint.pt")]) == 0
    state = read_checkpoint(tmp_path / "run/checkpoint.pt")
    assert state["reference_energies"] == {"Ar": -3.0}
