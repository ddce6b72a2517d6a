"""Structures labelled by a model, to train a smaller one on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray
from tqdm import tqdm

from mlip_engines.calculator import MlipCalculator
from mlip_engines.labels.empirical import is_empirical_potential, mark_empirical
from mlip_engines.labels.undisplaced import keep_undisplaced
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.structure_inputs import structure_inputs_from_info

FARTHEST = 6.0  # of the length of a stiff displacement, for one atom: the change of forces shall be a derivative


def label(
    model: LoadedModel,
    structures: Iterable[Atoms],
    *,
    copies: int = 0,
    displacement: float = 0.03,
    stiff: bool = False,
    seed: int = 1,
) -> Iterator[Atoms]:
    """Yield structures and displaced copies of them with the energy and the conservative forces of a model.

    The labels of one model are free, so another can be taught from as many as it needs: distillation (Hinton, Vinyals,
    Dean, arXiv:1503.02531), on forces. Displaced copies show how forces change along stiff bonds, on which the outer
    step of r-RESPA depends. Each says what it is a copy of, see :mod:`mlip_engines.labels.undisplaced`.

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
    stiff : bool
        Every second copy is displaced along the stiff modes instead, see :func:`stiff_displacement`; it takes no
        further evaluation.
    seed : int
        Of the displacements.

    Yields
    ------
    ase.Atoms
        With energy (eV), forces (eV/Å) and, if periodic in three directions, stress (eV/Å^3, ASE's sign). Those of an
        empirical potential are marked (:mod:`mlip_engines.labels.empirical`).

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
        positions, forces, displaced = structure.get_positions(), None, None
        for copy in range(copies + 1):
            atoms = Atoms(
                structure.get_chemical_symbols(),
                positions=positions,
                cell=structure.cell,
                pbc=structure.pbc,
                info=structure_inputs_from_info(model.metadata.structure_inputs, structure.info),
            )
            if copy > 0 and stiff and copy % 2 == 0:
                atoms.positions += stiff_displacement(
                    displaced - forces, structure.get_masses(), displacement
                )
            elif copy > 0:
                atoms.positions += random.normal(scale=displacement, size=(len(atoms), 3))
            wanted = ["energy", "forces", *["stress"] * bool(atoms.pbc.all())]
            try:
                calculator.calculate(atoms, wanted)
            except ValueError as e:
                raise ValueError(f"structure {k}, copy {copy}: {e}") from e
            if copy == 0:
                forces = calculator.results["forces"].copy()
            displaced = calculator.results["forces"].copy()
            labels = {name: calculator.results[name] for name in wanted}
            if copy > 0:
                keep_undisplaced(atoms, positions, forces)
            if is_empirical_potential(model.metadata):
                mark_empirical(atoms)
            atoms.calc = SinglePointCalculator(atoms, **labels)
            yield atoms


def stiff_displacement(
    change: NDArray[np.float64], masses: NDArray[np.float64], length: float
) -> NDArray[np.float64]:
    """Turn a small displacement towards the modes of highest frequency: one step of power iteration.

    What a displacement u changes in the forces is -H u, with H the Hessian of the energy; M^-1 H u has the stiff modes
    in proportion to their squared frequencies. These modes have the fewest outer steps per period, so what an inner
    force has learnt along them decides how long the outer step may be.

    Parameters
    ----------
    change : (N, 3) array, eV/Å
        Of the forces over a displacement of normally distributed components.
    masses : (N,) array, g/mol
    length : float, Å
        Root mean square of a component of what is returned, or less: no atom is displaced by more than
        :data:`FARTHEST` times this length. Hydrogen takes most of a stiff mode, and a few bonds most of the others.

    Returns
    -------
    (N, 3) array, Å
        Zero if the forces do not change.
    """
    turned = change / masses[:, None]
    size = float(np.sqrt(np.mean(turned**2)))
    if not size > 0.0:
        return np.zeros_like(turned)
    farthest = float(np.linalg.norm(turned, axis=1).max())
    return length * turned / max(size, farthest / FARTHEST)


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
