"""Every element that is judged is also trained on, and the split is otherwise a random one."""

import numpy as np
import pytest
from ase import Atoms

from mlip_train.data.split import elements_in, split_indices


def test_the_only_structures_with_an_element_are_trained_on():
    frames = [Atoms("Ar") for _ in range(20)]
    plain = split_indices(elements_in(frames), 4, 4, 7, set())
    rare = plain["test"][0], plain["validation"][0]
    for k, symbol in zip(rare, ("Xe", "Kr"), strict=True):
        frames[k] = Atoms(["Ar", symbol])
    split = split_indices(elements_in(frames), 4, 4, 7, set())
    assert set(rare) <= set(split["train"])
    assert {name: len(part) for name, part in split.items()} == {
        "test": 4,
        "validation": 4,
        "train": 12,
    }
    assert sorted(sum(split.values(), [])) == list(range(20))


def test_two_structures_with_an_element_are_not_both_held_out():
    for seed in range(20):
        frames = [Atoms("Ar") for _ in range(8)]
        frames[2], frames[5] = Atoms("ArXe"), Atoms("Xe")
        split = split_indices(elements_in(frames), 3, 3, seed, set())
        assert {2, 5} & set(split["train"])


def test_where_no_element_is_rare_the_split_is_the_random_order_cut_in_three():
    order = np.random.default_rng(3).permutation(30)
    split = split_indices([frozenset({18})] * 30, 5, 6, 3, {int(order[0])})
    assert split["test"] == sorted(order[1:7])
    assert split["validation"] == sorted(order[7:12])
    assert split["train"] == sorted(order[12:])


def test_elements_of_one_structure_each_are_named_when_too_few_can_be_held_out():
    elements = [frozenset({z}) for z in (18, 36, 54)] + [frozenset({18})]
    with pytest.raises(ValueError, match=r"got 1: .*'Ar', 'Kr', 'Xe'.*lower n_validation"):
        split_indices(elements, 1, 1, 0, set())
    # A duplicate that is left out does not count as another structure with the element.
    with pytest.raises(ValueError, match="got 0"):
        split_indices(elements, 1, 0, 0, {3})
