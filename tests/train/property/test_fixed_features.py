"""A head on features that are computed once gives what the whole network gives, and learns the same."""

import pytest
import torch
from ase.build import molecule

from mlip_train.data.structure import prepare
from mlip_train.property.fixed_features import FixedFeatures
from mlip_train.property.network import Build, PropertyNetwork
from mlip_train.property.pooling import POOLINGS
from mlip_train.property.prediction import batch_of

NETWORK = {
    "name": "painn",
    "species": [1, 6, 8],
    "cutoff": 3.0,
    "n_features": 8,
    "n_basis": 5,
    "n_layers": 1,
    "non_conservative_layer": 0,
    "n_force_layers": 0,
}
CHOSEN = [3, 0, 4]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_properties_and_gradients_are_those_of_the_whole_network(pooling):
    torch.manual_seed(3)
    network = PropertyNetwork(Build(NETWORK, ["a", "b"], pooling)).double()
    network.train_only_head()
    names = ["H2O", "CH4", "CO", "CH3OH", "H2"]
    structures = [prepare(molecule(name), network.cutoff) for name in names]
    values = torch.randn(5, 2, dtype=torch.float64)
    network.scales.fit([s.atomic_numbers for s in structures], values)
    fixed = FixedFeatures(network, structures, batch_size=2)
    whole = network(batch_of([structures[k] for k in CHOSEN], network))
    found = fixed.properties(CHOSEN)
    torch.testing.assert_close(found, whole)
    head = list(network.pooling.parameters())
    slopes = [torch.autograd.grad(some.square().sum(), head) for some in (found, whole)]
    for mine, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, theirs)
