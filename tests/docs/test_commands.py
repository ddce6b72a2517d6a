"""Commands in documents are understood by the commands themselves."""

import argparse
import importlib.metadata
import re
import shlex
import sys

import pytest

from tests.docs.documents import DOCUMENTS, NAMES

COMMANDS = {
    entry.name: entry
    for entry in importlib.metadata.entry_points(group="console_scripts")
    if entry.name.startswith("mlip-")
}


class _ParsedError(Exception):
    """The arguments are those of the command."""


def lines_of_code(text: str) -> list[str]:
    """Return the lines of indented code and of blocks of bash, without comments, one command each."""
    lines = re.findall(r"(?m)^ {4}(.*)$", text)
    for block in re.findall(r"(?ms)^```bash[^\n]*\n(.*?)^```$", text):
        lines += block.splitlines()
    return [part for line in lines for part in re.split(r"&&|[|;>]", line.partition("#")[0])]


def commands_in(text: str) -> list[tuple[list[str], bool]]:
    """Return the words of each of our commands, and whether it is a line of code: others may be named in part."""
    text = re.sub(r"\\\n *", "", text)  # a command on several lines
    found = [re.search(r"(?:^|[\s/])(mlip-[a-z]+(?: .*)?)$", line) for line in lines_of_code(text)]
    lines = [match[1] for match in found if match]
    named = re.findall(r"`(mlip-[a-z]+\s[^`]+)`", text)
    return [
        (shlex.split(command), is_line)
        for group, is_line in ((lines, True), (named, False))
        for command in group
        if "..." not in command
    ]


def test_commands_are_found_in_documents():
    text = (
        "Use `mlip-eval water x.xyz` or\n\n    mpiexec -n 2 .venv/bin/mlip-validate water -o a  # why\n"
        "```bash run\nmlip-doctor | grep ok && mlip-lammps build\n```\n"
    )
    assert commands_in(text) == [
        (["mlip-validate", "water", "-o", "a"], True),
        (["mlip-doctor"], True),
        (["mlip-lammps", "build"], True),
        (["mlip-eval", "water", "x.xyz"], False),
    ]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a command and of its commands."""
    options = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options |= {o for each in action.choices.values() for o in options_of(each)}
    return options


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
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
