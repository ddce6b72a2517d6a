"""The contract as checks that any model can be put through, trained or not.

A network is checked through the module that export wraps around it, so that what passes here
behaves the same in a file. The properties themselves are in :mod:`mlip_engines.conformance.checks`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from ase.data import atomic_numbers as number_of
from torch import nn

from mlip_engines.conformance.checks import CHECKS, DERIVATIVE_CHECKS
from mlip_engines.conformance.network import (
    check_attributes,
    check_network_outputs,
    check_scripted,
)
from mlip_engines.conformance.subject import Subject
from mlip_engines.conformance.symmetry import check_rotation
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.load import LoadedModel, load_model


class ConformanceWarning(UserWarning):
    """A check could not tell whether a model is right; the message has what was found."""


def check_conformance(
    model: nn.Module | LoadedModel | str | Path,
    species: Sequence[str] | None = None,
    *,
    rotation: bool = False,
) -> list[str]:
    """Check that a network or a model file does everything that engines rely on.

    Parameters
    ----------
    model : AtomicNetwork, ExportedModel, LoadedModel, str or Path
        A network is copied, put in evaluation mode and differentiated in float64.
    species : sequence of str, optional
        Chemical symbols to check with; those of the file, where there is one.
    rotation : bool
        Also demand that energy and forces turn with the structure, which the contract does not.

    Returns
    -------
    list of str
        The names of the checks that passed: all that apply, except those that end in a doubt.

    Warns
    -----
    ConformanceWarning
        For each doubt: something in the model is so steep that a check cannot tell. Engines run such a model.

    Raises
    ------
    ModelContractError
        If a check fails; the message lists every failure with what was expected and what was got.
    ValueError
        If the species are not known.

    Examples
    --------
    >>> from mlip_train.potentials.analytic import LennardJones
    >>> "forces are the negative energy gradient" in check_conformance(LennardJones(4.0), ["Ar"])
    True
    """
    if isinstance(model, str | Path):
        model = load_model(model)
    passed: list[str] = []
    failures: list[str] = []

    def attempt(name: str, check: Callable[[], str | None]) -> None:
        try:
            doubt = check()
        except Exception as e:  # whatever a foreign model raises is a failure of this check
            reason = str(e) if isinstance(e, ModelContractError) else f"{type(e).__name__}: {e}"
            failures.append(f"{name}: " + reason.strip().replace("\n", "\n    "))
        else:
            if doubt is None:
                passed.append(name)
            else:
                warnings.warn(f"{name}: {doubt}", ConformanceWarning, stacklevel=3)

    network = None
    if not isinstance(model, LoadedModel):
        network = model.network if isinstance(model, ExportedModel) else model
        attempt("attributes are declared", lambda: check_attributes(network))
    if not failures:  # without a cutoff there is nothing to go on with
        subject, derivatives = _subjects(model, species)
        if network is not None:
            attempt(
                "the network returns per-atom values",
                lambda: check_network_outputs(subject.module.network, subject),
            )
            attempt("scripted equals eager", lambda: check_scripted(subject))
        for name, check in CHECKS.items():
            attempt(name, lambda check=check: check(subject))
        for name, check in DERIVATIVE_CHECKS.items():
            attempt(name, lambda check=check: check(derivatives))
        if rotation:
            attempt("rotation turns the forces", lambda: check_rotation(subject))
    if failures:
        raise ModelContractError(
            f"the model fails {len(failures)} of {len(passed) + len(failures)} checks of the "
            "contract:\n  " + "\n  ".join(failures)
        )
    return passed


def _subjects(
    model: nn.Module | LoadedModel, species: Sequence[str] | None
) -> tuple[Subject, Subject]:
    """Return the model as it is, and as it is to be differentiated: in float64 if possible."""
    if isinstance(model, LoadedModel):
        metadata = model.metadata
        numbers = [number_of[s] for s in species or metadata.species]
        dtype = getattr(torch, metadata.dtype)
        subject = Subject(
            model.module,
            metadata.cutoff,
            metadata.message_passing_layers,
            dtype,
            metadata.has_non_conservative_forces,
            numbers,
            metadata.structure_inputs,
        )
        return subject, subject
    if species is None:
        raise ValueError("a network does not say which elements it knows: give species=[...]")
    numbers = [number_of[s] for s in species]
    if isinstance(model, ExportedModel):
        wrapped, network = copy.deepcopy(model).eval(), model.network
        precise = wrapped
    else:
        network = copy.deepcopy(model).eval()
        wrapped = ExportedModel(network, {}, 1.0).eval()
        precise = ExportedModel(copy.deepcopy(network).to(torch.float64), {}, 1.0).eval()
    head = "non_conservative_forces" in network.heads
    structure_inputs = list(getattr(network, "structure_inputs", []))
    reach = network.cutoff, network.message_passing_layers
    return (
        Subject(wrapped, *reach, wrapped.dtype, head, numbers, structure_inputs),
        Subject(precise, *reach, precise.dtype, head, numbers, structure_inputs),
    )
