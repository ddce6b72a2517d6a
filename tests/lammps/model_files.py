"""Exact models in files, with baselines as large as real ones."""

from pathlib import Path

from mlip_engines.analytic import PairNetwork
from mlip_engines.contract import ModelMetadata
from mlip_engines.export import export_model

SPECIES = ["H", "O"]
BASELINE = {"H": -13.5, "O": -27.0, "Ar": -13.5}  # eV
CUTOFF = 3.5  # Å; longer than half of every box in tests/structures.py but the long slab


def export_pair(network: PairNetwork, path: Path, species: list[str] = SPECIES) -> Path:
    """Write a model file."""
    dtype = str(network.axis.dtype).removeprefix("torch.")
    metadata = ModelMetadata(
        name=type(network).__name__,
        species=species,
        cutoff=network.cutoff,
        message_passing_layers=1,
        heads=network.heads,
        dtype=dtype,
        interaction_range=network.cutoff,
    )
    baseline = {symbol: BASELINE[symbol] for symbol in species}
    export_model(network, metadata, path, reference_energies=baseline)
    return path
