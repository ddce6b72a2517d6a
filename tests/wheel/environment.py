"""Environments with what pip would install for one extra and nothing else, without downloading it: links to it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


class Environment:
    """A fresh environment, in which a wheel is installed.

    Parameters
    ----------
    folder : Path
        Where to make it.
    wheel : Path
    extra : str
        Of this package; "" for none.
    """

    def __init__(self, folder: Path, wheel: Path, extra: str):
        venv.create(folder, with_pip=False)
        self.folder = folder
        self.python = folder / "bin" / "python"
        version = "python{}.{}".format(*sys.version_info[:2])
        self.site_packages = folder / "lib" / version / "site-packages"
        for needed in closure("mlip-engines", extra):
            self._link(needed)
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install"]
        command += ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
        subprocess.run([*command, str(wheel)], check=True)

    def _link(self, needed: Distribution) -> None:
        """Link what belongs to a distribution: whole folders of site-packages, and single files elsewhere."""
        source = Path(needed.locate_file(""))
        scripts = {e.name: e.value for e in needed.entry_points if e.group == "console_scripts"}
        for name, value in scripts.items():
            self._write_script(name, *value.partition("[")[0].strip().split(":"))
        for file in needed.files:
            is_inside = file.parts[0] != ".."
            place = file.parts[0] if is_inside else str(file)
            origin = Path(os.path.normpath(source / place))
            link = Path(os.path.normpath(self.site_packages / place))
            if place != "__pycache__" and origin.exists() and not os.path.lexists(link):
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(origin)

    def _write_script(self, name: str, module: str, function: str) -> None:
        path = self.folder / "bin" / name
        code = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        path.write_text(f"#!{self.python}\n{code}")
        path.chmod(0o755)

    def run(self, *command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess:
        """Run a command of the environment in a folder: without the variables, caches and compilers of the tests."""
        program = self.folder / "bin" / command[0]
        bare = {"HOME": str(folder), "OMP_NUM_THREADS": "1", "PATH": str(program.parent)}
        return subprocess.run(
            [str(program), *command[1:]],
            cwd=folder,
            env={**bare, **variables},
            capture_output=True,
            text=True,
        )


def closure(package: str, extra: str) -> list[Distribution]:
    """Return all that a package needs with an extra, itself left out, as pip would find it from their metadata."""
    found: dict[str, Distribution] = {}
    visited = set()
    ahead = [(package, extra)]
    while ahead:
        name, extra = ahead.pop()
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        found[name] = distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = requirement.name.lower().replace("_", "-")
                ahead += [(needed, ""), *((needed, each) for each in requirement.extras)]
    del found[package]
    return list(found.values())
