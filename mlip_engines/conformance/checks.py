"""The checks of the contract, each one property that an engine relies on.

A check is a function of a :class:`~mlip_engines.conformance.subject.Subject`. It returns nothing, or a sentence: a
doubt, about a model that may be right. It raises :class:`~mlip_engines.model.contract.ModelContractError` with what was
expected and what was got.
"""

from __future__ import annotations

from collections.abc import Callable

from mlip_engines.conformance.derivatives import check_forces, check_virial
from mlip_engines.conformance.force_constants import check_force_constants, check_hessian
from mlip_engines.conformance.locality import (
    check_batch,
    check_cutoff,
    check_no_edges,
    check_owned,
    check_reach,
)
from mlip_engines.conformance.outputs import (
    check_head_alone,
    check_inputs_kept,
    check_net_force,
    check_outputs,
)
from mlip_engines.conformance.subject import Subject
from mlip_engines.conformance.symmetry import (
    check_edge_order,
    check_images,
    check_permutation,
    check_translation,
)

CHECKS: dict[str, Callable[[Subject], str | None]] = {
    "outputs have their shapes and dtype": check_outputs,
    "inputs are not changed": check_inputs_kept,
    "the head alone gives the same forces": check_head_alone,
    "net forces are zero": check_net_force,
    "batch equals single": check_batch,
    "isolated atoms feel nothing": check_no_edges,
    "a doubled cell has twice the energy": check_images,
    "the order of edges does not matter": check_edge_order,
    "permutation of atoms": check_permutation,
    "translation, also by lattice vectors": check_translation,
    "domains add up": check_owned,
    "nothing is felt beyond the interaction range": check_reach,
    "smooth at the cutoff": check_cutoff,
}
DERIVATIVE_CHECKS: dict[str, Callable[[Subject], str | None]] = {
    "forces are the negative energy gradient": check_forces,
    "virial is the negative strain derivative": check_virial,
    "an atom of a crystal has one force constant": check_force_constants,
    "force constants change in proportion to displacements": check_hessian,
}
