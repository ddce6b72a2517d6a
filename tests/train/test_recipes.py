"""Recipes that come with the package, and the one in the documentation, are read and fit their networks."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch
import yaml

from mlip_train.loss_weights import LossWeights
from mlip_train.networks import build_network
from mlip_train.recipe import Recipe, read_recipe, recipe_of

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "train/recipes").glob("*.yaml"))
DOCUMENT = (ROOT / "docs/training.md").read_text()


def check(recipe):
    if not recipe.network:
        return
    # the largest has 190 million parameters, which need not be there
    with torch.device("meta" if recipe.network["name"] == "pet" else "cpu"):
        network = build_network({**recipe.network, "species": [1, 8]})
    parts = {name.split(".")[0] for name, _ in network.named_parameters()}
    for stage in recipe.stages:
        assert set(stage.trained) <= parts
        assert not stage.weights.uses_head or "non_conservative_forces" in network.heads
        if stage.weights.non_conservative_stress > 0.0:
            assert "non_conservative_stress" in network.heads
    assert recipe.augment == (recipe.network["name"] == "pet")  # PET learns rotations


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_package_fits_its_network(name):
    check(read_recipe(name))
    assert f"`{name}`" in DOCUMENT


def test_the_recipe_of_the_documentation_is_read(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "recipe.yaml").write_text(text)
    check(read_recipe(tmp_path / "recipe.yaml"))


def test_the_documentation_gives_the_defaults():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    missing = dataclasses.MISSING
    defaults = {
        f.name: f.default if f.default_factory is missing else f.default_factory()
        for f in dataclasses.fields(Recipe)
    }
    found = set()
    for names, value in rows:
        for name in re.findall(r"\w+", names):
            if name in defaults:
                # YAML has no number 1e-4 without a point.
                value = value.strip().strip("`")
                expected = defaults[name]
                if expected is None:
                    assert value == "none", name
                else:
                    assert type(expected)(yaml.safe_load(value)) == expected, name
                found.add(name)
    assert len(found) >= 9
    for name in ("huber", "huber_energy", "huber_virial", "huber_slope"):
        default = getattr(LossWeights(), name)
        assert re.search(rf"`{name}`(?: for\s+forces)?\s+{default}", DOCUMENT), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "float16"}, "precision must be one of"),
        ({"batch_atoms": -1}, "batch_atoms"),
        ({"warm_up": 1.0}, "warm_up"),
        ({"schedule": "step"}, "schedule must be one of"),
        ({"patience": -1}, "patience"),
        ({"reduction": 1.0}, "reduction"),
        ({"stages": [{"weights": {"energy": 0.0}}]}, "a term with a weight"),
        ({"stages": [{"weights": {"energy": -1.0}}]}, "energy must not be negative"),
        ({"range_of_start": "drop"}, "range_of_start must be one of"),
        ({"force_scale": -1.0}, "force_scale must be finite and not negative"),
        ({"stages": [{"weights": {"huber": 0.0}}]}, "huber must be positive"),
        ({"stages": [{"weights": {"functions": {"energy": "l2"}}}]}, "functions must map"),
        ({"stages": [{"weights": {"functions": {"forces": "mse"}}}]}, "functions must map"),
        ({"stages": [{"weights": {"functions": {"energy": "norm"}}}]}, "norm is of vectors"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(change, message, tmp_path):
    recipe = {
        "name": "test",
        "network": {"name": "painn"},
        "stages": [{"name": "a", "epochs": 1, "learning_rate": 0.1}],
    }
    stages = [{**recipe["stages"][0], **stage} for stage in change.get("stages", [{}])]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **change, "stages": stages}))
    with pytest.raises(ValueError, match=message):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("stage", "missing"),
    [
        ({"name": "a", "epochs": 1}, "stage 1: expected learning_rate as well"),
        ({"learning_rate": 0.1}, "stage 1: expected epochs, name as well"),
    ],
)
def test_what_a_stage_lacks_is_named(stage, missing):
    with pytest.raises(ValueError, match=missing):
        recipe_of({"name": "r", "network": {"name": "painn"}, "stages": [stage]}, "r.yaml")
