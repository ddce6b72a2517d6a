"""What a contestant says to ``compare.py``: one JSON object a line on stdout, one command a line on stdin.

A contestant runs in the environment of its package, so this file needs nothing but Python. Once it is warm it writes
what it evaluates; then each line ``turn`` is answered with the times of a few evaluations, ``end`` with peak memory.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

Times = tuple[float, float]  # wall, processor


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return a parser of what every contestant understands."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--files", type=Path, required=True, help="folder for models")
    parser.add_argument("--prepare", action="store_true", help="write the model, and no more")
    parser.add_argument("--copies", type=int, default=1, help="of 192 atoms, along each axis")
    parser.add_argument("--count", type=int, default=2, help="evaluations, or steps, in a turn")
    parser.add_argument("--warm-up", type=int, default=2, help="turns that are not measured")
    return parser


def claim_stdout():
    """Return stdout for the protocol; what else is written to it, by C libraries too, goes to stderr from now on."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KB on Linux


def versions_of(*packages: str) -> dict[str, str]:
    """Return the versions of installed packages."""
    return {package: metadata.version(package) for package in packages}


def timed(work: Callable[[], object], count: int, per_call: int = 1) -> list[Times]:
    """Do work ``count`` times; return wall and processor time of each (ms), divided by the steps that a call does.

    The processor time of a process, all its threads together, passes over what others took while it was ready to run.
    """
    times = []
    for _ in range(count):
        began, began_cpu = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        times.append((1000.0 * wall / per_call, 1000.0 * cpu / per_call))
    return times


def take_turns(
    stdout, turn: Callable[[], list[Times]], warm_up: int, before_mb: float, about: dict
) -> None:
    """Warm up, say what is evaluated, then do what comes on stdin.

    Parameters
    ----------
    stdout : file
        From :func:`claim_stdout`.
    turn : function
        A few evaluations; returns what :func:`timed` does.
    warm_up : int
        Turns that are not measured.
    before_mb : float
        Peak memory before the model was loaded: what the libraries alone take.
    about : dict
        ``n_atoms``, ``versions``, ``dtype``, and whatever else a reader of the result should know.
    """

    def say(**what) -> None:
        print(json.dumps(what), file=stdout, flush=True)

    for _ in range(warm_up):
        turn()
    say(about=about)
    for line in sys.stdin:
        command = line.strip()
        if command == "turn":
            wall, cpu = zip(*turn(), strict=True)
            say(wall_ms=wall, cpu_ms=cpu)
        elif command == "end":
            say(peak_MB=peak_mb(), before_MB=before_mb)
            return
        else:
            raise ValueError(f"expected turn or end, got {command!r}")
