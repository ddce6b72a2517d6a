"""The point of it all, with the shipped model through the real engine: NC heats, r-RESPA follows C."""

from pathlib import Path

import ase.io
import numpy as np
import pytest

from mlip_engines.lammps import build_plugin
from tests.lammps.runner import run_structure

pytestmark = [pytest.mark.lammps, pytest.mark.slow]

START = Path(__file__).parents[2] / "examples" / "water_64.extxyz"
INNER_STEP = 0.0005  # ps
INNER_STEPS = 4  # what the shipped model carries
LIMIT = 0.3  # meV/atom/ps


@pytest.fixture(scope="module", autouse=True)
def plugin():
    return build_plugin()


def drift(tmp_path, mode):
    """Slope of the conserved energy over 1 ps, meV/atom/ps."""
    atoms = ase.io.read(START)
    n_steps = round(1.0 / INNER_STEP)
    move = "fix move all nve\n"
    if mode == "respa":
        move += f"timestep {INNER_STEP * INNER_STEPS}\nthermo 10\n"
        move += f"run_style respa 2 {INNER_STEPS} inner 1 4.0 5.0 outer 2\n"
        n_steps //= INNER_STEPS
    else:
        move += f"timestep {INNER_STEP}\nthermo 40\n"
    style = "mlip forces non_conservative" if mode == "non_conservative" else "mlip"
    result = run_structure(
        atoms,
        "water",
        tmp_path,
        species=["O", "H"],
        pair_style=style,
        commands=f"{move}run {n_steps}\n",
    )
    slope = np.polyfit(result.thermo["Time"], result.total_energy, 1)[0]
    return 1000.0 * slope / len(atoms)


@pytest.mark.parametrize("mode", ["conservative", "respa"])
def test_energy_is_conserved(tmp_path, mode):
    assert abs(drift(tmp_path, mode)) < LIMIT


def test_non_conservative_forces_alone_fail_the_same_limit(tmp_path):
    assert drift(tmp_path, "non_conservative") > LIMIT
