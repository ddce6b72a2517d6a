"""Errors of a set do not depend on how many structures are evaluated together."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_train.data.structure import prepare
from mlip_train.loop.metrics import evaluate
from mlip_train.networks import build_network
from tests.small_networks import CUTOFF, NETWORKS
from tolerances import TOLERANCE


def labelled(n, rng):
    atoms = Atoms("HO" * n, rng.uniform(0.0, 4.0, (2 * n, 3)))
    labels = {"energy": rng.normal(), "forces": rng.normal(size=(2 * n, 3))}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def test_errors_are_those_of_each_structure_alone():
    torch.manual_seed(1)
    rng = np.random.default_rng(2)
    settings = {"name": "painn", "species": [1, 8], "cutoff": CUTOFF, **NETWORKS["painn"]}
    network = build_network(settings).double()
    # of two to twelve atoms, some with a label less, and one that is alone larger than a group
    frames = [labelled(1 + k % 6, rng) for k in range(11)] + [labelled(15, rng)]
    del frames[3].calc.results["energy"]
    del frames[4].calc.results["forces"]
    structures = [prepare(atoms, CUTOFF) for atoms in frames]
    arguments = network, structures, torch.zeros(119, dtype=torch.float64), 1.0
    each: list = []
    alone = evaluate(*arguments, differentiate=True, most_atoms=1)
    for most_atoms in (13, 256):
        together = evaluate(*arguments, differentiate=True, most_atoms=most_atoms, each=each)
        assert together == pytest.approx(alone, rel=TOLERANCE["float64"].equality, nan_ok=True)
    assert len(each) == 2 * len(frames)
