"""Exact models in files."""

from pathlib import Path

import pytest
import torch

from mlip_train.potentials.analytic import LennardJones
from tests.lammps_plugin.model_files import CUTOFF, SquareRoot, Tilted, WithStress, export_pair


@pytest.fixture(scope="session", autouse=True)
def _plugin(plugin):
    """Before fixtures of a module that run LAMMPS."""


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    """Model files by name."""
    folder = tmp_path_factory.mktemp("models")
    networks = {
        "exact": LennardJones(CUTOFF, epsilon=0.02, sigma=1.1),
        "curl": LennardJones(CUTOFF, epsilon=0.02, sigma=1.1, curl=0.01),
        "no_head": LennardJones(CUTOFF, epsilon=0.02, sigma=1.1, with_non_conservative_head=False),
    }
    files = {
        name: export_pair(network.to(torch.float64), folder / f"{name}.pt")
        for name, network in networks.items()
    }
    single = LennardJones(CUTOFF, epsilon=0.02, sigma=1.1, curl=0.01)
    files["float32"] = export_pair(single.to(torch.float32), folder / "float32.pt")
    argon = LennardJones(6.0, curl=0.004)
    files["argon"] = export_pair(argon.to(torch.float64), folder / "argon.pt", ["Ar"])
    liquid = LennardJones(6.0, curl=0.004)
    files["liquid"] = export_pair(liquid.to(torch.float64), folder / "liquid.pt")
    exact_argon = LennardJones(6.0)
    files["exact_argon"] = export_pair(exact_argon.to(torch.float64), folder / "ar.pt", ["Ar"])
    neon = LennardJones(5.0, epsilon=0.003, sigma=2.8, curl=0.002)
    files["neon"] = export_pair(neon.to(torch.float64), folder / "neon.pt", ["Ne"])
    single_argon = LennardJones(6.0, curl=0.004)
    path = folder / "argon_float32.pt"
    files["argon_float32"] = export_pair(single_argon.to(torch.float32), path, ["Ar"])
    tilted = Tilted(6.0, epsilon=0.0104, sigma=3.4, tilt=0.02)
    files["tilted"] = export_pair(tilted.to(torch.float64), folder / "tilted.pt", ["Ar"])
    root = SquareRoot(5.5, a=0.05)
    files["square_root"] = export_pair(root.to(torch.float64), folder / "root.pt", ["Ar"])
    stress = WithStress(CUTOFF, epsilon=0.02, sigma=1.1, c=0.02)
    files["stress"] = export_pair(stress.to(torch.float64), folder / "stress.pt")
    return files
