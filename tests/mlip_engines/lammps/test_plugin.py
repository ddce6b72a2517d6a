"""Finding the plugin, and what is said where there is none."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlip_engines.lammps import plugin as lammps


@pytest.mark.lammps
def test_entry_point_imports_neither_torch_nor_numpy():
    code = """
import sys
from importlib.metadata import entry_points
(entry,) = [e for e in entry_points(group="lammps.plugins") if e.name == "mlip"]
folder = entry.load()()
heavy = {"torch", "numpy", "ase", "vesin_torch", "lammps"} & set(sys.modules)
print(folder, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, heavy = done.stdout.split(" ", 1)
    assert Path(folder, lammps.PLUGIN_NAME).is_file()
    assert heavy.strip() == "[]"


def test_shipped_models_are_potential_files(monkeypatch):
    monkeypatch.setenv("LAMMPS_POTENTIALS", "/mine")
    lammps.plugin_directory()
    lammps.plugin_directory()
    assert os.environ["LAMMPS_POTENTIALS"] == f"/mine{os.pathsep}{lammps.models_directory()}"


@pytest.mark.lammps
def test_missing_plugin_is_said_in_one_line_and_nothing_else_breaks(no_plugin, capsys):
    folder = lammps.plugin_directory()
    assert folder.startswith(str(no_plugin))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "run: mlip-lammps build" in said


@pytest.mark.lammps
def test_missing_plugin_is_said_by_the_first_rank_only(no_plugin, monkeypatch, capsys):
    monkeypatch.setenv("PMI_RANK", "1")
    lammps.plugin_directory()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("PMI_RANK", "0")
    lammps.plugin_directory()
    assert capsys.readouterr().err != ""


@pytest.mark.lammps
def test_plugin_of_other_sources_is_not_used(no_plugin, plugin, monkeypatch, capsys):
    target = lammps.plugin_target()
    shutil.copytree(plugin, no_plugin / target.folder_name, symlinks=True)
    assert lammps.find_plugin(target) == no_plugin / target.folder_name
    sources = no_plugin / "sources"
    shutil.copytree(lammps.source_directory(), sources)
    with (sources / "plugin.cpp").open("a") as file:
        file.write("// another version\n")
    monkeypatch.setattr(lammps, "source_directory", lambda: sources)
    assert lammps.plugin_target().folder_name != target.folder_name
    assert lammps.find_plugin(lammps.plugin_target()) is None
    lammps.plugin_directory()
    assert "other sources" in capsys.readouterr().err


@pytest.mark.lammps
def test_missing_torch_is_said(no_plugin, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "torch" else find_spec(n)
    )
    lammps.plugin_directory()
    assert "torch is not installed" in capsys.readouterr().err
