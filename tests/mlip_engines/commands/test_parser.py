"""What every command of the package has: ``--version``, and a help whose example the command itself accepts."""

import importlib.metadata
import shlex
import sys

import pytest

SCRIPTS = {
    entry.name: entry
    for entry in importlib.metadata.distribution("mlip-engines").entry_points
    if entry.group == "console_scripts"
}


@pytest.fixture(params=sorted(SCRIPTS))
def script(request):
    return SCRIPTS[request.param]


def printed(script, option, capsys):
    with pytest.raises(SystemExit) as ended:
        script.load()([option])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_version_names_the_command_and_the_packages_that_decide(script, capsys):
    versions = [importlib.metadata.version(name) for name in ("mlip-engines", "torch")]
    expected = f"{script.name} {versions[0]} (mlip-engines), torch {versions[1]}\n"
    assert printed(script, "--version", capsys) == expected


def test_help_ends_with_examples_that_the_command_accepts(script, capsys):
    _, examples = printed(script, "--help", capsys).split("\nexample:\n")
    parser = sys.modules[script.module].argument_parser()
    calls = examples.strip().splitlines()
    assert calls
    for call in calls:
        program, *arguments = shlex.split(call)
        assert program == script.name == parser.prog
        parser.parse_args(arguments)
