"""One finding, and trying things out in a process of their own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

TRIAL_TIMEOUT = 120  # s, a first import of torch from a cold disk takes long


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Parameters
    ----------
    status : "ok", "note" or "wrong"
        A note is something optional that is missing; anything wrong makes the command fail.
    subject, message : str
    """

    status: str
    subject: str
    message: str


def version_of(package: str) -> str | None:
    """Return the version of an installed package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def trial(code: str) -> str | None:
    """Run a piece of Python in a process of its own; return why it failed, None if it did not.

    A binary package that crashes is then reported like one that is missing.
    """
    return trial_of([sys.executable, "-c", code])


def trial_of(command: Sequence[str]) -> str | None:
    """Run a command without input; return why it failed, None if it did not."""
    try:
        done = subprocess.run(
            command, input="", capture_output=True, text=True, timeout=TRIAL_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TRIAL_TIMEOUT} s"
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with status {done.returncode}"
