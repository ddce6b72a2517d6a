"""The Python in docs/contract.md runs as it stands."""

import re
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces

from mlip_engines import MlipCalculator
from tolerances import FINITE_DIFFERENCE_STEP, TOLERANCE

PAGE = Path(__file__).parents[2] / "docs" / "contract.md"


def test_the_network_of_the_contract_page_conforms_and_runs(tmp_path, monkeypatch, capsys):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "springs.py"  # TorchScript reads the source of a class from its file
    script.write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("springs")
    assert "forces are the negative energy gradient" in capsys.readouterr().out
    atoms = Atoms("Ar3", [[0, 0, 0], [2.1, 0.3, 0], [0.4, 2.2, 1.0]])
    atoms.calc = MlipCalculator("springs.pt")
    # Differences of a float32 energy: a step that is large, and an error that is too.
    expected = calculate_numerical_forces(atoms, eps=100 * FINITE_DIFFERENCE_STEP)
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=2 * TOLERANCE["float32"].force)
