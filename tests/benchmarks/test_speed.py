"""benchmarks/speed.py: it runs, its numbers hang together, and it does not measure twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed.py"


@pytest.mark.lammps
@pytest.mark.slow
def test_speeds_stand_beside_drifts_and_are_not_measured_twice(models, tmp_path):
    def run(*more):
        command = [
            sys.executable,
            str(SPEED),
            "-o",
            str(tmp_path),
            "--model",
            str(models["curl"]),
        ]
        command += ["--engines", "lammps", "--strides", "4", "--repeats", "2", "--drift-ps", "0.02"]
        command += ["--fair-ps", "0.01", "--fair-step", "1.5"]
        return subprocess.run([*command, *more], capture_output=True, text=True)

    done = run("--molecules", "64")
    assert done.returncode == 0, done.stdout + done.stderr
    (part,) = json.loads((tmp_path / "speed.json").read_text())["parts"]
    assert part["n_atoms"] == 192
    assert set(part["ms_per_inner_step"]) == {"C", "NC", "M = 4"}
    phases = part["phases_ms"]
    assert phases["forward"] + phases["backward"] == pytest.approx(
        part["bare_ms_per_inner_step"]["C"]
    )
    # Every mode starts from the same atoms and velocities, and its energy is the conservative one.
    energies = {mode: drift["energy_eV"][0] for mode, drift in part["drift"].items()}
    assert energies["M = 4"] == pytest.approx(energies["C"], abs=1e-6)  # eV
    assert energies["NC"] == pytest.approx(energies["C"], abs=1e-6)
    assert part["drift"]["M = 4"]["time_ps"][-1] == pytest.approx(0.02)
    assert part["drift"]["M = 4"]["rms_c_minus_nc_meV_per_A"] > 0.0
    assert part["drift"]["C"]["rms_c_minus_nc_meV_per_A"] is None
    fair = part["fair"]
    labels = [pace["label"] for pace in fair["paces"]]
    assert labels[0] == "C, 1.5 fs" and any(" x " in label for label in labels)
    assert f"{part['ms_per_inner_step']['C'] / 1.5:.2f}" in (tmp_path / "table.md").read_text()
    for name in ("table.md", "speed.png"):
        assert (tmp_path / name).stat().st_size > 0

    file = tmp_path / "parts" / "lammps_64.json"
    before = file.stat().st_mtime_ns
    assert run("--molecules", "64").returncode == 0
    assert file.stat().st_mtime_ns == before
    # Other settings do not go into the same table.
    done = run("--molecules", "64", "--repeats", "3")
    assert done.returncode == 2 and "other settings" in done.stderr
    done = run("--molecules", "100")
    assert done.returncode == 2 and "64 times a cube" in done.stderr
