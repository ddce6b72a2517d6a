"""Copies of Systems that have a TorchForce.

OpenMM copies a System by writing and reading it. openmmtorch 1.5 was compiled for another layout of what is read and
ends the process there. Here such a force is made anew from its module.
"""

from __future__ import annotations

import copy
from xml.etree import ElementTree

import openmm

_copy_by_openmm = openmm.System.__copy__


def let_systems_be_copied() -> None:
    """Make ``copy.copy`` and ``copy.deepcopy`` of any System safe in this process."""
    openmm.System.__copy__ = _copy_of_system
    openmm.System.__deepcopy__ = lambda system, memo: _copy_of_system(system)


def _copy_of_system(system: openmm.System) -> openmm.System:
    if not any(_is_torch_force(force) for force in system.getForces()):
        return _copy_by_openmm(system)
    root = ElementTree.fromstring(openmm.XmlSerializer.serialize(system))
    forces = root.find("Forces")
    for force in list(forces):
        forces.remove(force)
    made = openmm.XmlSerializer.deserialize(ElementTree.tostring(root, encoding="unicode"))
    for force in system.getForces():  # in the same order
        made.addForce(_copy_of_torch_force(force) if _is_torch_force(force) else copy.copy(force))
    return made


def _is_torch_force(force: openmm.Force) -> bool:
    return type(force).__name__ == "TorchForce" or _torch_force_class().isinstance(force)


def _torch_force_class() -> type:
    import openmmtorch

    return openmmtorch.TorchForce


def _copy_of_torch_force(force: openmm.Force) -> openmm.Force:
    kind = _torch_force_class()
    force = kind.cast(force)
    made = kind(force.getModule(), dict(force.getProperties()))
    made.setName(force.getName())
    made.setForceGroup(force.getForceGroup())
    made.setOutputsForces(force.getOutputsForces())
    made.setUsesPeriodicBoundaryConditions(force.usesPeriodicBoundaryConditions())
    for index in range(force.getNumGlobalParameters()):
        made.addGlobalParameter(
            force.getGlobalParameterName(index), force.getGlobalParameterDefaultValue(index)
        )
    for index in range(force.getNumEnergyParameterDerivatives()):
        made.addEnergyParameterDerivative(force.getEnergyParameterDerivativeName(index))
    return made
