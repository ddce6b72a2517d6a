"""Errors of a model file on labelled structures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from ase import Atoms
from torch import Tensor
from tqdm import tqdm

from mlip_engines.labels.batch import Labels, labels_of
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.prediction import Prediction, predict_together
from mlip_engines.properties.by_element import ElementSums
from mlip_engines.properties.by_structure import StructureErrors, errors_by_structure
from mlip_engines.units import MEV_PER_EV

Comparison: TypeAlias = dict[str, tuple[Tensor, Tensor]]  # quantity: reference and prediction

# xx yy zz yz xz xy: each component of a symmetric tensor counts once.
_ROWS, _COLUMNS = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]


# eV/Å per component; models that carry r-RESPA well have 0.025 or less.
LARGEST_C_MINUS_NC = 0.1


@dataclass(frozen=True)
class ModelErrors:
    """Errors on a set of structures, forces and stress per component; None if the head or the labels are missing."""

    n_structures: int
    n_atoms: int
    energy_mae: float | None = None  # eV/atom
    energy_rmse: float | None = None  # eV/atom
    conservative_mae: float | None = None  # eV/Å
    conservative_rmse: float | None = None  # eV/Å
    non_conservative_mae: float | None = None  # eV/Å
    non_conservative_rmse: float | None = None  # eV/Å
    rms_c_minus_nc: float | None = None  # eV/Å, on which the stability of r-RESPA depends
    n_energies: int = 0  # structures with a label of energy
    n_forces: int = 0  # structures with labels of forces
    n_stresses: int = 0  # structures with a label of stress
    stress_mae: float | None = None  # eV/Å^3, conservative
    stress_rmse: float | None = None  # eV/Å^3
    non_conservative_stress_mae: float | None = None  # eV/Å^3
    non_conservative_stress_rmse: float | None = None  # eV/Å^3


def evaluate_model(
    model: LoadedModel,
    structures: Sequence[Atoms],
    *,
    batch_size: int = 4,
    progress: bool = False,
    each: list[StructureErrors] | None = None,
    elements: ElementSums | None = None,
) -> ModelErrors:
    """Compare a model with labels.

    Parameters
    ----------
    model : LoadedModel
    structures : sequence of ase.Atoms
        With energy (eV), forces (eV/Å) or both in their calculators. Stress (eV/Å^3, ASE's sign) is compared where it
        is there and the structure is periodic in all three directions.
    batch_size : int
        Structures evaluated at once; any value gives the same errors.
    progress : bool
        Show a bar on standard error.
    each : list, optional
        Receives the errors of each structure, in their order.
    elements : ElementSums, optional
        Counts the errors of forces by element.

    Returns
    -------
    ModelErrors

    Raises
    ------
    ValueError
        If there is no structure, the batch size is not positive, or a structure has an element that
        the model does not know.
    """
    if not structures:
        raise ValueError("expected at least one structure, got none")
    if batch_size < 1:
        raise ValueError(f"batch size must be at least 1, got {batch_size}")
    for atoms in structures:
        model.check_elements(set(atoms.get_chemical_symbols()))
    with tqdm(total=len(structures), unit="structure", disable=not progress) as bar:

        def batches() -> Iterator[Comparison]:
            for start in range(0, len(structures), batch_size):
                batch = structures[start : start + batch_size]
                labels = labels_of(batch)
                graphs = [
                    neighbor_graph(atoms, model.metadata.cutoff, model.metadata.structure_inputs)
                    for atoms in batch
                ]
                with_virials = bool(labels.has_stress.any())
                prediction = predict_together(model, graphs, with_virials=with_virials)
                comparison = compare(labels, prediction)
                if each is not None:
                    each.extend(errors_by_structure(labels, comparison))
                if elements is not None:
                    numbers = torch.cat([graph.atomic_numbers for graph in graphs])
                    elements.add(numbers, labels, comparison)
                yield comparison
                bar.update(len(batch))

        errors = named_as_metadata(mean_errors(batches()))
    n_atoms = sum(len(atoms) for atoms in structures)
    n_energies, n_forces = (
        sum(name in atoms.calc.results for atoms in structures) for name in ("energy", "forces")
    )
    n_stresses = sum(atoms.pbc.all() and "stress" in atoms.calc.results for atoms in structures)
    return ModelErrors(
        len(structures),
        n_atoms,
        n_energies=n_energies,
        n_forces=n_forces,
        n_stresses=int(n_stresses),
        **errors,
    )


def compare(labels: Labels, prediction: Prediction) -> Comparison:
    """Return reference and prediction, (n,) each on the CPU in float64, by quantity.

    Quantities are ``energy`` (eV per atom), ``conservative`` and ``non_conservative`` forces (eV/Å), ``stress`` and
    ``non_conservative_stress`` (eV/Å^3), each of structures with this label, and ``c_minus_nc`` of all, with the
    conservative forces as the reference of the head. What was not predicted is left out.
    """
    known, has_energy, forces_known = labels.has_stress, labels.has_energy, labels.forces_known
    n_atoms = labels.n_atoms[has_energy]
    c, nc = prediction.conservative, prediction.non_conservative
    pairs = {
        "energy": (
            labels.energies[has_energy] / n_atoms,
            prediction.energies[has_energy] / n_atoms,
        ),
    }
    for name, forces in (("conservative", c), ("non_conservative", nc)):
        if forces is not None:
            pairs[name] = labels.forces[forces_known], forces[forces_known]
    pairs["c_minus_nc"] = c, nc
    virials = {
        "stress": prediction.virials,
        "non_conservative_stress": prediction.non_conservative_virials,
    }
    for name, predicted in virials.items():
        if predicted is not None:
            volumes = labels.volumes[known, None]  # (S, 1)
            pairs[name] = tuple(
                -each[known][:, _ROWS, _COLUMNS].double() / volumes  # (S, 6)
                for each in (labels.virials, predicted)
            )
    return {
        name: tuple(side.detach().double().flatten().cpu() for side in pair)
        for name, pair in pairs.items()
        if all(side is not None for side in pair)
    }


def mean_errors(comparisons: Iterable[Comparison]) -> dict[str, float]:
    """Return mean absolute and root mean square error of each quantity, ``NAME_mae`` and ``NAME_rmse``.

    Parameters
    ----------
    comparisons : iterable of dict
        As of :func:`compare`, one for each batch of structures.

    Returns
    -------
    dict of str to float
        In the units of :func:`compare`, over all components of all batches.
    """
    absolute: dict[str, float] = {}
    square: dict[str, float] = {}
    count: dict[str, int] = {}
    for pairs in comparisons:
        for name, (reference, predicted) in pairs.items():
            error = predicted - reference
            absolute[name] = absolute.get(name, 0.0) + float(error.abs().sum())
            square[name] = square.get(name, 0.0) + float(error.square().sum())
            count[name] = count.get(name, 0) + error.numel()
    errors = {}
    for name, n in count.items():
        if n > 0:
            errors[f"{name}_mae"] = absolute[name] / n
            errors[f"{name}_rmse"] = (square[name] / n) ** 0.5
    return errors


def named_as_metadata(errors: dict[str, float]) -> dict[str, float]:
    """Return errors by the names that metadata and :class:`ModelErrors` have for them.

    Of the difference between the two kinds of forces, which is no error, only the root mean square is kept.
    """
    named = {name: value for name, value in errors.items() if "c_minus_nc" not in name}
    if "c_minus_nc_rmse" in errors:
        named["rms_c_minus_nc"] = errors["c_minus_nc_rmse"]
    return named


def c_minus_nc_warning(rms_c_minus_nc: float | None) -> str | None:
    """Return a sentence if the two kinds of forces are too far apart for r-RESPA, None if not or if it is unknown.

    Parameters
    ----------
    rms_c_minus_nc : float or None, eV/Å
        Root mean square of their difference per component.
    """
    if rms_c_minus_nc is None or rms_c_minus_nc <= LARGEST_C_MINUS_NC:
        return None
    return (
        f"C - NC is {MEV_PER_EV * rms_c_minus_nc:.0f} meV/Å (RMS per component), expected 25 or less and at most "
        f"{MEV_PER_EV * LARGEST_C_MINUS_NC:.0f} for r-RESPA: the inner force is no good approximation, and simulations "
        "with it may heat up; use conservative forces alone, or train the head longer with the term match"
    )


def format_errors(errors: ModelErrors) -> str:
    """Return the errors as a table for people, in meV."""
    rows = []
    for name, title in (
        ("energy", "energy, meV/atom"),
        ("conservative", "conservative forces, meV/Å"),
        ("non_conservative", "non-conservative forces, meV/Å"),
        ("stress", "stress, meV/Å^3"),
        ("non_conservative_stress", "non-conservative stress, meV/Å^3"),
    ):
        mae, rmse = getattr(errors, f"{name}_mae"), getattr(errors, f"{name}_rmse")
        if mae is not None:
            rows.append((title, mae, rmse))
    n = errors.n_structures
    partly = [
        f"{count} of them with {label}"
        for label, count in (("energy", errors.n_energies), ("forces", errors.n_forces))
        if count < n
    ]
    lines = [
        ", ".join([f"{n} structures, {errors.n_atoms} atoms", *partly]),
        f"{'':32}{'MAE':>10}{'RMSE':>10}",
    ]
    lines += [f"{n:32}{MEV_PER_EV * a:10.3f} {MEV_PER_EV * b:9.3f}" for n, a, b in rows]
    if errors.rms_c_minus_nc is not None:
        difference = MEV_PER_EV * errors.rms_c_minus_nc
        lines.append(f"{'C - NC, meV/Å per component':32}{'':10}{difference:10.3f}")
    return "\n".join(lines)
