"""Errors of a model file on labelled structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from tqdm import tqdm

from mlip_engines.model.graph import batch_graphs, graph_to_device
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.quantities import stress_from_virial, stress_to_ase_voigt
from mlip_engines.units import MEV_PER_EV


@dataclass(frozen=True)
class ModelErrors:
    """Errors on a set of structures; forces and stress per component, None without such a head or such labels."""

    n_structures: int
    n_atoms: int
    energy_mae: float  # eV/atom
    energy_rmse: float  # eV/atom
    conservative_mae: float  # eV/Å
    conservative_rmse: float  # eV/Å
    non_conservative_mae: float | None = None  # eV/Å
    non_conservative_rmse: float | None = None  # eV/Å
    rms_c_minus_nc: float | None = None  # eV/Å, on which the stability of r-RESPA depends
    n_stresses: int = 0  # structures with a label of stress
    stress_mae: float | None = None  # eV/Å^3, conservative
    stress_rmse: float | None = None  # eV/Å^3
    non_conservative_stress_mae: float | None = None  # eV/Å^3
    non_conservative_stress_rmse: float | None = None  # eV/Å^3


def evaluate_model(
    model: LoadedModel, structures: Sequence[Atoms], *, batch_size: int = 4, progress: bool = False
) -> ModelErrors:
    """Compare a model with labels.

    Parameters
    ----------
    model : LoadedModel
    structures : sequence of ase.Atoms
        With energy (eV) and forces (eV/Å) in their calculators. Stress (eV/Å^3, ASE's sign) is compared where it is
        there and the structure is periodic in all three directions.
    batch_size : int
        Structures evaluated at once; any value gives the same errors.
    progress : bool
        Show a bar on standard error.

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
    differences: dict[str, list[np.ndarray]] = {}
    with tqdm(total=len(structures), unit="structure", disable=not progress) as bar:
        for start in range(0, len(structures), batch_size):
            batch = structures[start : start + batch_size]
            for name, values in _differences(model, batch).items():
                differences.setdefault(name, []).append(values.ravel())
            bar.update(len(batch))
    errors = {}
    for name, parts in differences.items():
        values = np.concatenate(parts)
        errors[f"{name}_mae"] = float(np.abs(values).mean())
        errors[f"{name}_rmse"] = float(np.sqrt((values**2).mean()))
    if "c_minus_nc_rmse" in errors:
        errors["rms_c_minus_nc"] = errors.pop("c_minus_nc_rmse")
        del errors["c_minus_nc_mae"]
    n_stresses = sum(_has_stress(atoms) for atoms in structures)
    n_atoms = sum(len(atoms) for atoms in structures)
    return ModelErrors(len(structures), n_atoms, n_stresses=n_stresses, **errors)


def _has_stress(atoms: Atoms) -> bool:
    return bool(atoms.pbc.all()) and "stress" in atoms.calc.results


def _differences(model: LoadedModel, structures: Sequence[Atoms]) -> dict[str, np.ndarray]:
    """Predicted minus labelled, eV per atom, eV/Å and eV/Å^3, for structures evaluated together."""
    with_head = model.metadata.has_non_conservative_forces
    graphs = [neighbor_graph(atoms, model.metadata.cutoff) for atoms in structures]
    graph, structure = batch_graphs(graphs)
    device = next(model.module.buffers()).device
    stressed = [k for k, atoms in enumerate(structures) if _has_stress(atoms)]
    with_virials = len(stressed) > 0
    output = model.evaluate(
        graph_to_device(graph, device),
        with_non_conservative=with_head,
        with_atomic_virials=with_virials,
    )
    output = {name: value.cpu() for name, value in output.items()}
    n_atoms = torch.tensor([len(atoms) for atoms in structures])
    energies = torch.zeros(len(structures), dtype=torch.float64)
    energies = energies.index_add(0, structure, output["atomic_energies"])  # (S,)
    labels = [float(atoms.calc.results["energy"]) for atoms in structures]
    labelled_forces = torch.from_numpy(
        np.concatenate([atoms.calc.results["forces"] for atoms in structures])
    )  # (N, 3)
    conservative = output["forces"]
    result = {
        "energy": (energies - torch.tensor(labels, dtype=torch.float64)) / n_atoms,
        "conservative": conservative - labelled_forces,
    }
    if with_head:
        head = output["non_conservative_forces"]
        # The model removes the net force of the batch: do it for each structure.
        net = torch.zeros((len(structures), 3), dtype=head.dtype).index_add(0, structure, head)
        head = head - (net / n_atoms[:, None])[structure]  # (N, 3)
        result["non_conservative"] = head - labelled_forces
        result["c_minus_nc"] = conservative - head
    differences = {name: value.numpy() for name, value in result.items()}
    if with_virials:
        virials = torch.zeros((len(structures), 3, 3), dtype=torch.float64)
        virials = virials.index_add(0, structure, output["atomic_virials"])  # (S, 3, 3)
        differences["stress"] = _stress_differences(
            [structures[k] for k in stressed], virials[stressed]
        )
    if with_virials and model.metadata.has_non_conservative_stress:
        # The head gives one virial for all structures together: ask it for each.
        alone = [model.non_conservative(graph_to_device(graphs[k], device)) for k in stressed]
        virials = torch.stack([values["non_conservative_virial"].cpu() for values in alone])
        differences["non_conservative_stress"] = _stress_differences(
            [structures[k] for k in stressed], virials
        )
    return differences


def _stress_differences(structures: Sequence[Atoms], virials: torch.Tensor) -> np.ndarray:
    """Return predicted minus labelled stress (S, 6), eV/Å^3, from virials (S, 3, 3), eV."""
    return np.array(
        [
            stress_to_ase_voigt(stress_from_virial(virial.numpy(), atoms.get_volume()))
            - np.asarray(atoms.calc.results["stress"])
            for atoms, virial in zip(structures, virials, strict=True)
        ]
    )


def format_errors(errors: ModelErrors) -> str:
    """Return the errors as a table for people, in meV."""
    rows = [
        ("energy, meV/atom", errors.energy_mae, errors.energy_rmse),
        ("conservative forces, meV/Å", errors.conservative_mae, errors.conservative_rmse),
    ]
    if errors.non_conservative_mae is not None:
        rows.append(
            (
                "non-conservative forces, meV/Å",
                errors.non_conservative_mae,
                errors.non_conservative_rmse,
            )
        )
    for name, title in (
        ("stress", "stress"),
        ("non_conservative_stress", "non-conservative stress"),
    ):
        mae, rmse = getattr(errors, f"{name}_mae"), getattr(errors, f"{name}_rmse")
        if mae is not None:
            rows.append((f"{title}, meV/Å^3", mae, rmse))
    lines = [
        f"{errors.n_structures} structures, {errors.n_atoms} atoms",
        f"{'':32}{'MAE':>10}{'RMSE':>10}",
    ]
    lines += [f"{n:32}{MEV_PER_EV * a:10.3f} {MEV_PER_EV * b:9.3f}" for n, a, b in rows]
    if errors.rms_c_minus_nc is not None:
        difference = MEV_PER_EV * errors.rms_c_minus_nc
        lines.append(f"{'C - NC, meV/Å per component':32}{'':10}{difference:10.3f}")
    return "\n".join(lines)
