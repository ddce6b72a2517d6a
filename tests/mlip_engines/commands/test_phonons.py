"""The command mlip-phonons: what it writes, and what it refuses."""

import json

import ase.io
import pytest
from ase.build import bulk, molecule

from mlip_engines.commands.phonons import main


@pytest.fixture(scope="module")
def crystal_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("crystal") / "ar.vasp"
    ase.io.write(path, bulk("Ar", a=5.4), format="vasp")
    return path


@pytest.fixture(scope="module")
def folder(argon_model, crystal_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phonons")
    more = ["--forces", "c", "nc", "--mesh", "15", "--fmax", "1e-5"]
    assert main([str(argon_model), str(crystal_file), "-o", str(folder), *more]) == 0
    return folder


def test_both_forces_are_side_by_side_at_the_relaxed_volume(folder):
    values = json.loads((folder / "phonons.json").read_text())
    c, nc = values["curves"]
    assert (c["label"], nc["label"]) == ("argon C", "argon NC")
    assert (c["displacement_angstrom"], nc["displacement_angstrom"]) == (0.03, 0.1)
    relaxed = ase.io.read(folder / "argon_relaxed.extxyz")
    assert relaxed.get_volume() < 0.98 * 5.4**3 / 4
    assert c["n_imaginary_q"] == 0
    # the head of the model has the forces of the energy and a weak swirl, which has no part in energies
    for a, b in zip(c["frequencies_THz"]["X"], nc["frequencies_THz"]["X"], strict=True):
        assert a == pytest.approx(b, rel=0.05)
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 2 and "argon NC" in page
    for name in ("argon_C", "argon_NC"):
        assert (folder / name / "phonopy_params.yaml").exists()


def test_what_is_no_single_crystal_is_refused(argon_model, tmp_path, capsys):
    ase.io.write(tmp_path / "two.extxyz", [bulk("Ar", a=5.3)] * 2)
    assert main([str(argon_model), str(tmp_path / "two.extxyz"), "-o", str(tmp_path)]) == 1
    assert "expected one structure, got 2" in capsys.readouterr().err
    water = molecule("H2O")
    ase.io.write(tmp_path / "water.extxyz", water)
    assert main([str(argon_model), str(tmp_path / "water.extxyz"), "-o", str(tmp_path)]) == 1
    assert "periodic in three directions" in capsys.readouterr().err


def test_a_small_supercell_is_refused_before_anything_is_computed(
    argon_model, crystal_file, tmp_path, capsys
):
    command = [str(argon_model), str(crystal_file), "-o", str(tmp_path / "x")]
    assert main([*command, "--supercell", "2", "2", "2"]) == 1
    assert "--supercell 5 5 5" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_elements_that_the_model_does_not_know_are_refused(argon_model, tmp_path, capsys):
    ase.io.write(tmp_path / "cu.extxyz", bulk("Cu"))
    assert main([str(argon_model), str(tmp_path / "cu.extxyz"), "-o", str(tmp_path)]) == 1
    assert "got Cu" in capsys.readouterr().err
