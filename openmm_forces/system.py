"""A topology and a model file to an OpenMM System."""

from __future__ import annotations

from pathlib import Path

import openmm
from openmm import app, unit

from mlip_engines.model.load import LoadedModel
from openmm_forces.force import DEFAULT_SKIN_NM, create_force
from openmm_forces.molecules import keep_whole
from openmm_forces.structure import StructureTopology


def create_system(
    topology: app.Topology,
    model: str | Path | LoadedModel,
    *,
    host: str = "auto",
    forces: str = "conservative",
    remove_cm_motion: bool = True,
    hydrogen_mass: float | unit.Quantity | None = None,
    skin: float | unit.Quantity = DEFAULT_SKIN_NM,
    total_charge: float | None = None,
    spin_multiplicity: int | None = None,
) -> openmm.System:
    """Return a System in which a model computes all energies and forces.

    The System is periodic if the topology has box vectors. Masses are those of the structure that :func:`from_ase` was
    given, where it had masses of its own, and else those of the elements; hydrogens can be made heavier. There are no
    constraints. Bonds of the topology have no energy, but they tell OpenMM which atoms are one molecule: barostats and
    ``enforcePeriodicBox=True`` move molecules as a whole. So do not bond a crystal through the faces of its box.

    Parameters
    ----------
    topology : openmm.app.Topology
        Every atom needs an element.
    model : str, Path or LoadedModel
        A file, or a shipped model such as ``"water"``.
    host, forces, skin, total_charge, spin_multiplicity
        As for :func:`openmm_forces.create_force`.
    remove_cm_motion : bool
        Add a CMMotionRemover, as ``ForceField.createSystem`` does. If :func:`from_ase` was given fixed atoms, none is
        added, because they take up momentum.
    hydrogen_mass : float (g/mol) or Quantity, optional
        Mass of every hydrogen atom. The heavy atom that it is bonded to in the topology loses what it gains (Feenstra,
        Hess, Berendsen, J. Comput. Chem. 20, 786 (1999)). Structure and thermodynamics of classical nuclei do not
        depend on masses, and slower bonds allow a longer outer step of r-RESPA. Dynamics do change.

    Raises
    ------
    ValueError
        If the topology has no atoms, a particle without an element, or an element that the model
        does not know; if hydrogens shall be heavier and one has no bond to a heavy atom, or that atom would have no
        mass left.
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
        total_charge=total_charge,
        spin_multiplicity=spin_multiplicity,
    )
    system = openmm.System()
    if box is not None:
        system.setDefaultPeriodicBoxVectors(*box)
    masses = masses_of(topology)
    for mass in masses:
        system.addParticle(mass)
    if hydrogen_mass is not None:
        repartition_masses(system, topology, hydrogen_mass)
    system.addForce(force)
    keep_whole(system, ((bond.atom1.index, bond.atom2.index) for bond in topology.bonds()))
    if remove_cm_motion and all(mass > 0 * unit.dalton for mass in masses):
        system.addForce(openmm.CMMotionRemover())
    return system


def masses_of(topology: app.Topology) -> list[unit.Quantity]:
    """Return the masses of a structure from ASE, if it had any of its own, and else those of the elements.

    Raises
    ------
    ValueError
        If atoms were added to a topology with masses, or taken out of it.
    """
    atoms = list(topology.atoms())
    masses = topology.masses if isinstance(topology, StructureTopology) else None
    if masses is None:
        return [atom.element.mass for atom in atoms]
    if len(masses) != len(atoms):
        raise ValueError(
            f"expected {len(masses)} atoms, as in the structure that from_ase was given, got {len(atoms)}; set "
            "topology.masses for these, or to None for the masses of the elements"
        )
    return masses


def repartition_masses(
    system: openmm.System, topology: app.Topology, hydrogen_mass: float | unit.Quantity
) -> None:
    """Give all hydrogens a mass, at the cost of the heavy atoms that they are bonded to; see :func:`create_system`."""
    if not unit.is_quantity(hydrogen_mass):
        hydrogen_mass = hydrogen_mass * unit.dalton
    waiting = {a.index: a for a in topology.atoms() if a.element is app.element.hydrogen}
    for bond in topology.bonds():
        for hydrogen, heavy in (bond, bond[::-1]):
            if hydrogen.index not in waiting or heavy.element is app.element.hydrogen:
                continue
            del waiting[hydrogen.index]
            gain = hydrogen_mass - system.getParticleMass(hydrogen.index)
            left = system.getParticleMass(heavy.index) - gain
            if left <= 0 * unit.dalton:
                raise ValueError(
                    f"hydrogen_mass: atom {heavy.index} ({heavy.name}) would have {left} left; take less than "
                    f"{hydrogen_mass}"
                )
            system.setParticleMass(hydrogen.index, hydrogen_mass)
            system.setParticleMass(heavy.index, left)
    if waiting:
        first = next(iter(waiting.values()))
        raise ValueError(
            f"hydrogen_mass: expected a bond of every hydrogen to a heavy atom in the topology, got none for "
            f"{len(waiting)}, the first atom {first.index} ({first.name} of residue {first.residue.name}); add bonds "
            "(Topology.createStandardBonds, CONECT records) or set masses with System.setParticleMass"
        )


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
