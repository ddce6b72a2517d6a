"""LAMMPS as a library in a process of Python that evaluates models as well: the operators are registered once."""

import pytest

from tests.lammps_plugin.runner import run_python
from tolerances import TOLERANCE

pytestmark = pytest.mark.lammps

IN_LAMMPS = """
def energy_of_lammps():
    lmp.commands_string('''
units metal
region box block 0 9 0 9 0 9
create_box 2 box
mass 1 15.999
mass 2 1.008
create_atoms 1 single 4.0 4.0 4.0
create_atoms 2 single 4.96 4.0 4.0
create_atoms 2 single 3.76 4.93 4.0
pair_style mlip
pair_coeff * * water.pt O H
run 0
''')
    return lmp.get_thermo("pe")
"""
IN_PYTHON = """
def energy_of_python():
    from ase import Atoms
    from mlip_engines import MlipCalculator
    positions = [[4.0, 4.0, 4.0], [4.96, 4.0, 4.0], [3.76, 4.93, 4.0]]
    atoms = Atoms("OHH", positions, cell=[9.0, 9.0, 9.0], pbc=True)
    atoms.calc = MlipCalculator("water")
    return atoms.get_potential_energy()
"""
WITHOUT_COMPILED = """
import warnings
from mlip_engines.compiled import target
find = target.find
target.find = lambda wanted: None
warnings.simplefilter("ignore")
import mlip_engines.operators
target.find = find
assert not mlip_engines.operators.are_compiled()
"""
IN_ORDER = {
    "python first": "python = energy_of_python(); lammps = energy_of_lammps()",
    "lammps first": "lammps = energy_of_lammps(); python = energy_of_python()",
    "python composed": WITHOUT_COMPILED
    + "python = energy_of_python(); lammps = energy_of_lammps()",
}


@pytest.mark.parametrize("order", IN_ORDER)
def test_lammps_and_python_share_the_operators(order, tmp_path):
    report = """
from pathlib import Path
mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
copies = [path for path in mapped if path.endswith("libmlip_operators.so")]
print(python, lammps, len(copies))
"""
    code = IN_LAMMPS + IN_PYTHON + IN_ORDER[order] + report
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    python, lammps, n_copies = done.stdout.splitlines()[-1].split()
    limit = TOLERANCE["float32"].energy
    assert float(python) == pytest.approx(float(lammps), abs=limit)
    assert n_copies == "1"
