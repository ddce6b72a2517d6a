"""The pages of LAMMPS commands have the form of LAMMPS's manual, and every keyword of the code."""

import re

import pytest

from tests.docs.documents import ROOT

FOLDER = ROOT / "docs" / "reference" / "lammps"
PAIR_STYLE = ROOT / "lammps_plugin" / "README.md"
COMMANDS = [PAIR_STYLE, *sorted(FOLDER.glob("fix_*.md")), *sorted(FOLDER.glob("compute_*.md"))]
SECTIONS = ["Syntax", "Examples", "Description", "Restrictions", "Related commands", "Default"]


@pytest.mark.parametrize("page", COMMANDS, ids=[page.stem for page in COMMANDS])
def test_the_sections_are_those_of_the_manual_in_its_order(page):
    text = page.read_text()
    assert re.match(r"# (pair_style|fix|compute) [\w/]+ command\n", text)
    found = re.findall(r"(?m)^## (.*)$", text)
    assert [title for title in found if title in SECTIONS] == SECTIONS


def keywords_of(source: str) -> set[str]:
    """Return the words that a file compares an argument of a command with."""
    text = (ROOT / "lammps_plugin" / source).read_text()
    return set(re.findall(r"\bkeyword == \"(\w+)\"", text))


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("settings.cpp", PAIR_STYLE),
        ("fix_ave_mlip_inner.cpp", FOLDER / "fix_ave_mlip_inner.md"),
        ("fix_nve_mlip_highpass.cpp", FOLDER / "fix_nve_mlip_highpass.md"),
    ],
)
def test_every_keyword_is_in_the_syntax_and_has_a_default(source, page):
    keywords = keywords_of(source)
    assert keywords
    text = page.read_text()
    syntax = text.partition("## Syntax")[2].partition("## Examples")[0]
    default = text.partition("## Default")[2]
    assert {word for word in keywords if not re.search(rf"\b{word}\b", syntax)} == set()
    inputs = {"total_charge", "spin_multiplicity"}  # of models that need them; they have no default
    assert {word for word in keywords - inputs if word not in default} == set()


def test_every_command_of_the_plugin_has_a_page():
    text = (ROOT / "lammps_plugin" / "plugin.cpp").read_text()
    styles = set(re.findall(r"plugin\.name = \"([\w/]+)\"", text)) - {
        "MLIP"
    }  # the pair style adds it
    titles = {page.read_text().splitlines()[0].split()[2] for page in COMMANDS}
    assert titles == styles
