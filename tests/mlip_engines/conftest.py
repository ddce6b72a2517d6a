"""Exact models in files, and an environment without a compiled plugin."""

import os
from pathlib import Path

import pytest
import torch

from mlip_engines.compiled import target
from mlip_engines.launcher import without_launcher
from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.export import export_model
from mlip_train.potentials.analytic import LennardJones, PairNetwork
from tests.exact_models import (  # noqa: F401  fixtures of all folders below
    argon,
    argon_model,
    cluster,
    linear_model,
)

PARAMETERS = {"cutoff": 4.0, "epsilon": 0.02, "sigma": 1.1}
CURL = 0.03
REFERENCE_ENERGIES = {"H": -13.6, "O": -430.1}


def metadata_of(network: PairNetwork, name: str, dtype: str) -> ModelMetadata:
    return ModelMetadata(
        name=name,
        species=["H", "O"],
        cutoff=network.cutoff,
        message_passing_layers=1,
        heads=network.heads,
        dtype=dtype,
        interaction_range=network.cutoff,
        licence="BSD-3-Clause",
    )


def write_lennard_jones(path: Path, dtype: str, *, head: bool = True) -> Path:
    network = LennardJones(**PARAMETERS, curl=CURL, with_non_conservative_head=head)
    network = network.to(getattr(torch, dtype))
    metadata = metadata_of(network, path.stem, dtype)
    export_model(network, metadata, path, reference_energies=REFERENCE_ENERGIES)
    return path


@pytest.fixture(scope="session")
def model_files(tmp_path_factory) -> dict[str, Path]:
    """A Lennard-Jones model whose head errs by a known curl, by dtype; and one without head."""
    folder = tmp_path_factory.mktemp("models")
    files = {
        dtype: write_lennard_jones(folder / f"{dtype}.pt", dtype)
        for dtype in ("float64", "float32")
    }
    files["no_head"] = write_lennard_jones(folder / "no_head.pt", "float64", head=False)
    return files


@pytest.fixture
def no_plugin(monkeypatch, tmp_path):
    """Look for compiled libraries in a folder that has none."""
    monkeypatch.setattr(target, "roots", lambda: [tmp_path / "plugins"])
    (tmp_path / "plugins").mkdir()
    launched = set(os.environ) - set(without_launcher(os.environ))
    for name in {"LAMMPS_POTENTIALS", *launched}:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "plugins"
