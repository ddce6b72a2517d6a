"""No command writes over what it has been given to read."""

import os
from pathlib import Path

import ase.build
import ase.io
import pytest

from mlip_engines.commands import elastic, export, label, phonons, relax
from mlip_engines.commands.overwriting import refuse_to_overwrite
from mlip_engines.model.load import find_model, read_metadata
from mlip_train import command as train
from mlip_train.property import predict_command as predict
from mlip_train.robust import command as perturb

COMMANDS = {
    "export": (export, "{given} -o {output}"),
    "export_inner": (export, "run/checkpoint.pt --inner {given} -o {output}"),
    "export_distances": (export, "run/checkpoint.pt --shortest-from {given} -o {output}"),
    "export_python": (export, "--from python {given}:build --species Ar -o {output}"),
    "label": (label, "water {given} -o {output}"),
    "label_model": (label, "{given} water.extxyz -o {output}"),
    "perturb": (perturb, "{given} -o {output}"),
    "predict": (predict, "checkpoint.pt {given} -o {output}"),
    "predict_checkpoint": (predict, "{given} water.extxyz -o {output}"),
    "check": (train, "--check other.extxyz {given} -o {output}"),
}


@pytest.mark.parametrize("how", ["same", "symbolic", "hard"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_input_is_not_overwritten(name, how, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given, output = tmp_path / "given.extxyz", tmp_path / "written.extxyz"
    ase.io.write(given, ase.build.molecule("H2O"))
    before = given.read_bytes()
    if how == "symbolic":
        output.symlink_to(given)
    elif how == "hard":
        os.link(given, output)
    else:
        output = "./given.extxyz"
    command, words = COMMANDS[name]
    assert command.main(words.format(given=given, output=output).split()) == 1
    assert f"this would overwrite {given}; name another file" in capsys.readouterr().err
    assert given.read_bytes() == before


def test_the_page_beside_perturbed_structures_is_not_written_over_them(tmp_path, capsys):
    given = tmp_path / "frames.html"
    given.write_text("")
    assert perturb.main([str(given), "-o", str(tmp_path / "frames.extxyz")]) == 1
    assert f"would overwrite {given}" in capsys.readouterr().err


def test_relaxed_structures_of_another_run_are_kept(tmp_path, capsys):
    given = tmp_path / "relaxed.extxyz"
    ase.io.write(given, ase.build.molecule("H2O"))
    before = given.read_bytes()
    assert relax.main(["water", str(given), "-o", str(tmp_path)]) == 1
    assert "has relaxed.extxyz, which this would overwrite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [given.name]
    assert given.read_bytes() == before


def test_a_crystal_is_not_replaced_by_the_relaxed_one(tmp_path, capsys):
    pytest.importorskip("phonopy")
    given = tmp_path / f"{read_metadata(find_model('copper')).name}_relaxed.extxyz"
    ase.io.write(given, ase.build.bulk("Cu", "fcc", 3.61))
    before = given.read_bytes()
    assert phonons.main(["copper", str(given), "-o", str(tmp_path)]) == 1
    assert "would overwrite" in capsys.readouterr().err
    options = ["--no-relax", "--supercell", "5", "5", "5", "--mesh", "4", "-o", str(tmp_path)]
    assert phonons.main(["copper", str(given), *options]) == 0  # which writes no crystal
    assert given.read_bytes() == before


def test_the_result_of_a_relaxation_is_not_replaced_by_elastic_constants(tmp_path, capsys):
    given = tmp_path / "relaxed.extxyz"
    ase.io.write(given, ase.build.bulk("Cu", "fcc", 3.636))
    before = given.read_bytes()
    assert elastic.main(["copper", str(given), "-o", str(tmp_path)]) == 1
    assert "would overwrite" in capsys.readouterr().err
    assert elastic.main(["copper", str(given), "--no-relax", "-o", str(tmp_path)]) == 0
    assert given.read_bytes() == before


def test_a_name_that_is_no_file_is_not_in_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuse_to_overwrite(Path("water"), ["water"])
