"""Exact models in files, and the hosts that work here."""

from pathlib import Path

import pytest
import torch

from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.export import export_model
from mlip_train.potentials.analytic import HarmonicPair, LennardJones, PairNetwork
from tests.conftest import is_installed
from tests.openmm_forces.argon import ARGON
from tests.written_models import WrittenModels

BASELINE = {"H": -13.5, "O": -430.0, "Ar": -570.0}  # eV


@pytest.fixture(scope="session", params=["torch", "python"])
def host(request) -> str:
    """Each way to host a model in OpenMM."""
    if request.param == "torch" and not is_installed("openmmtorch"):
        pytest.skip("openmmtorch is not installed: pip install 'mlip-engines[openmm]'")
    return request.param


@pytest.fixture(scope="session")
def any_host() -> str:
    """The faster host, for tests that are not about hosts."""
    return "auto"


def write_model(path: Path, network: PairNetwork, species: list[str], dtype="float64") -> Path:
    metadata = ModelMetadata(
        name=path.stem,
        species=species,
        cutoff=network.cutoff,
        message_passing_layers=1,
        heads=network.heads,
        dtype=dtype,
        interaction_range=network.cutoff,
    )
    energies = {symbol: BASELINE[symbol] for symbol in species}
    export_model(network.to(getattr(torch, dtype)), metadata, path, reference_energies=energies)
    return path


WATER = {"cutoff": 3.5, "epsilon": 0.02, "sigma": 1.1, "curl": 0.01}
EXACT = {name: value for name, value in ARGON.items() if name != "curl"}
NETWORKS = {
    "water": (LennardJones(**WATER), ["H", "O"]),
    "water_float32": (LennardJones(**WATER), ["H", "O"], "float32"),
    "argon": (LennardJones(**ARGON), ["Ar"]),
    "no_head": (LennardJones(**EXACT, with_non_conservative_head=False), ["Ar"]),
    "harmonic": (HarmonicPair(cutoff=6.0, k=0.4, r0=3.0), ["Ar"]),
}


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> WrittenModels:
    """Model files by name; ``argon`` has a head that errs by a curl."""
    folder = tmp_path_factory.mktemp("models")
    return WrittenModels(folder, NETWORKS, lambda name, path: write_model(path, *NETWORKS[name]))
