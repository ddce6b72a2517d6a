"""What the documents say can be done: Python runs as it stands, commands parse, links lead somewhere."""

import argparse
import importlib.metadata
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces

from mlip_engines import MlipCalculator
from tolerances import FINITE_DIFFERENCE_STEP, TOLERANCE

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "lammps_plugin", "mlip_engines/shipped_models")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))])
COMMANDS = {
    entry.name: entry
    for entry in importlib.metadata.entry_points(group="console_scripts")
    if entry.name.startswith("mlip-")
}


class _ParsedError(Exception):
    """The arguments are those of the command."""


def test_the_network_of_the_contract_page_conforms_and_runs(tmp_path, monkeypatch, capsys):
    (source,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/contract.md").read_text(), re.DOTALL
    )
    script = tmp_path / "springs.py"  # TorchScript reads the source of a class from its file
    script.write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("springs")
    assert "forces are the negative energy gradient" in capsys.readouterr().out
    atoms = Atoms("Ar3", [[0, 0, 0], [2.1, 0.3, 0], [0.4, 2.2, 1.0]])
    atoms.calc = MlipCalculator("springs.pt")
    # Differences of a float32 energy: a step that is large, and an error that is too.
    expected = calculate_numerical_forces(atoms, eps=100 * FINITE_DIFFERENCE_STEP)
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=2 * TOLERANCE["float32"].force)


def commands_in(text: str) -> list[tuple[list[str], bool]]:
    """Return the words of each of our commands, and whether it is a line of code: others may be named in part."""
    text = re.sub(r"\\\n *", "", text)  # a command on several lines
    lines = re.findall(r"(?m)^ {4}(?:[^\n#]*[\s/])?(mlip-[a-z]+ [^#\n]+)", text)
    named = re.findall(r"`(mlip-[a-z]+\s[^`]+)`", text)
    return [
        (shlex.split(command), is_line)
        for group, is_line in ((lines, True), (named, False))
        for command in group
        if "..." not in command
    ]


def test_commands_are_found_in_documents():
    text = "Use `mlip-eval water x.xyz` or\n\n    mpiexec -n 2 .venv/bin/mlip-validate water -o a  # why\n"
    assert commands_in(text) == [
        (["mlip-validate", "water", "-o", "a"], True),
        (["mlip-eval", "water", "x.xyz"], False),
    ]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a command and of its commands."""
    options = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options |= {o for each in action.choices.values() for o in options_of(each)}
    return options


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_are_understood(document, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parsed(self, arguments=None, namespace=None):
        if whole:
            parse(self, arguments, namespace)  # ends the process if it does not understand
        unknown = {word for word in sys.argv if word.startswith("-")} - options_of(self)
        assert not unknown, f"{document.name}: {shlex.join(sys.argv)}"
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    for command, whole in commands_in(document.read_text()):  # noqa: B007, for parsed()
        monkeypatch.setattr("sys.argv", command)
        try:
            COMMANDS[command[0]].load()()
        except _ParsedError:
            continue
        except SystemExit:
            pytest.fail(f"{document.name}: {shlex.join(command)} is not understood")


def links_of(document: Path) -> list[tuple[str, str, str]]:
    """Return label, path and anchor of every link to a place in the repository."""
    links = re.findall(r"\[([^\]]*)\]\(([^)#\s]*)(?:#([^)]*))?\)", prose_of(document))
    return [link for link in links if not re.match(r"https?:", link[1])]


def prose_of(document: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that a renderer makes of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose_of(document))
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for label, path, anchor in links_of(document):
        target = document.parent / path if path else document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors_of(target), f"[{label}]({path}#{anchor})"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_label_that_is_a_file_name_opens_that_file(document):
    for label, path, _ in links_of(document):
        if re.fullmatch(r"`?[\w./-]+\.(md|py|yaml|in|json|html)`?", label):
            assert path.endswith(label.strip("`").lstrip("./")), f"[{label}]({path})"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_have_no_placeholder(document):
    assert not re.search(r"(?i)<this [a-z]+>|<your [a-z]+>|\bTODO\b|\bTBD\b", document.read_text())


def test_the_index_lists_every_page():
    listed = {(ROOT / "docs" / path).resolve() for _, path, _ in links_of(ROOT / "docs/README.md")}
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path.name != "README.md"}
    assert pages - listed == set()
