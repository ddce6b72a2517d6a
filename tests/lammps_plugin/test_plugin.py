"""Loading the plugin: models by name, and when libtorch comes in."""

import shutil

import pytest

from mlip_engines.lammps import plugin as lammps
from structures import STRUCTURES
from tests.lammps_plugin.model_files import SPECIES
from tests.lammps_plugin.runner import LammpsError, run_python, run_script, run_structure


def test_model_is_found_by_name_in_lammps_potentials(models, tmp_path, monkeypatch):
    folder = tmp_path / "potentials"
    folder.mkdir()
    shutil.copy(models["exact"], folder / "mymodel.pt")
    work = tmp_path / "work"
    work.mkdir()
    atoms = STRUCTURES["dimer"]()
    monkeypatch.setenv("LAMMPS_POTENTIALS", str(folder))
    names = ("mymodel", "mymodel.pt", models["exact"])
    energies = [run_structure(atoms, name, work, species=SPECIES).energy for name in names]
    assert energies[0] == energies[1] == energies[2]


def test_libtorch_is_loaded_with_the_first_model_only(models, tmp_path):
    code = """
def has_torch():
    with open("/proc/self/maps") as file:
        return "libtorch_cpu" in file.read()

lmp.command("units metal")
lmp.command("region box block 0 9 0 9 0 9")
lmp.command("create_box 1 box")
lmp.command("pair_style mlip")
before = has_torch()
lmp.command("pair_coeff * * MODEL O")
print(before, has_torch())
"""
    done = run_python(code.replace("MODEL", str(models["exact"])), tmp_path)
    assert "False True" in done.stdout.splitlines(), done.stdout + done.stderr


def test_libtorch_of_another_place_is_explained(plugin, tmp_path, models):
    """A plugin whose second library cannot be opened, as after torch was removed or changed."""
    copy = tmp_path / "copy"
    shutil.copytree(plugin, copy)
    (copy / lammps.TORCH_LIBRARY_NAME).write_bytes(b"not a library")
    script = f"""
plugin clear
plugin load {copy / lammps.PLUGIN_NAME}
units metal
region box block 0 9 0 9 0 9
create_box 1 box
pair_style mlip
pair_coeff * * {models["exact"]} O
"""
    with pytest.raises(LammpsError, match="cannot use libtorch"):
        run_script(script, tmp_path)
