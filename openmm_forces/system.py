"""A topology and a model file to an OpenMM System."""

from __future__ import annotations

from pathlib import Path

import openmm
from openmm import app, unit

from mlip_engines.load import LoadedModel
from openmm_forces.force import DEFAULT_SKIN_NM, create_force


def create_system(
    topology: app.Topology,
    model: str | Path | LoadedModel,
    *,
    host: str = "auto",
    forces: str = "conservative",
    remove_cm_motion: bool = True,
    skin: float | unit.Quantity = DEFAULT_SKIN_NM,
) -> openmm.System:
    """Make a System in which a model gives all energies and forces.

    Periodic if the topology has box vectors, in vacuum if not. Masses are those of the elements; no
    constraints.

    Parameters
    ----------
    topology : openmm.app.Topology
        Every atom needs an element.
    model : str, Path or LoadedModel
        A file, or a shipped model such as ``"water"``.
    host, forces, skin
        As for :func:`openmm_forces.create_force`.
    remove_cm_motion : bool
        Add a CMMotionRemover, as ``ForceField.createSystem`` does.

    Raises
    ------
    ValueError
        If the topology has no atoms, a particle without an element, or an element that the model
        does not know.
    FileNotFoundError, ModelContractError, ImportError
        As :func:`openmm_forces.create_force`.
    """
    atoms = list(topology.atoms())
    if not atoms:
        raise ValueError("expected a topology with at least one atom, got none")
    box = topology.getPeriodicBoxVectors()
    force = create_force(
        model,
        [atomic_number(atom) for atom in atoms],
        host=host,
        forces=forces,
        periodic=box is not None,
        skin=skin,
    )
    system = openmm.System()
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    for atom in atoms:
        system.addParticle(atom.element.mass)
    system.addForce(force)
    if remove_cm_motion:
        system.addForce(openmm.CMMotionRemover())
    return system


def atomic_number(atom: app.topology.Atom) -> int:
    """Return the atomic number of an atom of a topology.

    Raises
    ------
    ValueError
        If it has no element.
    """
    if atom.element is None:
        raise ValueError(
            f"expected an element for every atom, got none for atom {atom.index} "
            f"({atom.name} of residue {atom.residue.name}); virtual sites and Drude particles "
            "cannot be part of a model: remove them, or use create_force(..., particles=...)"
        )
    return atom.element.atomic_number
