"""What is found out about a LAMMPS that the user names."""

import subprocess
from pathlib import Path

import pytest

from mlip_engines.compiled.target import BuildError
from mlip_engines.lammps import plugin as lammps
from mlip_engines.lammps.installation import find_installation

pytestmark = pytest.mark.lammps


@pytest.fixture
def executable(tmp_path):
    """Make what the folder of an installed LAMMPS has: headers without version.h, and a program with this -h."""
    headers = tmp_path / "prefix" / "include" / "lammps"
    headers.mkdir(parents=True)
    (headers / "pair.h").touch()
    lmp = tmp_path / "prefix" / "bin" / "lmp"
    lmp.parent.mkdir()

    def executable(text):
        lmp.write_text(f"#!/bin/sh\ncat << end\n{text}\nend\n")
        lmp.chmod(0o755)
        return lmp

    return executable


def said_by(lmp):
    """What the LAMMPS of this environment says of itself."""
    done = subprocess.run([*lmp, "-h"], capture_output=True, text=True)
    return done.stdout


def test_installed_lammps_is_asked_for_what_headers_do_not_say(executable, tmp_path, monkeypatch):
    text = said_by(lammps.lammps_command())
    lmp = executable(text)
    monkeypatch.chdir(tmp_path)
    found = find_installation(Path("prefix"))
    assert found.executable == str(lmp)
    assert (found.version, found.sizes, found.mpi) == ("22 Jul 2025", "SMALLBIG", "MPICH")
    assert found.headers == tmp_path / "prefix" / "include" / "lammps"
    target = lammps.plugin_target((found.short_version, found.place))
    assert target.folder_name.startswith("lammps-22Jul2025-torch-")

    executable(text.replace("-DLAMMPS_SMALLBIG", "-DLAMMPS_BIGBIG").replace("MPICH", "Open MPI"))
    other = find_installation(tmp_path / "prefix")
    assert (other.sizes, other.mpi) == ("BIGBIG", "Open MPI")
    assert "LAMMPS_SIZES=BIGBIG" in other.definitions
    assert "LAMMPS_MPI=Open MPI" in other.definitions
    assert lammps.plugin_target((other.short_version, other.place)) != target


def test_executable_that_does_not_fit_is_refused(executable, tmp_path):
    text = said_by(lammps.lammps_command())
    prefix = tmp_path / "prefix"
    executable(text.replace(" PLUGIN", ""))
    with pytest.raises(BuildError, match="cannot load plugins.*PKG_PLUGIN=on"):
        find_installation(prefix)
    executable("hello")
    with pytest.raises(BuildError, match="expected an executable of LAMMPS.*hello"):
        find_installation(prefix)
    lmp = executable(text)
    (prefix / "include" / "lammps" / "version.h").write_text('#define LAMMPS_VERSION "2 Aug 2023"')
    with pytest.raises(BuildError, match="got 2 Aug 2023 in .* and 22 Jul 2025 from"):
        find_installation(prefix, str(lmp))
    assert find_installation(prefix).version == "2 Aug 2023"  # a source tree needs no executable
    (prefix / "include" / "lammps" / "version.h").unlink()
    lmp.unlink()
    with pytest.raises(BuildError, match="name its executable: --lmp FILE"):
        find_installation(prefix)
    with pytest.raises(BuildError, match="expected an executable of LAMMPS, .*lmp is none"):
        find_installation(prefix, str(lmp))
