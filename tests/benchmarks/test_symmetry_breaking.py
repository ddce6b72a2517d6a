"""benchmarks/symmetry_breaking.py: a symmetric model keeps every symmetry, whatever is done for it."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(FOLDER))
    try:
        import symmetry_breaking

        yield symmetry_breaking
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("symmetry_breaking", None)


def test_an_equivariant_model_keeps_bcc_in_each_way(benchmark, tmp_path, monkeypatch, capsys):
    """bcc copper shears away if it is let (C11 < C12), so only symmetry holds it; the second call computes nothing."""
    bcc = benchmark.crystals("Cu")["bcc"]
    monkeypatch.setattr(benchmark, "crystals", lambda element: {"bcc": bcc})
    monkeypatch.setattr(benchmark, "WAYS", ("free", "group", "projected"))
    command = ["painn=copper", "-o", str(tmp_path)]
    benchmark.main(command)
    out = capsys.readouterr().out
    table = (tmp_path / "symmetry.md").read_text()
    assert out.endswith(table)
    assert table.count("Im-3m (229) | Im-3m (229)") == 3
    monkeypatch.setattr(benchmark, "measured", None)
    benchmark.main(command)
    assert (tmp_path / "symmetry.md").read_text() == table


def test_crystals_have_their_groups_and_no_axis_of_space(benchmark):
    found = benchmark.crystals("Cu")
    assert {str(benchmark.space_group(a, 1e-3)) for a in found.values()} == {
        "Fm-3m (225)",
        "Im-3m (229)",
    }
    volumes = [a.get_volume() / len(a) for a in found.values()]
    assert volumes[0] == pytest.approx(volumes[1])
    assert all((abs(a.cell.array) > 0.05).all() for a in found.values())
