"""Data of every format are trained on, in their units, and recorded."""

import ase.io
import pytest

from mlip_train.command import main as train
from mlip_train.data.files import open_structures
from mlip_train.data.fingerprint import file_hash
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.machine.processes import Processes
from tests.dataset_files import write_deepmd, write_extxyz, write_n2p2_atomic
from tests.labelled import RECIPE, argon_frames, write_recipe


def potassium():
    """As far apart as in the metal: noble gases do not count where distances are judged."""
    frames = argon_frames(12)
    for atoms in frames:
        atoms.symbols[:] = "K"
        atoms.calc.atoms.symbols[:] = "K"
    return frames


@pytest.mark.training
def test_units_that_nobody_has_said_are_refused_where_distances_contradict(tmp_path, capsys):
    path = write_n2p2_atomic(tmp_path / "input.data", potassium())
    recipe = write_recipe(tmp_path / "recipe.yaml")
    arguments = [str(recipe), "--data", str(path), "-o"]
    assert train([*arguments, str(tmp_path / "default")]) == 1
    assert "--units" in capsys.readouterr().err
    assert train([*arguments, str(tmp_path / "atomic"), "--units", "atomic"]) == 0
    plain = write_extxyz(tmp_path / "frames.xyz", potassium())
    assert train([*arguments[:2], str(plain), "-o", str(tmp_path / "plain")]) == 0
    energies = [
        read_checkpoint(tmp_path / name / "checkpoint.pt")["reference_energies"]["K"]
        for name in ("atomic", "plain")
    ]
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)
    capsys.readouterr()
    arguments[2] = str(plain)
    assert train([*arguments, str(tmp_path / "own"), "--units", "atomic"]) == 1
    assert "units of its own" in capsys.readouterr().err


@pytest.mark.training
def test_a_folder_of_deepmd_trains_and_is_recorded(tmp_path):
    path = write_deepmd(tmp_path / "data", argon_frames(12))
    recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE)
    assert train([str(recipe), "--data", str(path), "-o", str(tmp_path / "run")]) == 0
    record = read_checkpoint(tmp_path / "run/checkpoint.pt")["metadata"]["training"]
    assert record["data_sha256"] == file_hash(path) and record["n_train"] == 8


def test_a_set_on_disk_is_watched_while_it_is_written(tmp_path, capsys):
    frames = argon_frames(8)
    for atoms in frames:
        atoms.info["REF_energy"] = atoms.get_potential_energy() + 8.0
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    processes = Processes("cpu")
    for expected in (True, False):  # the second time the store is there already
        open_structures(tmp_path / "a.xyz", None, processes, store=tmp_path / "store")
        assert ("REF_energy" in capsys.readouterr().err) is expected
