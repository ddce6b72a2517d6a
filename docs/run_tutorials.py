"""Execute the tutorials: run the commands of each page, and write what they print into the page.

    python docs/run_tutorials.py                     all pages of docs/start and docs/do
    python docs/run_tutorials.py docs/do/stride.md   one page
    python docs/run_tutorials.py --check PAGE        compare only, and change nothing

A page is MyST markdown. The word after the language of a block says what the block is:

    ```text file=water.in            a file that the page writes
    ```bash run                      commands, run in the folder of the page, one block after the other
    ```bash run quick                the same; the tests run it as well
    ```text output                   what the commands above printed; it is written anew
    ```text output within=0.02       the same; ``--check`` and the tests compare it, numbers within 2 %

Commands of a page run in a new folder that has nothing but ``examples``. A figure of the page that lies in
``figures`` and that a command has drawn under the same name is copied there. The line that begins with
``**Run time:**`` gets the time that all commands took on the processor, so that a busy machine does not count.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("docs/start", "docs/do")
FENCE = re.compile(
    r"(?ms)^```(\w+) (file=\S+|run(?: quick)?|output(?: within=[\d.]+)?)\n(.*?)^```$"
)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
RUN_TIME = re.compile(r"(?m)^\*\*Run time:\*\*.*$")
LONGEST_S = 1800.0  # of one block


class TutorialError(Exception):
    """A command of a page failed, or prints something else than the page says."""


@dataclass
class Block:
    """A block of a page that a command or a file is in."""

    words: list[str]  # of its first line, after the language
    text: str
    start: int  # of the text, in the page
    end: int

    @property
    def kind(self) -> str:
        """Return ``file``, ``run`` or ``output``."""
        return self.words[0].partition("=")[0]

    @property
    def quick(self) -> bool:
        """Whether the tests run it."""
        return "quick" in self.words

    @property
    def tolerance(self) -> float | None:
        """The relative difference of numbers that is allowed; None if the output is not compared."""
        given = [word.partition("=")[2] for word in self.words if word.startswith("within=")]
        return float(given[0]) if given else None


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page that concern its execution, in order."""
    return [Block(m[2].split(), m[3], m.start(3), m.end(3)) for m in FENCE.finditer(page)]


def environment() -> dict[str, str]:
    """Return the environment of the commands: those of this Python first, one thread unless it is set."""
    folder = str(Path(sys.executable).parent)
    path = os.pathsep.join([folder, os.environ.get("PATH", "")])
    return {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", **os.environ, "PATH": path}


def run_block(text: str, folder: Path) -> str:
    """Return what commands print, without progress bars and without names of this machine's folders.

    Raises
    ------
    TutorialError
        If a command fails, with its last words.
    """
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    if done.returncode != 0:
        raise TutorialError(f"expected success of\n{text}\ngot\n{done.stdout}{done.stderr}")
    lines = done.stdout.splitlines()
    plain = "".join(f"{line.rpartition(chr(13))[2].rstrip()}\n" for line in lines)
    return without_places(plain, folder)


def without_places(printed: str, folder: Path) -> str:
    """Return text in which folders of this machine have the names that they have for a reader."""
    lmp = shutil.which("lmp", path=environment()["PATH"]) or sys.executable
    roots = {sys.prefix, str(Path(sys.prefix).resolve()), str(Path(lmp).resolve().parents[1])}
    checkouts = {str(ROOT), *(str(Path(root).parent) for root in roots if root.endswith(".venv"))}
    names = {str(folder): ""} | dict.fromkeys(roots, ".venv") | dict.fromkeys(checkouts, "")
    for place, name in sorted(names.items(), key=lambda item: -len(item[0])):
        printed = printed.replace(f"{place}/", f"{name}/" if name else "").replace(
            place, name or "."
        )
    return printed


def differences(stated: str, found: str, tolerance: float) -> list[str]:
    """Return the lines that differ in their words, or in a number by more than a relative tolerance."""
    pairs = list(zip(stated.splitlines(), found.splitlines(), strict=False))
    wrong = [f"expected {a}\ngot      {b}" for a, b in pairs if not agree(a, b, tolerance)]
    if len(stated.splitlines()) != len(found.splitlines()):
        wrong.append(f"expected {len(stated.splitlines())} lines, got {len(found.splitlines())}")
    return wrong


def agree(stated: str, found: str, tolerance: float) -> bool:
    """Compare two lines: words exactly, numbers within a relative tolerance and one unit of the last digit."""
    if re.split(NUMBER, stated) != re.split(NUMBER, found):
        words = [" ".join(" ".join(re.split(NUMBER, line)).split()) for line in (stated, found)]
        if words[0] != words[1]:
            return False
    numbers = [re.findall(NUMBER, line) for line in (stated, found)]
    return len(numbers[0]) == len(numbers[1]) and all(
        abs(float(a) - float(b)) <= tolerance * abs(float(a)) + last_digit(a)
        for a, b in zip(*numbers, strict=True)
    )


def last_digit(number: str) -> float:
    """Return one unit of the last digit of a decimal number; 0 of a whole number."""
    digits, _, exponent = number.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) * 1.5 if decimals else 0.0


def execute(page: str, folder: Path, *, quick: bool = False) -> tuple[dict[int, str], float]:
    """Run a page in a folder; return the output by the place of its block in the list, and the processor's seconds.

    With ``quick``, only the commands that the tests run; the others have no output then.
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    outputs: dict[int, str] = {}
    printed: str | None = None
    start = processor_seconds()
    for place, block in enumerate(blocks_of(page)):
        if block.kind == "file":
            (folder / block.words[0].partition("=")[2]).write_text(block.text)
        elif block.kind == "run":
            printed = run_block(block.text, folder) if block.quick or not quick else None
        elif printed is not None:
            outputs[place] = printed
    return outputs, processor_seconds() - start


def processor_seconds() -> float:
    """Return the time of the processor that all commands have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rewritten(page: str, outputs: dict[int, str], seconds: float) -> str:
    """Return a page with new outputs and a new run time."""
    blocks = blocks_of(page)
    for place in sorted(outputs, reverse=True):
        block = blocks[place]
        page = page[: block.start] + outputs[place] + page[block.end :]
    took = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    return RUN_TIME.sub(f"**Run time:** {took} for all commands of this page, on one core.", page)


def copy_figures(page: str, folder: Path, target: Path) -> None:
    """Copy the figures that a page shows and its commands drew."""
    for name in re.findall(r"!\[[^\]]*\]\(figures/([^)]+)\)", page):
        if (folder / name).exists():
            target.mkdir(exist_ok=True)
            shutil.copy(folder / name, target / name)


def main() -> int:
    """Execute pages; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, help="default: all")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args()
    pages = options.pages or [p for f in FOLDERS for p in sorted((ROOT / f).glob("*.md"))]
    failed = 0
    for path in pages:
        page = path.read_text(encoding="utf-8")
        if not any(block.kind == "run" for block in blocks_of(page)):
            continue
        with tempfile.TemporaryDirectory(prefix="tutorial-") as scratch:
            folder = Path(scratch)
            try:
                outputs, seconds = execute(page, folder)
            except TutorialError as error:
                print(f"{path}: {error}", file=sys.stderr)
                failed = 1
                continue
            for place, output in outputs.items():
                block = blocks_of(page)[place]
                if block.tolerance is not None:
                    for line in differences(block.text, output, block.tolerance):
                        print(f"{path}: {line}")
                        failed = failed or int(options.check)
            if not options.check:
                path.write_text(rewritten(page, outputs, seconds), encoding="utf-8")
                copy_figures(page, folder, path.parent / "figures")
        print(f"{path}: {seconds:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
