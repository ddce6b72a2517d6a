"""What a step is taken on, drawn as the recipe says."""

from dataclasses import replace

import pytest

from mlip_train.data.structure import prepare
from mlip_train.loop.variation import vary
from mlip_train.recipe import Replay, read_recipe
from tests.labelled import argon_frames, write_recipe


def test_so_many_steps_are_on_old_structures_as_the_recipe_says(tmp_path):
    new, *old = [prepare(atoms, 4.0) for atoms in argon_frames(4)]
    recipe = read_recipe(write_recipe(tmp_path / "recipe.yaml"))
    recipe = replace(recipe, replay=Replay("old.xyz", fraction=0.3))
    steps = [
        vary([new], [], recipe, recipe.stages[0], None, None, seed=k, rank=0, replay=old)[0][0]
        for k in range(1000)
    ]
    assert sum(item is not new for item in steps) / 1000 == pytest.approx(0.3, abs=0.05)
    assert {id(item) for item in steps} == {id(item) for item in [new, *old]}


@pytest.mark.parametrize("words", ["0.2", "{data: a.xyz, fraction: 1.5}", "{file: a.xyz}"])
def test_a_replay_that_cannot_be_is_refused(words, tmp_path):
    path = write_recipe(tmp_path / "recipe.yaml")
    path.write_text(path.read_text() + f"replay: {words}\n")
    with pytest.raises(ValueError, match="replay"):
        read_recipe(path)
