"""Make a source archive: every file that git tracks, as they lie in the tree.

    python .ci/sdist.py --output dist

pip builds and installs it, and the tests, the documentation and the examples are in it as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> list[str]:
    """Return the files that git tracks and that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def make_sdist(output: Path) -> Path:
    """Return the archive, made of a copy of the tracked files."""
    output = output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mlip-sdist-") as scratch:
        tree = Path(scratch) / "tree"
        names = tracked()
        for name in names:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
        # setuptools adds what this names to the packages
        (tree / "MANIFEST.in").write_text("".join(f"include {name}\n" for name in names))
        build = f"from setuptools import build_meta; print(build_meta.build_sdist({str(output)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", build], cwd=tree, capture_output=True, text=True
        )
    if done.returncode != 0:
        raise OSError(f"setuptools could not make the archive:\n{done.stdout}{done.stderr}")
    return output / done.stdout.splitlines()[-1]


def main() -> int:
    """Make the archive; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("dist"), help="folder of the archive")
    options = parser.parse_args()
    try:
        print(os.path.relpath(make_sdist(options.output)))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
