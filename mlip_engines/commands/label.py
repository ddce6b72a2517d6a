"""Structures labelled by a model, to train a smaller one on, and the command ``mlip-label``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from tqdm import tqdm

from mlip_engines.calculator import MlipCalculator
from mlip_engines.commands.parser import command_parser
from mlip_engines.model.load import LoadedModel, load_model


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
        Labels that they have are dropped.
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
            )
            if copy > 0:
                atoms.positions += random.normal(scale=displacement, size=(len(atoms), 3))
            wanted = ["energy", "forces", *["stress"] * bool(atoms.pbc.all())]
            calculator.calculate(atoms, wanted)
            labels = {name: calculator.results[name] for name in wanted}
            if not all(np.isfinite(value).all() for value in labels.values()):
                raise ValueError(
                    f"structure {k}, copy {copy}: the labels of the model are not finite; are atoms on top of each "
                    "other?"
                )
            atoms.calc = SinglePointCalculator(atoms, **labels)
            yield atoms


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-label MODEL STRUCTURES -o LABELLED``; the options are in its help.

    Returns
    -------
    int
        0, or 1 after a message about what was expected and what was got.
    """
    options = argument_parser().parse_args(arguments)
    draft = options.output.with_name(options.output.name + ".partial")
    try:
        model = load_model(options.model)
        structures = _read(options.structures)
        labelled = label(
            model,
            structures,
            copies=options.copies,
            displacement=options.displacement,
            seed=options.seed,
        )
        count = len(structures) * (options.copies + 1)
        with draft.open("w") as file:
            for atoms in tqdm(labelled, total=count, unit="structure", mininterval=5.0):
                ase.io.write(file, atoms, format="extxyz")
        os.replace(draft, options.output)
    except (ValueError, OSError) as e:
        print(f"mlip-label: {e}", file=sys.stderr)
        return 1
    finally:
        draft.unlink(missing_ok=True)
    print(f"{options.output}: {count} structures with the labels of {model.metadata.name}")
    return 0


def _read(paths: list[Path]) -> list[Atoms]:
    structures = []
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"expected a file of structures, found nothing at {path}")
        try:
            structures += list(ase.io.iread(path, index=":"))
        except Exception as e:  # every format of ASE has errors of its own
            raise ValueError(
                f"{path}: ASE cannot read structures from it ({type(e).__name__}: {e})"
            ) from e
    if not structures:
        raise ValueError(
            f"expected at least one structure in {', '.join(map(str, paths))}, got none"
        )
    return structures


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-label``."""
    parser = command_parser(
        "mlip-label",
        description="Label structures with the energy and the conservative forces of a model, to train another model "
        "on them.",
        example="mlip-label water structures.extxyz --copies 4 -o labelled.extxyz",
    )
    parser.add_argument(
        "model", help="model file (a program: only what you trust) or name of a shipped model"
    )
    parser.add_argument(
        "structures", nargs="+", type=Path, help="files in any format of ASE; labels are dropped"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, help="extended XYZ file to write"
    )
    parser.add_argument(
        "--copies", type=int, default=0, help="displaced copies of each (default: %(default)s)"
    )
    parser.add_argument(
        "--displacement",
        type=float,
        default=0.03,
        help="Å, standard deviation per coordinate (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of displacements (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
