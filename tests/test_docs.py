"""The Python in the documents for model authors runs as it stands, and links between documents lead somewhere."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces

from mlip_engines import MlipCalculator
from tolerances import FINITE_DIFFERENCE_STEP, TOLERANCE

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_the_network_of_the_contract_page_conforms_and_runs(tmp_path, monkeypatch, capsys):
    (source,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/contract.md").read_text(), re.DOTALL
    )
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if not re.match(r"https?:", link):
            assert (document.parent / link).exists(), link
