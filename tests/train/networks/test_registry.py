"""Networks of other packages: an entry point is enough to train, resume from and export one."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

from mlip_engines import MlipCalculator
from mlip_engines.commands.export import main as export
from mlip_engines.model.graph import Graph
from mlip_train import networks
from mlip_train.command import main as train
from mlip_train.networks import build_network, network_names
from mlip_train.networks.painn import PaiNN
from structures import STRUCTURES
from tests.labelled import write_argon

RECIPE = """
name: pairs
network: {name: pairs, cutoff: 5.0, stiffness: 0.3}
n_validation: 2
n_test: 2
batch_size: 4
stages: [{name: only, epochs: 2, learning_rate: 0.01, weights: {energy: 1.0, conservative: 1.0}}]
"""


class Pairs(nn.Module):
    """E = 1/2 sum k (1 - (r/r_c)^2)^3, with k learned: a network as another package may have it."""

    def __init__(self, species: list[int], cutoff: float, stiffness: float = 1.0):
        super().__init__()
        self.cutoff, self.message_passing_layers = cutoff, 1
        self.heads = ["energy"]
        self.species = species
        self.stiffness = nn.Parameter(torch.tensor([[stiffness]]))

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        fade = (1.0 - (torch.linalg.vector_norm(graph.edge_vectors, dim=1) / self.cutoff) ** 2) ** 3
        zero = torch.zeros_like(graph.atomic_numbers, dtype=fade.dtype)
        energies = 0.5 * self.stiffness[0, 0] * fade
        return {"atomic_energies": zero.index_add(0, graph.edge_index[0], energies)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        raise RuntimeError("no head")


@pytest.fixture
def offered(monkeypatch):
    """Register networks as an installed package does, by name and value of the entry point."""

    def offer(**values):
        points = [EntryPoint(name, value, networks.GROUP) for name, value in values.items()]
        monkeypatch.setattr(networks, "entry_points", lambda group: points)

    return offer


@pytest.mark.training
def test_a_network_of_another_package_is_trained_and_exported(offered, tmp_path):
    offered(pairs=f"{__name__}:Pairs")
    assert network_names() == sorted([*networks.NETWORKS, "pairs"])
    recipe, data = tmp_path / "recipe.yaml", write_argon(tmp_path / "argon.xyz")
    recipe.write_text(RECIPE)
    run = tmp_path / "run"
    assert train([str(recipe), "--data", str(data), "-o", str(run)]) == 0
    model = tmp_path / "pairs.pt"
    assert export([str(run / "checkpoint.pt"), "-o", str(model), "--short-range", "none"]) == 0
    # The file needs the other package no more, and is the closed form with what was learned.
    offered()
    atoms = STRUCTURES["orthogonal"]()
    atoms.numbers[:] = 18
    atoms.calc = MlipCalculator(model)
    weights = torch.load(run / "checkpoint.pt", weights_only=False)
    learned = float(weights["average"]["stiffness"]) * float(weights["scale"])
    distances = neighbor_list("d", atoms, 5.0)
    expected = learned * 0.5 * float(((1.0 - (distances / 5.0) ** 2) ** 3).sum())
    offset = len(atoms) * atoms.calc.model.metadata.reference_energies["Ar"]
    np.testing.assert_allclose(atoms.get_potential_energy() - offset, expected, rtol=1e-4)


def test_what_cannot_be_had_is_named(offered):
    offered(pairs="no_such_package:Pairs", painn=f"{__name__}:Pairs")
    with pytest.raises(ValueError, match="pairs: no_such_package:Pairs cannot be imported"):
        build_network({"name": "pairs", "species": [18], "cutoff": 5.0})
    with pytest.raises(ValueError, match=r"'painn', 'pairs', 'pet'.*got 'mace'.*installed"):
        build_network({"name": "mace"})
    network = build_network({"name": "painn", "species": [18], "cutoff": 5.0, "n_features": 8})
    assert isinstance(network, PaiNN)  # no other package takes the name
