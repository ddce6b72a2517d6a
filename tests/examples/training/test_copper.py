"""The commands that the first tutorial on training tells a newcomer to type, and the structures that they use."""

import importlib.metadata
import json
import re
import shlex
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT

ROOT = Path(__file__).parents[3]
DATA = ROOT / "examples" / "training" / "copper.extxyz"


def test_the_labels_are_those_of_the_potential():
    structures = ase.io.read(DATA, ":")
    assert len(structures) == 40
    assert DATA.stat().st_size < 200_000
    for atoms in structures[:: len(structures) // 4]:
        given = atoms.copy()
        given.calc = EMT()
        # The file has eight decimals of positions and forces.
        assert atoms.get_potential_energy() == pytest.approx(given.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(atoms.get_forces(), given.get_forces(), atol=1e-6)
        np.testing.assert_allclose(atoms.get_stress(), given.get_stress(), atol=1e-8)


@pytest.mark.training
@pytest.mark.slow
def test_the_lines_in_the_tutorial_run_as_they_stand(tmp_path, monkeypatch, capsys):
    """Train, export, look, evaluate; what was learned is far better than no forces at all."""
    page = (ROOT / "docs" / "do" / "train.md").read_text()
    typed = "".join(re.findall(r"(?ms)^```bash run\n(.*?)^```$", page))
    lines = [shlex.split(line) for line in re.findall(r"(?m)^mlip-[^|\n]*", typed)]
    assert [line[0] for line in lines] == ["mlip-train", "mlip-train", "mlip-export", "mlip-eval"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.setattr("mlip_train.loop.run.write_report", lambda *arguments: None)  # slow figures
    scripts = importlib.metadata.entry_points(group="console_scripts")
    commands = {entry.name: entry for entry in scripts}
    for command, *arguments in lines:
        capsys.readouterr()
        assert commands[command].load()(arguments) == 0
    assert "conservative forces" in capsys.readouterr().out
    assert commands["mlip-eval"].load()(["model.pt", str(DATA), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    forces = np.concatenate([atoms.get_forces() for atoms in ase.io.read(DATA, ":")])
    size = np.sqrt(np.mean(forces**2))  # eV/Å, the error of a model without forces
    assert found["conservative_rmse"] < 0.35 * size * 1000
