"""Make a wheel: of Python and sources only, or one that carries the compiled plugin and operators as well.

    python .ci/wheel.py                 for this machine, LAMMPS and torch: no compiler is needed to install it
    python .ci/wheel.py --pure          for any machine: `mlip-lammps build` compiles there

The libraries are those that `mlip-lammps build` has compiled for this environment. In the wheel they look for torch
beside themselves, in the same site-packages. With another LAMMPS or torch they are left alone, and compiled anew.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from mlip_engines.compiled import operators, target
from mlip_engines.compiled.target import BuildError
from mlip_engines.lammps import plugin
from mlip_engines.lammps.build import build_plugin

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("lammps_plugin", "mlip_engines", "openmm_forces", "train")
FILES = ("LICENSE", "README.md", "pyproject.toml")
PLATFORM = sysconfig.get_platform().replace("-", "_").replace(".", "_")


def make_pure_wheel(output: Path) -> Path:
    """Return the wheel of a copy of the tree: a folder ``build`` left behind by setuptools would end up in it."""
    version = importlib.metadata.version("setuptools")
    if int(version.partition(".")[0]) < 77:
        raise BuildError(
            f"expected setuptools 77 or newer, found {version}; run: pip install -U setuptools"
        )
    with tempfile.TemporaryDirectory(prefix="mlip-wheel-") as scratch:
        tree = Path(scratch) / "tree"
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
        for file in FILES:
            shutil.copy(ROOT / file, tree)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--no-index", "--wheel-dir", scratch, str(tree)]
        subprocess.run([*command, "--disable-pip-version-check"], check=True)
        (made,) = Path(scratch).glob("*.whl")
        output.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(made, output))


def carry(folder: Path) -> None:
    """Fill a folder with the compiled libraries, which then look for torch beside the package.

    Raises
    ------
    BuildError
        If the plugin cannot be compiled, or the place where it looks for torch not be changed.
    """
    wanted, needed = plugin.plugin_target(), operators.operators_target()
    source = build_plugin(report=print)
    for name in (*wanted.libraries, *needed.libraries):
        shutil.copy(source / name, folder)  # of a link the file
    _, torch = target.installed("torch", "torch")
    for name in (plugin.TORCH_LIBRARY_NAME, operators.LIBRARY_NAME):
        old, new = f"\\$ORIGIN:{torch}/lib", f"\\$ORIGIN:\\$ORIGIN/{target.CARRIED_RPATH}"
        script = folder / "rpath.cmake"
        script.write_text(
            f'file(RPATH_CHANGE FILE "{folder / name}" OLD_RPATH "{old}" NEW_RPATH "{new}")\n'
        )
        done = subprocess.run(["cmake", "-P", str(script)], capture_output=True, text=True)
        script.unlink()
        if done.returncode != 0:
            raise BuildError(f"cannot change where {name} looks for torch: {done.stderr}")
    record = {each.name: {**each.versions, "sources": each.sources} for each in (wanted, needed)}
    (folder / target.CARRIED_RECORD).write_text(json.dumps(record, indent=1) + "\n")


def make_wheel(output: Path) -> Path:
    """Return a wheel for this platform, which carries the compiled libraries."""
    with tempfile.TemporaryDirectory(prefix="mlip-wheel-") as scratch:
        pure = make_pure_wheel(Path(scratch) / "pure")
        tree = Path(scratch) / "tree"
        with zipfile.ZipFile(pure) as archive:
            archive.extractall(tree)
        carried = tree / "mlip_engines" / target.carried_directory().name
        carried.mkdir()
        carry(carried)
        (information,) = tree.glob("*.dist-info")
        tags = information / "WHEEL"
        text = tags.read_text().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
        tags.write_text(text.replace("Tag: py3-none-any", f"Tag: py3-none-{PLATFORM}"))
        output.mkdir(parents=True, exist_ok=True)
        made = output / pure.name.replace("-any.whl", f"-{PLATFORM}.whl")
        pack(tree, information / "RECORD", made)
        return made


def pack(tree: Path, record: Path, wheel: Path) -> None:
    """Write a tree as a wheel, with a new record of what is in it."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and path != record)
    lines = []
    for path in files:
        content = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(tree).as_posix()},sha256={digest},{len(content)}")
    record.write_text("\n".join([*lines, f"{record.relative_to(tree).as_posix()},,"]) + "\n")
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (*files, record):
            archive.write(path, path.relative_to(tree))


def main() -> int:
    """Make a wheel; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pure", action="store_true", help="without compiled libraries")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="folder of the wheel")
    options = parser.parse_args()
    try:
        print((make_pure_wheel if options.pure else make_wheel)(options.output))
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
