"""Python and the packages that pip installs: those that everybody needs, and small extras."""

from __future__ import annotations

import importlib.metadata
import re
import sys

from mlip_engines.doctor.finding import Finding, trial, version_of

# What an extra is for. Those of LAMMPS and OpenMM have files of their own.
PURPOSES = {
    "train": "training a network (mlip-train)",
    "validate": "the physics report (mlip-validate)",
    "phonons": "phonons (mlip-phonons) and space groups (mlip-relax)",
    "lmdb": "reading structures from LMDB files",
    "mpi": "LAMMPS on several processes of Python",
    "mace": "opening models of MACE (mlip-export --from mace); not beside sevennet",
    "schnetpack": "opening models of SchNetPack (mlip-export --from schnetpack)",
    "orb": "direct forces of ORB as an inner force (mlip-export --inner-from orb)",
    "torchmdnet": "opening models of TorchMD-Net (mlip-export --from torchmdnet)",
    "sevennet": "opening models of SevenNet (mlip-export --from sevennet); not beside mace",
    "nequip": "opening models of NequIP and Allegro (mlip-export --from nequip); not beside mace",
    "chgnet": "opening models of CHGNet (mlip-export --from chgnet)",
    "matgl": "opening potentials of matgl (mlip-export --from matgl)",
    "pet": "opening models of PET (mlip-export --from pet)",
    "graph-pes": "opening models of graph-pes (mlip-export --from graph_pes); not beside sevennet",
}


def check_python() -> Finding:
    """Check the version of Python."""
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Finding("wrong", "Python", f"expected 3.10 to 3.13, got {version}")
    return Finding("ok", "Python", f"{version} in {sys.prefix}")


def check_torch() -> Finding:
    """Check that torch computes, and its version."""
    version = version_of("torch")
    if version is None:
        return Finding("wrong", "torch", "not installed; run: pip install 'torch==2.9.1'")
    failure = trial("import torch; torch.ones(2).sum()")
    if failure:
        return Finding("wrong", "torch", f"{version} does not work: {failure}; reinstall it")
    if _numbers(version) < (2, 9):
        advice = "run: pip install 'torch==2.9.1'"
        return Finding("wrong", "torch", f"expected 2.9 or newer, got {version}; {advice}")
    return Finding("ok", "torch", version)


def check_required() -> list[Finding]:
    """Check the other packages that everybody needs."""
    findings = [_package(name) for name in ("ase", "vesin-torch")]
    failure = trial("import vesin_torch") if findings[-1].status == "ok" else None
    if failure:
        message = f"{findings[-1].message} does not load: {failure}; reinstall it"
        findings[-1] = Finding("wrong", "vesin-torch", message)
    return findings


def _package(name: str) -> Finding:
    version = version_of(name)
    if version is None:
        return Finding("wrong", name, f"not installed; run: pip install {name}")
    return Finding("ok", name, version)


def check_extras() -> list[Finding]:
    """Say of each small extra whether its packages are there, and what it is for if they are not."""
    return [_extra(name, purpose) for name, purpose in PURPOSES.items()]


def _extra(extra: str, purpose: str) -> Finding:
    found, lacking = [], []
    for package, oldest in requirements_of(extra).items():
        version = version_of(package)
        if version is None:
            lacking.append(f"{package} is not installed")
        elif _numbers(version) < _numbers(oldest):
            lacking.append(f"{package} is {version}, older than {oldest}")
        else:
            found.append(f"{package} {version}")
    if lacking:
        advice = f"for {purpose} run: pip install 'mlip-engines[{extra}]'"
        return Finding("note", extra, f"{', '.join(lacking)}; {advice}")
    return Finding("ok", extra, ", ".join(found))


def requirements_of(extra: str) -> dict[str, str]:
    """Return the packages of an extra with their oldest versions, as this package was installed with."""
    pattern = re.compile(
        rf"([\w.-]+)(?:\[\w+\])?(?:[=>]=([\d.]+))?\s*;\s*extra == ['\"]{extra}['\"]"
    )
    matches = map(pattern.fullmatch, importlib.metadata.requires("mlip-engines") or ())
    return {match[1]: match[2] or "0" for match in matches if match}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"[\d.]*\d", version)[0].split("."))
