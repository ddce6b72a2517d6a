"""What each term of the loss moves, and what it must not move."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.losses import loss
from mlip_train.loop.prediction import predict
from mlip_train.loss_weights import LossWeights
from mlip_train.networks.painn import PaiNN
from tests.labelled import argon_frames
from tolerances import TOLERANCE

CUTOFF = 5.0
EQUALITY = TOLERANCE["float64"].equality


def network_and_batch(displacements=None, perturbation=0.0):
    torch.manual_seed(2)
    network = PaiNN([18], CUTOFF, n_features=8, n_basis=5, n_layers=2, non_conservative_layer=1)
    network = network.double().train()
    items = [prepare(atoms, CUTOFF) for atoms in argon_frames(2)]
    batch = collate(items, torch.zeros(119), CUTOFF, torch.float64, displacements, perturbation)
    return network, batch


def run(network, batch, weights):
    prediction = predict(
        network,
        batch,
        1.0,
        differentiate=True,
        with_non_conservative=True,
        create_graph=True,
    )
    return prediction, loss(prediction, batch, weights)


def test_match_has_no_gradient_into_the_energy():
    network, batch = network_and_batch()
    _, terms = run(network, batch, LossWeights(energy=0.0, match=1.0))
    terms["total"].backward()
    moved = [
        p.grad for p in [*network.energy_layers.parameters(), *network.energy_head.parameters()]
    ]
    assert all(g is None or not g.any() for g in moved)
    assert all(p.grad is not None for p in network.force_head.parameters() if p.numel() > 8)


def test_match_vanishes_when_the_heads_agree():
    network, batch = network_and_batch()
    prediction, terms = run(network, batch, LossWeights(energy=0.0, match=1.0))
    assert terms["match"] > 0.0
    same = type(prediction)(
        prediction.energies, prediction.conservative, prediction.conservative.detach()
    )
    assert loss(same, batch, LossWeights(energy=0.0, match=1.0))["match"] == 0.0


def test_conservative_forces_equal_the_energy_difference_of_displaced_atoms():
    step = 1e-4
    network, batch = network_and_batch()
    network.eval()
    forces = predict(
        network, batch, 1.0, differentiate=True, with_non_conservative=False, create_graph=False
    ).conservative
    energies = []
    for sign in (1.0, -1.0):
        move = torch.zeros(8, 3, dtype=torch.float64)
        move[3, 1] = sign * step
        _, moved = network_and_batch([move, torch.zeros_like(move)])
        prediction = predict(
            network,
            moved,
            1.0,
            differentiate=False,
            with_non_conservative=False,
            create_graph=False,
        )
        energies.append(float(prediction.energies[2].detach()))  # of the first copy
    difference = -(energies[0] - energies[1]) / (2 * step)
    assert abs(difference - float(forces[3, 1])) < TOLERANCE["float64"].force


def test_match_slope_is_the_directional_derivative_of_c_minus_nc():
    length = 1e-5
    torch.manual_seed(5)
    directions = [torch.randn(8, 3, dtype=torch.float64) for _ in range(2)]
    network, batch = network_and_batch([length * u for u in directions], length)
    weights = LossWeights(energy=0.0, match=1.0, match_slope=2.0, huber_slope=1e6)
    _, terms = run(network, batch, weights)

    # the same from forces at both ends of a step, one structure at a time, centred differences
    squares = []
    for atoms, u in zip(argon_frames(2), directions, strict=True):
        ends = []
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            moved.positions += sign * length * u.numpy()
            single = collate([prepare(moved, CUTOFF)], torch.zeros(119), CUTOFF, torch.float64)
            prediction, _ = run(network, single, weights)
            ends.append((prediction.non_conservative - prediction.conservative).detach())
        squares.append(((ends[0] - ends[1]) / (2 * length)).pow(2))
    expected = 2.0 * float(torch.stack(squares).mean()) / 2 / 1e6
    assert float(terms["match_slope"].detach()) == pytest.approx(expected, rel=1e-3)

    terms["match_slope"].backward()
    energy = [*network.energy_layers.parameters(), *network.energy_head.parameters()]
    assert all(p.grad is None or not p.grad.any() for p in energy)


def test_perturbed_copies_have_no_labels():
    network, batch = network_and_batch([0.05 * torch.ones(8, 3).double()] * 2)
    assert batch.labels.has_energy.tolist() == [True, True, False, False]
    assert batch.labels.has_forces.tolist() == [True, True, False, False]
    weights = LossWeights(energy=1.0, conservative=1.0)
    _, before = run(network, batch, weights)
    batch.labels.forces[16:] += 100.0
    batch.labels.energies[2:] += 100.0
    _, after = run(network, batch, weights)
    assert torch.equal(before["total"], after["total"])


ALL_TERMS = {"energy": 1.0, "conservative": 1.0, "non_conservative": 1.0, "stress": 1.0}


def terms_of(frames, **options):
    """Return the terms of a loss of these frames in one batch, by a network that is always the same."""
    torch.manual_seed(2)
    network = PaiNN([18], CUTOFF, n_features=8, n_basis=5, n_layers=2, non_conservative_layer=1)
    network = network.double().train()
    items = [prepare(atoms, CUTOFF, options.get("type_weights")) for atoms in frames]
    batch = collate(items, torch.zeros(119), CUTOFF, torch.float64)
    wanted = {"differentiate": True, "with_non_conservative": True, "create_graph": True}
    prediction = predict(network, batch, 1.0, with_stress=True, **wanted)
    functions = dict.fromkeys(ALL_TERMS, options.get("function", "huber"))
    return loss(prediction, batch, LossWeights(**ALL_TERMS, functions=functions))


@pytest.mark.parametrize("missing", ["energy", "forces", "stress"])
def test_a_structure_without_a_label_does_without_its_term(missing):
    """The terms are those of the structures that have the label, in a batch of their own."""
    whole = terms_of(argon_frames(3))
    known = terms_of([argon_frames(3)[0], argon_frames(3)[2]])
    frames = argon_frames(3)
    del frames[1].calc.results[missing]
    partly = terms_of(frames)
    uses = {"forces": ["conservative", "non_conservative"]}.get(missing, [missing])
    for name in ALL_TERMS:
        expected = known if name in uses else whole
        torch.testing.assert_close(partly[name], expected[name], rtol=1e-12, atol=0)
    for atoms in frames:
        atoms.calc.results.pop(missing, None)
    assert not set(uses) & set(terms_of(frames))


@pytest.mark.parametrize("function", ["huber", "mse", "mae"])
def test_weights_of_structures_are_factors_on_their_terms(function):
    """Structures are of one size: the mean with weights is that of each alone, times its weight."""
    frames = argon_frames(2)
    alone = [terms_of([atoms], function=function) for atoms in frames]
    frames[0].info["config_type"] = "hot"
    frames[0].info["config_energy_weight"] = 0.5
    frames[1].info["config_weight"] = 3.0
    frames[1].info["config_forces_weight"] = 0.0
    terms = terms_of(frames, function=function, type_weights={"hot": 4.0, "cold": 9.0})
    weights = {"energy": (2.0, 3.0), "stress": (4.0, 3.0)}
    for name in ALL_TERMS:
        first, second = weights.get(name, (4.0, 0.0))
        expected = 0.5 * (first * alone[0][name] + second * alone[1][name])
        torch.testing.assert_close(terms[name], expected, rtol=1e-10, atol=0)


def test_lengths_of_error_vectors_against_numpy():
    """``norm`` and ``rms_norm`` (eq. 6 of Fu et al.); a force without error does not make the gradient nan."""
    network, batch = network_and_batch()
    prediction, _ = run(network, batch, LossWeights())
    forces = prediction.conservative.detach().clone()
    forces[5] = batch.labels.forces[5]
    forces.requires_grad_()
    exact = type(prediction)(prediction.energies, forces, prediction.non_conservative)
    lengths = np.linalg.norm((forces - batch.labels.forces).detach().numpy(), axis=1)
    expected = {"norm": lengths.mean(), "rms_norm": np.sqrt((lengths**2).mean())}
    for function, value in expected.items():
        weights = LossWeights(energy=0.0, conservative=2.0, functions={"conservative": function})
        found = loss(exact, batch, weights)["total"]
        assert float(found.detach()) == pytest.approx(2.0 * value, rel=EQUALITY)
        (slope,) = torch.autograd.grad(found, forces)
        assert torch.isfinite(slope).all()
        assert float(slope.norm()) > 0.0 and not slope[5].any()


def test_lengths_do_not_depend_on_the_axes():
    network, batch = network_and_batch()
    prediction, _ = run(network, batch, LossWeights())
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turned = replace(batch, labels=replace(batch.labels, forces=batch.labels.forces @ turn))
    forces = type(prediction)(
        prediction.energies, prediction.conservative @ turn, prediction.non_conservative
    )
    for function, agrees in (("norm", True), ("rms_norm", True), ("mae", False)):
        weights = LossWeights(energy=0.0, conservative=1.0, functions={"conservative": function})
        before, after = (
            float(loss(*given, weights)["total"].detach())
            for given in ((prediction, batch), (forces, turned))
        )
        assert (before == pytest.approx(after, rel=EQUALITY)) is agrees
