"""OpenMM forces and r-RESPA integrators from a model file.

>>> from openmm_forces import RespaIntegrator, create_system
>>> system = create_system(topology, "water")                    # doctest: +SKIP
>>> integrator = RespaIntegrator(4 * femtoseconds, 8)            # doctest: +SKIP
"""

from openmm_forces.evaluations import EvaluationCounts, conservative_energy, evaluation_counts
from openmm_forces.force import create_force
from openmm_forces.integrators import RespaIntegrator
from openmm_forces.structure import Structure, from_ase
from openmm_forces.system import create_system

__all__ = [
    "EvaluationCounts",
    "RespaIntegrator",
    "Structure",
    "conservative_energy",
    "create_force",
    "create_system",
    "evaluation_counts",
    "from_ase",
]
