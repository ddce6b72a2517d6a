"""Water at constant energy in OpenMM: conservative forces, non-conservative forces, or r-RESPA.

    python examples/openmm/water_respa.py --mode respa --inner-steps 4 --steps 2000

Energies go to a CSV file and are conservative in all modes, so that the modes can be compared. In
the mode ``non_conservative`` each row therefore costs one more full evaluation, which the time per
step leaves out.
"""

import argparse
import csv
import sys
import time
from pathlib import Path

import ase.io
import openmm
from openmm import app, unit

from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN, EV_TO_KJ_PER_MOL
from openmm_forces import (
    RespaIntegrator,
    conservative_energy,
    create_system,
    evaluation_counts,
    from_ase,
)

MODES = ("conservative", "non_conservative", "respa")
COLUMNS = (
    "time_ps",
    "potential_eV",
    "kinetic_eV",
    "total_eV",
    "temperature_K",
    "non_conservative_evaluations",
    "full_evaluations",
    "rms_correction_eV_per_A",
)


def velocity_verlet(time_step: unit.Quantity) -> openmm.CustomIntegrator:
    """Return velocity Verlet, whose velocities belong to the same time as its positions."""
    integrator = openmm.CustomIntegrator(time_step)
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
    integrator.addComputePerDof("x", "x + dt*v")
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m")
    return integrator


def read_structure(path: Path) -> tuple[app.Topology, unit.Quantity, unit.Quantity | None]:
    """Read a PDB file with OpenMM, anything else with ASE."""
    if path.suffix == ".pdb":
        pdb = app.PDBFile(str(path))
        return pdb.topology, pdb.positions, None
    return from_ase(ase.io.read(path))[:3]


def row_of(context: openmm.Context, degrees_of_freedom: int) -> list[float]:
    """Return the values of one line of the CSV file."""
    kinetic = context.getState(getEnergy=True).getKineticEnergy()
    kinetic_ev = kinetic.value_in_unit(unit.kilojoule_per_mole) / EV_TO_KJ_PER_MOL
    potential = conservative_energy(context)
    potential_ev = potential.value_in_unit(unit.kilojoule_per_mole) / EV_TO_KJ_PER_MOL
    temperature = 2.0 * kinetic_ev / (degrees_of_freedom * BOLTZMANN_EV_PER_KELVIN)
    counts = evaluation_counts(context)
    time_ps = context.getTime().value_in_unit(unit.picosecond)
    return [
        round(time_ps, 6),
        potential_ev,
        kinetic_ev,
        potential_ev + kinetic_ev,
        temperature,
        counts.non_conservative,
        counts.full,
        counts.rms_correction,
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_start = Path(__file__).parents[1] / "water_64.extxyz"
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--structure", type=Path, default=default_start, help="PDB, extended XYZ")
    parser.add_argument("--mode", choices=MODES, default="respa")
    parser.add_argument("--inner-steps", type=int, default=4, help="per outer step, for respa")
    parser.add_argument("--steps", type=int, default=2000, help="time steps of --dt; inner steps")
    parser.add_argument("--dt", type=float, default=0.5, help="(inner) time step, fs")
    parser.add_argument(
        "--every",
        type=int,
        default=40,
        help="time steps between rows, a multiple of --inner-steps; --steps is a multiple of it",
    )
    parser.add_argument("--output", type=Path, default=Path("water_openmm.csv"))
    parser.add_argument("--temperature", type=float, help="draw velocities at this temperature, K")
    parser.add_argument("--seed", type=int, default=1, help="of the velocities")
    parser.add_argument("--host", choices=("auto", "torch", "python"), default="auto")
    parser.add_argument(
        "--platform",
        choices=platforms(),
        help="of OpenMM (default: CUDA where there is one, else Reference)",
    )
    options = parser.parse_args()
    per_step = options.inner_steps if options.mode == "respa" else 1
    if per_step < 1 or options.every % per_step or options.steps % options.every:
        parser.error(
            "--every must be a multiple of --inner-steps, and --steps of --every; got "
            f"--steps {options.steps} --every {options.every} --inner-steps {per_step}"
        )
    return options


def platforms() -> list[str]:
    """Return the names of OpenMM's platforms here."""
    count = openmm.Platform.getNumPlatforms()
    return [openmm.Platform.getPlatform(k).getName() for k in range(count)]


def main() -> None:
    """Run, write rows, print progress and the price of a step."""
    options = parse_arguments()
    topology, positions, velocities = read_structure(options.structure)
    forces = "non_conservative" if options.mode == "non_conservative" else "conservative"
    system = create_system(
        topology, options.model, host=options.host, forces=forces, remove_cm_motion=False
    )
    per_step = options.inner_steps if options.mode == "respa" else 1
    time_step = options.dt * unit.femtosecond
    if options.mode == "respa":
        integrator = RespaIntegrator(per_step * time_step, per_step)
    else:
        integrator = velocity_verlet(time_step)
    # For a model alone Reference is faster than CPU: the model computes the same on both.
    name = options.platform or ("CUDA" if "CUDA" in platforms() else "Reference")
    simulation = app.Simulation(topology, system, integrator, openmm.Platform.getPlatform(name))
    context = simulation.context
    context.setPositions(positions)
    if velocities is None or options.temperature is not None:
        context.setVelocitiesToTemperature(options.temperature or 300.0, options.seed)
    else:
        context.setVelocities(velocities)

    degrees_of_freedom = 3 * system.getNumParticles() - 3
    stepping = 0.0  # s
    with options.output.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerow(row_of(context, degrees_of_freedom))
        for done in range(options.every, options.steps + 1, options.every):
            start = time.perf_counter()
            integrator.step(options.every // per_step)
            stepping += time.perf_counter() - start
            row = row_of(context, degrees_of_freedom)
            table.writerow(row)
            file.flush()
            print(
                f"{options.mode} {done}/{options.steps} steps  {row[0]:.3f} ps  "
                f"total {row[3]:.5f} eV  {row[4]:.0f} K  "
                f"evaluations {row[5]} non-conservative, {row[6]} full",
                file=sys.stderr,
                flush=True,
            )
    print(f"ms_per_inner_step {1000.0 * stepping / options.steps:.3f}")
    print(f"platform {context.getPlatform().getName()}")


if __name__ == "__main__":
    main()
