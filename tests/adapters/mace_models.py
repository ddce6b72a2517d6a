"""Untrained models of mace-torch, small, of all the kinds that the adapter takes over."""

from pathlib import Path

import numpy as np
import torch

from mlip_engines.adapters.mace.model_file import imported

RESIDUAL = "RealAgnosticResidualInteractionBlock"
PLAIN = "RealAgnosticInteractionBlock"
DENSITY = "RealAgnosticDensityInteractionBlock"
DENSITY_RESIDUAL = "RealAgnosticDensityResidualInteractionBlock"

WATER = [1, 8]
TWENTY = list(range(1, 21))

# Blocks of the first and of the other layers, elements, and what differs from the defaults.
KINDS = {
    "scalars": (RESIDUAL, RESIDUAL, WATER, {"hidden": "16x0e"}),
    "vectors": (RESIDUAL, RESIDUAL, WATER, {}),
    "tensors": (RESIDUAL, RESIDUAL, WATER, {"hidden": "8x0e+8x1o+8x2e", "layers": 3}),
    "without_shift": (PLAIN, RESIDUAL, WATER, {"cls": "MACE"}),
    "density": (
        DENSITY,
        DENSITY_RESIDUAL,
        TWENTY,
        {"pair_repulsion": True, "distance_transform": "Agnesi"},
    ),
    "soft": (DENSITY_RESIDUAL, DENSITY, WATER, {"distance_transform": "Soft", "max_ell": 2}),
    "uncut": (RESIDUAL, RESIDUAL, WATER, {"apply_cutoff": False, "radial_type": "gaussian"}),
    "agnostic": (RESIDUAL, RESIDUAL, WATER, {"use_agnostic_product": True, "correlation": 2}),
    "last_readout": (RESIDUAL, RESIDUAL, WATER, {"use_last_readout_only": True}),
    "one_layer": (RESIDUAL, RESIDUAL, WATER, {"layers": 1}),
    "heads": (DENSITY_RESIDUAL, DENSITY_RESIDUAL, WATER, {"heads": ["pbe", "r2scan"]}),
}


def untrained(kind: str, **more) -> torch.nn.Module:
    """Build a model with random weights, in float64, so that none of its constants is rounded."""
    with imported():
        return _untrained(kind, more)


def _untrained(kind: str, more: dict) -> torch.nn.Module:
    from e3nn import o3
    from mace import modules

    first, other, numbers, changes = KINDS[kind]
    changes = {"hidden": "8x0e+8x1o", "layers": 2, "cls": "ScaleShiftMACE", **changes, **more}
    heads = changes.get("heads")
    n_heads = len(heads or [None])
    generator = np.random.default_rng(4)
    torch.manual_seed(7)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        arguments = {
            "r_max": 4.5,
            "num_bessel": 6,
            "num_polynomial_cutoff": 5,
            "max_ell": 3,
            "num_elements": len(numbers),
            "atomic_numbers": numbers,
            "interaction_cls_first": getattr(modules.blocks, first),
            "interaction_cls": getattr(modules.blocks, other),
            "num_interactions": changes.pop("layers"),
            "hidden_irreps": o3.Irreps(changes.pop("hidden")),
            "MLP_irreps": o3.Irreps("6x0e"),
            "atomic_energies": -400.0 * generator.random((n_heads, len(numbers))),
            "avg_num_neighbors": 9.0,
            "correlation": 3,
            "gate": torch.nn.functional.silu,
            "radial_MLP": [16, 16],
        }
        cls = changes.pop("cls")
        if cls == "ScaleShiftMACE":
            one = n_heads == 1
            arguments["atomic_inter_scale"] = 0.7 if one else [0.7, 0.9]
            arguments["atomic_inter_shift"] = 0.3 if one else [0.3, -0.2]
        return getattr(modules, cls)(**{**arguments, **changes}).double()
    finally:
        torch.set_default_dtype(before)


def written(kind: str, folder: Path, **more) -> Path:
    """Write a model as mace_run_train does."""
    path = folder / f"{kind}.model"
    torch.save(untrained(kind, **more), path)
    return path
