"""Structures on disk and neighbour lists from worker processes give the numbers of those in memory."""

import pickle

import numpy as np
import pytest
import torch

from mlip_train.command import main as train
from mlip_train.data.loading import PreparedStructures
from mlip_train.data.store import StructureStore
from mlip_train.loop.checkpoint import read_checkpoint
from tests.dataset_files import random_structures, write_extxyz
from tests.labelled import RECIPE, write_argon, write_recipe
from tests.mlip_engines.readers.test_formats import assert_same


def test_a_store_returns_the_structures_that_were_written(tmp_path):
    expected = random_structures(7)
    del expected[2].calc.results["forces"]
    expected[4].calc = None
    store = StructureStore.write(tmp_path / "store", iter(expected), "random")
    for _ in range(2):
        assert store.description["source"] == "random"
        with_labels = [k for k in range(7) if k != 4]
        assert_same([store[k] for k in with_labels], [expected[k] for k in with_labels])
        assert store[4].calc is None and (store[4].positions == expected[4].positions).all()
        assert store[-1].get_potential_energy() == expected[-1].get_potential_energy()
        store = pickle.loads(pickle.dumps(store))
    with pytest.raises(IndexError):
        store[7]
    with pytest.raises(FileNotFoundError, match="index.json"):
        StructureStore(tmp_path)


def test_what_is_pickled_for_a_worker_does_not_grow_with_the_structures(tmp_path):
    sizes = []
    for n in (5, 50):
        store = StructureStore.write(tmp_path / "store", iter(random_structures(n)), "random")
        sizes.append(len(pickle.dumps(store)))
    assert sizes[1] < sizes[0] + 10


def test_an_interrupted_store_is_no_store(tmp_path):
    def broken():
        yield from random_structures(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StructureStore.write(tmp_path / "store", broken(), "random")
    assert not (tmp_path / "store").exists()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # a machine of one core
@pytest.mark.parametrize("workers", [0, 2])
def test_structures_come_in_the_order_of_the_batches(workers):
    frames = random_structures(9)
    kept = PreparedStructures(frames, 3.0)
    lazy = PreparedStructures(frames, 3.0, is_kept=False, workers=workers)
    batches = [[3, 1], [8], [0, 2, 7]]
    for found, expected in zip(lazy.load(batches), kept.load(batches), strict=True):
        assert len(found) == len(expected)
        for item, other in zip(found, expected, strict=True):
            for name in ("positions", "forces", "edge_index", "cell_shifts", "reverse_edge"):
                assert torch.equal(getattr(item, name), getattr(other, name))
            assert item.energy == other.energy
    assert lazy.n_edges() == kept.n_edges() == [len(item.reverse_edge) for item in kept]
    assert lazy.n_atoms() == [len(atoms) for atoms in frames]


def test_what_is_kept_does_not_hold_the_shared_memory_of_the_workers():
    frames = random_structures(6)
    kept = PreparedStructures(frames, 3.0, workers=1)
    expected = PreparedStructures(frames, 3.0)
    for item, other in zip(kept, expected, strict=True):
        for name, value in vars(item).items():
            if isinstance(value, torch.Tensor):
                assert not value.is_shared() and torch.equal(value, getattr(other, name))


@pytest.mark.training
def test_a_lazy_run_gives_the_same_model_and_reads_its_file_once(tmp_path):
    data = write_argon(tmp_path / "argon.xyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE + "batch_atoms: 24\n")
    arguments = [str(recipe), "--data", str(data), "-o"]
    ways = {"memory": [], "disk": ["--lazy"], "workers": ["--lazy", "--workers", "1"]}
    averages = []
    for name, options in ways.items():
        assert train([*arguments, str(tmp_path / name), *options]) == 0
        averages.append(read_checkpoint(tmp_path / name / "checkpoint.pt")["average"])
    for other in averages[1:]:
        assert all(torch.equal(value, other[name]) for name, value in averages[0].items())
    written = (tmp_path / "disk/structures/positions.bin").stat().st_mtime_ns
    assert train([*arguments, str(tmp_path / "disk"), "--lazy", "--resume"]) == 0
    assert (tmp_path / "disk/structures/positions.bin").stat().st_mtime_ns == written


@pytest.mark.training
def test_what_is_wrong_in_a_file_is_named_as_without_a_store(tmp_path, capsys):
    frames = random_structures(6)
    frames[3].calc.results["forces"][0, 0] = np.nan
    data = write_extxyz(tmp_path / "frames.xyz", frames)
    recipe = write_recipe(tmp_path / "recipe.yaml")
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run"), "--lazy"]) == 1
    message = capsys.readouterr().err
    assert "structure 3" in message and "forces" in message
