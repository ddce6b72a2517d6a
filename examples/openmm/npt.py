"""Water at constant temperature and pressure in OpenMM: r-RESPA with Langevin dynamics and a barostat.

    python examples/openmm/npt.py --steps 5000 --pressure 1 --output npt.csv

The barostat sees the conservative energy, and each of its trial moves costs a full evaluation. The shipped
model was trained without stress labels, so be careful with its density.
"""

import argparse
import sys
from pathlib import Path

import ase.io
import numpy as np
import openmm
from openmm import app, unit

from openmm_forces import RespaLangevinIntegrator, create_system, from_ase


def main() -> None:
    """Run, write density against time, print its mean over the second half."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_start = Path(__file__).parents[1] / "water_64.extxyz"
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--structure", type=Path, default=default_start, help="anything ASE reads")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--pressure", type=float, default=1.0, help="bar")
    parser.add_argument("--trial-every", type=int, default=25, help="outer steps between trials")
    parser.add_argument("--inner-steps", type=int, default=4, help="M of r-RESPA")
    parser.add_argument("--dt", type=float, default=0.5, help="inner time step, fs")
    parser.add_argument("--steps", type=int, default=5000, help="outer steps")
    parser.add_argument("--every", type=int, default=50, help="outer steps between rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("npt.csv"))
    options = parser.parse_args()

    structure = from_ase(ase.io.read(options.structure))
    system = create_system(structure.topology, options.model)
    barostat = openmm.MonteCarloBarostat(
        options.pressure * unit.bar, options.temperature * unit.kelvin, options.trial_every
    )
    barostat.setRandomNumberSeed(options.seed)
    system.addForce(barostat)
    outer_step = options.dt * options.inner_steps * unit.femtosecond
    integrator = RespaLangevinIntegrator(
        options.temperature * unit.kelvin, 5 / unit.picosecond, outer_step, options.inner_steps
    )
    integrator.setRandomNumberSeed(options.seed)
    simulation = app.Simulation(structure.topology, system, integrator)
    simulation.context.setPositions(structure.positions)
    simulation.context.setVelocitiesToTemperature(options.temperature, options.seed)
    simulation.reporters += [
        app.StateDataReporter(
            str(options.output),
            options.every,
            time=True,
            temperature=True,
            volume=True,
            density=True,
        ),
        app.StateDataReporter(
            sys.stdout,
            options.every,
            progress=True,
            remainingTime=True,
            density=True,
            totalSteps=options.steps,
        ),
    ]
    simulation.step(options.steps)
    del simulation.reporters[:]  # closes the file
    density = np.loadtxt(options.output, delimiter=",", skiprows=1, ndmin=2)[:, -1]
    print(f"density_g_per_ml {density[len(density) // 2 :].mean():.4f}")


if __name__ == "__main__":
    main()
