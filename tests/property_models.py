"""Model files with random networks for the energy and for properties, and the trained networks themselves."""

from pathlib import Path

import torch

from mlip_engines.checkpoints import export_checkpoint
from mlip_train.networks import build_network, complete_settings
from mlip_train.property.checkpoint import save_property
from mlip_train.property.network import Build, PropertyNetwork
from tests.small_networks import NETWORKS

SPECIES = [1, 8]
CUTOFF = 3.5  # Å


def property_network(name: str, pooling: str, targets=("gap", "polarizability"), seed=3):
    """Return a network in float64 whose numbers are of the size of real ones, its build and settings."""
    settings = complete_settings(
        {"name": name, "species": SPECIES, "cutoff": CUTOFF, **NETWORKS[name]}
    )
    build = Build(settings, list(targets), pooling, ["eV", "Angstrom^3"][: len(targets)])
    torch.manual_seed(seed)
    network = PropertyNetwork(build).double().eval()
    n = len(targets)
    network.scales.spread[:] = 3.0 * torch.rand(n) + 1.0
    if pooling == "sum":
        network.scales.per_element[:] = 1000.0 * torch.randn(119, n, dtype=torch.float64)
    else:
        network.scales.mean[:] = 10.0 * torch.randn(n)
    return network, build


def write_checkpoint(path: Path, name: str, pooling: str) -> tuple[Path, PropertyNetwork]:
    """Write the checkpoint of a run that began with a potential; return it and the network of the properties."""
    network, build = property_network(name, pooling)
    torch.manual_seed(5)
    potential = build_network(build.network).double()
    record = {
        "species": ["H", "O"],
        "name": "random",
        "errors": {},
        "errors_by": {},
        "card": {},
        "licence": "",
        "citation": "",
        "shortest_distances": {"H-H": 0.5, "H-O": 0.5, "O-O": 0.5},
        "training": {"network": build.network},
        "network": build.network,
        "weights": potential.state_dict(),
        "reference_energies": {"H": -13.5, "O": -430.0},
        "scale": 1.0,
        "energy_range": {},
        "largest_forces": {},
    }
    save_property(
        path, {"build": build.as_dict(), "best": network.state_dict(), "potential": record}
    )
    return path, network


def write_property_model(folder: Path, name: str, pooling: str) -> tuple[Path, PropertyNetwork]:
    """Write a model file in float64; return it and the network of the properties."""
    checkpoint, network = write_checkpoint(folder / f"{name}_{pooling}.ckpt", name, pooling)
    path = folder / f"{name}_{pooling}.pt"
    export_checkpoint(checkpoint, path, "float64")
    return path, network
