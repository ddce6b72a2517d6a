"""The energy that an exact integrator would conserve."""

from __future__ import annotations

from typing import NamedTuple

import openmm
from openmm import unit

from mlip_engines.units import EV_TO_KJ_PER_MOL
from openmm_forces.evaluations import conservative_state
from openmm_forces.thermostats import counts_heat, has_bath


class ConservedEnergy(NamedTuple):
    """Terms of the conserved energy, eV."""

    potential: float  # conservative, also where the forces in use are not
    kinetic: float
    heat: float  # what a bath has given to the particles
    conserved: float  # potential + kinetic - heat


def conserved_energy(context: openmm.Context, integrator: openmm.Integrator) -> ConservedEnergy:
    """Return potential energy, kinetic energy, the heat from a bath, and the conserved energy.

    This works for the integrators of this package, for OpenMM's ``VerletIntegrator``, ``NoseHooverIntegrator`` and
    ``MTSIntegrator``, and for any ``CustomIntegrator`` without a bath. The conserved energy drifts because of errors of
    the integrator and because of non-conservative forces.

    Raises
    ------
    ValueError
        If the heat is not known, or the System has a barostat, which changes the energy.
    """
    for force in context.getSystem().getForces():
        kind = type(force).__name__
        unknown_heat = kind == "AndersenThermostat" and not _counts_heat(integrator)
        if kind.endswith("Barostat") or unknown_heat:
            raise ValueError(
                f"expected a System whose energy only the integrator changes, got one with {kind}; "
                "report the total energy without calling it conserved, or remove that force"
            )
    state = conservative_state(context)
    potential, kinetic = (
        energy.value_in_unit(unit.kilojoule_per_mole) / EV_TO_KJ_PER_MOL
        for energy in (state.getPotentialEnergy(), state.getKineticEnergy())
    )
    heat = _heat(integrator) / EV_TO_KJ_PER_MOL
    return ConservedEnergy(potential, kinetic, heat, potential + kinetic - heat)


def _heat(integrator: openmm.Integrator) -> float:
    """Return the heat in kJ/mol, or refuse an integrator that does not count it."""
    if isinstance(integrator, openmm.NoseHooverIntegrator):
        return -integrator.computeHeatBathEnergy().value_in_unit(unit.kilojoule_per_mole)
    if isinstance(integrator, (openmm.VerletIntegrator, openmm.VariableVerletIntegrator)):
        return 0.0
    if _counts_heat(integrator):
        return integrator.getGlobalVariableByName("heat")
    if isinstance(integrator, openmm.CustomIntegrator) and not has_bath(integrator):
        return 0.0
    raise ValueError(
        f"expected an integrator whose heat is known, got {type(integrator).__name__}; use "
        "RespaIntegrator, RespaLangevinIntegrator, RespaBussiIntegrator, BussiIntegrator, "
        "VerletIntegrator or NoseHooverIntegrator"
    )


def _counts_heat(integrator: openmm.Integrator) -> bool:
    return isinstance(integrator, openmm.CustomIntegrator) and counts_heat(integrator)
