"""The features of atoms are those that the network's own energy is read from, for each network."""

import pytest
import torch
from ase.build import molecule

from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import NETWORKS, build_network
from mlip_train.property.features import AtomFeatures

NAMES = sorted(set(NETWORKS) - {"eam"})


@pytest.mark.parametrize("name", ["cgcnn", "painn", "schnet"])
def test_the_energy_head_turns_them_into_the_energies(name):
    torch.manual_seed(2)
    network = build_network({"name": name, "species": [1, 8], "cutoff": 4.0}).double().eval()
    graph = neighbor_graph(molecule("H2O2"), 4.0)
    features = AtomFeatures(network)(graph)
    energies = network.energy_head(features).flatten()
    torch.testing.assert_close(energies, network(graph, False)["atomic_energies"])


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_features_of_each_atom(name):
    torch.manual_seed(2)
    network = build_network({"name": name, "species": [1, 8], "cutoff": 4.0}).double().eval()
    features = AtomFeatures(network)
    graph = neighbor_graph(molecule("H2O2"), 4.0)
    assert features(graph).shape == (graph.atomic_numbers.numel(), features.size())


def test_a_network_without_an_energy_head_is_refused():
    with pytest.raises(ValueError, match="expected a network with an energy_head"):
        AtomFeatures(build_network({"name": "eam", "species": [1, 8], "cutoff": 4.0}))
