"""The ASE calculator of a model file, the reference that the engines are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from mlip_engines.keywords import refuse_unknown
from mlip_engines.model.graph import Graph, graph_to_device
from mlip_engines.model.load import LoadedModel, load_model
from mlip_engines.model.neighbors import as_tensors, neighbor_graph
from mlip_engines.model.structure_inputs import structure_inputs_from_info
from mlip_engines.model.structure_properties import evaluate_properties
from mlip_engines.quantities import stress_from_virial, stress_to_ase_voigt

FORCES = ("conservative", "non_conservative")
_OF_ASE = ("atoms", "directory", "label")  # keywords of Calculator that have a meaning here


class NonFiniteResultError(ValueError):
    """The model gives an energy or a force that is not finite for a structure."""


class MlipCalculator(Calculator):
    """Energy, forces and stress of a model file in ASE.

    A TorchScript file is a program that runs on your machine: load only what you trust.

    ===========================  ========  =========  ==============================================
    property                     shape     unit       meaning
    ===========================  ========  =========  ==============================================
    ``energy``, ``free_energy``            eV         the same: there is no electronic entropy
    ``energies``                 (N,)      eV         per atom
    ``forces``                   (N, 3)    eV/Å       as chosen by ``forces``
    ``stress``                   (6,)      eV/Å^3     of the energy; xx yy zz yz xz xy, ASE's sign
    ``stresses``                 (N, 6)    eV/Å^3     the part of each atom, see below; they sum to ``stress``
    ``non_conservative_forces``  (N, 3)    eV/Å       if the model has this head
    ===========================  ========  =========  ==============================================

    Properties of the structure that the model file has, such as ``gap``, are there under their names, in the units that
    its metadata say: ``calculator.get_property("gap", atoms)``. They are evaluated when they are asked for.

    With conservative forces the non-conservative head runs only when its forces are asked for; with
    non-conservative forces the energy is evaluated only when it is asked for.

    What the two atoms of an edge do to the stress is shared equally between them, as in LAMMPS's ``compute
    stress/atom``, which gives V times these values. Only the sum over atoms is independent of such a choice.

    A calculator can be pickled: it keeps the path of the model file, which is read again where it is unpickled. In a
    process forked from one that has loaded a model, torch computes with one thread.

    Parameters
    ----------
    model : str, Path or LoadedModel
        A model file, or the name of a shipped model.
    forces : {"conservative", "non_conservative"}
        What the property ``forces`` is. Non-conservative forces are not the gradient of an energy: on their own
        they heat a simulation, and a minimiser may not converge.
    device : str or torch.device, optional
        Default the CPU, or that of a model that is already loaded.
    total_charge : float, optional
        Charge of the structure in elementary charges, for models that depend on it. The default is
        ``atoms.info["total_charge"]`` or ``atoms.info["charge"]``.
    spin_multiplicity : int, optional
        2 S + 1, likewise. The default is ``atoms.info["spin_multiplicity"]`` or ``atoms.info["spin"]``.

    Raises
    ------
    FileNotFoundError, ModelContractError
        As :func:`mlip_engines.model.load.load_model`.
    ValueError
        If ``forces`` is neither of the two, the model has no such head or is loaded on another device, or it does not
        depend on a charge or a spin that is given. When evaluated: if an atom is of an element that the model does not
        know, a coordinate is not finite, two atoms are at the same place, or the model depends on a charge or a spin
        that neither the calculator nor the structure gives.
    NonFiniteResultError
        When evaluated: if energy, forces or stress are not finite. This is a ValueError.

    Examples
    --------
    >>> from ase.build import molecule
    >>> atoms = molecule("H2O")
    >>> atoms.calc = MlipCalculator("water")  # doctest: +SKIP
    >>> atoms.get_forces()  # doctest: +SKIP
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]
    ignored_changes: ClassVar[set[str]] = {"initial_charges", "initial_magmoms"}

    def __init__(
        self,
        model: str | Path | LoadedModel = "water",
        *,
        forces: str = "conservative",
        device: str | torch.device | None = None,
        total_charge: float | None = None,
        spin_multiplicity: int | None = None,
        **of_ase: Any,
    ):
        refuse_unknown("MlipCalculator", of_ase, [*_KEYWORDS, *_OF_ASE])
        super().__init__(**of_ase)
        if forces not in FORCES:
            raise ValueError(f"forces must be one of {', '.join(FORCES)}, got {forces!r}")
        self.model = model if isinstance(model, LoadedModel) else load_model(model, device or "cpu")
        self.device = next(self.model.module.buffers()).device
        if device is not None and not _is_same(torch.device(device), self.device):
            raise ValueError(
                f"{self.model.path}: expected device '{self.device}', where the model is loaded, got '{device}'; leave "
                "it out, or give the path of the model"
            )
        has_head = self.model.metadata.has_non_conservative_forces
        if forces == "non_conservative" and not has_head:
            raise ValueError(
                f"{self.model.path}: non-conservative forces need a model with this head, got "
                f"{', '.join(self.model.metadata.heads)}; use conservative forces or another model"
            )
        if has_head:
            self.implemented_properties = [*self.implemented_properties, "non_conservative_forces"]
        self.property_names = [each["name"] for each in self.model.metadata.properties]
        self.implemented_properties = [*self.implemented_properties, *self.property_names]
        given = {"total_charge": total_charge, "spin_multiplicity": spin_multiplicity}
        self.given = {name: value for name, value in given.items() if value is not None}
        if set(self.given) - set(self.model.metadata.structure_inputs):
            self.model.check_structure_inputs(**self.given)
        self.evaluated_with: dict[str, Any] = {}  # total charge and spin of the results
        self.force_kind = forces
        # (3, 3) eV, of the last energy, -dE/d(strain); also without a cell, where there is no stress
        self.virial: np.ndarray | None = None

    def set(self, **parameters: Any) -> dict[str, Any]:
        """Refuse to change anything: a calculator stays what it was made as."""
        refuse_unknown("MlipCalculator", parameters, _KEYWORDS)
        if parameters:
            raise TypeError(
                f"an MlipCalculator cannot be changed, got {', '.join(parameters)}; make another: "
                f"MlipCalculator({', '.join(f'{name}=...' for name in parameters)})"
            )
        return {}

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed since the last evaluation; a charge or a spin in ``atoms.info`` counts."""
        changes = super().check_state(atoms, tol)
        if self.atoms is not None and self._structure_inputs(atoms) != self.evaluated_with:
            changes.append("info")
        return changes

    def _structure_inputs(self, atoms: Atoms) -> dict[str, Any]:
        """Return what is given of what the model depends on: by the calculator, else by the structure."""
        asked = self.model.metadata.structure_inputs
        return {**structure_inputs_from_info(asked, atoms.info), **self.given}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate what is asked for, and what comes with it at no cost."""
        super().calculate(atoms, properties, system_changes)
        if system_changes:
            self.results = {}
        wanted = set(properties) - set(self.results)
        metadata = self.model.metadata
        self.model.check_elements(set(self.atoms.get_chemical_symbols()))
        if wanted & {"stress", "stresses"} and self.atoms.cell.rank < 3:
            raise PropertyNotImplementedError(
                f"a stress needs a cell of three lattice vectors, got {self.atoms.cell.tolist()}"
            )
        structure = self._structure_inputs(self.atoms)
        self.evaluated_with = structure
        graph = neighbor_graph(self.atoms, metadata.cutoff)._replace(
            **as_tensors(self.model.check_structure_inputs(**structure))
        )
        graph = graph_to_device(graph, self.device)
        if wanted & set(self.property_names):
            found = evaluate_properties(self.model, [graph])[0].tolist()
            self.results.update(zip(self.property_names, found, strict=True))
            wanted -= set(self.property_names)
            if not wanted:
                return
        with_non_conservative = "non_conservative_forces" in wanted or (
            "forces" in wanted and self.force_kind == "non_conservative"
        )
        if wanted <= {"forces", "non_conservative_forces"} and (
            self.force_kind == "non_conservative" or "forces" not in wanted
        ):
            output = self.model.non_conservative(graph)
        else:
            output = self.model.evaluate(
                graph,
                with_non_conservative=with_non_conservative,
                with_atomic_virials="stresses" in wanted,
            )
        self._store({name: value.cpu().numpy() for name, value in output.items()}, graph)

    def _store(self, values: dict[str, np.ndarray], graph: Graph) -> None:
        """Translate the output of the model into ASE's results."""
        self._check_finite(values, graph)
        if "energy" in values:
            self.virial = values["virial"]
            energy = float(values["energy"])
            self.results.update(energy=energy, free_energy=energy)
            self.results["energies"] = values["atomic_energies"]
            if self.atoms.cell.rank == 3:
                volume = self.atoms.get_volume()
                stress = stress_from_virial(values["virial"], volume)
                self.results["stress"] = stress_to_ase_voigt(stress)
                if "atomic_virials" in values:
                    parts = [stress_from_virial(w, volume) for w in values["atomic_virials"]]
                    self.results["stresses"] = np.array([stress_to_ase_voigt(s) for s in parts])
            if self.force_kind == "conservative":
                self.results["forces"] = values["forces"]
        if "non_conservative_forces" in values:
            self.results["non_conservative_forces"] = values["non_conservative_forces"]
            if self.force_kind == "non_conservative":
                self.results["forces"] = values["non_conservative_forces"].copy()

    def _check_finite(self, values: dict[str, np.ndarray], graph: Graph) -> None:
        """Raise NonFiniteResultError that names the closest pair, the usual reason."""
        names = ("energy", "forces", "virial", "non_conservative_forces")
        bad = [n for n in names if n in values and not np.isfinite(values[n]).all()]
        if not bad:
            return
        pair = "there are no two atoms within the cutoff"
        if graph.n_edges:
            distances = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
            i, j = graph.edge_index[:, distances.argmin()].tolist()
            pair = f"the closest atoms are {i} and {j}, {float(distances.min()):.3g} Å apart"
        raise NonFiniteResultError(
            f"{self.model.path}: {', '.join(bad).replace('_', '-')} of this structure are not finite; {pair}. "
            "Start from a structure without atoms on top of each other"
        )


def _is_same(wanted: torch.device, actual: torch.device) -> bool:
    """Whether two devices are the same; "cuda" is any GPU."""
    return wanted.type == actual.type and wanted.index in (None, actual.index)


_KEYWORDS = list(signature(MlipCalculator).parameters)[:-1]  # without **of_ase
