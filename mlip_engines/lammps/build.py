"""Compiling the LAMMPS plugin.

A plugin is compiled into a draft folder and tried there with the LAMMPS it is for; only one that works takes the
place of another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mlip_engines.compiled import cmake, operators, target
from mlip_engines.compiled.target import BuildError
from mlip_engines.lammps import plugin
from mlip_engines.lammps.installation import find_installation


def build_plugin(
    *,
    force: bool = False,
    lammps_source: Path | None = None,
    lmp: str | None = None,
    definitions: Sequence[str] = (),
    report: cmake.Report = cmake.silent,
) -> Path:
    """Compile the plugin for the installed LAMMPS and torch, unless that is done already.

    The operators that it links to are compiled first, if they are not there yet.

    Parameters
    ----------
    force : bool
        Compile both even if they are there.
    lammps_source : Path
        Compile for the LAMMPS of this source tree, or that was installed to this folder, instead.
    lmp : str
        With ``lammps_source``: its executable, to ask it what headers do not say and to try the plugin with.
        By default that of the folder it was installed to; a source tree needs none, and its plugin is not tried
        then.
    definitions : sequence of str
        More settings of ``CMakeLists.txt``, each as ``NAME=VALUE``. With any, the plugin is compiled anew: nothing
        says which an existing one was compiled with.
    report : callable
        Is given one line of progress at a time.

    Returns
    -------
    Path
        The folder of the plugin.

    Raises
    ------
    BuildError
        If something is missing or the compilation fails; the message says what to install, or
        where the log is.
    """
    installation = None if lammps_source is None else find_installation(lammps_source, lmp)
    lammps = None if installation is None else (installation.short_version, installation.place)
    wanted = plugin.plugin_target(lammps)
    is_wanted_anew = force or bool(definitions)
    if not is_wanted_anew and (existing := plugin.find_plugin(wanted)):
        report(f"up to date: {existing}")
        return existing
    library = operators.build_operators(force=force, report=report) / operators.LIBRARY_NAME
    existing = target.find(wanted)
    if not is_wanted_anew and existing is not None and os.access(existing, os.W_OK):
        link_operators(existing, library)
        report(f"linked to the operators: {existing}")
        return existing
    cmake.check_build_tools()
    settings = [f"MLIP_OPERATORS_DIR={operators.operators_directory()}"]
    settings += [f"MLIP_OPERATORS_LIBRARY={library}"]
    settings += [] if installation is None else installation.definitions

    def complete(draft: Path) -> None:
        link_operators(draft, library)
        if installation is None:
            check_plugin(draft)
        elif installation.executable is not None:
            check_plugin(draft, [installation.executable])

    with cmake.lock():
        existing = plugin.find_plugin(wanted)  # another process may have been waited for
        if existing is not None and not is_wanted_anew:
            return existing
        report(
            f"compiling pair_style mlip for LAMMPS {wanted.versions['lammps']} and torch "
            f"{wanted.versions['torch']}, about half a minute"
        )
        started = time.perf_counter()
        folder = cmake.compile_libraries(
            plugin.source_directory(),
            wanted,
            definitions=[*settings, *definitions],
            complete=complete,
            report=report,
        )
    if installation is not None and installation.executable is None:
        report("not tried: give --lmp FILE to do so")
    report(f"ready after {time.perf_counter() - started:.0f} s: {folder}")
    return folder


def link_operators(folder: Path, library: Path) -> None:
    """Put a link to the operators beside a plugin, in place of an older one.

    One file serves Python and LAMMPS, also within one process, and neither is compiled again for the other.
    """
    link = folder / operators.LIBRARY_NAME
    draft = link.with_name(f"{link.name}-{os.getpid()}")
    draft.symlink_to(library)
    draft.replace(link)  # in one step: a running LAMMPS may be about to open it


def check_plugin(folder: Path, lmp: Sequence[str] | None = None) -> None:
    """Raise :class:`BuildError` unless LAMMPS knows the pair style and libtorch can be loaded.

    Parameters
    ----------
    folder : Path
        Of the plugin.
    lmp : sequence of str
        The command that starts LAMMPS; by default that of this environment.
    """
    load = f"import ctypes; ctypes.CDLL({str(folder / plugin.TORCH_LIBRARY_NAME)!r})"
    done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildError(f"libtorch cannot be loaded: {_last_line(done.stderr)}")
    # LAMMPS may have loaded another one by itself
    script = (
        f"plugin clear\nplugin load {folder / plugin.PLUGIN_NAME}\nunits metal\npair_style mlip\n"
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "check.in"
        path.write_text(script)
        done = subprocess.run(
            [*(lmp or plugin.lammps_command()), "-in", str(path), "-log", "none"],
            capture_output=True,
            text=True,
            cwd=scratch,
            env={**os.environ, "LAMMPS_PLUGIN_PATH": ""},
        )
    if done.returncode != 0:
        raise BuildError(
            f"LAMMPS cannot use the plugin in {folder}: {_last_line(done.stdout + done.stderr)}"
        )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    # what the plugin itself says about a LAMMPS that it was not compiled for, or the loader about it
    reasons = [line for line in lines if "is not available" in line or "undefined symbol" in line]
    return (reasons or errors or lines or ["no message"])[-1]


def describe_plugin() -> list[str]:
    """Return lines that say which plugin is needed and which exist."""
    wanted = plugin.plugin_target()
    folder = plugin.find_plugin(wanted)
    needed = operators.operators_target()
    missing = f"none: {plugin.why_missing(wanted)}; run: {plugin.BUILD_COMMAND}"
    no_operators = f"none: {target.why_missing(needed)}; run: {operators.BUILD_COMMAND}"
    lines = [
        f"LAMMPS     {wanted.versions['lammps']}",
        f"torch      {wanted.versions['torch']}",
        f"sources    {plugin.source_directory()}",
        f"models     {plugin.models_directory()}",
        f"operators  {target.find(needed) or no_operators}",
        f"plugin     {folder or missing}",
    ]
    return lines + [f"unused     {other}" for other in target.others(wanted)]
