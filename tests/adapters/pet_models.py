"""Checkpoints of PET as metatrain writes them: random weights, but real factors and energies of free atoms."""

from __future__ import annotations

import copy
from pathlib import Path

import metatensor.torch as mts
import torch
from metatrain.pet import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from omegaconf import OmegaConf

# Settings that differ from metatrain's defaults.
KINDS = {
    "feedforward": {},
    "adaptive": {"num_neighbors_adaptive": 12.0},
    "grid": {"num_neighbors_adaptive": 12.0, "adaptive_cutoff_method": "grid"},
    "residual": {
        "featurizer_type": "residual",
        "cutoff_function": "Cosine",
        "normalization": "LayerNorm",
        "activation": "SiLU",
        "transformer_type": "PostLN",
    },
}
_SMALL = {
    "cutoff": 4.5,
    "cutoff_width": 1.0,
    "d_pet": 16,
    "d_head": 16,
    "d_node": 32,
    "d_feedforward": 32,
    "num_heads": 2,
    "num_attention_layers": 1,
    "num_gnn_layers": 2,
}


def written(kind: str, folder: Path, numbers: tuple[int, ...] = (1, 8), **more) -> Path:
    """Write the checkpoint of a model with energy, forces and stress; return its path."""
    torch.manual_seed(5)
    hypers = {**get_default_hypers("pet")["model"], **_SMALL, **KINDS[kind], **more}
    model = PET(hypers, DatasetInfo("angstrom", list(numbers), _targets()))
    count = torch.arange(1.0, len(numbers) + 1.0, dtype=torch.float64)[:, None]
    _set(model.additive_models[0], "energy_composition_buffer", -13.6 * count)
    _set(model.scaler, "energy_scaler_buffer", torch.tensor([[0.7]]))
    _set(model.scaler, "energy_per_target_scaler_buffer", torch.tensor([[0.7]]))
    of_species = 0.5 + 0.3 * count
    for name in ("_scaler_buffer", "_per_target_scaler_buffer"):
        _set(model.scaler, "non_conservative_forces" + name, of_species)
        _set(model.scaler, "non_conservative_stress" + name, torch.tensor([[1.3]]))
    checkpoint = model.get_checkpoint()
    checkpoint["best_model_state_dict"] = copy.deepcopy(model.state_dict())
    checkpoint.update({"epoch": 0, "best_epoch": 0})
    path = folder / f"{kind}.ckpt"
    torch.save(checkpoint, path)
    return path


def _set(module: torch.nn.Module, name: str, values: torch.Tensor) -> None:
    """Set the numbers in a table that metatrain keeps as a buffer of bytes."""
    table = mts.load_buffer(getattr(module, name))
    block = table.block()
    block.values[:] = values.to(block.values.dtype).expand_as(block.values)
    setattr(module, name, mts.save_buffer(mts.make_contiguous(table)))


def _targets() -> dict:
    def generic(name: str, quantity: str, unit: str, rank: int, per: str):
        target = {
            "quantity": quantity,
            "unit": unit,
            "type": {"cartesian": {"rank": rank}},
            "sample_kind": per,
            "num_subtargets": 1,
        }
        return get_generic_target_info(name, OmegaConf.create(target))

    energy = OmegaConf.create({"quantity": "energy", "unit": "eV"})
    forces, stress = "non_conservative_forces", "non_conservative_stress"
    return {
        "energy": get_energy_target_info("energy", energy, True, True),
        forces: generic(forces, "force", "eV/A", 1, "atom"),
        stress: generic(stress, "pressure", "eV/A^3", 2, "system"),
    }
