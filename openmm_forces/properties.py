"""Properties of the structure, such as a gap, at the present positions of a Context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import openmm
from ase import Atoms
from openmm import app, unit

from mlip_engines.calculator import MlipCalculator
from mlip_engines.model.load import LoadedModel


def structure_properties(
    context: openmm.Context,
    topology: app.Topology,
    model: str | Path | LoadedModel,
    *,
    atoms: Iterable[int] | None = None,
    **options,
) -> dict[str, float]:
    """Return the properties that a model file has beside the energy, by name, in the units that it says.

    Parameters
    ----------
    context : openmm.Context
        Whatever moves its atoms.
    topology : openmm.app.Topology
        Of the same particles.
    model : str, Path or LoadedModel
        A loaded one saves the reading of the file: ``mlip_engines.load_model``.
    atoms : iterable of int, optional
        Indices of the atoms of the structure; by default all that have an element.
    options
        Keywords of :class:`mlip_engines.MlipCalculator`: device, total_charge, spin_multiplicity.

    Raises
    ------
    ValueError
        If the model has no properties or does not know an element, or ``atoms`` names an atom that is not there.
    """
    return PresentProperties(model, atoms, options).evaluate(context, topology)


class PresentProperties:
    """A model whose properties are asked for again and again; arguments as of :func:`structure_properties`."""

    def __init__(
        self,
        model: str | Path | LoadedModel,
        atoms: Iterable[int] | None,
        options: dict[str, Any],
    ):
        self.calculator = MlipCalculator(model, **options)
        if not self.calculator.property_names:
            raise ValueError(
                f"{self.calculator.model.path}: expected a model with properties, got one with an energy alone; train "
                "it with mlip-property --from, and export that checkpoint"
            )
        self._indices = None if atoms is None else sorted(set(atoms))

    def evaluate(self, context: openmm.Context, topology: app.Topology) -> dict[str, float]:
        """Return the properties at the present positions."""
        structure = present_atoms(context, topology, self._indices)
        names = self.calculator.property_names
        self.calculator.calculate(structure, names)
        return {name: self.calculator.results[name] for name in names}


def present_atoms(
    context: openmm.Context, topology: app.Topology, indices: Sequence[int] | None
) -> Atoms:
    """Return atoms at the present positions, by default all that have an element.

    Raises
    ------
    ValueError
        If an index is none of an atom with an element.
    """
    particles = list(topology.atoms())
    kept = indices
    if kept is None:
        kept = [a.index for a in particles if a.element is not None]
    wrong = [k for k in kept if not 0 <= k < len(particles) or particles[k].element is None]
    if wrong or not kept:
        raise ValueError(
            f"atoms: expected indices of atoms with an element, 0 to {len(particles) - 1}, got "
            f"{wrong[0] if wrong else 'none'}"
        )
    state = context.getState(positions=True)
    numbers = [particles[k].element.atomic_number for k in kept]
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    structure = Atoms(numbers, positions[kept])
    if context.getSystem().usesPeriodicBoundaryConditions():
        structure.cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
        structure.pbc = True
    return structure
