"""Time per inner step of several kinds of forces: ``python -m openmm_forces.timing job.json``.

Reads the number of one of the kinds from a line of standard input, runs it, prints ``turn MILLISECONDS``, and
waits for the next line. The caller decides whose turn it is.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import ase.io

from mlip_engines.simulations.simulation import Forces, Simulation
from openmm_forces.trajectory import TrajectoryRun

WARM_UP = 4  # outer steps before the first measurement: TorchScript settles at its first calls


def main(arguments: list[str]) -> int:
    """Run the job file that is the only argument; other arguments are an error."""
    if len(arguments) != 1:
        print("usage: python -m openmm_forces.timing job.json", file=sys.stderr)
        return 2
    path = Path(arguments[0]).resolve()
    job = json.loads(path.read_text())
    atoms = ase.io.read(path.parent / job["start"])
    runs: dict[int, TrajectoryRun] = {}
    for line in sys.stdin:
        k = int(line)
        forces = Forces(**job["choices"][k])
        if k not in runs:
            simulation = Simulation(forces, 1.0, inner_step_fs=job["inner_step_fs"])
            runs[k] = TrajectoryRun(simulation, atoms, job["model"], path.parent)
            runs[k].integrator.step(WARM_UP)
        run, steps = runs[k], forces.outer_steps(job["inner_steps"])
        run.context.getState(positions=True)  # waits for what is under way
        start = time.perf_counter()
        run.integrator.step(steps)
        run.context.getState(positions=True)
        spent = 1000.0 * (time.perf_counter() - start) / (steps * forces.inner_steps)
        print(f"turn {spent:.6g}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
