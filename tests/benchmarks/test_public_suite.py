"""benchmarks/public_suite.py: its numbers on curves whose answers are known, and a model from call to table."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def suite():
    sys.path.insert(0, str(FOLDER))
    try:
        import public_suite

        yield public_suite
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("public_suite", "measured_crystals"):
            sys.modules.pop(name, None)


R = np.linspace(0.9, 8.0, 711)


def morse(r):
    """Depth 2 eV at 1.5 Å; energy, and force on the second atom."""
    x = np.exp(-2.0 * (r - 1.5))
    return 2.0 * (x * x - 2.0 * x), 8.0 * (x * x - x)


def test_a_morse_curve_is_perfect(suite):
    found = suite.of_a_pair(R, *morse(R))
    assert found["tortuosity"] == pytest.approx(1.0, abs=1e-6)
    assert found["force_flips"] == 1 and found["energy_jump_eV"] == pytest.approx(0.0, abs=0.01)
    assert found["spearman_repulsion"] == pytest.approx(-1.0)
    assert found["spearman_attraction"] == pytest.approx(1.0)
    assert found["bond_length_A"] == pytest.approx(1.5, abs=0.01)
    assert found["depth_eV"] == pytest.approx(2.0, abs=1e-3)
    # the error of central differences: h^2 E'''/6, 0.16 eV/Å at the near end where they are one-sided
    assert found["conservation_deviation_eV_per_A"] < 1e-2


def test_what_is_wrong_with_a_curve_is_seen(suite):
    energy, force = morse(R)
    wavy = energy + 0.2 * np.sin(10.0 * R)
    found = suite.of_a_pair(R, wavy, force)
    # The mean of |cos| is 2/pi, that of its slope 2 cos(10 r) is 4/pi.
    assert found["conservation_deviation_eV_per_A"] == pytest.approx(4.0 / np.pi, rel=0.03)
    # outside of the well each of the 22 half waves goes up or down by 0.4 eV
    assert found["tortuosity"] > 1.5
    assert found["energy_jump_eV"] > 0.0
    assert (
        suite.of_a_pair(R, energy, np.where(R > 4.0, -1.0, force) * np.sign(R - 5.0))["force_flips"]
        > 1
    )


def test_jumps_are_counted_where_the_direction_changes(suite):
    assert suite.jump(np.array([1.0, 2.0, -3.0, 0.0, -1.0, 4.0])) == 2.0 + 3.0 + 1.0 + 4.0
    assert suite.flips(np.array([1.0, 0.0, -1.0, -2.0, 3.0])) == 2


def test_a_parabola_of_volumes_is_perfect(suite):
    volumes = np.linspace(0.8, 1.2, 21)
    found = suite.of_volumes(volumes, 3.0 * (volumes - 1.0) ** 2)
    assert found["tortuosity"] == pytest.approx(1.0)
    assert found["energy_flips"] == 1
    assert found["spearman_compression"] == pytest.approx(-1.0)
    assert found["spearman_compression_derivative"] == pytest.approx(1.0)
    assert found["spearman_tension"] == pytest.approx(1.0)


def test_instability_counts_orders_of_magnitude(suite):
    """0.5 meV/atom/ps is tolerated, a hundred times as much is two orders, and a failed run counts as five."""
    found = [suite.instability(slope) for slope in (0.0, -0.5, -50.0, float("nan"))]
    assert found == pytest.approx([0.0, 0.0, 2.0, 5.0])


def test_cells_for_the_efficiency_are_nearly_full(suite):
    for crystal in suite.CRYSTALS:
        cell = suite.repeated(crystal.atoms(), 1000)
        assert 800 <= len(cell) <= 1000
        volume = crystal.atoms().get_volume() / len(crystal.atoms())
        assert cell.get_volume() == pytest.approx(volume * len(cell))


def test_copper_from_call_to_table(suite, tmp_path, monkeypatch, capsys):
    """Short of a real run; the second call computes nothing and prints the same."""
    command = ["copper", "water", "-o", str(tmp_path), "--steps", "20"]
    suite.main(command)
    text = capsys.readouterr().out
    assert "| copper | 1 |" in text and "| water | 2 |" in text  # elements
    for name in suite.TASKS:
        monkeypatch.setattr(suite, name, None)
    suite.main(command)
    assert capsys.readouterr().out == text
