"""Time per inner step of several kinds of forces that take turns: ``python -m openmm_forces.timing job.json``.

Prints one line ``turn NAME MILLISECONDS`` for each kind and turn.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import ase.io

from mlip_engines.simulations.simulation import Forces, Simulation
from openmm_forces.trajectory import TrajectoryRun

WARM_UP = 4  # outer steps before each measurement


def main(arguments: list[str]) -> int:
    """Run the job file that is the only argument; other arguments are an error."""
    if len(arguments) != 1:
        print("usage: python -m openmm_forces.timing job.json", file=sys.stderr)
        return 2
    path = Path(arguments[0]).resolve()
    job = json.loads(path.read_text())
    atoms = ase.io.read(path.parent / job["start"])
    runs = []
    for choice in job["choices"]:
        simulation = Simulation(Forces(**choice), 1.0, inner_step_fs=job["inner_step_fs"])
        runs.append(TrajectoryRun(simulation, atoms, job["model"], path.parent))
    for _ in range(job["turns"]):
        for run in runs:
            forces = run.simulation.forces
            steps = max(1, round(job["inner_steps"] / forces.inner_steps))
            run.integrator.step(WARM_UP)
            run.context.getState(positions=True)  # waits for what is under way
            start = time.perf_counter()
            run.integrator.step(steps)
            run.context.getState(positions=True)
            spent = 1000.0 * (time.perf_counter() - start) / (steps * forces.inner_steps)
            print(f"turn {forces.file_name} {spent:.6g}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
