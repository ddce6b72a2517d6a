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
DOCUMENTS = sorted(
    [*ROOT.glob("*.md")]
    + [p for f in ("docs", "lammps_plugin", "mlip_engines/models") for p in (ROOT / f).glob("*.md")]
)
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if not re.match(r"https?:", link):
            assert (document.parent / link).exists(), link
