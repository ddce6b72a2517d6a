"""A LAMMPS of the user's own, and what a plugin has to know of it before it is compiled.

Headers say neither which MPI a LAMMPS was compiled with nor how large its integers are, those of an installed
LAMMPS not even its version. A plugin that has them wrong would read other numbers than LAMMPS wrote. The
executable says all of it (``lmp -h``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mlip_engines.compiled.target import BuildError

_SIZES = ("SMALLBIG", "BIGBIG", "SMALLSMALL")  # how LAMMPS calls the choices of its integers
_TIMEOUT = 60  # s


@dataclass(frozen=True)
class LammpsInstallation:
    """Headers, and what the executable says if it was asked.

    Parameters
    ----------
    headers : Path
        Folder of ``pair.h``.
    version : str
        A date: "22 Jul 2025".
    executable : str, optional
    sizes : "SMALLBIG", "BIGBIG" or "SMALLSMALL", optional
        Of the integers.
    mpi : "MPICH" or "Open MPI", optional
        None if it is another one, or was not asked for.
    """

    headers: Path
    version: str
    executable: str | None = None
    sizes: str | None = None
    mpi: str | None = None

    @property
    def short_version(self) -> str:
        """The version without blanks, for the name of a folder."""
        return self.version.replace(" ", "")

    @property
    def place(self) -> str:
        """All that decides about a plugin besides the version."""
        return "\0".join(self.definitions)

    @property
    def definitions(self) -> list[str]:
        """Settings of ``lammps_plugin/CMakeLists.txt``."""
        settings = {
            "LAMMPS_SOURCE_DIR": self.headers,
            "LAMMPS_VERSION_NAME": self.version,
            "LAMMPS_SIZES": self.sizes,
            "LAMMPS_MPI": self.mpi,
        }
        return [f"{name}={value}" for name, value in settings.items() if value]


def find_installation(folder: Path, executable: str | None = None) -> LammpsInstallation:
    """Look at a LAMMPS.

    Parameters
    ----------
    folder : Path
        A source tree or its ``src``; or what a LAMMPS was installed to, or the folder of its headers there.
    executable : str
        The ``lmp`` of this LAMMPS. By default that of the folder it was installed to. A source tree needs
        none.

    Raises
    ------
    BuildError
        If there are no headers, or their version is not known; if the executable does not start, is of
        another version than the source tree, or cannot load plugins.
    """
    candidates = (folder, folder / "src", folder / "include" / "lammps")
    headers = next((c.resolve() for c in candidates if (c / "pair.h").is_file()), None)
    if headers is None:
        raise BuildError(
            "expected the source tree of a LAMMPS, or the folder to which one was installed with its headers "
            f"(include/lammps), found no pair.h in {folder}"
        )
    source_version = _version_of_source(headers)
    if executable is None and source_version is None:
        installed = (folder / "bin" / "lmp", folder / "lmp")
        executable = next((str(path) for path in installed if path.is_file()), None)
    if executable is None:
        if source_version is None:
            raise BuildError(
                f"the headers in {headers} do not say the version of LAMMPS; name its executable: --lmp FILE"
            )
        return LammpsInstallation(headers, source_version)
    found = shutil.which(executable)
    if found is None:
        raise BuildError(f"expected an executable of LAMMPS, {executable} is none")
    executable = str(Path(found).absolute())  # it will be started in another folder
    version, sizes, mpi = _ask(executable)
    if source_version not in (None, version):
        raise BuildError(
            f"expected source and executable of one LAMMPS, got {source_version} in {headers} and {version} "
            f"from {executable}"
        )
    return LammpsInstallation(headers, version, executable, sizes, mpi)


def _version_of_source(headers: Path) -> str | None:
    path = headers / "version.h"
    if not path.is_file():
        return None
    found = re.search(r'LAMMPS_VERSION\s+"([^"]+)"', path.read_text())
    if not found:
        raise BuildError(f'expected LAMMPS_VERSION "day month year" in {path}')
    return found[1]


def _ask(executable: str) -> tuple[str, str, str | None]:
    """Return version, sizes of integers, and MPI."""
    try:
        done = subprocess.run(
            [executable, "-h"], capture_output=True, text=True, timeout=_TIMEOUT, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{executable} does not start: {error}") from error
    text = done.stdout
    version = re.search(r"Massively Parallel Simulator - (\d+ [A-Z][a-z]+ \d{4})", text)
    sizes = re.search(rf"-DLAMMPS_({'|'.join(_SIZES)})\b", text)
    if not version or not sizes:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise BuildError(
            f"expected an executable of LAMMPS, which with -h says its version and its compile time flags, got "
            f"from {executable} -h: {said[-1] if said else 'nothing'}"
        )
    packages = re.search(r"Installed packages:\s+(.*?)\n\n", text, flags=re.DOTALL)
    if packages and "PLUGIN" not in packages[1].split():
        raise BuildError(
            f"{executable} cannot load plugins; compile LAMMPS with its package PLUGIN "
            "(cmake -D PKG_PLUGIN=on -D BUILD_SHARED_LIBS=on)"
        )
    mpi = re.search(r"^MPI v[\d.]+: *(MPICH|Open MPI)", text, flags=re.MULTILINE)
    return version[1], sizes[1], mpi[1] if mpi else None
