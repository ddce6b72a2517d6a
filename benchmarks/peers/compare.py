"""This project and others at the same work, in one run: each in an environment of its own, taking turns.

    python benchmarks/peers/compare.py --environments peers -o compared

A contest (``contests.json``) has contestants that evaluate the same positions: each is a process that loads its model,
warms up, and then waits. In every round each has one turn, while the others sleep, so whatever else the machine does
meets all; ratios are taken within a round, medians and quartiles over rounds. Environments that are missing are made
from the pinned wheels in ``requirements-NAME.txt``, once (a few GB).
Writes a JSON file for each contest, and ``table.md``.

The contestants are programs, models among them: run only those that you trust.
"""

import argparse
import contextlib
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from contestant import CLOCKS, Contestant, ContestantError, environment_with
from environments import python_of
from table import table_of
from tqdm import tqdm

HERE = Path(__file__).parent


def processor() -> str:
    """Return the name of the CPU."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def hold(name: str, contest: dict, options: argparse.Namespace) -> dict:
    """Let the contestants of a contest take turns; return everything that was measured."""
    files = options.output / "models"
    files.mkdir(exist_ok=True)
    entries = contest["contestants"]
    commands = []
    for entry in entries:
        python = python_of(entry["environment"], options.environments)
        script, *arguments = shlex.split(entry["command"])
        command = [python, str(options.contests.parent / script), *arguments]
        commands.append([*command, "--files", str(files.absolute())])
    logs = [options.output / f"{name}-{k}.log" for k in range(len(entries))]
    for entry, command, log in zip(entries, commands, logs, strict=True):
        if not entry.get("prepare"):
            continue
        prepare = [*command, "--prepare"]
        with log.open("w") as file:
            done = subprocess.run(
                prepare, stdout=file, stderr=file, env=environment_with(options.threads)
            )
        if done.returncode != 0:
            end = "\n  ".join(log.read_text(errors="replace").splitlines()[-6:])
            raise ContestantError(f"{' '.join(prepare)} failed; all output is in {log}\n  {end}")
    load = [os.getloadavg()[0]]
    with contextlib.ExitStack() as stack:
        contestants, abouts = [], []
        for command, log in zip(tqdm(commands, desc=f"{name}: start"), logs, strict=True):
            contestants.append(Contestant(command, options.threads, log))
            stack.callback(contestants[-1].close)
            abouts.append(contestants[-1].about())  # warm before the next begins
        rounds = [
            [contestant.turn() for contestant in contestants]
            for _ in tqdm(range(options.rounds), desc=f"{name}: rounds")
        ]
        memory = [contestant.end() for contestant in contestants]
    load.append(os.getloadavg()[0])
    return {
        "title": contest["title"],
        "processor": processor(),
        "threads": options.threads,
        "load_average": load,
        "contestants": [
            {**entry, "about": about, **used, "rounds": [turns[k] for turns in rounds]}
            for k, (entry, about, used) in enumerate(zip(entries, abouts, memory, strict=True))
        ],
    }


def main() -> None:
    """Hold the contests that are asked for; write the table of all that have been held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environments", type=Path, required=True, help="folder for the venvs")
    parser.add_argument("-o", "--output", type=Path, default=Path("compared"))
    parser.add_argument("--contests", type=Path, default=HERE / "contests.json")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contests to hold; default: all")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="of the table: on a machine that others use, with one thread, processor time",
    )
    options = parser.parse_args()
    contests = json.loads(options.contests.read_text())
    chosen = options.only or list(contests)
    unknown = sorted(set(chosen) - set(contests))
    if unknown:
        parser.error(f"expected contests among {', '.join(contests)}, got {', '.join(unknown)}")
    if options.rounds < 1 or options.threads < 1:
        parser.error(f"expected at least 1, got {options.rounds=} and {options.threads=}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        try:
            result = hold(name, contests[name], options)
        except (ContestantError, ValueError, subprocess.CalledProcessError) as e:
            sys.exit(str(e))
        (options.output / f"{name}.json").write_text(json.dumps(result, indent=1))
    held = [options.output / f"{name}.json" for name in contests]
    table = table_of(
        [json.loads(path.read_text()) for path in held if path.is_file()], options.clock
    )
    (options.output / "table.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
