"""OpenMM forces and r-RESPA integrators from a model file.

>>> from openmm_forces import RespaIntegrator, create_system
>>> system = create_system(topology, "water")                    # doctest: +SKIP
>>> integrator = RespaIntegrator(4 * femtoseconds, 8)            # doctest: +SKIP
"""

from openmm_forces.conserved import ConservedEnergy, conserved_energy
from openmm_forces.evaluations import (
    EvaluationCounts,
    HeadDisagreement,
    conservative_energy,
    evaluation_counts,
    head_disagreement,
)
from openmm_forces.force import create_force, create_split_forces
from openmm_forces.integrators import (
    BussiIntegrator,
    RespaBussiIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
)
from openmm_forces.mixed import create_mixed_system
from openmm_forces.reporters import (
    ConservedQuantityReporter,
    ExtendedXYZReporter,
    HeadDisagreementReporter,
)
from openmm_forces.structure import Structure, from_ase
from openmm_forces.system import create_system

__all__ = [
    "BussiIntegrator",
    "ConservedEnergy",
    "ConservedQuantityReporter",
    "EvaluationCounts",
    "ExtendedXYZReporter",
    "HeadDisagreement",
    "HeadDisagreementReporter",
    "RespaBussiIntegrator",
    "RespaIntegrator",
    "RespaLangevinIntegrator",
    "Structure",
    "conservative_energy",
    "conserved_energy",
    "create_force",
    "create_mixed_system",
    "create_split_forces",
    "create_system",
    "evaluation_counts",
    "from_ase",
    "head_disagreement",
]
