"""benchmarks/property_curves.py: the table of runs that are there, and the constant they are compared with."""

import json
import subprocess
import sys
from pathlib import Path

import ase.io
from ase import Atoms

CURVES = Path(__file__).parents[2] / "benchmarks" / "property_curves.py"


def test_means_and_spreads_over_seeds(tmp_path):
    gaps = {"train": [1.0, 2.0, 6.0], "valid": [1.0], "test": [2.0, 5.0]}
    frames = [
        Atoms("He", info={"gap": gap, "split_random": part})
        for part, some in gaps.items()
        for gap in some
    ]
    ase.io.write(tmp_path / "relaxed.extxyz", frames)
    for mode, n, seed, mae in (
        ("whole", 100, 1, 0.2),
        ("whole", 100, 2, 0.4),
        ("head", 300, 1, 0.5),
    ):
        folder = tmp_path / "curves" / "split_random" / "gap" / mode / str(n) / str(seed)
        folder.mkdir(parents=True)
        (folder / "test.json").write_text(json.dumps({"test": {"gap": {"mae": mae}}}))
    command = [sys.executable, str(CURVES), str(tmp_path), "-o", str(tmp_path / "curves")]
    done = subprocess.run([*command, "--only-table"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a constant is wrong by 1.500" in done.stdout
    assert "| split_random | gap (gap) | whole | 0.300 ± 0.141 (2) |  |" in done.stdout
    assert "| split_random | gap (gap) | head |  | 0.500 (1) |" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--potential" in done.stderr
