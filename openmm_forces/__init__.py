"""Use a model file in OpenMM: forces, systems, r-RESPA integrators and reporters.

The page docs/openmm.md describes all of it.

>>> from openmm_forces import RespaIntegrator, create_system
>>> system = create_system(topology, "water")                    # doctest: +SKIP
>>> integrator = RespaIntegrator(4 * femtoseconds, 8)            # doctest: +SKIP

Importing this package imports nothing heavy: openmm-ml imports it to find the potential.
"""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "BussiIntegrator": "integrators",
    "CommitteeReporter": "reporters",
    "ConservedEnergy": "conserved",
    "ConservedQuantityReporter": "reporters",
    "EvaluationCounts": "evaluations",
    "ExtendedXYZReporter": "reporters",
    "HeadDisagreement": "evaluations",
    "HeadDisagreementReporter": "reporters",
    "PropertyReporter": "reporters",
    "RespaBussiIntegrator": "integrators",
    "RespaHighPassLangevinIntegrator": "integrators",
    "RespaIntegrator": "integrators",
    "RespaLangevinIntegrator": "integrators",
    "Structure": "structure",
    "conservative_energy": "evaluations",
    "conserved_energy": "conserved",
    "create_force": "force",
    "create_mixed_system": "mixed",
    "create_split_forces": "force",
    "create_system": "system",
    "evaluation_counts": "evaluations",
    "from_ase": "structure",
    "head_disagreement": "evaluations",
    "structure_properties": "properties",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)
