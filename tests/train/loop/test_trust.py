"""Distances and energies that a run takes over from another, and those that only an empirical potential has taught."""

from dataclasses import replace

import ase.io
import pytest

from mlip_engines.labels.empirical import (
    has_empirical_labels,
    is_empirical_potential,
    mark_empirical,
)
from mlip_engines.model.data_range import DataRange
from mlip_engines.model.load import find_model, read_metadata
from mlip_train.data.store import StructureStore
from mlip_train.loop.start import Start
from mlip_train.loop.trust import measured, trust_of
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Recipe, Stage
from tests.labelled import argon_frames

RECIPE = Recipe("a", [Stage("a", 1, 0.1, LossWeights(energy=1.0))])
REAL = Start({}, {}, 1.0, {}, {"Ar-Ar": 2.0, "H-H": 0.7}, DataRange({"Ar": [-1.0, 1.0]}))
EMPIRICAL = replace(REAL, is_empirical=True)


def marked(frames):
    for atoms in frames:
        mark_empirical(atoms)
    return frames


@pytest.mark.parametrize(
    ("origin", "mode", "is_marked", "is_kept"),
    [
        (
            REAL,
            "auto",
            False,
            True,
        ),  # fine-tuning of a universal model: it still knows what it knew
        (REAL, "auto", True, True),
        (EMPIRICAL, "auto", False, False),  # after pre-training on close pairs
        (EMPIRICAL, "auto", True, True),  # pre-training goes on
        (EMPIRICAL, "keep", False, True),
        (REAL, "forget", False, False),
    ],
)
def test_only_what_an_empirical_potential_has_taught_is_forgotten(origin, mode, is_marked, is_kept):
    frames = argon_frames(2)
    trust = trust_of(
        replace(RECIPE, range_of_start=mode), marked(frames) if is_marked else frames, origin
    )
    found = trust.with_distances({"Ar-Ar": 2.6})
    assert found == ({"Ar-Ar": 2.0, "H-H": 0.7} if is_kept else {"Ar-Ar": 2.6})
    assert trust.data_range.energies == (REAL.data_range.energies if is_kept else {})
    assert ("these data alone" in trust.note) == (not is_kept)
    assert trust.is_empirical == (is_marked and origin.is_empirical)


def test_marked_structures_count_only_where_there_are_no_others():
    frames = argon_frames(3)
    mark_empirical(frames[1])
    assert measured(frames, {}) == [0, 2]
    new = trust_of(RECIPE, frames, None)
    assert not new.is_empirical and new.with_distances({"Ar-Ar": 3.0}) == {"Ar-Ar": 3.0}
    only = marked(argon_frames(3))
    assert trust_of(RECIPE, only, None).is_empirical
    assert measured(only, {"empirical_range": True}) == [0, 1, 2]
    assert measured(only, {}) == []  # it started from a network that knows better


def test_the_mark_survives_files_and_the_store_of_lazy_runs(tmp_path):
    frames = argon_frames(3)
    mark_empirical(frames[1])
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    read = ase.io.read(tmp_path / "a.xyz", ":")
    store = StructureStore.write(tmp_path / "store", read, "a test")
    for kept in (read, store):
        assert [has_empirical_labels(atoms) for atoms in kept] == [False, True, False]
    (tmp_path / "store/empirical.bin").unlink()  # as a store of an earlier version
    assert not any(map(has_empirical_labels, StructureStore(tmp_path / "store")))


@pytest.mark.parametrize(
    ("training", "is_one"),
    [
        ({"empirical": True}, True),
        ({"network": {"name": "eam", "cutoff": 5.2}}, True),  # files of version 0.2.0
        ({"network": {"name": "painn"}}, False),
        ({}, False),
    ],
)
def test_a_file_is_known_as_an_empirical_potential(training, is_one):
    metadata = replace(read_metadata(find_model("water")), training=training)
    assert is_empirical_potential(metadata) == is_one
