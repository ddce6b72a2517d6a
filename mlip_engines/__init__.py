"""Machine-learned interatomic potentials in LAMMPS, OpenMM and ASE.

=======================================================  ========================================================
name                                                     use
=======================================================  ========================================================
:class:`MlipCalculator`                                  energy, forces and stress of a model in ASE
:func:`simulate`, :class:`Simulation`, :class:`Forces`   run a model in LAMMPS or OpenMM, from Python
:class:`Trajectory`                                      what a simulation returns
:func:`load_model`, :func:`find_model`                   open a model file, or find a shipped model by name
:func:`read_metadata`, :class:`ModelMetadata`            what a model file says about itself, without running it
:func:`export_model`, :func:`check_conformance`          write the model file of a network; check a network or a file
:class:`ModelContractError`                              a network or file does not do what engines rely on
=======================================================  ========================================================

:mod:`mlip_engines.simulations` and :mod:`mlip_engines.properties` have more. OpenMM forces and integrators are in the
package ``openmm_forces``, training in ``mlip_train``.

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
