"""benchmarks/pareto.py: which modes are on the front of speed against drift."""

import json
import subprocess
import sys
from pathlib import Path

PARETO = Path(__file__).parents[2] / "benchmarks" / "pareto.py"


def test_front_of_speed_against_drift(tmp_path):
    """Two points are beaten: C only seems to drift less than M = 4, M = 8 is slower than M = 12 at its drift."""
    drifts = {"C": 0.001, "M = 4": 0.004, "M = 6": -0.05, "M = 8": -0.4, "M = 12": 0.4}
    ms = {"C": 12.0, "M = 4": 6.0, "M = 6": 4.0, "M = 8": 5.0, "M = 12": 3.0}
    part = {
        "engine": "lammps",
        "ms_per_inner_step": ms,
        "drift": {mode: {"meV_per_atom_per_ps": d} for mode, d in drifts.items()},
    }
    settings = {"model": "some/water.pt", "hydrogen_mass": "None"}
    (tmp_path / "speed.json").write_text(json.dumps({"settings": settings, "parts": [part]}))
    command = [sys.executable, str(PARETO), str(tmp_path)]
    done = subprocess.run([*command, "-o", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bold = [line for line in done.stdout.splitlines() if line.startswith("| **")]
    assert [line.split("**")[5] for line in bold] == ["M = 4", "M = 6", "M = 12"]
    assert "**3.00** | **-0.050**" in bold[1]
    assert (tmp_path / "front.png").stat().st_size > 0
    done = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 2 and "run that first" in done.stderr
