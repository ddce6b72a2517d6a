"""benchmarks/property_conformers.py: molecules are matched by name, distances are those after superposition."""

import importlib.util
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from tolerances import TOLERANCE

PATH = Path(__file__).parents[2] / "benchmarks" / "property_conformers.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("property_conformers", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(name, part="test", formula="CH3OH"):
    atoms = molecule(formula)
    atoms.info |= {"molecule": name, "split_random": part}
    return atoms


def test_molecules_of_the_part_that_all_files_have(benchmark, tmp_path):
    ase.io.write(tmp_path / "a.xyz", [named("m1"), named("m2"), named("m3", "train"), named("m4")])
    ase.io.write(tmp_path / "b.xyz", [named("m4"), named("m1")])
    files = {"true": tmp_path / "a.xyz", "other": tmp_path / "b.xyz"}
    found, lacking = benchmark.matched(files, "split_random", "test")
    assert [list(some) for some in found.values()] == [["m1", "m4"]] * 2
    assert lacking == {"true": 0, "other": 1}
    ase.io.write(tmp_path / "b.xyz", [named("m1", formula="H2O")])
    with pytest.raises(ValueError, match="atoms in the same order"):
        benchmark.matched(files, "split_random", "test")
    with pytest.raises(ValueError, match="got none"):
        benchmark.matched(files, "split_random", "valid")


def test_a_turned_molecule_is_no_distance_away(benchmark):
    true, turned = molecule("CH3OH"), molecule("CH3OH")
    turned.rotate(70, (1, 2, 3))
    turned.translate((1.0, 2.0, 3.0))
    assert benchmark.distance(turned, true) < np.sqrt(TOLERANCE["float64"].equality)
    # two atoms: a stretch by 0.2 Å moves each by 0.1 Å
    short, long = molecule("H2"), molecule("H2")
    long.set_distance(0, 1, short.get_distance(0, 1) + 0.2)
    assert benchmark.distance(long, short) == pytest.approx(0.1, rel=1e-6)
