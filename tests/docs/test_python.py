"""The Python in docs/python.md runs as it stands, from the folder of the checkout."""

import re

import pytest

from tests.docs.documents import ROOT


@pytest.mark.lammps
@pytest.mark.slow
def test_code_of_the_page_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {}
    for block in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL
    ):
        exec(block, names)
    trajectory = names["trajectory"]
    assert trajectory.time_ps[-1] == pytest.approx(0.2, abs=0.01) and not trajectory.stopped
    assert abs(names["drift"]) < 5.0  # meV/atom/ps; non-conservative forces make 30
    assert 0.001 < names["asymmetry"].value < 0.01
    largest = names["relaxed"].largest_force
    assert len(largest) == 6 and largest[-1] < largest[0]
