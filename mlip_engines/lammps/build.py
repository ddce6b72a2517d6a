"""Compiling the LAMMPS plugin, and the command ``mlip-lammps``.

A plugin is compiled into a draft folder and tried there with the LAMMPS it is for; only one that works takes the
place of another.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlip_engines.lammps import plugin
from mlip_engines.lammps.installation import find_installation
from mlip_engines.lammps.plugin import PluginError


def build_plugin(
    *,
    force: bool = False,
    lammps_source: Path | None = None,
    lmp: str | None = None,
    definitions: Sequence[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Compile the plugin for the installed LAMMPS and torch, unless that is done already.

    Parameters
    ----------
    force : bool
        Compile even if there is a plugin.
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
    PluginError
        If something is missing or the compilation fails; the message says what to install, or
        where the log is.
    """
    force = force or bool(definitions)
    installation = None if lammps_source is None else find_installation(lammps_source, lmp)
    if installation is not None:
        definitions = [*installation.definitions, *definitions]
    target = plugin.plugin_target(installation)
    existing = plugin.find_plugin(target)
    if existing is not None and not force:
        report(f"up to date: {existing}")
        return existing
    generator = _check_build_tools()
    root = _writable_root()
    report(
        f"compiling pair_style mlip for LAMMPS {target.lammps_version} and torch "
        f"{target.torch_version}, about a minute"
    )
    started = time.perf_counter()
    work = Path(tempfile.mkdtemp(prefix="mlip-plugin-"))
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=root))
    log = work / "build.log"
    configure = [
        "cmake",
        "-S",
        str(plugin.source_directory()),
        "-B",
        str(work / "build"),
        "-G",
        generator,
    ]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={draft}", *(f"-D{each}" for each in definitions)]
    try:
        _run(configure, log, report)
        _run(["cmake", "--build", str(work / "build"), "--parallel", "2"], log, report)
        _run(["cmake", "--install", str(work / "build")], log, lambda line: None)
        draft.chmod(0o755)
        if installation is None:
            check_plugin(draft)
        elif installation.executable is not None:
            check_plugin(draft, [installation.executable])
        folder = root / target.folder_name
        if folder.exists():
            folder.rename(draft.with_name(draft.name + "-old"))
        draft.rename(folder)
    finally:
        for leftover in (draft, draft.with_name(draft.name + "-old")):
            shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(work)  # kept, with the log, if anything failed
    if installation is not None and installation.executable is None:
        report("not tried: give --lmp FILE to do so")
    report(f"ready after {time.perf_counter() - started:.0f} s: {folder}")
    return folder


def check_plugin(folder: Path, lmp: Sequence[str] | None = None) -> None:
    """Raise :class:`PluginError` unless LAMMPS knows the pair style and libtorch can be loaded.

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
        raise PluginError(f"libtorch cannot be loaded: {_last_line(done.stderr)}")
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
        raise PluginError(
            f"LAMMPS cannot use the plugin in {folder}: {_last_line(done.stdout + done.stderr)}"
        )


def compiler() -> str | None:
    """Return the C++ compiler that cmake will take, None if there is none."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _check_build_tools() -> str:
    if shutil.which("cmake") is None:
        raise PluginError(
            "expected cmake, found none; run: apt-get install cmake (or pip install cmake)"
        )
    if compiler() is None:
        raise PluginError("expected a C++ compiler, found none; run: apt-get install g++")
    if shutil.which("ninja"):
        return "Ninja"
    if shutil.which("make"):
        return "Unix Makefiles"
    raise PluginError("expected make or ninja, found neither; run: apt-get install make")


def _writable_root() -> Path:
    roots = plugin.plugin_roots()
    for root in roots:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(root, os.W_OK):
            return root
    raise PluginError(f"expected a writable folder for the plugin, none of {roots} is one")


def _run(command: list[str], log: Path, report: Callable[[str], None]) -> None:
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
        raise PluginError(f"{' '.join(command[:2])} failed; the whole log is {log}\n  {shown}")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    # what the plugin itself says about a LAMMPS that it was not compiled for, or the loader about it
    reasons = [line for line in lines if "is not available" in line or "undefined symbol" in line]
    return (reasons or errors or lines or ["no message"])[-1]


def describe_plugin() -> list[str]:
    """Return lines that say which plugin is needed and which exist."""
    target = plugin.plugin_target()
    folder = plugin.find_plugin(target)
    lines = [f"LAMMPS   {target.lammps_version}", f"torch    {target.torch_version}"]
    lines.append(f"sources  {plugin.source_directory()}")
    lines.append(f"models   {plugin.models_directory()}")
    lines.append(f"plugin   {folder or f'none for these; run: {plugin.BUILD_COMMAND}'}")
    lines += [f"unused   {other}" for other in plugin.other_plugins(target)]
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-lammps``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="mlip-lammps", description="The LAMMPS plugin.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="compile it for the installed LAMMPS and torch")
    build.add_argument("--force", action="store_true", help="compile it even if it is up to date")
    build.add_argument(
        "--lammps-source",
        type=Path,
        metavar="DIR",
        help="compile it for a LAMMPS of your own: its source tree, or where it was installed",
    )
    build.add_argument(
        "--lmp",
        metavar="FILE",
        help="with --lammps-source: its executable, to ask for version, integers and MPI, and to try it with",
    )
    build.add_argument(
        "--define",
        "-D",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of lammps_plugin/CMakeLists.txt, e.g. MPI_INCLUDE_DIR=...",
    )
    commands.add_parser("info", help="say which plugin is needed and which exist")
    options = parser.parse_args(arguments)
    if options.command == "build" and options.lmp and not options.lammps_source:
        build.error("--lmp belongs to a LAMMPS of your own: give --lammps-source too")
    try:
        if options.command == "build":
            folder = build_plugin(
                force=options.force,
                lammps_source=options.lammps_source,
                definitions=options.define,
                lmp=options.lmp,
                report=lambda line: print(line, flush=True),
            )
            if options.lammps_source:
                print(f"export LAMMPS_PLUGIN_PATH={folder}")
        else:
            print("\n".join(describe_plugin()))
    except PluginError as error:
        sys.stderr.write(f"mlip-lammps: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
