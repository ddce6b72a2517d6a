"""A committee of models in ASE: the first one drives, the others say how far it can be trusted."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.units
from ase import Atoms

from mlip_engines.calculator import MlipCalculator
from mlip_engines.model.load import LoadedModel
from mlip_engines.properties.deviation import Deviation, committee_deviation


class Committee(MlipCalculator):
    """An MlipCalculator of the first of several models, which knows how far they deviate from their mean.

    Energy, forces and stress are those of the first model alone. The others are evaluated when :meth:`deviation` is
    called, and only then.

    Parameters
    ----------
    models : sequence of str, Path or LoadedModel
        Two or more, for example the same network trained with several seeds.
    options
        Keywords of :class:`MlipCalculator`, for all models alike. A charge or a spin is passed on to those models that
        depend on it.

    Raises
    ------
    ValueError
        If there are fewer than two models, or non-conservative forces are asked for; also as
        :class:`MlipCalculator`. :meth:`deviation` raises it if a model does not know an element of the structure.

    Examples
    --------
    >>> from ase.build import molecule
    >>> committee = Committee(["water", "water-large"])
    >>> committee.deviation(molecule("H2O")).forces.shape
    (3,)
    """

    def __init__(self, models: Sequence[str | Path | LoadedModel], **options: Any):
        if isinstance(models, (str, Path, LoadedModel)):
            models = [models]
        if len(models) < 2:
            raise ValueError(
                f"a committee has two models or more, got {len(models)}; the first one drives"
            )
        if options.get("forces", "conservative") != "conservative":
            raise ValueError(
                f"a committee compares conservative forces, got forces={options['forces']!r}"
            )
        super().__init__(models[0], **options)
        given = {k: options.get(k) for k in ("total_charge", "spin_multiplicity")}
        self.others = []
        for model in models[1:]:
            other = MlipCalculator(model, device=options.get("device"))
            asked = other.model.metadata.structure_inputs
            other.given = {k: v for k, v in given.items() if v is not None and k in asked}
            self.others.append(other)

    def deviation(self, atoms: Atoms | None = None) -> Deviation:
        """Return how far the models deviate from their mean at a structure, by default the last one evaluated.

        What was evaluated at this structure before is not evaluated again.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None or len(atoms) == 0:
            raise ValueError("expected a structure with atoms, got none; give one to deviation()")
        calculators = [self, *self.others]
        energies = [calculator.get_property("energy", atoms) for calculator in calculators]
        return committee_deviation(
            energies,
            [calculator.get_property("forces", atoms) for calculator in calculators],
            [calculator.virial for calculator in calculators],
        )


class DeviationLog:
    """Write the deviation of a committee along a simulation: ``dynamics.attach(DeviationLog(...), interval=10)``.

    The file is a table with a line for each call: step, time in ps, and the columns of
    :class:`mlip_engines.properties.Deviation`.

    Parameters
    ----------
    file : str or Path
        Written anew.
    committee : Committee
    atoms : ase.Atoms
        That move.
    dynamics : ase.md.md.MolecularDynamics, optional
        For steps and times; without it, calls are counted and the time is empty.
    """

    columns = ("step", "time_ps", *Deviation.columns)

    def __init__(self, file: str | Path, committee: Committee, atoms: Atoms, dynamics: Any = None):
        self._path = Path(file)
        self._committee, self._atoms, self._dynamics = committee, atoms, dynamics
        self._n_calls = 0
        self._path.write_text(",".join(self.columns) + "\n", encoding="utf-8")

    def __call__(self) -> None:
        """Write one line."""
        step, time = self._n_calls, ""
        if self._dynamics is not None:
            step = self._dynamics.get_number_of_steps()
            time = f"{self._dynamics.get_time() / (1000.0 * ase.units.fs):.6f}"
        row = self._committee.deviation(self._atoms).row()
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(
                [step, time, *(f"{value:.8f}" for value in row)]
            )
        self._n_calls += 1
