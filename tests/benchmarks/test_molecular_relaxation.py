"""benchmarks/molecular_relaxation.py: equations 10 to 14 on numbers whose answers are known."""

import importlib.util
import math
import sys
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import kcal, mol

from mlip_engines import load_model
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


def test_molecules_that_cannot_be_relaxed_count_and_say_why(benchmark, monkeypatch):
    """A model of water gets methane and atoms on top of each other; the third is relaxed as the reference says."""
    water = molecule("H2O")
    squeezed = water.copy()
    squeezed.positions[1] = squeezed.positions[0]
    stretched = water.copy()
    stretched.positions[1] *= 1.1
    starts = [molecule("CH4"), squeezed, stretched]
    ends, effort = benchmark.by_model(load_model("water"), starts, 0.05, 200)
    assert ends[0].startswith("element unknown") and "C" in ends[0]
    assert ends[1].startswith("refused") and effort["not_converged"] == 0
    lengths = [water.get_distance(0, 1), ends[2].get_distance(0, 1)]
    assert lengths[1] == pytest.approx(lengths[0], abs=0.05)

    def spring(atoms):  # in place of GFN2-xTB: the energy of one bond
        stretch = atoms.get_distance(0, 1) - lengths[0]
        return stretch**2, abs(2 * stretch)

    monkeypatch.setattr(benchmark, "xtb", spring)
    truths = [molecule("CH4"), water.copy(), water.copy()]
    for k, atoms in enumerate(truths):
        atoms.info["molecule"] = f"m{k}"
    outcomes = list(benchmark.judged(starts, ends, truths))
    assert [o.diverges for o in outcomes] == [True, True, False]
    assert "element unknown" in outcomes[0].reason and outcomes[2].reason == ""
    assert outcomes[2].same_bonds and not outcomes[0].same_bonds
    assert outcomes[2].after == pytest.approx((lengths[1] - lengths[0]) ** 2, rel=EXACT)
