"""The point of it all, with the shipped models through the real engine: NC heats, r-RESPA follows C."""

from pathlib import Path

import ase.io
import numpy as np
import pytest

from mlip_engines import MlipCalculator
from tests.lammps_plugin.runner import run_structure
from tolerances import TOLERANCE

pytestmark = [pytest.mark.lammps, pytest.mark.slow]

START = Path(__file__).parents[2] / "examples" / "water_64.extxyz"
INNER_STEP = 0.0005  # ps
INNER_STEPS = 6  # what the shipped models carry from every start that was tried; 8 depends on it
LIMIT = 0.3  # meV/atom/ps


def drift(tmp_path, mode, model="water"):
    """Slope of the conserved energy over 1 ps, meV/atom/ps."""
    atoms = ase.io.read(START)
    n_steps = round(1.0 / INNER_STEP)
    move = "fix move all nve\n"
    if mode == "respa":
        move += f"timestep {INNER_STEP * INNER_STEPS}\nthermo 5\n"
        move += f"run_style respa 2 {INNER_STEPS} inner 1 4.0 5.0 outer 2\n"
        n_steps //= INNER_STEPS
    else:
        move += f"timestep {INNER_STEP}\nthermo 40\n"
    style = "mlip forces non_conservative" if mode == "non_conservative" else "mlip"
    result = run_structure(
        atoms,
        model,
        tmp_path,
        species=["O", "H"],
        pair_style=style,
        commands=f"{move}run {n_steps}\n",
    )
    slope = np.polyfit(result.thermo["Time"], result.total_energy, 1)[0]
    return 1000.0 * slope / len(atoms)


@pytest.mark.parametrize(
    ("mode", "model"),
    [
        ("conservative", "water"),
        ("respa", "water"),
        ("respa", "water-fast"),
        ("respa", "water-large"),
    ],
)
def test_energy_is_conserved(tmp_path, mode, model):
    assert abs(drift(tmp_path, mode, model)) < LIMIT


def test_non_conservative_forces_alone_fail_the_same_limit(tmp_path):
    assert drift(tmp_path, "non_conservative") > LIMIT


def test_the_fast_model_has_the_energy_of_the_other_and_forces_of_its_own():
    atoms = ase.io.read(START)
    slow, fast = (MlipCalculator(name) for name in ("water", "water-fast"))
    limit = TOLERANCE["float32"]
    for calculator in (slow, fast):
        calculator.calculate(atoms, ["energy", "forces", "stress", "non_conservative_forces"])
    assert fast.results["energy"] == pytest.approx(slow.results["energy"], abs=limit.energy)
    np.testing.assert_allclose(fast.results["forces"], slow.results["forces"], atol=limit.force)
    np.testing.assert_allclose(fast.results["stress"], slow.results["stress"], atol=limit.stress)
    for calculator in (slow, fast):
        difference = calculator.results["non_conservative_forces"] - slow.results["forces"]
        assert 0.005 < np.sqrt((difference**2).mean()) < 0.05  # eV/Å
    heads = [c.results["non_conservative_forces"] for c in (slow, fast)]
    assert np.abs(heads[0] - heads[1]).max() > 0.01
