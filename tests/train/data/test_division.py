"""Parts of a run by file, by split=, by groups and at random: every structure is where the user expects it."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_train.command import main as train
from mlip_train.data.division import divide
from mlip_train.data.sets import DataFiles, OpenedSets
from mlip_train.data.tags import grouped
from mlip_train.loop.checkpoint import read_checkpoint
from tests.labelled import argon_frames, write_recipe

LABELS = {"energy": "REF_energy", "forces": "REF_forces", "stress": "REF_stress"}


def atoms_of(n, seed, symbol="Ar", **info):
    rng = np.random.default_rng(seed)
    frames = [Atoms(f"{symbol}2", rng.normal(size=(2, 3)), info=dict(info)) for _ in range(n)]
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((2, 3)))
    return frames


def divided(sets, split_by="", **numbers):
    """Divide lists of structures by part, ``data`` for those to divide."""
    files = DataFiles(
        **{part: (f"{part}.xyz",) for part in sets},
    )
    order = [
        frames for part in ("data", "train", "validation", "test") for frames in [sets.get(part)]
    ]
    frames = OpenedSets(files, [list(grouped(f, split_by)) for f in order if f is not None])
    numbers = {"n_validation": 2, "n_test": 3, "seed": 1, **numbers}
    return divide(frames, split_by=split_by, **numbers)


def test_one_file_is_divided_at_random_by_the_numbers_of_the_recipe():
    parts = divided({"data": atoms_of(12, 0)}).parts
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [7, 2, 3]
    assert sorted(sum(parts.values(), [])) == list(range(12))


def test_files_for_parts_are_these_parts_and_nothing_is_drawn_from_them():
    sets = {"train": atoms_of(5, 0), "validation": atoms_of(3, 1), "test": atoms_of(2, 2)}
    expected = {"train": [0, 1, 2, 3, 4], "validation": [5, 6, 7], "test": [8, 9]}
    assert divided(sets).parts == expected
    del sets["test"]
    assert divided(sets).parts == {**expected, "test": []}
    mixed = divided({"data": atoms_of(9, 3), "test": atoms_of(2, 2)}).parts
    assert mixed["test"] == [9, 10] and len(mixed["validation"]) == 2 and len(mixed["train"]) == 7


def test_a_validation_is_drawn_from_the_structures_to_train_on_if_there_is_no_other():
    parts = divided({"train": atoms_of(6, 0)}).parts
    assert len(parts["validation"]) == 2 and len(parts["train"]) == 4 and parts["test"] == []


def test_a_key_of_the_data_says_the_part_and_the_rest_is_trained_on():
    frames = atoms_of(3, 0, split="TEST") + atoms_of(2, 1, split="val") + atoms_of(4, 2)
    parts = divided({"data": frames}).parts
    assert parts == {"test": [0, 1, 2], "validation": [3, 4], "train": [5, 6, 7, 8]}
    frames[5].info["split"] = "holdout"
    found = divided({"data": frames})
    assert len(found.parts["validation"]) == 2 and "got ['holdout']" in found.notes[0]


@pytest.mark.parametrize("words", [("train_300K", "train_mixedT"), ("val", "validation")])
def test_a_set_that_is_one_part_of_a_larger_one_is_divided_at_random(words):
    frames = [a for n, word in enumerate(words) for a in atoms_of(6, n, split=word)]
    parts = divided({"data": [*frames, Atoms("Ar", info={"split": "isolated"})]}).parts
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [8, 2, 3]
    assert 12 in parts["train"]


def test_the_file_counts_where_the_key_says_another_part():
    frames = [*atoms_of(4, 0, split="test"), *atoms_of(1, 1, split="train")]
    found = divided({"train": frames[:4], "validation": frames[4:]})
    assert found.parts["train"] == [0, 1, 2, 3]
    assert "5 structures say split=... of another part" in found.notes[0]


def test_a_structure_of_the_test_is_not_trained_on_as_well():
    test = atoms_of(3, 2)
    found = divided(
        {"train": [*atoms_of(4, 0), *(a.copy() for a in test[:2])], "test": test}, n_validation=0
    )
    assert found.parts["train"] == [0, 1, 2, 3] and found.parts["test"] == [6, 7, 8]
    assert "2 structures are the same" in found.notes[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_structures_of_one_trajectory_stay_together(seed):
    frames = [a for n in range(6) for a in atoms_of(n + 1, n, trajectory=f"run{n}")]
    frames += atoms_of(2, 9)  # of no trajectory
    parts = divided({"data": frames}, split_by="trajectory", seed=seed).parts
    owner = {}
    for name, indices in parts.items():
        for k in indices:
            run = frames[k].info.get("trajectory", k)
            assert owner.setdefault(run, name) == name
    assert len(parts["validation"]) >= 2 and len(parts["test"]) >= 3
    assert len(sum(parts.values(), [])) == len(frames)
    with pytest.raises(ValueError, match="structures with the key 'run', got none"):
        divided({"data": atoms_of(12, 0)}, split_by="run")


def test_isolated_atoms_are_trained_on():
    frames = atoms_of(8, 0)
    frames += [Atoms(s, info={"config_type": "IsolatedAtom"}) for s in ("Ar", "Ne", "He", "Kr")]
    frames += [a for n, s in enumerate(["Ne", "He", "Kr"]) for a in atoms_of(3, 5 + n, s)]
    for seed in range(4):
        assert {8, 9, 10, 11} <= set(divided({"data": frames}, seed=seed).parts["train"])


def test_an_element_that_is_only_in_the_test_is_refused_before_the_training():
    sets = {"train": atoms_of(4, 0), "validation": atoms_of(1, 1), "test": atoms_of(2, 2, "Kr")}
    with pytest.raises(ValueError, match=r"test\.xyz: structure 0, of test, has \['Kr'\]"):
        divided(sets)


@pytest.mark.training
@pytest.mark.parametrize("options", [[], ["--lazy"]])
def test_a_run_takes_parts_keys_units_and_energies_from_its_command(options, tmp_path, capsys):
    """The same labels under other names, in GPa and by parts: the same weights at the end, in memory and on disk."""
    frames = argon_frames(12)
    for k, atoms in enumerate(frames):
        atoms.info["split"] = "train" if k < 8 else "valid" if k < 10 else "test"
        atoms.info["config_weight"] = 2.0 if k == 1 else 1.0
    ase.io.write(tmp_path / "plain.xyz", frames, format="extxyz")
    recipe = str(write_recipe(tmp_path / "recipe.yaml"))
    end = ["--reference-energies", "Ar=-0.02", *options, "-o"]
    first = [recipe, "--data", str(tmp_path / "plain.xyz"), *end, str(tmp_path / "plain")]
    assert train(first) == 0

    for atoms in frames:
        labels = atoms.calc.results
        atoms.info = {"config_weight": atoms.info["config_weight"], "energy": 1.0}
        atoms.info["REF_energy"] = labels["energy"]
        atoms.info["REF_stress"] = labels["stress"] * 160.21766208
        atoms.arrays["REF_forces"] = labels["forces"]
        atoms.calc = None
    ase.io.write(tmp_path / "a.xyz", frames[:4], format="extxyz")
    ase.io.write(tmp_path / "b.xyz", frames[4:8], format="extxyz")
    ase.io.write(tmp_path / "valid.xyz", frames[8:10], format="extxyz")
    ase.io.write(tmp_path / "test.xyz", frames[10:], format="extxyz")
    files = ["--train", str(tmp_path / "a.xyz"), "--train", str(tmp_path / "b.xyz")]
    files += ["--valid", str(tmp_path / "valid.xyz"), "--test", str(tmp_path / "test.xyz")]
    keys = [word for label, key in LABELS.items() for word in (f"--{label}-key", key)]
    assert (
        train([recipe, *files, *keys, "--stress-units", "GPa", *end, str(tmp_path / "keys")]) == 0
    )
    runs = [read_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("plain", "keys")]
    for name, value in runs[0]["average"].items():
        # the digits of a file are not all that a number has
        np.testing.assert_allclose(value, runs[1]["average"][name], atol=2e-5, err_msg=name)
    assert runs[1]["reference_energies"] == {"Ar": -0.02}
    listing = json.loads((tmp_path / "keys/files.json").read_text())
    assert [(entry["given_for"], entry["first"]) for entry in listing] == [
        ("train", 0), ("train", 4), ("validation", 8), ("test", 10)
    ]  # fmt: skip
    assert json.loads((tmp_path / "keys/test.json").read_text())["stress_rmse"] == pytest.approx(
        json.loads((tmp_path / "plain/test.json").read_text())["stress_rmse"], rel=1e-3
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name a file with --data or --train"),
        (["--data", "a.xyz", "--test", "./a.xyz"], "got a.xyz as --data and as --test"),
        (["--data", "a.xyz", "--reference-energies", "Ar=x"], "got 'Ar=x'"),
        (["--data", "a.xyz", "--reference-energies", "Ar=1,Ar=2"], "got it twice"),
        (["--data", "a.xyz", "--reference-energies", "none.yaml"], "found no file none.yaml"),
        (["--data", "a.xyz", "--energy-key", "REF_energy"], "expected 'REF_energy', the energy"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ase.io.write("a.xyz", argon_frames(12), format="extxyz")
    recipe = str(write_recipe(tmp_path / "recipe.yaml"))
    assert train([recipe, *options, "-o", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
