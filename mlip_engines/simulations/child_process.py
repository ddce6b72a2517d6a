"""A program that runs beside this one, whose lines are read while they come."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlip_engines.launcher import without_launcher


class Conversation:
    """The lines of a program, and a way to tell it something.

    Iterating over it yields its lines while they come; they are also appended to a file.
    """

    def __init__(self, process: subprocess.Popen, output: Path):
        self._process, self._output = process, output

    def __iter__(self) -> Iterator[str]:
        with self._output.open("a") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                yield line

    def say(self, text: str) -> None:
        """Write a line to the standard input of the program; nothing happens if it has ended already."""
        try:
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its last lines say why, and its status is checked at the end of the block


@contextmanager
def child_process(command: list[str], folder: Path, output: Path) -> Iterator[Conversation]:
    """Run a command, and yield a conversation with it.

    The process ends with the block, whatever happens in it; its standard input is closed before.

    Parameters
    ----------
    command : list of str
    folder : Path
        Where it runs.
    output : Path
        File to which its lines are appended as far as they are read.

    Yields
    ------
    Conversation

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
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # a group of its own: lmp is a child of what is started here
    )
    output.touch()
    try:
        conversation = Conversation(process, output)
        yield conversation
        _close(process)
        for _ in conversation:  # what it still says: a full pipe would stop it
            pass
        if process.wait() != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
    finally:
        _close(process)
        process.stdout.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _close(process: subprocess.Popen) -> None:
    try:
        process.stdin.close()
    except BrokenPipeError:  # of what was never read
        pass
