"""What compiles the C++ of this package, and the operators that are compiled."""

from __future__ import annotations

import shutil

from mlip_engines.compiled import operators as library
from mlip_engines.compiled import target
from mlip_engines.compiled.cmake import compiler
from mlip_engines.compiled.target import BuildError
from mlip_engines.doctor.finding import Finding


def check_build_tools() -> list[Finding]:
    """Look for a compiler, cmake, and ninja or make."""
    findings = []
    for name, path in _tools().items():
        package = {"C++ compiler": "g++"}.get(name, name)
        advice = f"not found; only compiling needs it: apt-get install {package}"
        findings.append(Finding("ok" if path else "note", name, path or advice))
    return findings


def _tools() -> dict[str, str | None]:
    """Return the path of each tool by its name; cmake takes ninja, or make if there is none."""
    last = "ninja" if shutil.which("ninja") else "make"
    return {"C++ compiler": compiler(), "cmake": shutil.which("cmake"), last: shutil.which(last)}


def advice_to_run(command: str) -> str:
    """Say how to compile: what to install first, if a tool is missing, and the command."""
    missing = [name for name, path in _tools().items() if path is None]
    first = f"install {' and '.join(missing)} (see above), then " if missing else ""
    return f"{first}run: {command}"


def check_operators() -> Finding:
    """Say whether the operators of :mod:`mlip_engines.operators` are compiled, and whether torch can load them."""
    try:
        wanted = library.operators_target()
    except BuildError as error:
        return Finding("note", "operators", f"not compiled: {error}")
    folder = target.find(wanted)
    if folder is None:
        advice = advice_to_run(library.BUILD_COMMAND)
        slower = "models work, but on a CPU several times slower"
        return Finding("note", "operators", f"{target.why_missing(wanted)}: {slower}; {advice}")
    try:
        library.check_operators(folder)
    except BuildError as error:
        advice = advice_to_run(f"{library.BUILD_COMMAND} --force")
        return Finding("wrong", "operators", f"{error}; {advice}")
    return Finding("ok", "operators", str(folder))
