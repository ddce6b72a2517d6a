"""The Python in docs/python.md, docs/validation.md and docs/relaxation.md runs, from the folder of the checkout."""

import re

import pytest

from mlip_engines.diagnostics.registry import DIAGNOSTICS
from tests.docs.documents import ROOT


def names_after(page, folder, monkeypatch):
    """Run the blocks of a page one after the other in a folder that has the examples; return the variables."""
    (folder / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(folder)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL):
        exec(block, names)
    return names


@pytest.mark.lammps
@pytest.mark.slow
def test_code_of_the_page_on_python_runs(tmp_path, monkeypatch):
    names = names_after("python.md", tmp_path, monkeypatch)
    trajectory = names["trajectory"]
    assert trajectory.time_ps[-1] == pytest.approx(0.2, abs=0.01) and not trajectory.stopped
    assert abs(names["drift"]) < 5.0  # meV/atom/ps; non-conservative forces make 30
    assert 0.001 < names["asymmetry"].value < 0.01
    largest = names["relaxed"].largest_force
    assert len(largest) == 6 and largest[-1] < largest[0]


def test_code_of_the_page_on_validation_runs(tmp_path, monkeypatch):
    data = names_after("validation.md", tmp_path, monkeypatch)["data"]
    assert data["parts"]["symmetry"]["force_C_spread_meV_per_angstrom"] < 0.5
    assert (tmp_path / "look" / "report.html").exists()


def test_code_of_the_page_on_relaxation_runs(tmp_path, monkeypatch):
    (each,) = names_after("relaxation.md", tmp_path, monkeypatch)["relaxed"]
    assert each.converged and len(each.path) == each.steps + 1


def test_the_page_on_validation_explains_every_diagnostic():
    page = (ROOT / "docs" / "validation.md").read_text()
    assert [name for name in DIAGNOSTICS if f"\n| `{name}` | " not in page] == []
