"""The operators are compiled and used where there is no LAMMPS."""

import os
import subprocess
import sys

import pytest

from mlip_engines.commands import operators as command
from mlip_engines.compiled import operators
from mlip_engines.compiled.target import BuildError

WITHOUT_LAMMPS = """
import sys
sys.modules["lammps"] = None  # importing it fails, and so does looking for it
from pathlib import Path
from mlip_engines.compiled import target
target.roots = lambda: [Path(sys.argv[1])]
from mlip_engines.commands.operators import main
if len(sys.argv) > 2:
    sys.exit(main(sys.argv[2:]))
from mlip_engines import MlipCalculator, operators
from ase.build import molecule
assert operators.are_compiled()
atoms = molecule("H2O", calculator=MlipCalculator("water"))
print(atoms.get_potential_energy())
"""


def without_lammps(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LAMMPS, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_operators_are_compiled_and_used_without_lammps(tmp_path):
    from ase.build import molecule

    from mlip_engines import MlipCalculator

    printed = without_lammps(tmp_path, "build")
    assert f"{tmp_path}/{operators.operators_target().folder_name}" in printed.splitlines()[-1]
    atoms = molecule("H2O", calculator=MlipCalculator("water"))
    assert float(without_lammps(tmp_path)) == atoms.get_potential_energy()


def test_what_torch_cannot_load_is_refused(tmp_path):
    (tmp_path / operators.LIBRARY_NAME).write_bytes(b"not a library")
    with pytest.raises(BuildError, match="torch cannot load the operators in .*: OSError"):
        operators.check_operators(tmp_path)


def test_build_is_not_repeated(capsys):
    folder = operators.find_operators()
    assert command.main(["build"]) == 0
    assert f"up to date: {folder}" in capsys.readouterr().out


def test_info_names_version_and_library(capsys):
    assert command.main(["info"]) == 0
    printed = capsys.readouterr().out
    for text in (operators.operators_target().versions["torch"], str(operators.find_operators())):
        assert text in printed


def test_info_says_what_to_run(no_plugin, capsys):
    assert command.main(["info"]) == 0
    assert "none: not compiled for torch" in capsys.readouterr().out


def test_clean_lists_first_and_removes_on_request(no_plugin, capsys):
    old = no_plugin / "operators-torch-2.8.0-0123456789"
    old.mkdir(parents=True)
    (old / operators.LIBRARY_NAME).touch()
    assert command.main(["clean"]) == 0
    assert f"mlip-operators clean {old.name}" in capsys.readouterr().out
    assert old.is_dir()
    assert command.main(["clean", "another"]) == 1
    assert f"({old.name}), got 'another'" in capsys.readouterr().err
    assert command.main(["clean", old.name]) == 0
    assert not old.exists()
    assert command.main(["clean"]) == 0
    assert "no unused builds" in capsys.readouterr().out
