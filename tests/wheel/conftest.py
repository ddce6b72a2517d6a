"""Wheels of this tree."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def made(folder: Path, *options: str) -> Path:
    command = [sys.executable, str(ROOT / ".ci" / "wheel.py"), "--output", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def pure_wheel(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("pure"), "--pure")


@pytest.fixture(scope="session")
def carrying_wheel(plugin, tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("carrying"))
