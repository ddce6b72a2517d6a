"""Errors of the properties of structures that a model file has, such as a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.structure_properties import evaluate_properties, properties_in

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class PropertyErrors:
    """Errors of one property, in its unit; None without structures that have it."""

    name: str
    unit: str
    n_structures: int
    mae: float | None = None
    rmse: float | None = None


def property_errors(
    model: LoadedModel, structures: Sequence[Atoms], *, batch_size: int = 4
) -> list[PropertyErrors]:
    """Compare the properties of a model with the values of the same names in ``info``.

    Parameters
    ----------
    model : LoadedModel
    structures : sequence of ase.Atoms
        A structure may lack values.
    batch_size : int
        Structures evaluated at once.

    Raises
    ------
    ValueError
        If the model has no properties or does not know an element, the batch size is not positive, a value is no
        number, or no structure has any.
    """
    if batch_size < 1:
        raise ValueError(f"batch size must be at least 1, got {batch_size}")
    known = properties_in(model.metadata.properties)
    found, true = [], []
    for start in range(0, len(structures), batch_size):
        batch = structures[start : start + batch_size]
        for atoms in batch:
            model.check_elements(set(atoms.get_chemical_symbols()))
        inputs = model.metadata.structure_inputs
        graphs = [neighbor_graph(atoms, model.metadata.cutoff, inputs) for atoms in batch]
        found.append(evaluate_properties(model, graphs).numpy())
        true += [
            [_number(atoms, each.name, start + k) for each in known]
            for k, atoms in enumerate(batch)
        ]
    wrong = np.concatenate(found) - np.array(true)  # (S, T)
    if np.isnan(wrong).all():
        names = ", ".join(each.name for each in known)
        raise ValueError(
            f"expected structures with values of {names} in their comment lines, got none"
        )
    errors = []
    for each, column in zip(known, wrong.T, strict=True):
        of_it = column[~np.isnan(column)]
        n = len(of_it)
        mae = float(np.abs(of_it).mean()) if n else None
        rmse = float(np.sqrt((of_it**2).mean())) if n else None
        errors.append(PropertyErrors(each.name, each.unit, n, mae, rmse))
    return errors


def format_property_errors(errors: Sequence[PropertyErrors]) -> str:
    """Return the errors as a table for people."""
    lines = [f"{'':32}{'structures':>10}{'MAE':>12}{'RMSE':>12}"]
    for each in errors:
        title = f"{each.name}, {each.unit}" if each.unit else each.name
        numbers = "" if each.mae is None else f"{each.mae:12.5g}{each.rmse:12.5g}"
        lines.append(f"{title:32}{each.n_structures:10}{numbers}")
    return "\n".join(lines)


def _number(atoms: Atoms, name: str, k: int) -> float:
    """Return a value of a structure, NaN if it has none."""
    given = atoms.info.get(name, np.nan)
    try:
        return float(np.asarray(given, dtype=np.float64).reshape(()))
    except (TypeError, ValueError) as e:
        raise ValueError(f"structure {k}: expected one number for {name!r}, got {given!r}") from e
