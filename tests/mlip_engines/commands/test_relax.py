"""The command mlip-relax: what it writes, how it goes on, and what it refuses."""

import csv
import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from mlip_engines.commands.relax import main
from mlip_engines.model.load import load_model
from mlip_engines.relaxation import relax


@pytest.fixture(scope="module")
def structures_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("structures") / "water.extxyz"
    structures = []
    for k in range(4):
        water = molecule("H2O")
        water.rattle(0.05, seed=k)
        structures.append(water)
    structures.insert(2, Atoms("ArH", [[0, 0, 0], [0, 0, 1.3]]))
    ase.io.write(path, structures)
    return path


@pytest.fixture(scope="module")
def folder(structures_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relaxed") / "out"
    assert main(["water", str(structures_file), "-o", str(folder), "--paths"]) == 0
    return folder


def test_files_hold_what_the_function_returns(folder, structures_file):
    wanted = relax(load_model("water"), ase.io.read(structures_file, ":"))
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["relaxed"] * 2 + ["element unknown"] + [
        "relaxed"
    ] * 2
    found = ase.io.read(folder / "relaxed.extxyz", ":")
    for atoms in found:
        each = wanted[atoms.info["index"]]
        # 8 decimals in the file
        np.testing.assert_allclose(atoms.positions, each.atoms.positions, atol=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(each.energy_after, abs=1e-6)
    (failed,) = ase.io.read(folder / "failed.extxyz", ":")
    assert failed.info["failure"] == "element unknown"
    page = (folder / "report.html").read_text()
    assert "4 of 5 structures are relaxed" in page and "the model knows" in page


def test_paths_go_from_the_given_structure_to_the_last(folder, structures_file):
    first = ase.io.read(structures_file, "3")
    path = ase.io.read(folder / "paths" / "000003.extxyz", ":")
    np.testing.assert_allclose(path[0].positions, first.positions, atol=1e-7)
    energies = [atoms.get_potential_energy() for atoms in path]
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert energies[-1] == pytest.approx(float(rows[3]["energy_after_eV"]), abs=1e-6)
    assert len(path) == int(rows[3]["steps"]) + 1


def test_a_run_that_was_killed_goes_on(folder, structures_file, tmp_path, monkeypatch):
    """The last line was cut off: that structure is relaxed again, the others are not."""
    lines = (folder / "finished.jsonl").read_bytes().splitlines(keepends=True)
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "relaxation.json").write_bytes((folder / "relaxation.json").read_bytes())
    (killed / "finished.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    import mlip_engines.relaxation.run as run

    begun = []
    original = run.relax_each

    def watched(model, structures, settings, **how):
        structures = list(structures)
        begun.extend(k for k, _ in structures)
        return original(model, structures, settings, **how)

    monkeypatch.setattr(run, "relax_each", watched)
    command = ["water", str(structures_file), "-o", str(killed), "--paths"]
    assert main(command) == 0
    done = {json.loads(line)["index"] for line in lines[:3]}
    assert begun == sorted(set(range(5)) - done)
    again, whole = (
        {k["index"]: k for k in map(json.loads, (f / "finished.jsonl").read_text().splitlines())}
        for f in (killed, folder)
    )
    assert again.keys() == whole.keys()
    for k in whole:
        np.testing.assert_allclose(again[k]["positions"], whole[k]["positions"], atol=1e-4)
    written = (killed / "results.csv").read_text()
    assert main(command) == 0  # nothing is left to do
    assert (killed / "results.csv").read_text() == written


def test_structures_under_way_go_on(structures_file, tmp_path, monkeypatch):
    """Interrupted twice, in the fourth step that each of the first two calls takes; steps count from the beginning."""
    import mlip_engines.relaxation.folder as module

    monkeypatch.setattr(module, "SAVE_EVERY", 0.0)
    command = ["water", str(structures_file), "-o", str(tmp_path / "whole"), "--fmax", "1e-3"]
    assert main(command) == 0
    command[3] = str(tmp_path / "cut")
    original = module.RelaxationFolder.save
    for _ in range(2):
        calls = []

        def cut(self, under_way, calls=calls):
            original(self, under_way)
            calls.append(0)
            if len(calls) == 4:
                raise KeyboardInterrupt

        monkeypatch.setattr(module.RelaxationFolder, "save", cut)
        assert main(command) == 130
    monkeypatch.setattr(module.RelaxationFolder, "save", original)
    assert main(command) == 0
    whole, parts = (
        list(csv.DictReader((tmp_path / name / "results.csv").read_text().splitlines()))
        for name in ("whole", "cut")
    )
    assert [row["steps"] for row in parts] == [row["steps"] for row in whole]
    assert not (tmp_path / "cut" / "under_way.npz").exists()


def test_another_relaxation_in_the_same_folder_is_refused(folder, structures_file, capsys):
    assert main(["water", str(structures_file), "-o", str(folder), "--fmax", "0.5"]) == 1
    assert "other fmax, keep_path" in capsys.readouterr().err


def test_non_conservative_forces_come_with_a_warning(structures_file, tmp_path, capsys):
    command = ["water", str(structures_file), "-o", str(tmp_path / "nc")]
    assert main([*command, "--forces", "nc", "--fmax", "0.1", "--steps", "30"]) == 0
    assert "not the gradient of an energy" in capsys.readouterr().err
    assert "not the gradient of an energy" in (tmp_path / "nc" / "report.html").read_text()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--cell", "--forces", "nc"], "stress of the energy"),
        (["--fmax", "-1"], "fmax must be positive"),
        (["--units", "atomic"], "units"),
    ],
)
def test_bad_input_is_a_message(structures_file, tmp_path, more, words, capsys):
    assert main(["water", str(structures_file), "-o", str(tmp_path / "x"), *more]) == 1
    assert words in capsys.readouterr().err


def test_missing_files_are_messages(tmp_path, capsys):
    assert main(["water", str(tmp_path / "none.extxyz"), "-o", str(tmp_path / "x")]) == 1
    assert "none.extxyz" in capsys.readouterr().err
