"""Exact models in files, and what they are put through."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from torch import nn

from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.export import export_model
from mlip_train.potentials.analytic import HarmonicPair, LennardJones

K, CURL = 2.0, 0.5  # eV/Å^2
WIDE = 20_000.0  # Å, a cutoff that a small cluster does not feel
EPSILON, SIGMA = 0.0104, 3.4  # argon
ARGON_CURL = 0.002  # eV/Å^2


def write_model(
    path: Path,
    network: nn.Module,
    species: list[str],
    reference_energies: dict[str, float] | None = None,
    scale: float = 1.0,
) -> Path:
    metadata = ModelMetadata(
        name=path.stem,
        species=species,
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.message_passing_layers * network.cutoff,
        heads=network.heads,
        dtype="float64",
        licence="BSD-3-Clause",
    )
    export_model(
        network.double(), metadata, path, reference_energies=reference_energies, scale=scale
    )
    return path


@pytest.fixture(scope="session")
def linear_model(tmp_path_factory) -> Path:
    """F_i = sum_j [k + c z x](r_j - r_i): every Jacobian and every loop is known in closed form."""
    network = HarmonicPair(WIDE, k=K, r0=0.0, curl=CURL)
    return write_model(tmp_path_factory.mktemp("linear") / "linear.pt", network, ["Ar"])


@pytest.fixture(scope="session")
def argon_model(tmp_path_factory) -> Path:
    """Lennard-Jones with a head that swirls."""
    network = LennardJones(7.0, EPSILON, SIGMA, curl=ARGON_CURL)
    return write_model(tmp_path_factory.mktemp("argon") / "argon.pt", network, ["Ar"])


@pytest.fixture(scope="session")
def argon() -> Atoms:
    """A crystal of 32 argon atoms."""
    from ase.build import bulk

    return bulk("Ar", a=5.3, cubic=True).repeat(2)


@pytest.fixture
def cluster() -> Atoms:
    rng = np.random.default_rng(7)
    return Atoms("Ar5", rng.normal(size=(5, 3)))
