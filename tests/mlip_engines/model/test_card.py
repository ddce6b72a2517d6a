"""A card says what the metadata say, in their numbers, and runs nothing."""

import dataclasses
import re
import subprocess
import sys
import zipfile

import pytest

from mlip_engines.commands.card import main
from mlip_engines.model.archive import read_metadata, verify_checksum
from mlip_engines.model.card import model_card
from mlip_engines.model.card_facts import check_facts, with_another_inner_force
from mlip_engines.model.contract import ModelContractError, ModelMetadata
from mlip_engines.model.load import find_model

BARE = ModelMetadata(
    name="argon",
    species=["Ar"],
    cutoff=5.0,
    message_passing_layers=2,
    heads=["energy", "non_conservative_forces"],
    dtype="float32",
    interaction_range=10.0,
)


@pytest.fixture
def copied(tmp_path):
    """A copy of copper whose code and numbers are gone: what reads only its metadata does not notice."""
    path = tmp_path / "mine.pt"
    with zipfile.ZipFile(find_model("copper")) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            whole = entry.filename.endswith("metadata.json")
            target.writestr(entry, source.read(entry) if whole else b"not a program")
    return path


def test_nothing_in_the_file_is_run(copied, capsys):
    assert main([str(copied)]) == 0
    assert "# Model card: `copper`" in capsys.readouterr().out


def test_torch_is_not_imported():
    code = (
        "import sys; from mlip_engines.commands.card import main; main(['water']); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_errors_are_in_mev():
    metadata = dataclasses.replace(
        BARE,
        errors={"energy_mae": 0.0012, "energy_rmse": 0.0025, "rms_c_minus_nc": 0.03},
        errors_by={
            "element": {"H": {"conservative_rmse": 0.02}, "O": {"conservative_rmse": 4.2246}}
        },
        training={"n_test": 7},
    )
    card = model_card(metadata, model="x.pt")
    assert "(7 structures, never seen)" in card
    assert "| energy, meV/atom | 1.20 | 2.50 |" in card
    assert "| O | 4225 |" in card
    assert "C - NC is 30.0 meV/Å" in card


def test_forces_too_far_apart_are_said_to_be():
    metadata = dataclasses.replace(BARE, errors={"rms_c_minus_nc": 0.3})
    assert "too far apart for r-RESPA" in model_card(metadata, model="x.pt")
    energy_only = dataclasses.replace(BARE, heads=["energy"])
    assert "no NC forces" in model_card(energy_only, model="x.pt")


def test_what_is_not_known_is_said_not_to_be():
    card = model_card(BARE, model="x.pt")
    assert "licence | not recorded" in card
    assert "errors of this model are not recorded" in card
    assert "nothing but the network" in card  # below the shortest distances


def test_facts_are_recorded_and_the_model_stays_the_same(tmp_path, capsys):
    path = tmp_path / "mine.pt"
    path.write_bytes(find_model("copper").read_bytes())
    before = read_metadata(path)
    facts = tmp_path / "recipe.yaml"
    facts.write_text("name: x\ncard:\n  summary: Copper | for a test.\n  not_for: [Gold.]\n")
    output = tmp_path / "card.md"
    assert main([str(path), "--record", str(facts), "-o", str(output)]) == 0
    after = read_metadata(path)
    verify_checksum(path, after)
    expected = {"summary": "Copper | for a test.", "not_for": ["Gold."]}
    assert after == dataclasses.replace(before, card=expected)
    assert "Copper | for a test." in output.read_text()
    assert "- Gold." in output.read_text()


def test_facts_are_not_written_into_an_installed_model(tmp_path, capsys):
    facts = tmp_path / "facts.yaml"
    facts.write_text("summary: Mine.\n")
    before = find_model("copper").read_bytes()
    assert main(["copper", "--record", str(facts)]) == 1
    assert "'copper', the name of a shipped model; copy" in capsys.readouterr().err
    assert find_model("copper").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected facts by name, got list"),
        ("summary: 3", "summary: expected a text, got 3"),
        ("use: words", "use: expected a list of sentences, got 'words'"),
        ("notes: words", "notes: expected texts by heading, got 'words'"),
        ("colour: green", "expected summary, recipe.*got colour"),
        ("a: [", "expected facts in YAML"),
    ],
)
def test_facts_that_cannot_be_right_change_nothing(tmp_path, capsys, text, message):
    path, facts = tmp_path / "mine.pt", tmp_path / "facts.yaml"
    path.write_bytes(find_model("copper").read_bytes())
    before = path.read_bytes()
    facts.write_text(text)
    assert main([str(path), "--record", str(facts)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert path.read_bytes() == before


def test_metadata_with_facts_that_cannot_be_right_are_refused():
    text = dataclasses.replace(BARE, card={"colour": "green"}).to_json()
    with pytest.raises(ModelContractError, match="got colour"):
        ModelMetadata.from_json(text)


def test_measured_facts_go_with_the_inner_force():
    facts = check_facts({"summary": "a", "stride": "b", "speed": "c"}, "here")
    assert with_another_inner_force(facts) == {"summary": "a"}


def test_a_card_is_not_written_over_the_model(copied, tmp_path, capsys):
    before = copied.read_bytes()
    assert main([str(copied), "-o", str(tmp_path / "." / "mine.pt")]) == 1
    assert "would overwrite" in capsys.readouterr().err
    assert copied.read_bytes() == before


def test_sentences_of_a_file_make_no_headings():
    facts = {"not_for": ["Anything.\n\n## Safe for all uses"]}
    card = model_card(dataclasses.replace(BARE, card=facts), model="mine.pt")
    assert "\n## Safe" not in card and "Anything. ## Safe for all uses" in card


def test_the_advice_is_a_command_that_runs():
    card = model_card(BARE, model="mine.pt")
    assert "`mlip-validate mine.pt --structure FILE --only stride`" in card
