"""Water at constant temperature in OpenMM with r-RESPA; a run that was killed can be resumed.

    python examples/openmm/nvt.py --thermostat bussi --steps 5000 --output nvt
    python examples/openmm/nvt.py --thermostat bussi --steps 5000 --output nvt --resume

The folder then has ``energy.csv`` with the conserved energy (potential plus kinetic, minus the heat from
the bath), ``heads.csv`` with the difference between non-conservative and conservative forces,
``frames.extxyz`` for ASE, and a checkpoint. With ``--resume`` the run continues from the checkpoint, and the
files have every step once.
"""

import argparse
import sys
from pathlib import Path

import ase.io
import openmm
from openmm import app, unit

from openmm_forces import (
    ConservedQuantityReporter,
    ExtendedXYZReporter,
    HeadDisagreementReporter,
    RespaBussiIntegrator,
    RespaHighPassLangevinIntegrator,
    RespaLangevinIntegrator,
    create_system,
    evaluation_counts,
    from_ase,
)


def make_integrator(options: argparse.Namespace) -> openmm.Integrator:
    """Return r-RESPA with the thermostat that was asked for."""
    outer_step = options.dt * options.inner_steps * unit.femtosecond
    if options.thermostat == "langevin":
        integrator = RespaLangevinIntegrator(
            options.temperature * unit.kelvin,
            options.friction / unit.picosecond,
            outer_step,
            options.inner_steps,
        )
    elif options.thermostat == "high-pass":
        # of hydrogens with their natural mass; see the class for heavier ones
        integrator = RespaHighPassLangevinIntegrator(
            options.temperature * unit.kelvin,
            outer_step,
            options.inner_steps,
            high_pass_friction=500 / unit.picosecond,
            memory_rate=200 / unit.picosecond,
        )
    else:
        integrator = RespaBussiIntegrator(
            options.temperature * unit.kelvin,
            options.time_constant * unit.femtosecond,
            outer_step,
            options.inner_steps,
        )
    integrator.setRandomNumberSeed(options.seed)
    return integrator


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_start = Path(__file__).parents[1] / "water_64.extxyz"
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--structure", type=Path, default=default_start, help="anything ASE reads")
    parser.add_argument("--thermostat", choices=("langevin", "bussi", "high-pass"), default="bussi")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--friction", type=float, default=1.0, help="1/ps, of langevin")
    parser.add_argument("--time-constant", type=float, default=100.0, help="fs, of bussi")
    parser.add_argument("--inner-steps", type=int, default=4, help="M of r-RESPA")
    parser.add_argument("--dt", type=float, default=0.5, help="inner time step, fs")
    parser.add_argument("--steps", type=int, default=5000, help="outer steps in all")
    parser.add_argument("--every", type=int, default=50, help="outer steps between reports")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("nvt"), help="folder")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    parser.add_argument("--host", choices=("auto", "torch", "python"), default="auto")
    return parser.parse_args()


def main() -> None:
    """Run to the number of steps asked for, from the start or from the checkpoint."""
    options = parse_arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    checkpoint = options.output / "run.chk"
    if options.resume and not checkpoint.exists():
        sys.exit(f"expected a checkpoint {checkpoint}, got none; start without --resume")

    structure = from_ase(ase.io.read(options.structure))
    system = create_system(structure.topology, options.model, host=options.host)
    simulation = app.Simulation(structure.topology, system, make_integrator(options))
    if options.resume:
        simulation.loadCheckpoint(str(checkpoint))
        print(f"resumed at step {simulation.currentStep}")
    else:
        simulation.context.setPositions(structure.positions)
        simulation.context.setVelocitiesToTemperature(options.temperature, options.seed)

    every, append = options.every, options.resume
    simulation.reporters += [
        ConservedQuantityReporter(options.output / "energy.csv", every, append=append),
        HeadDisagreementReporter(options.output / "heads.csv", every, append=append),
        ExtendedXYZReporter(options.output / "frames.extxyz", every, append=append),
        app.StateDataReporter(
            sys.stdout,
            every,
            step=True,
            temperature=True,
            progress=True,
            remainingTime=True,
            totalSteps=options.steps,
        ),
        app.CheckpointReporter(str(checkpoint), every),
    ]
    simulation.step(max(0, options.steps - simulation.currentStep))
    print(*evaluation_counts(simulation.context)._asdict().items(), sep="\n")


if __name__ == "__main__":
    main()
