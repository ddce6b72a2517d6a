"""Untrained checkpoints as torchmd-train writes them."""

from pathlib import Path
from typing import Any

import torch

CUTOFF = 4.0
FREE_ATOMS = {1: -13.0, 8: -400.0}
_COMMON = {
    "embedding_dimension": 16,
    "num_layers": 2,
    "num_rbf": 8,
    "rbf_type": "expnorm",
    "trainable_rbf": False,
    "activation": "silu",
    "attn_activation": "silu",
    "num_heads": 2,
    "distance_influence": "both",
    "neighbor_embedding": True,
    "vector_cutoff": True,
    "equivariance_invariance_group": "O(3)",
    "aggr": "add",
    "cutoff_lower": 0.0,
    "cutoff_upper": CUTOFF,
    "max_z": 100,
    "max_num_neighbors": 256,
    "atom_filter": -1,
    "derivative": True,
    "output_model": "Scalar",
    "reduce_op": "add",
    "prior_model": [{"Atomref": {"max_z": 100}}],
    "precision": 32,
}
ZBL = {
    "cutoff_distance": 4.5,
    "max_num_neighbors": 256,
    "atomic_number": list(range(100)),
    "distance_scale": 1e-10,
    "energy_scale": 1.602176634e-19,
}


def write_checkpoint(kind: str, path: Path, *, mean: float = 0.0, **changes: Any) -> Path:
    """Write a checkpoint of a network with random weights, a scale and, by default, energies of free atoms."""
    from torchmdnet.models.model import create_model

    arguments = {**_COMMON, "model": kind, **changes}
    torch.manual_seed(0)
    model = create_model(arguments, mean=torch.tensor(mean), std=torch.tensor(1.7))
    for prior in model.prior_model or []:
        if hasattr(prior, "atomref"):
            for number, energy in FREE_ATOMS.items():
                prior.atomref.weight.data[number] = energy
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"hyper_parameters": arguments, "state_dict": state}, path)
    return path
