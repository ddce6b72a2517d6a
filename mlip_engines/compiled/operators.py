"""The library of operators that exported files call: where it is, and compiling it.

It needs torch and nothing else: neither LAMMPS nor the sources of the pair style decide about it. The LAMMPS plugin
links to it, and :mod:`mlip_engines.operators` loads it into Python.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from mlip_engines.compiled import cmake, target
from mlip_engines.compiled.target import BuildError, Target

LIBRARY_NAME = "libmlip_operators.so"
BUILD_COMMAND = "mlip-operators build"


def operators_directory() -> Path:
    """Return the folder of the C++ sources: ``cpu/``, and ``interface/``, which engines see."""
    return Path(__file__).parents[1] / "operators"


def interface_sources() -> list[Path]:
    """Return the files that a library outside compiles against: what of the operators decides about it."""
    return target.sources_in(operators_directory() / "interface")


def operators_target() -> Target:
    """Describe the library that the installed torch needs.

    Raises
    ------
    BuildError
        If torch or the sources are missing.
    """
    version, folder = target.installed("torch", "torch")
    sources = [*interface_sources(), *target.sources_in(operators_directory() / "cpu")]
    hashed = target.hash_of_sources(sources)
    return Target("operators", {"torch": version}, folder, hashed, (LIBRARY_NAME,))


def find_operators() -> Path | None:
    """Return the folder of the library for the installed torch, None if there is none."""
    return target.find(operators_target())


def build_operators(*, force: bool = False, report: cmake.Report = cmake.silent) -> Path:
    """Compile the operators for the installed torch, unless that is done already.

    Parameters
    ----------
    force : bool
        Compile even if there is a library.
    report : callable
        Is given one line of progress at a time.

    Returns
    -------
    Path
        The folder of the library.

    Raises
    ------
    BuildError
        If something is missing or the compilation fails; the message says what to install, or
        where the log is.
    """
    wanted = operators_target()
    existing = target.find(wanted)
    if existing is not None and not force:
        report(f"up to date: {existing}")
        return existing
    cmake.check_build_tools()
    with cmake.lock():
        existing = target.find(wanted)  # another process may have been waited for
        if existing is not None and not force:
            return existing
        report(f"compiling the operators for torch {wanted.versions['torch']}, about half a minute")
        started = time.perf_counter()
        folder = cmake.compile_libraries(
            operators_directory() / "cpu", wanted, complete=check_operators, report=report
        )
        report(f"ready after {time.perf_counter() - started:.0f} s: {folder}")
        return folder


def check_operators(folder: Path) -> None:
    """Raise :class:`BuildError` unless torch can load the library."""
    code = f"import torch; torch.ops.load_library({str(folder / LIBRARY_NAME)!r}); torch.ops.mlip.near_edges"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise BuildError(f"torch cannot load the operators in {folder}: {said[-1]}")


def describe_operators() -> list[str]:
    """Return lines that say which library is needed and which exist."""
    wanted = operators_target()
    folder = target.find(wanted)
    missing = f"none: {target.why_missing(wanted)}; run: {BUILD_COMMAND}"
    lines = [
        f"torch      {wanted.versions['torch']}",
        f"sources    {operators_directory()}",
        f"operators  {folder or missing}",
    ]
    return lines + [f"unused     {other}" for other in target.others(wanted)]
