"""A program that runs beside this one, whose lines are read while they come."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlip_engines.launcher import without_launcher


@contextmanager
def child_process(command: list[str], folder: Path, output: Path) -> Iterator[Iterator[str]]:
    """Run a command, and yield its lines while they come; they are also appended to a file.

    The process ends with the block, whatever happens in it.

    Parameters
    ----------
    command : list of str
    folder : Path
        Where it runs.
    output : Path

    Yields
    ------
    iterator of str

    Raises
    ------
    subprocess.CalledProcessError
        At the end of the block, if it exits with anything but 0.
    """
    environment = without_launcher(os.environ)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a group of its own: lmp is a child of what is started here
    )
    try:
        with output.open("a") as log:

            def lines() -> Iterator[str]:
                for line in process.stdout:
                    log.write(line)
                    log.flush()
                    yield line

            yield lines()
        if process.wait() != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
    finally:
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
