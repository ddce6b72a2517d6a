"""benchmarks/crystals.py: closed forms, and a crystal from the lattice of experiment to the table."""

import json
import sys
from pathlib import Path

import pytest
from ase.build import bulk

from tolerances import EXACT

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(FOLDER))
    try:
        import crystals

        yield crystals
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("crystals", "measured_crystals"):
            sys.modules.pop(name, None)


def test_bulk_modulus_of_an_isotropic_solid(benchmark):
    """C11 = K + 4 G/3, C12 = K - 2 G/3, C44 = G, as a cubic and as a hexagonal crystal."""
    k, g = 70.0, 30.0
    c11, c12 = k + 4.0 * g / 3.0, k - 2.0 * g / 3.0
    assert benchmark.bulk_modulus((c11, c12, g)) == pytest.approx(k, abs=EXACT)
    assert benchmark.bulk_modulus((c11, c12, g, c12, c11)) == pytest.approx(k, abs=EXACT)


def test_lattice_constants_of_primitive_cells(benchmark):
    for crystal in benchmark.CRYSTALS:
        a, c = benchmark.lattice_constants(crystal.atoms().cell.array, crystal.structure)
        assert a == pytest.approx(crystal.a, abs=EXACT)
        assert c == (None if crystal.c is None else pytest.approx(crystal.c, abs=EXACT))
    a, _ = benchmark.lattice_constants(
        bulk("CsCl", "cesiumchloride", a=4.1).cell.array, "cesiumchloride"
    )
    assert a == pytest.approx(4.1, abs=EXACT)


def test_measured_crystals_are_stable(benchmark):
    """Born's conditions; a typing error in a table of constants breaks them easily."""
    for crystal in benchmark.CRYSTALS:
        c11, c12, c44, *rest = crystal.constants
        assert c11 > abs(c12) and c44 > 0.0
        if rest:
            c13, c33 = rest
            assert (c11 + c12) * c33 > 2.0 * c13**2
        assert 10.0 < crystal.atoms().get_volume() / len(crystal.atoms()) * 2 < 120.0


def test_copper_comes_with_what_was_measured_of_the_model(benchmark, tmp_path, monkeypatch, capsys):
    """docs/measurements/structures.md has these constants from the commands; the second call computes nothing."""
    command = ["copper", "-o", str(tmp_path), "--only", "Cu"]
    benchmark.main(command)
    found = json.loads((tmp_path / "Cu.json").read_text())
    assert found["constants_GPa"] == pytest.approx([172.2, 116.2, 79.1], abs=0.1)
    assert found["phonon_THz"] == pytest.approx(7.20, abs=0.01)
    first = (tmp_path / "crystals.md").read_text()
    assert "172 (168) | 116 (121) | 79 (75)" in first
    monkeypatch.setattr(benchmark, "measured", None)
    benchmark.main(command)
    assert (tmp_path / "crystals.md").read_text() == first


def test_a_crystal_that_is_no_minimum_is_a_row_with_its_reason(benchmark):
    (row,) = benchmark.table({"Cu": {"failure": "not converged"}})[2:]
    assert row.count("|") == benchmark.table({})[0].count("|") and "not converged" in row
