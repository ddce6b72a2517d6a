"""Running cmake: into a draft folder, which takes its place only when what is in it has been tried."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlip_engines.compiled.target import BuildError, Target, writable_root

Report = Callable[[str], None]  # is given one line of progress at a time


def silent(line: str) -> None:
    """Report nothing."""


def compiler() -> str | None:
    """Return the C++ compiler that cmake will take, None if there is none."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def check_build_tools() -> str:
    """Return the generator that cmake is to use.

    Raises
    ------
    BuildError
        If cmake, a compiler, or both make and ninja are missing; the message says what to install.
    """
    if shutil.which("cmake") is None:
        raise BuildError(
            "expected cmake, found none; run: apt-get install cmake (or pip install cmake)"
        )
    if compiler() is None:
        raise BuildError("expected a C++ compiler, found none; run: apt-get install g++")
    if shutil.which("ninja"):
        return "Ninja"
    if shutil.which("make"):
        return "Unix Makefiles"
    raise BuildError("expected make or ninja, found neither; run: apt-get install make")


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Wait until no other process compiles into the same folder."""
    with (writable_root() / "lock").open("w") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_libraries(
    source: Path,
    target: Target,
    *,
    definitions: Sequence[str] = (),
    complete: Callable[[Path], None] = lambda draft: None,
    report: Report = silent,
) -> Path:
    """Compile a folder of sources, and keep what comes out.

    Parameters
    ----------
    source : Path
        The folder of ``CMakeLists.txt``.
    target : Target
        What the libraries are compiled for, which names the folder that keeps them.
    definitions : sequence of str
        Settings of ``CMakeLists.txt``, each as ``NAME=VALUE``.
    complete : callable
        Is given the draft folder, to add to it and to try what is in it; if it raises, nothing is kept.
    report : callable
        Is given one line of progress at a time.

    Returns
    -------
    Path
        The folder of the libraries.

    Raises
    ------
    BuildError
        If a tool is missing or the compilation fails; the message says what to install, or where the log is.
    """
    generator = check_build_tools()
    root = writable_root()
    work = Path(tempfile.mkdtemp(prefix="mlip-build-"))
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=root))
    log = work / "build.log"
    configure = ["cmake", "-S", str(source), "-B", str(work / "build"), "-G", generator]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={draft}", *(f"-D{each}" for each in definitions)]
    try:
        run(configure, log, report)
        run(["cmake", "--build", str(work / "build"), "--parallel", "2"], log, report)
        run(["cmake", "--install", str(work / "build")], log, silent)
        draft.chmod(0o755)
        complete(draft)
        folder = root / target.folder_name
        if folder.exists():
            folder.rename(draft.with_name(draft.name + "-old"))
        draft.rename(folder)
    finally:
        for leftover in (draft, draft.with_name(draft.name + "-old")):
            shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(work)  # kept, with the log, if anything failed
    return folder


def run(command: list[str], log: Path, report: Report) -> None:
    """Run one command of a build and add what it prints to the log.

    Raises
    ------
    BuildError
        If it fails, with the errors of the compiler, or the last lines, and the place of the log.
    """
    with (
        log.open("a") as stream,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        for line in process.stdout:
            stream.write(line)
            if re.match(r"\[ *\d+(%|/\d+)\]", line):
                report("  " + line.rstrip())
    if process.returncode != 0:
        lines = log.read_text().splitlines()
        errors = [line for line in lines if re.search(r"\b(fatal )?error:", line)]
        shown = "\n  ".join(errors[:5] or lines[-12:])
        raise BuildError(f"{' '.join(command[:2])} failed; the whole log is {log}\n  {shown}")
