"""Restart and data files: the trajectory goes on, with the model that made it."""

import shutil

import numpy as np
import pytest

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.runner import LammpsError, read_dump, read_thermo, run_script, write_data
from tolerances import TOLERANCE

SYSTEM = """
units metal
atom_style atomic
read_data argon.data
"""
STYLE = "pair_style mlip max_force 50 rotate no seed 3\npair_coeff * * argon_model Ar\n"
DYNAMICS = """
timestep 0.016
run_style respa 2 4 inner 1 4.0 5.0 outer 2
compute c all pair mlip
thermo_style custom step time pe etotal c_c[1] c_c[2]
thermo_modify norm no format float %.17g
"""
NVE = "fix move all nve\n"
NVT = "fix move all nvt temp 80 80 0.5\n"
FINAL = """
dump d all custom 1 {name}.dump id xu yu zu vx vy vz
dump_modify d sort id format float %.17g
run 0
"""


@pytest.fixture
def folder(models, tmp_path, monkeypatch):
    """A folder with the system; the model is found by its name."""
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    potentials = tmp_path / "potentials"
    potentials.mkdir()
    shutil.copy(models["argon"], potentials / "argon_model.pt")
    monkeypatch.setenv("LAMMPS_POTENTIALS", str(potentials))
    return tmp_path


def final(folder, name):
    return read_dump(folder / f"{name}.dump")[-1][:, 1:]


@pytest.mark.parametrize("move", [NVE, NVT], ids=["nve", "nvt"])
def test_restart_in_the_middle_of_a_respa_run_continues_the_trajectory(folder, move):
    """The file is written while the run goes on; pair_style and pair_coeff come from it."""
    whole = f"{SYSTEM}{STYLE}{DYNAMICS}{move}restart 10 middle.*\nrun 25\n"
    run_script(whole + FINAL.format(name="whole"), folder)
    rest = f"read_restart middle.10\n{DYNAMICS}{move}run 15\n"
    log = run_script(rest + FINAL.format(name="rest"), folder)
    assert "restoring pair style mlip" in log
    moved = np.abs(final(folder, "whole")[:, :3] - argon().positions)
    assert moved.max() > 0.1
    difference = np.abs(final(folder, "whole") - final(folder, "rest"))
    assert difference.max() < TOLERANCE["float64"].position
    evaluations = read_thermo(log)
    assert evaluations["c_c[1]"][1] - evaluations["c_c[1]"][0] == 15 * 3
    assert evaluations["c_c[2]"][1] - evaluations["c_c[2]"][0] == 15


def test_data_file_between_respa_runs_continues_the_trajectory(folder):
    first = f"{SYSTEM}{STYLE}{DYNAMICS}{NVE}run 10\nwrite_data middle.data\nrun 15\n"
    run_script(first + FINAL.format(name="whole"), folder)
    rest = f"{SYSTEM.replace('argon.data', 'middle.data')}{STYLE}{DYNAMICS}{NVE}run 15\n"
    run_script(rest + FINAL.format(name="rest"), folder)
    difference = np.abs(final(folder, "whole") - final(folder, "rest"))
    assert difference.max() < TOLERANCE["float64"].position


def write_restart(folder):
    run_script(f"{SYSTEM}{STYLE}{DYNAMICS}{NVE}run 1\nwrite_restart file.restart\n", folder)


def test_keywords_are_restored(folder):
    write_restart(folder)
    script = (
        "read_restart file.restart\nset atom 1 x 0.1 y 0.1 z 0.1\nset atom 2 x 1.4 y 0.1 z 0.1\n"
    )
    script += "fix move all nve\nrun 1\n"
    with pytest.raises(LammpsError, match="more than max_force 50"):
        run_script(script, folder)


def test_missing_model_is_an_error_unless_another_is_chosen(folder, models):
    write_restart(folder)
    (folder / "potentials" / "argon_model.pt").unlink()
    with pytest.raises(LammpsError, match="written with the model 'argon_model', which is neither"):
        run_script("read_restart file.restart\nrun 0\n", folder)
    other = f"pair_style mlip\npair_coeff * * {models['argon']} Ar\n"
    run_script(f"read_restart file.restart\n{other}run 0\n", folder)


def test_model_that_changed_is_found_by_its_hash(folder, models):
    write_restart(folder)
    shutil.copy(models["argon_float32"], folder / "potentials" / "argon_model.pt")
    with pytest.raises(LammpsError, match="expected the model that wrote the restart file, sha256"):
        run_script("read_restart file.restart\nrun 0\n", folder)
    other = f"pair_style mlip\npair_coeff * * {models['argon_float32']} Ar\n"
    log = run_script(f"read_restart file.restart\n{other}run 0\n", folder)
    assert "WARNING: Pair style mlip: the restart file was written with another model" in log


def test_restart_of_an_overlay_checks_the_hash_of_the_new_pair_coeff(folder, models):
    """LAMMPS keeps the settings of sub-styles but wants pair_coeff again."""
    hybrid = "pair_style hybrid/overlay mlip lj/cut 5.0\n"
    lennard_jones = "pair_coeff * * lj/cut 0.001 3.0\n"
    first = f"{SYSTEM}{hybrid}pair_coeff * * mlip argon_model Ar\n{lennard_jones}"
    run_script(first + "run 0\nwrite_restart file.restart\n", folder)
    for name, is_warned in (("argon", False), ("argon_float32", True)):
        rest = f"read_restart file.restart\npair_coeff * * mlip {models[name]} Ar\n{lennard_jones}"
        log = run_script(rest + "run 0\n", folder)
        assert ("was written with another model" in log) == is_warned
