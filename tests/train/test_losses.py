"""What each term of the loss moves, and what it must not move."""

import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.neighbors import neighbor_graph
from structures import STRUCTURES
from tests.train.labelled import argon_frames
from tolerances import EXACT, TOLERANCE
from train.batching import collate
from train.composition import fit_composition, force_scale
from train.dataset import prepare
from train.losses import LossWeights, loss, predict
from train.models.painn import PaiNN

CUTOFF = 5.0


def network_and_batch(displacements=None):
    torch.manual_seed(2)
    network = PaiNN([18], CUTOFF, n_features=8, n_basis=5, n_layers=2, non_conservative_layer=1)
    network = network.double().train()
    items = [prepare(atoms, CUTOFF) for atoms in argon_frames(2)]
    batch = collate(items, torch.zeros(119), CUTOFF, torch.float64, displacements)
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
        _, moved = network_and_batch([move, None])
        prediction = predict(
            network,
            moved,
            1.0,
            differentiate=False,
            with_non_conservative=False,
            create_graph=False,
        )
        energies.append(float(prediction.energies[0].detach()))
    difference = -(energies[0] - energies[1]) / (2 * step)
    assert abs(difference - float(forces[3, 1])) < TOLERANCE["float64"].force


def test_perturbed_structures_lose_their_labels():
    network, batch = network_and_batch([0.05 * torch.ones(8, 3).double(), None])
    assert batch.labelled.tolist() == [False, True]
    weights = LossWeights(energy=1.0, conservative=1.0)
    _, before = run(network, batch, weights)
    batch.forces[:8] += 100.0
    batch.energies[0] += 100.0
    _, after = run(network, batch, weights)
    assert torch.equal(before["total"], after["total"])


def test_composition_is_recovered_from_exact_totals():
    frames = argon_frames(4)
    for k, atoms in enumerate(frames):
        atoms.numbers[: k + 1] = 10
        energy = -2.5 * (8 - k - 1) - 1.25 * (k + 1)
        atoms.calc.results["energy"] = energy
        atoms.calc.atoms = atoms.copy()
    fitted = fit_composition(frames)
    assert abs(fitted["Ar"] + 2.5) < 1e-10 and abs(fitted["Ne"] + 1.25) < 1e-10


def test_force_scale_is_the_rms_component():
    frames = argon_frames(3)
    components = torch.cat([torch.tensor(a.get_forces()).flatten() for a in frames])
    assert abs(force_scale(frames) - float(components.pow(2).mean().sqrt())) < 1e-12


@pytest.mark.parametrize("name", ["triclinic", "slab", "molecules", "cell_smaller_than_cutoff"])
def test_displaced_edges_are_those_of_the_displaced_structure(name):
    atoms = STRUCTURES[name]()
    calculated = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}
    atoms.calc = SinglePointCalculator(atoms, **calculated)
    move = 0.1 * torch.tensor(np.random.default_rng(0).uniform(-1, 1, atoms.positions.shape))
    batch = collate([prepare(atoms, 3.0)], torch.zeros(119), 3.0, torch.float64, [move])
    atoms.positions += move.numpy()
    graph = neighbor_graph(atoms, 3.0)
    expected = sorted(map(tuple, torch.cat((graph.edge_index.T, graph.edge_vectors), 1).tolist()))
    found = sorted(map(tuple, torch.cat((batch.edge_index.T, batch.edge_vectors), 1).tolist()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)
    opposite = batch.edge_vectors[batch.reverse_edge]
    torch.testing.assert_close(opposite, -batch.edge_vectors, rtol=0, atol=EXACT)
