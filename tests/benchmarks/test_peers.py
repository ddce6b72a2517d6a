"""benchmarks/peers: contestants take turns, the table says what they took, and one that fails says why."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import units

from mlip_engines import MlipCalculator
from tolerances import TOLERANCE

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
PAGE = PEERS.parents[1] / "docs" / "measurements" / "peers.md"
NOT_ON_PAGE = (
    "numpy",
    "mpi4py",
    "safetensors",
    "metatensor-torch",
)  # pinned, but not what is compared

# A contestant whose evaluations take what it says they take.
STUB = f"""
import os, sys
sys.path.insert(0, {str(PEERS)!r})
from turns import claim_stdout, parser_of, take_turns

stdout = claim_stdout()
parser = parser_of("stub")
parser.add_argument("ms", type=float)
parser.add_argument("--evaluations", type=int, default=1)
parser.add_argument("--atoms", type=int, default=192)
parser.add_argument("--fail", choices=["prepare", "start", "turn"])
options = parser.parse_args()
if options.prepare:
    sys.exit("no weights" if options.fail == "prepare" else 0)
if options.fail == "start":
    sys.exit("no such model")
os.write(1, b"a library that prints\\n")
turns = 0

def turn():
    global turns
    turns += 1
    if options.fail == "turn" and turns == 2:
        raise RuntimeError("out of memory")
    # Slower in every turn, as on a machine that becomes busy: ratios within a round do not see it.
    return [(10 * options.ms * turns, options.ms * turns)] * options.evaluations

about = {{"n_atoms": options.atoms, "dtype": "float32", "versions": {{"stub": "1.0"}}}}
about["threads"] = os.environ["OMP_NUM_THREADS"]
take_turns(stdout, turn, 0, 1.0, about)
"""


def contestant(command, kind="C", environment=None):
    keys = {"name": command, "kind": kind, "environment": environment, "command": command}
    return {**keys, "prepare": True}


def hold(folder, contestants, *more):
    (folder / "stub.py").write_text(STUB)
    contest = {"title": "Stubs", "contestants": contestants}
    (folder / "contests.json").write_text(json.dumps({"stubs": contest}))
    command = [sys.executable, str(PEERS / "compare.py"), "--environments", str(folder / "none")]
    command += ["--contests", str(folder / "contests.json"), "-o", str(folder / "out")]
    return subprocess.run([*command, *more], capture_output=True, text=True)


def cells_of(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_ratios_are_of_the_same_round_and_of_the_same_kind_of_forces(tmp_path):
    contestants = [contestant("stub.py 2"), contestant("stub.py 5")]
    contestants += [contestant("stub.py 1 --evaluations 2", "NC"), contestant("stub.py 3", "NC")]
    done = hold(tmp_path, contestants, "--rounds", "3", "--threads", "2", "--clock", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.strip() in done.stdout and "stub 1.0" in table and "192 atoms" in table
    rows = [cells_of(line) for line in table.splitlines() if line.startswith("| stub")]
    assert [row[:3] for row in rows] == [[c["name"], c["kind"], "float32"] for c in contestants]
    # Turns of 1, 2 and 3 times the time: the median is 2 times, a quartile half a time away.
    assert [row[3] for row in rows] == [
        "4.0 (3.0-5.0)",
        "10.0 (7.5-12.5)",
        "2.0 (1.2-2.8)",
        "6.0 (4.5-7.5)",
    ]
    assert [row[4] for row in rows] == ["1", "2.50 (2.50-2.50)", "1", "3.00 (3.00-3.00)"]
    found = json.loads((tmp_path / "out" / "stubs.json").read_text())
    assert found["threads"] == 2 and len(found["load_average"]) == 2
    for c in found["contestants"]:
        assert c["about"]["threads"] == "2"
        assert 1.0 < c["peak_MB"] < 1000.0
        assert [turn["wall"][0] / turn["cpu"][0] for turn in c["rounds"]] == pytest.approx([10] * 3)
    # What a contestant prints is in its log, not in the protocol.
    assert "a library that prints" in (tmp_path / "out" / "stubs-0.log").read_text()


@pytest.mark.parametrize(
    ("when", "reason"),
    [("prepare", "no weights"), ("start", "no such model"), ("turn", "out of memory")],
)
def test_contestant_that_fails_says_why_and_writes_no_result(tmp_path, when, reason):
    contestants = [contestant("stub.py 2"), contestant(f"stub.py 5 --fail {when}")]
    done = hold(tmp_path, contestants, "--rounds", "2")
    assert done.returncode == 1
    assert reason in done.stderr and "stubs-1.log" in done.stderr
    assert not (tmp_path / "out" / "stubs.json").exists()


def test_what_is_asked_for_must_exist_and_be_of_one_size(tmp_path):
    done = hold(tmp_path, [contestant("stub.py 2")], "--only", "stub")
    assert done.returncode == 2 and "among stubs, got stub" in done.stderr
    done = hold(tmp_path, [contestant("stub.py 2")], "--rounds", "0")
    assert done.returncode == 2 and "options.rounds=0" in done.stderr
    done = hold(tmp_path, [contestant("stub.py 2", environment="gap")])
    assert done.returncode == 1 and "among deepmd, mace, metatrain" in done.stderr
    done = hold(tmp_path, [contestant("stub.py 2"), contestant("stub.py 2 --atoms 3")])
    assert done.returncode == 1 and "same number of atoms" in done.stderr


def test_contests_begin_with_this_project_and_pin_all_others():
    contests = json.loads((PEERS / "contests.json").read_text())
    page = PAGE.read_text()
    environments = set()
    for name, contest in contests.items():
        first = {}
        for c in contest["contestants"]:
            assert (PEERS / c["command"].split()[0]).is_file()
            first.setdefault(c["kind"], c["environment"])
            environments.add(c["environment"])
        assert set(first.values()) == {None}, f"{name}: ratios are to this project"
    for environment in environments - {None}:
        for line in (PEERS / f"requirements-{environment}.txt").read_text().splitlines():
            package, version = re.fullmatch(
                r"([\w-]+)(?:\[.*\])?==([\d.]+)(?:\s+#.*)?", line
            ).groups()
            assert package in NOT_ON_PAGE or f"{package} {version}" in page


def test_swing_is_thermal_motion_that_returns(monkeypatch, models):
    monkeypatch.syspath_prepend(PEERS)
    from swing import PERIOD, STEP, TEMPERATURE, Swing

    swing = Swing(2)
    swing.atoms.calc = MlipCalculator(models["curl"])
    at_rest = swing.centre.copy()
    swing.forces()
    velocities = (swing.atoms.positions - at_rest) / (STEP * units.fs)
    kinetic = 0.5 * (swing.atoms.get_masses()[:, None] * velocities**2).mean()
    # A mean over 4608 components scatters by sqrt(2 / 4608) = 2 %; a sine over 1/80 of its period is a line.
    assert kinetic == pytest.approx(0.5 * units.kB * TEMPERATURE, rel=0.07)
    swing.step = round(PERIOD / STEP) - 1
    swing.forces()
    np.testing.assert_allclose(swing.atoms.positions, at_rest, atol=1e-12)


@pytest.mark.parametrize(
    ("script", "more"),
    [
        ("ours_ase.py", ["--forces", "non_conservative"]),
        pytest.param("ours_lammps.py", ["--forces", "conservative"], marks=pytest.mark.lammps),
        pytest.param("ours_lammps.py", ["--forces", "non_conservative"], marks=pytest.mark.lammps),
    ],
)
def test_this_project_evaluates_the_forces_of_the_first_positions(
    monkeypatch, models, tmp_path, script, more
):
    command = [sys.executable, str(PEERS / script), str(models["curl"]), *more]
    command += ["--files", str(tmp_path), "--warm-up", "1", "--count", "2"]
    commands = "turn\nend\n"
    done = subprocess.run(command, input=commands, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    about, turn, end = (json.loads(line) for line in done.stdout.splitlines())
    assert about["about"]["n_atoms"] == 192 and about["about"]["dtype"] == "float64"
    assert min(turn["wall_ms"] + turn["cpu_ms"]) > 0.0 and end["peak_MB"] >= end["before_MB"]
    monkeypatch.syspath_prepend(PEERS)
    from swing import Swing

    first = Swing(1)
    first.atoms.calc = MlipCalculator(models["curl"], forces=more[1])
    expected = first.forces() if script == "ours_ase.py" else first.atoms.get_forces()
    limit = TOLERANCE["float64"].force
    np.testing.assert_allclose(about["about"]["first_force"], expected[0], atol=limit)
