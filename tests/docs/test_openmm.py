"""The Python in docs/openmm.md runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
from openmm import app, unit

from structures import STRUCTURES
from tests.openmm_forces.mm_water import NM, mm_system, topology_of

pytestmark = pytest.mark.openmm

PAGE = Path(__file__).parents[2] / "docs" / "openmm.md"


@pytest.fixture
def water(tmp_path, monkeypatch):
    """Eight molecules in a box, also as water.pdb in the working directory."""
    atoms = STRUCTURES["orthogonal"]()
    monkeypatch.chdir(tmp_path)
    with open("water.pdb", "w") as file:
        positions = atoms.positions * NM * unit.nanometer
        app.PDBFile.writeFile(topology_of(atoms), positions, file)
    return atoms


def test_code_of_the_page_runs(water):
    pytest.importorskip("openmmml", reason="openmm-ml is not installed")
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(first, names)
    simulation = names["simulation"]
    assert simulation.context.getTime()._value == pytest.approx(10 * 0.002)
    moved = simulation.context.getState(positions=True).getPositions(asNumpy=True)._value / NM
    assert 0.01 < np.abs(moved - water.positions).max() < 3.0
    topology = topology_of(water)
    names = {
        "topology": topology,
        "atoms": range(6),
        "mm_system": mm_system(
            topology, nonbondedMethod=app.CutoffPeriodic, nonbondedCutoff=0.3 * unit.nanometer
        ),
    }
    exec(second, names)
    forces = [type(force).__name__ for force in names["mixed"].getForces()]
    assert forces.count("PythonForce") == 1 and "NonbondedForce" in forces
    assert names["system"].getNumParticles() == names["mixed"].getNumParticles() == len(water)
