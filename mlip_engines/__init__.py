"""Machine-learned interatomic potentials in LAMMPS, OpenMM and ASE.

Importing this package imports nothing heavy: LAMMPS imports it on every rank to find the plugin.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Forces": "mlip_engines.simulations",
    "MlipCalculator": "mlip_engines.calculator",
    "ModelContractError": "mlip_engines.model.contract",
    "ModelMetadata": "mlip_engines.model.contract",
    "Simulation": "mlip_engines.simulations",
    "Trajectory": "mlip_engines.simulations",
    "check_conformance": "mlip_engines.conformance",
    "export_model": "mlip_engines.model.export",
    "find_model": "mlip_engines.model.load",
    "load_model": "mlip_engines.model.load",
    "read_metadata": "mlip_engines.model.load",
    "simulate": "mlip_engines.simulations",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mlip_engines' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
