"""Errors by element are the root mean squares over the atoms of the element alone."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.labels.batch import labels_of
from mlip_engines.properties.by_element import ElementSums, element_rows


def labelled(symbols, forces=None):
    atoms = Atoms(symbols, np.arange(3.0 * len(symbols)).reshape(-1, 3))
    results = {"energy": 0.0} if forces is None else {"energy": 0.0, "forces": forces}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_they_are_those_of_numpy():
    random = np.random.default_rng(1)
    structures = [
        labelled(["O", "H", "H"], random.normal(size=(3, 3))),
        labelled(["O"]),  # without forces: its atom counts nowhere
        labelled(["H", "C"], random.normal(size=(2, 3))),
    ]
    errors = [random.normal(size=(3, 3)), random.normal(size=(2, 3))]
    sums = ElementSums()
    for batch, own in ((structures[:2], errors[:1]), (structures[2:], errors[1:])):
        labels = labels_of(batch)
        reference = labels.forces[labels.forces_known].double().flatten()
        predicted = reference + torch.tensor(np.concatenate(own)).flatten()
        numbers = torch.tensor(np.concatenate([a.numbers for a in batch]))
        sums.add(numbers, labels, {"conservative": (reference, predicted)})
    symbols = np.array(["O", "H", "H", "H", "C"])
    every = np.concatenate(errors)
    found = {each.symbol: each for each in sums.errors()}
    assert list(found) == ["H", "C", "O"]
    for symbol, each in found.items():
        expected = np.sqrt(np.mean(every[symbols == symbol] ** 2))
        assert each.conservative_rmse == pytest.approx(expected, rel=1e-12)
        assert each.n_atoms == (symbols == symbol).sum()
        assert each.non_conservative_rmse is None
    header, rows = element_rows(sums.errors())
    assert len(header) == len(rows[0])


def test_without_labels_of_forces_there_are_none():
    sums = ElementSums()
    atoms = labelled(["O"])
    sums.add(torch.tensor([8]), labels_of([atoms]), {})
    assert sums.errors() == []
