"""Displacements along the stiff modes, against a Hessian by finite differences."""

import torch

from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.perturbation import MASSES, random_displacements, stiff_displacements
from mlip_train.loop.prediction import predict
from mlip_train.networks.painn import PaiNN
from tests.labelled import argon_frames
from tolerances import TOLERANCE

CUTOFF = 5.0
LENGTH = 1e-4


def test_stiff_displacements_are_one_power_iteration_of_the_dynamical_matrix():
    torch.manual_seed(4)
    network = PaiNN([10, 18], CUTOFF, n_features=8, n_basis=5, n_layers=2).double()
    atoms = argon_frames(1)[0]
    atoms.calc = None
    atoms.numbers[:3] = 10
    item, baseline = prepare(atoms, CUTOFF), torch.zeros(119)
    drawn = random_displacements([item], LENGTH, torch.Generator().manual_seed(1))
    (turned,) = stiff_displacements(network, [item], drawn, baseline, LENGTH)

    def forces(step):
        moved = atoms.copy()
        moved.positions += step
        batch = collate([prepare(moved, CUTOFF)], baseline, CUTOFF, torch.float64)
        return predict(
            network, batch, 1.0, differentiate=True, with_non_conservative=False, create_graph=False
        ).conservative.detach()

    hessian, h = torch.zeros(24, 24, dtype=torch.float64), 1e-4
    for k in range(24):
        step = torch.zeros(24, dtype=torch.float64)
        step[k] = h
        step = step.view(8, 3).numpy()
        hessian[k] = (forces(-step) - forces(step)).flatten() / (2 * h)
    expected = (hessian @ drawn[0].flatten()).view(8, 3) / MASSES[item.atomic_numbers][:, None]
    expected *= LENGTH / expected.pow(2).mean().sqrt()
    cosine = torch.nn.functional.cosine_similarity(turned.flatten(), -expected.flatten(), dim=0)
    assert abs(1.0 - float(cosine)) < TOLERANCE["float64"].force
    assert abs(float(turned.pow(2).mean().sqrt()) - LENGTH) < 1e-12 * LENGTH
