"""The model as a potential of openmm-ml: ``MLPotential("mlip", modelPath="water")``.

openmm-ml imports this file through the entry point ``openmmml.potentials``; import ``openmmml``, not
this file. Without openmm-ml installed nothing imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import openmm
from openmm import app
from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

from mlip_engines.keywords import refuse_unknown

_OPTIONS = ("host", "forces", "skin", "total_charge", "spin_multiplicity")
_OF_EMBEDDINGS = ("mlLongRange", "linkAtomDistances")  # openmm-ml passes them on to potentials


class MlipPotentialFactory(MLPotentialImplFactory):
    """Makes the potential ``mlip``."""

    def createImpl(
        self, name: str, modelPath: str | Path | None = None, **options
    ) -> MlipPotential:
        """Return the potential.

        Parameters
        ----------
        name : str
            ``"mlip"``.
        modelPath : str or Path
            A file, or a shipped model such as ``"water"``.
        **options
            ``host``, ``forces``, ``skin``, ``total_charge`` and ``spin_multiplicity`` of
            :func:`openmm_forces.create_force`.

        Raises
        ------
        ValueError
            If there is no ``modelPath``.
        TypeError
            If an option is not known.
        FileNotFoundError, ModelContractError
            If there is no such model, or the file is none.
        """
        if modelPath is None:
            raise ValueError(
                f"expected MLPotential({name!r}, modelPath=...) with a model file or the name of a "
                "shipped model such as 'water', got no modelPath"
            )
        return MlipPotential(modelPath, _known(options))


class MlipPotential(MLPotentialImpl):
    """A model file for all atoms, or for those that openmm-ml names."""

    def __init__(self, model: str | Path, options: dict):
        from mlip_engines.model.load import load_model  # openmm-ml imports this file, and no torch

        self.model = load_model(model)
        self.options = options

    def addForces(
        self,
        topology: app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        **options,
    ) -> None:
        """Add the force; options as for the potential, and before those.

        For a part of the atoms the default host is PythonForce: openmm-ml may copy the force or put it
        into a CustomCVForce, which openmmtorch 1.5 does not survive.

        Raises
        ------
        ValueError, TypeError, ImportError
            As :func:`openmm_forces.create_force`.
        """
        from openmm_forces.force import create_force
        from openmm_forces.molecules import keep_whole
        from openmm_forces.system import atomic_number

        options = {
            "host": "auto" if atoms is None else "python",
            **self.options,
            **_known(options),
        }
        all_atoms = list(topology.atoms())
        particles = None if atoms is None else [int(atom) for atom in atoms]
        included = all_atoms if particles is None else [all_atoms[index] for index in particles]
        box = topology.getPeriodicBoxVectors()
        force = create_force(
            self.model,
            [atomic_number(atom) for atom in included],
            particles=particles,
            periodic=box is not None or system.usesPeriodicBoundaryConditions(),
            **options,
        )
        force.setForceGroup(forceGroup)
        system.addForce(force)
        if atoms is None:  # of a part openmm-ml keeps the bonds
            keep_whole(system, ((bond.atom1.index, bond.atom2.index) for bond in topology.bonds()))

    def getMLLongRange(self) -> bool:
        """Return that the model is local: it ends at its cutoff."""
        return False


def _known(options: dict) -> dict:
    refuse_unknown("the potential mlip", options, [*_OPTIONS, *_OF_EMBEDDINGS])
    return {name: value for name, value in options.items() if name in _OPTIONS}
