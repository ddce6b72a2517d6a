"""A System in which a model gives the energy of one region and a force field the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openmm
from openmm import app, unit

from mlip_engines.model.load import LoadedModel
from openmm_forces.embedding import remove_terms_within
from openmm_forces.force import DEFAULT_SKIN_NM, create_force
from openmm_forces.molecules import keep_whole
from openmm_forces.system import atomic_number


def create_mixed_system(
    topology: app.Topology,
    mm_system: openmm.System,
    ml_particles: Sequence[int],
    model: str | Path | LoadedModel,
    *,
    host: str = "auto",
    forces: str = "conservative",
    skin: float | unit.Quantity = DEFAULT_SKIN_NM,
    total_charge: float | None = None,
    spin_multiplicity: int | None = None,
) -> openmm.System:
    """Return a System in which a model describes one region, by mechanical embedding.

    ``E = E_MM(all) - E_MM(within the region) + E_ML(region)``: bonds, angles, torsions,
    constraints, Lennard-Jones and Coulomb interactions between particles of the region are removed
    from a copy of ``mm_system``, and the model is added. What acts between the region and the rest
    is that of the force field, with its charges, and so are masses.

    Under :class:`openmm_forces.RespaIntegrator` the force field is integrated with the inner step.

    Parameters
    ----------
    topology : openmm.app.Topology
        Of all particles.
    mm_system : openmm.System
        From ``ForceField.createSystem`` or the like; it is not changed.
    ml_particles : sequence of int
        The atoms of the region, in any order; whole molecules. Virtual sites that they carry (the
        fourth site of a water) keep their charges towards the rest and are no part of the model.
    model : str, Path or LoadedModel
        A file, or a shipped model such as ``"water"``.
    host, forces, skin, total_charge, spin_multiplicity
        As for :func:`openmm_forces.create_force`.

    Raises
    ------
    ValueError
        If the region is empty, names a particle twice or one that does not exist, cuts a bond or a
        constraint, holds a virtual site or an element that the model does not know; if topology
        and System differ in size; or if the System has a force whose terms within the region
        cannot be told apart.
    FileNotFoundError, ModelContractError, ImportError
        As :func:`openmm_forces.create_force`.

    Notes
    -----
    With Ewald summation what is removed between two particles of the region is their interaction at
    the nearest image; that with further images of the region stays, as the force field has it.
    The long-range correction of the dispersion still counts the pairs within the region.
    """
    atoms = list(topology.atoms())
    region = _checked_region(ml_particles, atoms, mm_system)
    _check_whole_molecules(topology, mm_system, set(region))
    system = remove_terms_within(mm_system, set(region) | _sites_of(mm_system, set(region)))
    force = create_force(
        model,
        [atomic_number(atoms[particle]) for particle in region],
        particles=region,
        host=host,
        forces=forces,
        periodic=mm_system.usesPeriodicBoundaryConditions(),
        skin=skin,
        total_charge=total_charge,
        spin_multiplicity=spin_multiplicity,
    )
    system.addForce(force)
    keep_whole(system, _bonds_within(topology, mm_system, set(region)))
    return system


def _bonds_within(
    topology: app.Topology, mm_system: openmm.System, region: set[int]
) -> list[tuple[int, int]]:
    """Return bonds and constraints of the region, which say to OpenMM what its molecules are."""
    pairs = [(bond.atom1.index, bond.atom2.index) for bond in topology.bonds()]
    for index in range(mm_system.getNumConstraints()):
        pairs.append(tuple(mm_system.getConstraintParameters(index)[:2]))
    for force in mm_system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for index in range(force.getNumBonds()):
                pairs.append(tuple(force.getBondParameters(index)[:2]))
    return sorted({tuple(sorted(pair)) for pair in pairs if set(pair) <= region})


def _checked_region(
    ml_particles: Sequence[int], atoms: list, mm_system: openmm.System
) -> list[int]:
    n_particles = mm_system.getNumParticles()
    if len(atoms) != n_particles:
        raise ValueError(
            f"expected a topology and a System of the same size, got {len(atoms)} atoms and "
            f"{n_particles} particles; make the System from this topology"
        )
    region = [int(particle) for particle in ml_particles]
    if not region:
        raise ValueError(
            "expected at least one particle for the model, got none; without any, mm_system itself "
            "is what you want"
        )
    if len(set(region)) != len(region):
        raise ValueError(f"expected distinct ml_particles, got {region}")
    if min(region) < 0 or max(region) >= n_particles:
        raise ValueError(f"expected ml_particles from 0 to {n_particles - 1}, got {region}")
    for particle in region:
        if mm_system.isVirtualSite(particle):
            raise ValueError(
                f"expected atoms as ml_particles, got the virtual site {particle} "
                f"({atoms[particle].name} of residue {atoms[particle].residue.name}); name the "
                "atoms only, their sites go with them"
            )
    return region


def _check_whole_molecules(
    topology: app.Topology, mm_system: openmm.System, region: set[int]
) -> None:
    for bond in topology.bonds():
        first, second = bond.atom1.index, bond.atom2.index
        if (first in region) != (second in region):
            raise ValueError(
                f"expected ml_particles to be whole molecules, got a bond between {first} and "
                f"{second}, one of which is outside; add the rest of the molecule (for link atoms "
                "see openmm-ml)"
            )
    for index in range(mm_system.getNumConstraints()):
        first, second, _ = mm_system.getConstraintParameters(index)
        if (first in region) != (second in region):
            raise ValueError(
                f"expected ml_particles to be whole molecules, got a constraint between {first} "
                f"and {second}, one of which is outside; add the rest of the molecule"
            )


def _sites_of(system: openmm.System, region: set[int]) -> set[int]:
    """Return the virtual sites whose place is given by atoms of the region."""
    sites = set()
    for particle in range(system.getNumParticles()):
        if not system.isVirtualSite(particle):
            continue
        site = system.getVirtualSite(particle)
        parents = {site.getParticle(index) for index in range(site.getNumParticles())}
        if parents <= region:
            sites.add(particle)
        elif parents & region:
            raise ValueError(
                f"expected ml_particles to be whole molecules, got part of the particles "
                f"{sorted(parents)} that give the virtual site {particle} its place"
            )
    return sites
