"""The operators that torch knows under ``torch.ops.mlip``: compiled ones, or composed ones in their place."""

from __future__ import annotations

import warnings

import torch

from mlip_engines.compiled import operators, target
from mlip_engines.compiled.target import BuildError
from mlip_engines.launcher import is_first
from mlip_engines.operators.atom_blocks import (
    composed_equivariant_update,
    composed_gated_vectors,
    composed_message_sources,
)
from mlip_engines.operators.bessel_edges import composed_bessel_edges
from mlip_engines.operators.edges import composed_near_edges
from mlip_engines.operators.messages import composed_equivariant_message
from mlip_engines.operators.neighbor_sums import composed_neighbor_sum
from mlip_engines.operators.symmetric_products import composed_polynomial
from mlip_engines.operators.tensor_products import composed_tensor_product_sum

# What each is, and what it does where there is no compiled one. Without LAMMPS nobody exchanges anything.
COMPOSED = {
    "neighbor_sum(Tensor weights, Tensor features, Tensor first_edge, Tensor neighbor) -> Tensor": (
        composed_neighbor_sum
    ),
    "equivariant_message(Tensor radial, Tensor unit, Tensor sources, Tensor filters, Tensor first_edge, "
    "Tensor neighbor) -> Tensor": composed_equivariant_message,
    "tensor_product_sum(Tensor sources, Tensor harmonics, Tensor weights, Tensor coupling, Tensor path, Tensor "
    "first_edge, Tensor neighbor) -> Tensor": composed_tensor_product_sum,
    "polynomial(Tensor features, Tensor species, Tensor coefficients, Tensor factors, Tensor output, int size) -> "
    "Tensor": composed_polynomial,
    "message_sources(Tensor s, Tensor v, Tensor w_1, Tensor b_1, Tensor w_2, Tensor b_2, bool has_vectors) -> "
    "Tensor": composed_message_sources,
    "equivariant_update(Tensor s, Tensor v, Tensor messages, Tensor w, Tensor w_1, Tensor b_1, Tensor w_2, Tensor b_2, "
    "float width) -> (Tensor, Tensor)": composed_equivariant_update,
    "gated_vectors(Tensor s, Tensor v, Tensor w, Tensor w_1, Tensor b_1, Tensor w_2, Tensor b_2, float width) -> "
    "(Tensor, Tensor)": composed_gated_vectors,
    "bessel_edges(Tensor edge_index, Tensor edge_vectors, int n_basis, float cutoff, int n_centres) -> (Tensor, "
    "Tensor, Tensor, Tensor)": composed_bessel_edges,
    "near_edges(Tensor positions, Tensor cell, Tensor pairs, Tensor images, Tensor order, float cutoff) -> (Tensor, "
    "Tensor, Tensor)": composed_near_edges,
    "exchange(Tensor features) -> Tensor": lambda features: features.clone(),
    "swap_edges(Tensor features) -> Tensor": lambda features: features.clone(),
    "reverse_edges_elsewhere(int n_edges) -> int": lambda n_edges: 0,
    "evaluated_atoms(int n_atoms) -> int": lambda n_atoms: n_atoms,
    "is_exchanging(int n_atoms) -> bool": lambda n_atoms: False,
}

_composed: torch.library.Library | None = None  # kept: without it the registration ends


def load() -> None:
    """Make torch know the operators, unless it does: the compiled ones, or else composed ones with a warning.

    Warns
    -----
    RuntimeWarning
        If the operators are not compiled for this torch; the message says why, and what to run.

    Raises
    ------
    ImportError
        If LAMMPS in the same process has brought operators of other sources, which lack some of these.
    """
    global _composed
    names = [schema.partition("(")[0] for schema in COMPOSED]
    missing = [name for name in names if not hasattr(torch.ops.mlip, name)]
    if not missing:  # loaded already, or LAMMPS in the same process was first
        return
    if len(missing) < len(names):
        raise ImportError(
            f"the LAMMPS in this process has loaded operators of another version of mlip-engines, which lack "
            f"{', '.join(missing)}; run: mlip-lammps build, or import mlip_engines.operators before lammps"
        )
    reason = _load_compiled()
    if reason is None:
        return
    if is_first():
        warnings.warn(
            f"the operators are {reason}. On a CPU models run several times slower without them; run: "
            f"{operators.BUILD_COMMAND}",
            RuntimeWarning,
            stacklevel=2,
        )
    library = torch.library.Library("mlip", "FRAGMENT")
    for (schema, function), name in zip(COMPOSED.items(), names, strict=True):
        library.define(schema)
        library.impl(name, function, "CompositeImplicitAutograd")
    _composed = library


def _load_compiled() -> str | None:
    """Load the compiled operators; return why there are none, None if there are."""
    try:
        wanted = operators.operators_target()
        folder = target.find(wanted)
    except BuildError as error:
        return f"not compiled: {error}"
    if folder is None:
        return target.why_missing(wanted)
    try:
        torch.ops.load_library(str(folder / operators.LIBRARY_NAME))
    except OSError as error:
        return (
            f"compiled, but this torch cannot load them ({error}): compile them again with --force"
        )
    return None


def are_compiled() -> bool:
    """Return whether the compiled operators are in use."""
    return _composed is None
