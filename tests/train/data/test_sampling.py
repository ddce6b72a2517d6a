"""Batches of an epoch: every structure once, never more than the limits, a structure that is too large is named."""

import numpy as np
import pytest
import torch

from mlip_train.command import main as train
from mlip_train.data.sampling import BatchLimits, batches_of_epoch
from mlip_train.data.structure import prepare
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.variation import vary
from mlip_train.recipe import Recipe, Stage
from tests.labelled import RECIPE, argon_frames, write_argon, write_recipe

ATOMS = np.random.default_rng(1).integers(1, 40, size=200).tolist()
EDGES = [
    n * int(k) for n, k in zip(ATOMS, np.random.default_rng(2).integers(0, 60, 200), strict=True)
]


def batches(limits, seed=1):
    return batches_of_epoch(limits, ATOMS, EDGES, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "limits", [BatchLimits(atoms=64), BatchLimits(edges=2500), BatchLimits(atoms=64, edges=2500)]
)
def test_batches_by_size_hold_every_structure_once_within_the_limits(limits):
    found = batches(limits)
    assert sorted(sum(found, [])) == list(range(200))
    sizes = [(sum(ATOMS[k] for k in b), sum(EDGES[k] for k in b)) for b in found]
    for (atoms, edges), following in zip(sizes, found[1:], strict=False):
        assert 0 < atoms <= (limits.atoms or atoms) and edges <= (limits.edges or edges)
        one = following[0]  # the next structure would not have fitted
        assert (limits.atoms and atoms + ATOMS[one] > limits.atoms) or (
            limits.edges and edges + EDGES[one] > limits.edges
        )
    assert found == batches(limits) != batches(limits, seed=2)


def test_batches_by_number_leave_out_an_incomplete_one_unless_it_is_the_only_one():
    found = batches(BatchLimits(structures=7))
    assert [len(b) for b in found] == [7] * 28 and len(set(sum(found, []))) == 196
    generator = torch.Generator().manual_seed(1)
    assert sorted(batches_of_epoch(BatchLimits(7), [3] * 5, None, generator)[0]) == [0, 1, 2, 3, 4]


@pytest.mark.training
def test_a_structure_larger_than_a_batch_is_named_before_training(tmp_path, capsys):
    with pytest.raises(
        ValueError, match=f"batch_atoms: .*{max(ATOMS)}.* structure {np.argmax(ATOMS)}"
    ):
        BatchLimits(atoms=max(ATOMS) - 1).check(ATOMS, None)
    BatchLimits(atoms=max(ATOMS), edges=max(EDGES)).check(ATOMS, EDGES)
    data = write_argon(tmp_path / "argon.xyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE + "batch_edges: 10\n")
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 1
    assert "batch_edges: expected at least" in capsys.readouterr().err


@pytest.mark.training
def test_a_run_with_batches_by_atoms_takes_as_many_steps_as_there_are_batches(tmp_path):
    data = write_argon(tmp_path / "argon.xyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE + "batch_atoms: 31\n")  # 3 of 8 atoms
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    # 8 structures to train on: 3, 3 and 2 in each of four epochs
    assert read_checkpoint(tmp_path / "run/checkpoint.pt")["n_updates"] == 12


def test_structures_without_labels_keep_within_the_limits_too():
    small, large = (prepare(argon_frames(1)[0].repeat((k, 1, 1)), 4.0) for k in (1, 3))
    stage = Stage("match", 1, 0.1, weights=None, unlabelled_steps=1.0)
    recipe = Recipe("test", [stage], batch_atoms=32)
    for seed in range(5):
        chosen, _ = vary([small] * 4, [large], recipe, stage, None, None, seed=seed, rank=0)
        assert [len(item.positions) for item in chosen] == [24]
