"""The command mlip-elastic: what it writes, and what it refuses."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from mlip_engines.commands.elastic import main


@pytest.fixture(scope="module")
def crystal_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("crystal") / "ar.vasp"
    ase.io.write(path, bulk("Ar", a=5.4), format="vasp")
    return path


def test_files_hold_the_constants_of_the_relaxed_crystal(
    argon_model, crystal_file, tmp_path, capsys
):
    assert main([str(argon_model), str(crystal_file), "-o", str(tmp_path), "--fmax", "1e-5"]) == 0
    values = json.loads((tmp_path / "elastic.json").read_text())
    constants = np.array(values["elastic_constants_GPa"])
    assert constants.shape == (6, 6) and values["is_stable"]
    assert f"{constants[0, 0]:.2f}" in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    assert f"{constants[0, 0]:.2f}" in page and "<img" in page
    relaxed = ase.io.read(tmp_path / "relaxed.extxyz")
    volume = values["equation_of_state"]["volume_A3_per_atom"]
    assert relaxed.get_volume() == pytest.approx(volume, rel=1e-3)


def test_bad_input_is_a_message(argon_model, crystal_file, tmp_path, capsys):
    command = [str(argon_model), str(crystal_file), "-o", str(tmp_path / "x")]
    assert main([*command, "--strain", "0.5"]) == 1
    assert "expected a strain" in capsys.readouterr().err
    assert main(["copper", str(crystal_file), "-o", str(tmp_path / "x")]) == 1
    assert "got Ar" in capsys.readouterr().err
