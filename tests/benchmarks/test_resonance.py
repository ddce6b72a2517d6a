"""benchmarks/resonance.py: every stride has its row, and a run too short to settle is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RESONANCE = Path(__file__).parents[2] / "benchmarks" / "resonance.py"


@pytest.mark.lammps
@pytest.mark.slow
def test_resonance_tabulates_every_stride_and_refuses_runs_too_short_to_settle(models, tmp_path):
    command = [sys.executable, str(RESONANCE), "--model", str(models["curl"])]
    command += ["-o", str(tmp_path), "--strides", "1", "4", "--picoseconds", "0.02"]
    done = subprocess.run([*command, "--damping", "0.002"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "resonance.json").read_text())
    assert [row["M"] for row in rows] == [1, 4]
    assert rows[0]["1H"] != rows[0]["3H"]  # the masses count
    assert (tmp_path / "resonance.png").stat().st_size > 0
    done = subprocess.run([*command, "--damping", "0.1"], capture_output=True, text=True)
    assert done.returncode == 2 and "at least 8 times --damping" in done.stderr
