"""The tutorials in docs/start and docs/do: their commands exist, and those that are quick still give the numbers."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest

from docs.run_tutorials import FOLDERS, blocks_of, differences, environment, execute
from tests.docs.documents import ROOT
from tests.docs.test_commands import lines_of_code

PAGES = {path.stem: path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.md"))}
EXECUTED = {name: path for name, path in PAGES.items() if "```bash run" in path.read_text()}
QUICK = [name for name, path in EXECUTED.items() if "```bash run quick" in path.read_text()]


@pytest.mark.parametrize("name", EXECUTED)
def test_every_command_has_printed_or_drawn_something(name):
    page = EXECUTED[name].read_text()
    assert re.search(r"(?m)^\*\*Run time:\*\* \d+ (s|minutes) for all", page)
    outputs = [block.text for block in blocks_of(page) if block.kind == "output"]
    assert outputs and all(text.strip() for text in outputs)


@pytest.mark.parametrize("name", EXECUTED)
def test_outputs_have_no_place_of_one_machine(name):
    for block in blocks_of(EXECUTED[name].read_text()):
        if block.kind == "output":
            assert not re.search(r"(?<![\w.])/(tmp|home|root|work|mnt)/", block.text)


@pytest.mark.parametrize("name", EXECUTED)
def test_blocks_are_of_a_known_kind(name):
    """A misspelt word after the language would leave a block out of the execution."""
    page = EXECUTED[name].read_text()
    marked = re.findall(r"(?m)^```\w+ .+$", page)
    assert len(marked) == len(blocks_of(page))


@pytest.mark.parametrize("name", PAGES)
def test_figures_are_there(name):
    for figure in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGES[name].read_text()):
        assert (PAGES[name].parent / figure).stat().st_size > 1000


@pytest.mark.parametrize("name", PAGES)
def test_inputs_and_scripts_exist_and_have_the_variables_and_options(name):
    page = PAGES[name].read_text()
    written = {
        block.words[0].partition("=")[2]: block.text
        for block in blocks_of(page)
        if block.kind == "file"
    }
    for line in lines_of_code(re.sub(r"\\\n *", "", page)):
        match = re.search(r"\b(?:lmp\b.* -in|python3?) (examples/\S+)(.*)$", line)
        if not match:
            continue
        source, rest = match[1], shlex.split(match[2])
        text = written.get(source) or (ROOT / source).read_text()
        for word, value in zip(rest, [*rest[1:], ""], strict=True):
            if word == "-var":
                assert re.search(rf"(?m)^\s*variable\s+{value}\s", text), f"{source}: {value}"
            elif word.startswith("--"):
                assert f'"{word}"' in text, f"{source}: {word}"


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_quick_commands_print_what_the_page_says(name, tmp_path):
    page = EXECUTED[name].read_text()
    if "lmp" in page and shutil.which("lmp", path=environment()["PATH"]) is None:
        pytest.skip("LAMMPS is not installed")
    if "openmm" in page and importlib.util.find_spec("openmm") is None:
        pytest.skip("OpenMM is not installed")
    outputs, _ = execute(page, tmp_path, quick=True)
    blocks = blocks_of(page)
    compared = 0
    for place, printed in outputs.items():
        tolerance = blocks[place].tolerance
        if tolerance is not None:
            compared += 1
            assert differences(blocks[place].text, printed, tolerance) == []
    assert compared


def test_numbers_agree_within_a_tolerance_and_words_exactly():
    assert differences("T = 300.0 K", "T = 302.0 K", 0.01) == []
    assert differences("T = 300.0 K", "T = 304.0 K", 0.01) != []
    assert differences("T = 300.0 K", "p = 300.0 K", 0.01) != []
    assert differences("-0.00 meV", "0.01 meV", 0.01) == []  # one unit of the last digit
    assert differences("75 steps", "76 steps", 0.001) != []
    assert differences("a", "a\nb", 0.01) != []


def test_a_page_is_executed_in_order_and_files_are_written(tmp_path):
    page = "```text file=a.txt\none\n```\n```bash run\ncat a.txt\n```\n```text output\nold\n```\n"
    outputs, _ = execute(page, tmp_path)
    assert outputs == {2: "one\n"}
    assert (tmp_path / "examples").resolve() == Path(ROOT / "examples").resolve()
