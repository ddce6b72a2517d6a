"""benchmarks/networks.py: it measures the networks it is asked for, and direct forces cost less."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlip_engines.operators import are_compiled
from mlip_train.networks import NETWORKS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "networks.py"


@pytest.mark.slow
def test_direct_forces_cost_less_than_conservative_ones(tmp_path):
    if not are_compiled():
        pytest.skip("the operators are not compiled")
    output = tmp_path / "networks.json"
    command = [sys.executable, str(SCRIPT), "--rounds", "4", "-o", str(output)]
    command += ["--cutoff", "3.0", "--only", "SchNet, 64", "PaiNN"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["n_atoms"] == 192 and len(found["ms"]) == 2
    for name, times in found["ms"].items():
        assert min(times["NC"]) < min(times["C"])
        assert f"| {name} | {found['parameters'][name]} |" in done.stdout


def test_every_network_is_measured():
    text = SCRIPT.read_text()
    for name in sorted(set(NETWORKS) - {"eam"}):
        assert f'"name": "{name}"' in text
