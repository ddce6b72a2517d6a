"""Checkpoints as NequIP's own training writes them, of one step on three molecules."""

import os
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

_RUN = """
run: [train]
data:
  _target_: nequip.data.datamodule.ASEDataModule
  seed: 1
  train_file_path: {folder}/frames.xyz
  val_file_path: {folder}/frames.xyz
  transforms:
    - {{_target_: nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper, model_type_names: {types}}}
    - {{_target_: nequip.data.transforms.NeighborListTransform, r_max: 4.0}}
  train_dataloader: {{_target_: torch.utils.data.DataLoader, batch_size: 1}}
  val_dataloader: {{_target_: torch.utils.data.DataLoader, batch_size: 1}}
  stats_manager: {{_target_: nequip.data.CommonDataStatisticsManager, type_names: {types}}}
trainer:
  _target_: lightning.Trainer
  accelerator: cpu
  max_epochs: 1
  enable_progress_bar: false
  logger: false
  callbacks:
    - _target_: lightning.pytorch.callbacks.ModelCheckpoint
      dirpath: {folder}/run
      save_last: true
training_module:
  _target_: nequip.train.EMALightningModule
  loss: {{_target_: nequip.train.EnergyForceLoss}}
  val_metrics: {{_target_: nequip.train.EnergyForceMetrics, coeffs: {{total_energy_mae: 1.0}}}}
  optimizer: {{_target_: torch.optim.Adam, lr: 0.001}}
  model: {model}
global_options: {{allow_tf32: false}}
"""
_ANY = "type_names: {types}, seed: 1, r_max: 4.0"
_COMMON = _ANY + ", avg_num_neighbors: 10.0, l_max: 1, num_layers: 2"
MODELS = {
    "nequip": (
        "{{_target_: nequip.model.NequIPGNNModel, model_dtype: float64, "
        + _COMMON
        + ", num_features: 8, "
        "radial_mlp_depth: 1, radial_mlp_width: 16, per_type_energy_shifts: {shifts}, "
        "per_type_energy_scales: {scales}}}"
    ),
    # all that NequIP has: norms by element, a repulsion, a shorter cutoff between two elements, a deeper readout
    "everything": (
        "{{_target_: nequip.model.NequIPGNNModel, model_dtype: float64, "
        + _ANY
        + ", l_max: 2, num_layers: 3, num_features: [8, 4, 2], parity: true, type_embed_num_features: 5, "
        "avg_num_neighbors: {scales}, bessel_trainable: true, polynomial_cutoff_p: 4, radial_mlp_depth: 2, "
        "radial_mlp_width: 8, readout_mlp_hidden_layers_depth: 1, readout_mlp_hidden_layers_width: 6, "
        "per_edge_type_cutoff: {cutoffs}, per_type_energy_shifts: {shifts}, per_type_energy_scales: 0.7, "
        "pair_potential: {{_target_: nequip.nn.pair_potential.ZBL, units: metal, chemical_species: {types}}}}}"
    ),
    # with a part that has no counterpart in the network of ours
    "norms": (
        "{{_target_: nequip.model.FullNequIPGNNModel, model_dtype: float64, "
        + _ANY
        + ", avg_num_neighbors: 10.0, radial_mlp_depth: [1, 1], radial_mlp_width: [8, 8], "
        "feature_irreps_hidden: [8x0e + 4x1o, 8x0e], irreps_edge_sh: 0e + 1o, type_embed_num_features: 8, "
        "convnet_nonlinearity_type: norm, per_type_energy_shifts: {shifts}}}"
    ),
    # in float32, with a repulsion of its own and a shorter cutoff between the first two elements
    "allegro": (
        "{{_target_: allegro.model.AllegroModel, model_dtype: float32, "
        + _COMMON
        + ", num_scalar_features: 8, "
        "num_tensor_features: 4, per_edge_type_cutoff: {cutoffs}, per_type_energy_shifts: {shifts}, "
        "radial_chemical_embed: {{_target_: allegro.nn.TwoBodyBesselScalarEmbed, num_bessels: 6}}, pair_potential: "
        "{{_target_: nequip.nn.pair_potential.ZBL, units: metal, chemical_species: {types}}}}}"
    ),
}
# What a run leaves out of the way of these tests.
_QUIET = {"OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "1", "PYTHONWARNINGS": "ignore"}


def write_checkpoint(kind: str, folder: Path, species: tuple[str, ...] = ("H", "O")) -> Path:
    """Train for one epoch and return the checkpoint."""
    rng, frames = np.random.default_rng(0), []
    for _ in range(3):
        numbers = list(species)
        positions = np.arange(len(numbers))[:, None] * [1.0, 0.2, 0.1] + 0.05 * rng.normal(
            size=(len(numbers), 3)
        )
        atoms = Atoms(numbers, positions, cell=[3.0 + len(numbers), 8.0, 8.0], pbc=True)
        forces = 0.1 * rng.normal(size=(len(numbers), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=-426.0 + rng.normal(), forces=forces)
        frames.append(atoms)
    ase.io.write(folder / "frames.xyz", frames)

    def dictionary(value_of) -> str:
        return "{" + ", ".join(f"{s}: {value_of(k)}" for k, s in enumerate(species)) + "}"

    first, second = species[:2]
    model = MODELS[kind].format(
        types="[" + ", ".join(species) + "]",
        shifts=dictionary(lambda k: -13.0 - 100.0 * k),
        scales=dictionary(lambda k: 1.0 + 0.1 * k),
        cutoffs=f"{{{first}: {{{first}: 2.5, {second}: 4.0}}, {second}: 4.0}}",
    )
    types = "[" + ", ".join(species) + "]"
    (folder / "run.yaml").write_text(_RUN.format(folder=folder, types=types, model=model))
    command = ["-cp", str(folder), "-cn", "run", f"hydra.run.dir={folder}/run"]
    _run("nequip.scripts.train", *command)
    return folder / "run/last.ckpt"


def write_package(checkpoint: Path, path: Path) -> Path:
    """Return a package made from a checkpoint."""
    _run("nequip.scripts.package", "build", str(checkpoint), str(path))
    return path


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **_QUIET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
