"""``mlip-accelerate`` as a user runs it, on argon, whose energy is known in closed form."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from mlip_engines import MlipCalculator, read_metadata
from mlip_engines.simulations import pace_search
from mlip_train.acceleration import round as rounds
from mlip_train.acceleration import sizes
from mlip_train.acceleration.command import main
from tests.exact_models import argon_model  # noqa: F401

pytestmark = [pytest.mark.lammps, pytest.mark.training, pytest.mark.slow]


@pytest.fixture
def arguments(argon_model, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(sizes, "SIZES", sizes.SIZES[:1])
    monkeypatch.setattr(sizes, "TURN_MS", 100.0)
    monkeypatch.setattr(pace_search, "CONSERVATIVE_STEPS", (1.0, 2.0))
    monkeypatch.setattr(pace_search, "INNER_STEPS", (2, 4))
    bulk("Ar", a=5.3, cubic=True).repeat((2, 1, 1)).write(tmp_path / "argon.extxyz")
    words = [str(argon_model), "--structures", str(tmp_path / "argon.extxyz")]
    words += ["--temperature", "40", "--minutes", "0.3", "--step", "4"]
    return [*words, "--drift", "1.0", "-o", str(tmp_path / "fast")]


def test_from_a_model_to_an_accelerated_one_and_on_after_an_interruption(
    arguments,
    argon_model,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
):
    folder = tmp_path / "fast"

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "teach", interrupted)
        assert main(arguments) == 130
    assert "the same command goes on" in capsys.readouterr().err
    done = json.loads((folder / "journal.json").read_text())["steps"]
    assert "round 1: label" in done and "round 1: train" not in done
    sampled = next((folder / "round_1/sampling").glob("*.extxyz")).stat().st_mtime_ns

    assert main(arguments) == 0
    assert next((folder / "round_1/sampling").glob("*.extxyz")).stat().st_mtime_ns == sampled
    model, page = folder / "argon-fast.pt", (folder / "report.html").read_text()
    metadata = read_metadata(model)
    assert metadata.has_non_conservative_forces and metadata.species == ["Ar"]
    found = metadata.training["acceleration"]
    steps = json.loads((folder / "journal.json").read_text())["steps"]
    rms = min(s["rms_meV_per_angstrom"] for n, s in steps.items() if n.endswith("export"))
    assert 1e3 * metadata.errors["rms_c_minus_nc"] >= rms - 1e-6
    assert found["disagreement_eV_per_angstrom"] > 0.0

    atoms = ase.io.read(tmp_path / "argon.extxyz")
    atoms.rattle(0.1, seed=5)
    atoms.calc = MlipCalculator(argon_model)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = MlipCalculator(model)
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-12)
    assert np.abs(atoms.get_forces() - forces).max() < 1e-12

    paces = [s for name, s in steps.items() if name.endswith(": measure")]
    assert any(p["forces"]["kind"] == "respa" and not p["stopped"] for s in paces for p in s)
    if "inner_steps" in found:
        assert f"run_style     respa 2 {found['inner_steps']} inner" in page
        assert f"RespaIntegrator({found['inner_steps'] * found['inner_step_fs']:g}" in page

    capsys.readouterr()
    assert main(arguments) == 0  # everything is done
    assert "samples" not in capsys.readouterr().out
    assert json.loads((folder / "journal.json").read_text())["steps"] == steps

    # once more, from the inner force that it has learnt
    again = tmp_path / "again"
    words = [*arguments[: arguments.index("-o")], "--minutes", "0.1", "--inner", str(model)]
    assert main([*words, "-o", str(again)]) == 0
    assert "M = 4" in capsys.readouterr().out  # of the first samples, which C gives otherwise
    inner = read_metadata(again / "argon-fast.pt").training["inner"]
    assert "begun with the inner force of argon-fast" in inner["source"]
    assert inner["network"] == metadata.training["inner"]["network"]


def test_another_request_does_not_go_on_in_the_same_folder(arguments, monkeypatch, capsys):
    monkeypatch.setattr("mlip_train.acceleration.run.check_energy", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(arguments)
    assert main([*arguments, "--seed", "2"]) == 1
    assert "another seed" in capsys.readouterr().err
