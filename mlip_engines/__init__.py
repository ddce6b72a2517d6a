"""Machine-learned interatomic potentials in LAMMPS, OpenMM and ASE.

=======================================================  ========================================================
name                                                     use
=======================================================  ========================================================
:class:`MlipCalculator`                                  energy, forces and stress of a model in ASE
:class:`Committee`, :class:`DeviationLog`                several models in ASE: how far they deviate
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

from mlip_engines.lazy import imported_on_use

__version__ = "0.2.0"

_PUBLIC = {
    "Committee": "committee",
    "Deviation": "properties.deviation",
    "DeviationLog": "committee",
    "Forces": "simulations",
    "MlipCalculator": "calculator",
    "ModelContractError": "model.contract",
    "ModelMetadata": "model.contract",
    "Simulation": "simulations",
    "Trajectory": "simulations",
    "check_conformance": "conformance",
    "export_model": "model.export",
    "find_model": "model.load",
    "load_model": "model.load",
    "read_metadata": "model.load",
    "simulate": "simulations",
}

__all__ = sorted([*_PUBLIC, "__version__"])
__getattr__ = imported_on_use(__name__, _PUBLIC)
