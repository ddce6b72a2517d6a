"""Networks that learn further elements keep what they know of the old ones."""

import pytest
import torch

from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network
from mlip_train.networks.growth import grown_weights, nearest_element
from structures import STRUCTURES
from tolerances import TOLERANCE

EQUALITY = TOLERANCE["float64"].equality


@pytest.mark.parametrize("name", ["painn", "pet"])
def test_old_elements_give_the_same_and_new_ones_are_known(name):
    settings = {"name": name, "cutoff": 4.0, "species": [8, 1]}
    old = build_network(settings).double().eval()
    new = build_network({**settings, "species": [8, 1, 6, 16]}).double().eval()
    new.load_state_dict(grown_weights(old.state_dict(), [8, 1], new, [8, 1, 6, 16]))
    graph = neighbor_graph(STRUCTURES["molecules"](), 4.0)
    for key, value in old(graph, True).items():
        torch.testing.assert_close(new(graph, True)[key], value, rtol=EQUALITY, atol=EQUALITY)
    numbers = graph.atomic_numbers.clone()
    numbers[0] = 16
    output = new(graph._replace(atomic_numbers=numbers), True)
    assert all(torch.isfinite(value).all() for value in output.values())


def test_a_new_element_begins_as_the_one_of_its_size():
    assert nearest_element(16, [1, 8]) == 8  # S beside O, not H
    assert nearest_element(19, [3, 8]) == 3


def test_another_network_is_refused():
    settings = {"name": "painn", "cutoff": 4.0, "species": [1]}
    old = build_network({**settings, "n_features": 8}).state_dict()
    new = build_network({**settings, "species": [1, 8], "n_features": 16})
    with pytest.raises(ValueError, match="embedding.weight"):
        grown_weights(old, [1], new, [1, 8])
    fewer = build_network({**settings, "n_features": 8, "n_layers": 2}).state_dict()
    with pytest.raises(ValueError, match="one of both only"):
        grown_weights(fewer, [1], new, [1, 8])
