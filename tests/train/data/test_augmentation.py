"""Random orientations: uniformly distributed, and without effect on a network that is equivariant."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest

from mlip_train.command import main as train
from mlip_train.data.augmentation import random_orthogonal, turned
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.losses import loss
from mlip_train.loop.prediction import predict
from mlip_train.loss_weights import LossWeights
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from tests.labelled import RECIPE, argon_frames, write_argon, write_recipe
from tolerances import EXACT, TOLERANCE

CUTOFF = 5.0


def draws(count):
    generator = torch.Generator().manual_seed(2)
    return torch.stack([random_orthogonal(generator) for _ in range(count)])


def test_turns_are_orthogonal_and_uniformly_distributed():
    turns = draws(4000)
    identity = torch.eye(3, dtype=torch.float64).expand(4000, 3, 3)
    torch.testing.assert_close(turns @ turns.mT, identity, rtol=0, atol=EXACT)
    sign = torch.linalg.det(turns)
    assert binomtest(int((sign > 0).sum()), 4000).pvalue > 1e-3
    proper = turns * sign[:, None, None]
    # The angle of a uniform rotation has the density (1 - cos a) / pi, its axis no preferred direction.
    angle = torch.arccos((torch.einsum("nii->n", proper) - 1.0).mul(0.5).clamp(-1.0, 1.0))
    assert kstest(angle.numpy(), lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-3
    odd = proper - proper.mT
    axis = torch.stack([odd[:, 2, 1], odd[:, 0, 2], odd[:, 1, 0]], dim=1)
    axis = axis / axis.norm(dim=1, keepdim=True)
    for component in axis.T:  # uniform on a sphere: each component is uniform (Archimedes)
        assert kstest(component.numpy(), "uniform", args=(-1.0, 2.0)).pvalue > 1e-3


def losses(network, item):
    batch = collate([item], torch.zeros(119), CUTOFF, torch.float64)
    prediction = predict(
        network,
        batch,
        0.3,
        differentiate=True,
        with_non_conservative=True,
        create_graph=False,
        with_stress=True,
    )
    # Quadratic: the bend of the Huber loss is at one component, which depends on the direction.
    terms = "energy", "conservative", "non_conservative", "stress", "match"
    weights = LossWeights(**dict.fromkeys(terms, 1.0), functions=dict.fromkeys(terms, "mse"))
    return {name: float(term.detach()) for name, term in loss(prediction, batch, weights).items()}


@pytest.mark.training
@pytest.mark.parametrize("network_type", [PaiNN, PET])
def test_an_equivariant_network_does_not_notice(network_type):
    torch.manual_seed(2)
    network = network_type([18], CUTOFF, n_layers=2).double().train()
    item = prepare(argon_frames(1)[0], CUTOFF)
    before = losses(network, item)
    changes = []
    for turn in draws(3):
        after = losses(network, turned(item, turn))
        changes.append([abs(after[name] / before[name] - 1.0) for name in before])
    limit = TOLERANCE["float32"].equality  # of the labels, which are float32
    if network_type is PaiNN:
        assert np.max(changes) < limit
    else:  # the test would see a network that does notice
        assert np.min(np.max(changes, axis=0)) > 10 * limit


@pytest.mark.training
def test_a_run_turns_each_structure_with_its_labels_and_keeps_its_shape(tmp_path, monkeypatch):
    data = write_argon(tmp_path / "argon.xyz")
    seen = []

    def recorded(network, batch, *arguments, **options):
        seen.append(
            (
                batch.graph.edge_vectors.detach().clone(),
                batch.labels.forces[batch.graph.edge_index[0]],
            )
        )
        return predict(network, batch, *arguments, **options)

    monkeypatch.setattr("mlip_train.loop.trainer.predict", recorded)
    for augment in ("false", "true"):
        text = RECIPE.replace("perturbed_steps: 0.3", "") + f"\naugment: {augment}\n"
        path = write_recipe(tmp_path / "recipe.yaml", text)
        assert train([str(path), "--data", str(data), "-o", str(tmp_path / augment)]) == 0
    before, after = seen[: len(seen) // 2], seen[len(seen) // 2 :]  # the same order of structures
    assert len(after) == len(before) == 4 * 8
    limit = TOLERANCE["float32"].force
    ratios = set()
    for (edges, forces), (turned_edges, turned_forces) in zip(before, after, strict=True):
        expected = edges[0] @ torch.cat((edges, forces)).T  # lengths and angles
        found = turned_edges[0] @ torch.cat((turned_edges, turned_forces)).T
        torch.testing.assert_close(found, expected, rtol=0, atol=limit)
        ratios.add(tuple((turned_edges[0] / edges[0]).tolist()))
    assert len(ratios) == len(before)
