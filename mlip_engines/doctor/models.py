"""The model files that come with the package."""

from __future__ import annotations

from mlip_engines.doctor.finding import Finding
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import models_directory, read_metadata


def check_models() -> list[Finding]:
    """Read the description of each shipped model."""
    files = sorted(models_directory().glob("*.pt"))
    if not files:
        return [Finding("note", "models", f"none shipped in {models_directory()}")]
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
