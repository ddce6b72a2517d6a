"""benchmarks/molecular_relaxation.py: equations 10 to 14 on numbers whose answers are known."""

import importlib.util
import math
import sys
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import kcal, mol

from tolerances import EXACT

PATH = Path(__file__).parents[2] / "benchmarks" / "molecular_relaxation.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("molecular_relaxation", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def outcome(benchmark, before, after, true, force=0.01, same=True, reason=""):
    return benchmark.Outcome("m", "H2", reason, before, after, true, force, same)


def test_the_four_numbers_of_the_paper(benchmark):
    """Half way, all the way, above the start, and no energy at all."""
    kcal_per_mol = kcal / mol  # eV
    outcomes = [
        outcome(benchmark, 3.0, 2.0, 1.0, force=0.2),
        outcome(benchmark, 3.0, 1.0 + 0.9 * kcal_per_mol, 1.0, force=0.04),
        outcome(benchmark, 3.0, 3.5, 1.0, force=2.0, same=False),
        outcome(benchmark, 3.0, math.nan, 1.0, force=math.nan, same=False, reason="exploded"),
    ]
    found = benchmark.summary(outcomes)
    nearly = 100.0 * (1.0 - 0.45 * kcal_per_mol)
    assert found["pct"] == pytest.approx((50.0 + nearly - 25.0) / 3.0, rel=EXACT)
    assert found["success"] == found["converged"] == 25.0
    assert found["divergence"] == found["other_bonds"] == 50.0
    low, high = found["success_interval"]
    # Wilson's interval of 1 of 4, from tables
    assert (low, high) == (pytest.approx(4.56, abs=0.01), pytest.approx(69.94, abs=0.01))


def test_a_start_that_is_the_end_has_no_percentage(benchmark):
    found = benchmark.summary([outcome(benchmark, 1.0, 1.0, 1.0)])
    assert "pct" not in found and found["success"] == 100.0 and found["divergence"] == 0.0
    with pytest.raises(ValueError, match="got none"):
        benchmark.summary([])


def test_bonds_are_seen_to_break(benchmark):
    ethanol = molecule("CH3CH2OH")
    assert len(benchmark.bonds(ethanol)) == 8
    ethanol.positions[ethanol.numbers == 8] += [0.0, 0.0, 1.0]
    assert len(benchmark.bonds(ethanol)) < 8
    assert benchmark.bonds(Atoms("H2", [[0, 0, 0], [0, 0, 5.0]])) == set()
