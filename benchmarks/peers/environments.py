"""An environment for each peer: a venv with the pinned versions of its ``requirements-NAME.txt``, made when missing."""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent


def requirements_of(name: str) -> Path:
    """Return the file that pins an environment's packages.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    path = HERE / f"requirements-{name}.txt"
    if not path.is_file():
        known = sorted(p.stem.partition("-")[2] for p in HERE.glob("requirements-*.txt"))
        raise ValueError(f"expected an environment among {', '.join(known)}, got {name!r}")
    return path


def python_of(name: str | None, folder: Path) -> str:
    """Return the interpreter of an environment under ``folder``, made first if need be; of none, this one."""
    if name is None:
        return sys.executable
    requirements = requirements_of(name)
    home = (folder / name).absolute()
    python, record = home / "bin" / "python", home / "installed.txt"
    if not record.is_file() or record.read_text() != requirements.read_text():
        record.unlink(missing_ok=True)
        venv.create(home, with_pip=True)
        # Made under the user's settings of pip: index, mirrors, and wheels at hand.
        command = [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)]
        subprocess.run(command, check=True)
        record.write_text(requirements.read_text())
    return str(python)
