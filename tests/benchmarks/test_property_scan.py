"""benchmarks/property_scan.py: a cell of the grid is the run that a user would give to mlip-property."""

import importlib.util
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from mlip_train.property.command import main as mlip_property

PATH = Path(__file__).parents[2] / "benchmarks" / "property_scan.py"
RECIPE = """
name: tiny
network:
  {name: painn, cutoff: 3.0, n_features: 8, n_basis: 4, n_layers: 1, non_conservative_layer: 1, n_force_layers: 0}
stages:
  - {name: energy, epochs: 1, learning_rate: 0.001, weights: {energy: 1.0}}
"""


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("property_scan", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.training
def test_a_cell_is_a_run_of_the_command(benchmark, tmp_path, capsys):
    rng = np.random.default_rng(1)
    true, others = [], []
    for k in range(24):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(scale=0.05, size=(3, 3))
        part = "train" if k < 16 else "valid" if k < 20 else "test"
        atoms.info |= {"molecule": f"m{k}", "split_random": part, "gap": atoms.get_distance(0, 1)}
        true.append(atoms)
        others.append(atoms.copy())
        others[-1].positions += rng.normal(scale=0.1, size=(3, 3))
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    files = {"true": tmp_path / "true.extxyz", "others": tmp_path / "others.extxyz"}
    ase.io.write(files["true"], true)
    ase.io.write(files["others"], others)
    data = ["--data", str(files["true"]), "--split-key", "split_random", "--target", "gap"]
    data += ["--n-train", "12", "--seed", "2"]
    start = tmp_path / "gap_2"
    recipe = ["--recipe", str(tmp_path / "tiny.yaml"), "--epochs", "2"]
    assert mlip_property([*data, *recipe, "-o", str(start)]) == 0
    scan = [str(tmp_path / "gap_{seed}" / "checkpoint.pt"), "--true", str(files["true"])]
    scan += ["--conformers", str(files["others"]), "-o", str(tmp_path / "scan"), "--seeds", "2"]
    scan += ["--noise", "0", "0.05", "--align", "0.2", "--epochs", "1"]
    assert benchmark.main(scan) == 0
    first = capsys.readouterr().out
    assert first.count("seed 2") == 2
    own = ["--from", str(start / "checkpoint.pt"), "--conformers", str(files["others"])]
    own += ["--noise", "0.05", "--align", "0.2", "--epochs", "1", "--batch-size", "16"]
    own += ["--learning-rate", "0.0005", "-o", str(tmp_path / "own")]
    assert mlip_property([*data, *own]) == 0
    found, expected = (
        json.loads((folder / "test.json").read_text())
        for folder in (tmp_path / "scan" / "0.05" / "0.2" / "2", tmp_path / "own")
    )
    assert found == expected
    assert f"| 0.05 | {expected['test']['gap']['mae']:.3f} (1) |" in first
    capsys.readouterr()
    assert benchmark.main(scan) == 0  # nothing is repeated
    assert "seed 2" not in capsys.readouterr().out
