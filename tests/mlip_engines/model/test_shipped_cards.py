"""The cards of the shipped models are what the command makes of the files."""

import pytest
import yaml

from mlip_engines.model.archive import read_metadata
from mlip_engines.model.card import model_card
from mlip_engines.model.load import find_model, models_directory

SHIPPED = sorted(path.stem for path in models_directory().glob("*.pt"))


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_of_shipped_models_are_made_by_the_command(name):
    """Make them again as CONTRIBUTING.md says under *Replace a shipped model*."""
    metadata = read_metadata(find_model(name))
    assert (models_directory() / f"{name}.md").read_text() == model_card(metadata, model=name)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_hold_the_facts_that_are_written_beside_them(name):
    facts = models_directory() / f"{name}.yaml"
    assert read_metadata(find_model(name)).card == yaml.safe_load(facts.read_text())
