"""What a force field says about the inside of a region, taken out of a System."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import openmm

# Their terms name their particles; those that name only particles of the region are left out.
_BONDED = {
    "HarmonicBondForce",
    "HarmonicAngleForce",
    "PeriodicTorsionForce",
    "RBTorsionForce",
    "CMAPTorsionForce",
    "CustomBondForce",
    "CustomAngleForce",
    "CustomTorsionForce",
    "CustomCompoundBondForce",
}
_PAIRWISE = {"NonbondedForce", "CustomNonbondedForce"}
# Of single particles or of the whole System: they stay.
_KEPT = {
    "CMMotionRemover",
    "AndersenThermostat",
    "MonteCarloBarostat",
    "MonteCarloAnisotropicBarostat",
    "MonteCarloFlexibleBarostat",
    "MonteCarloMembraneBarostat",
    "CustomExternalForce",
}


def remove_terms_within(system: openmm.System, region: set[int]) -> openmm.System:
    """Return a copy of a System without the interactions and constraints inside a region.

    Parameters
    ----------
    system : openmm.System
        Not changed.
    region : set of int
        Particles. A term is removed if all of its particles are in the region.

    Raises
    ------
    ValueError
        If the System has a force whose terms within the region cannot be told apart.
    """
    for force in system.getForces():
        _check_known(force, region)
    root = ElementTree.fromstring(openmm.XmlSerializer.serialize(system))
    for force in root.findall("./Forces/Force"):
        if force.get("type") in _BONDED:
            _remove_bonded_terms(force, region)
    copy = openmm.XmlSerializer.deserialize(ElementTree.tostring(root, encoding="unicode"))
    for force in copy.getForces():
        if isinstance(force, openmm.NonbondedForce):
            _exclude_pairs(force, region)
        elif isinstance(force, openmm.CustomNonbondedForce):
            _exclude_custom_pairs(force, region)
    for index in reversed(range(copy.getNumConstraints())):
        if set(copy.getConstraintParameters(index)[:2]) <= region:
            copy.removeConstraint(index)
    return copy


def _check_known(force: openmm.Force, region: set[int]) -> None:
    kind = type(force).__name__
    if kind not in _BONDED | _PAIRWISE | _KEPT:
        raise ValueError(
            f"expected forces of which the part within a region can be removed, got {kind} "
            f"({force.getName()}); take it out of the System, and add it to the mixed one if it "
            "may act on the region as it is"
        )
    if kind == "NonbondedForce":
        for index in range(force.getNumExceptionParameterOffsets()):
            exception = force.getExceptionParameterOffset(index)[1]
            if set(force.getExceptionParameters(exception)[:2]) <= region:
                raise ValueError(
                    "expected no exception parameter offsets within the region, got one for the "
                    f"particles {force.getExceptionParameters(exception)[:2]}; make the System "
                    "without them"
                )


def _remove_bonded_terms(force: ElementTree.Element, region: set[int]) -> None:
    for terms in force:
        for term in list(terms):
            particles = {
                int(value) for name, value in term.items() if re.fullmatch(r"[pab]\d+", name)
            }
            if particles and particles <= region:
                terms.remove(term)


def _exclude_pairs(force: openmm.NonbondedForce, region: set[int]) -> None:
    for first, second in combinations(sorted(region), 2):
        force.addException(first, second, 0.0, 1.0, 0.0, True)
    # Ewald summation takes an excluded pair out at the distance of the exception, which has to be
    # that of the nearest image: molecules of the region drift apart.
    force.setExceptionsUsePeriodicBoundaryConditions(force.usesPeriodicBoundaryConditions())


def _exclude_custom_pairs(force: openmm.CustomNonbondedForce, region: set[int]) -> None:
    excluded = {
        frozenset(force.getExclusionParticles(index)) for index in range(force.getNumExclusions())
    }
    for first, second in combinations(sorted(region), 2):
        if frozenset((first, second)) not in excluded:
            force.addExclusion(first, second)
