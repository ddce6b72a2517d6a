"""Exact models in files."""

from pathlib import Path

import pytest
import torch

from mlip_train.potentials.analytic import LennardJones
from tests.lammps_plugin.model_files import (
    CUTOFF,
    SPECIES,
    SquareRoot,
    Tilted,
    WithStress,
    export_pair,
)
from tests.written_models import WrittenModels

WATER = {"cutoff": CUTOFF, "epsilon": 0.02, "sigma": 1.1}
NETWORKS = {
    "exact": (LennardJones(**WATER), SPECIES),
    "curl": (LennardJones(**WATER, curl=0.01), SPECIES),
    "no_head": (LennardJones(**WATER, with_non_conservative_head=False), SPECIES),
    "float32": (LennardJones(**WATER, curl=0.01), SPECIES),
    "stress": (WithStress(**WATER, c=0.02), SPECIES),
    "liquid": (LennardJones(6.0, curl=0.004), SPECIES),
    "argon": (LennardJones(6.0, curl=0.004), ["Ar"]),
    "argon_float32": (LennardJones(6.0, curl=0.004), ["Ar"]),
    "exact_argon": (LennardJones(6.0), ["Ar"]),
    "tilted": (Tilted(6.0, epsilon=0.0104, sigma=3.4, tilt=0.02), ["Ar"]),
    "square_root": (SquareRoot(5.5, a=0.05), ["Ar"]),
    "neon": (LennardJones(5.0, epsilon=0.003, sigma=2.8, curl=0.002), ["Ne"]),
}


@pytest.fixture(scope="session", autouse=True)
def _plugin(plugin):
    """Before fixtures of a module that run LAMMPS."""


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> WrittenModels:
    """Model files by name."""

    def write(name: str, path: Path) -> None:
        network, species = NETWORKS[name]
        dtype = torch.float32 if name.endswith("float32") else torch.float64
        export_pair(network.to(dtype), path, species)

    return WrittenModels(tmp_path_factory.mktemp("models"), NETWORKS, write)
