"""benchmarks/force_displacement.py, element_crystals.py, training_curves.py: closed forms, and energies for forces."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, make_supercell

from mlip_engines import MlipCalculator, load_model
from mlip_engines.relaxation.space_group import space_group

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = ("force_displacement", "symmetry_breaking", "element_crystals", "training_curves")


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: __import__(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in NAMES:
            sys.modules.pop(name, None)


def test_diamond_is_tin_with_another_ratio_of_axes(modules):
    crystals = modules["element_crystals"]
    assert str(space_group(crystals.tetragonal("Si", 5.43 / 2**0.5, 5.43), 1e-4)) == "Fd-3m (227)"
    assert str(space_group(crystals.element_crystal("Si", "beta-tin"), 1e-4)) == "I4_1/amd (141)"


def test_forces_are_the_curvature_of_the_energy(modules, monkeypatch):
    """Second differences of the energy along the direction; what is left is anharmonic, 1 % at 0.1 Å."""
    benchmark, size = modules["force_displacement"], 0.1
    monkeypatch.setattr(benchmark, "DISPLACEMENTS", np.array([size]))
    model, crystal = load_model("copper"), bulk("Cu", a=3.61)
    found = benchmark.forces_by_displacement(model, crystal, "C")
    wide = np.ceil(2.0 * model.metadata.cutoff / benchmark.widths(crystal) - 1e-9).astype(int)
    cell, energies = make_supercell(crystal, np.diag(wide)), []
    cell.calc = MlipCalculator(model)
    start = cell.positions[0].copy()
    for step in (-size, 0.0, size):
        cell.positions[0] = start + step * benchmark.DIRECTION
        energies.append(cell.get_potential_energy())
    curvature = float(np.diff(energies, 2)[0]) / size**2
    assert found["along"][0] / size == pytest.approx(curvature, rel=0.02)
    assert found["magnitude"][0] == pytest.approx(found["along"][0], rel=0.1)  # nearly isotropic


def test_steps_are_batches(modules, tmp_path):
    """20 structures in batches of 6 are 3 steps an epoch: the rest of an epoch is left out."""
    benchmark = modules["training_curves"]
    (tmp_path / "split.json").write_text(json.dumps({"train": 20}))
    (tmp_path / "recipe.json").write_text(json.dumps({"batch_size": 6}))
    kinds = ",".join(benchmark.KINDS)
    (tmp_path / "metrics.csv").write_text(f"epoch,{kinds}\n2,4,30,50\n4,2,20,40\n")
    curve = benchmark.read_curve("tuned", tmp_path)
    assert curve.steps == [6, 12] and curve.errors["conservative_mae"] == [30.0, 20.0]
    assert benchmark.table([curve])[-1] == "| tuned | 20 | 12 | 2.0 | 20.0 | 40.0 |"
    benchmark.draw([curve], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
