"""Structures labelled by a model, to train a smaller one on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from tqdm import tqdm

from mlip_engines.calculator import MlipCalculator
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.structure_inputs import structure_inputs_from_info


def label(
    model: LoadedModel,
    structures: Iterable[Atoms],
    *,
    copies: int = 0,
    displacement: float = 0.03,
    seed: int = 1,
) -> Iterator[Atoms]:
    """Yield structures and displaced copies of them with the energy and the conservative forces of a model.

    The labels of one model are free, so another can be taught from as many as it needs: distillation (Hinton, Vinyals,
    Dean, arXiv:1503.02531), on forces. Displaced copies show how forces change along stiff bonds, on which the outer
    step of r-RESPA depends.

    Parameters
    ----------
    model : LoadedModel
    structures : iterable of ase.Atoms
        Labels that they have are dropped. A total charge and a spin multiplicity in ``atoms.info`` stay where the model
        depends on them.
    copies : int
        Displaced copies of each, besides the structure itself.
    displacement : float, Å
        Standard deviation of each coordinate of a copy.
    seed : int
        Of the displacements.

    Yields
    ------
    ase.Atoms
        With energy (eV), forces (eV/Å) and, if periodic in three directions, stress (eV/Å^3, ASE's sign).

    Raises
    ------
    ValueError
        If a number is negative, a structure has an element that the model does not know, or a label is not finite.
    """
    if copies < 0 or displacement < 0.0:
        raise ValueError(f"{copies=} and {displacement=} must not be negative")
    calculator = MlipCalculator(model)
    random = np.random.default_rng(seed)
    for k, structure in enumerate(structures):
        for copy in range(copies + 1):
            atoms = Atoms(
                structure.get_chemical_symbols(),
                positions=structure.get_positions(),
                cell=structure.cell,
                pbc=structure.pbc,
                info=structure_inputs_from_info(model.metadata.structure_inputs, structure.info),
            )
            if copy > 0:
                atoms.positions += random.normal(scale=displacement, size=(len(atoms), 3))
            wanted = ["energy", "forces", *["stress"] * bool(atoms.pbc.all())]
            try:
                calculator.calculate(atoms, wanted)
            except ValueError as e:
                raise ValueError(f"structure {k}, copy {copy}: {e}") from e
            labels = {name: calculator.results[name] for name in wanted}
            atoms.calc = SinglePointCalculator(atoms, **labels)
            yield atoms


def write_labelled(path: Path, structures: Iterable[Atoms], count: int) -> None:
    """Write structures as they come to extended XYZ, and show how many of ``count`` are done.

    An interruption leaves no file, or the one that was there before.
    """
    draft = path.with_name(path.name + ".partial")
    try:
        with (
            draft.open("w") as file,
            tqdm(structures, total=count, unit="structure", mininterval=5.0) as bar,
        ):
            for atoms in bar:
                ase.io.write(file, atoms, format="extxyz")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
