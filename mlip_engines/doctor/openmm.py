"""OpenMM, and the package that hosts TorchScript in it."""

from __future__ import annotations

from mlip_engines.doctor.finding import Finding, trial, version_of

# What openmmtorch was compiled against: it loads with no other torch.
TORCH_OF_OPENMMTORCH = {"1.5": "2.9"}


def check_openmm() -> list[Finding]:
    """Load OpenMM and openmmtorch."""
    version = version_of("openmm")
    if version is None:
        advice = f"not installed; to run models in it: pip install '{_requirement()}'"
        return [Finding("note", "OpenMM", advice)]
    failure = trial("import openmm")
    if failure:
        return [Finding("wrong", "OpenMM", f"{version} does not load: {failure}; reinstall it")]
    return [Finding("ok", "OpenMM", version), _openmmtorch()]


def _requirement() -> str:
    """Return the extra that goes with the installed torch, so that the advice does not exchange it."""
    fits = (version_of("torch") or "").startswith(
        tuple(f"{v}." for v in TORCH_OF_OPENMMTORCH.values())
    )
    return "mlip-engines[openmm]" if fits else "mlip-engines[openmm-python]"


def _openmmtorch() -> Finding:
    version = version_of("openmmtorch")
    fallback = "forces are hosted by PythonForce instead of TorchForce"
    if version is None:
        advice = f"not installed: {fallback}"
        if _requirement() == "mlip-engines[openmm]":
            advice += f"; for TorchForce run: pip install '{_requirement()}'"
        return Finding("note", "openmmtorch", advice)
    torch = version_of("torch") or "none"
    wanted = TORCH_OF_OPENMMTORCH.get(version)
    if wanted and not torch.startswith(wanted + "."):
        advice = f"{version} loads with torch {wanted}, got {torch}: {fallback}"
        return Finding("note", "openmmtorch", advice)
    failure = trial("import torch, openmm, openmmtorch")
    if failure:
        return Finding("note", "openmmtorch", f"{version} does not load ({failure}): {fallback}")
    return Finding("ok", "openmmtorch", version)
