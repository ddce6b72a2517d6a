"""Whether linear theory says beforehand what a long outer step does to water: configurational temperatures, both ways.

    OMP_NUM_THREADS=1 python benchmarks/linear_theory.py --model water-fast -o linear_theory

Each row is a run of 64 molecules in LAMMPS with fix nve/mlip/highpass at 300 K, with or without its bath with memory.
The configurational temperature of each element over all frames stands beside that of linear theory in 20 harmonic
wells of the starting structure, and beside the kinetic one at the ends of outer steps. Writes ``rows.json`` and
``table.md`` after each row.

References
----------
Morrone, Markland, Ceriotti, Berne, J. Chem. Phys. 134, 014103 (2011).
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms
from speed_of_engine import water
from tqdm import tqdm

from mlip_engines import load_model
from mlip_engines.lammps.plugin import lammps_command
from mlip_engines.model.load import LoadedModel
from mlip_engines.properties import (
    BathedRespa,
    configurational_temperature,
    linear_molecules,
    sampling,
)
from mlip_engines.properties.linear_theory import LinearMolecule

TEMPERATURE = 300.0  # K
HEAVY = 3.024  # g/mol
SAMPLE_FS = 24.0  # about, between frames
# hydrogen mass, inner step (fs), M, friction, high-pass friction, memory rate (1/ps)
ROWS = (
    (None, 0.5, 10, 2.0, 0.0, 0.0),
    (None, 0.5, 12, 10.0, 0.0, 0.0),
    (None, 0.5, 16, 10.0, 0.0, 0.0),
    (None, 0.5, 24, 2.0, 500.0, 200.0),
    (HEAVY, 1.0, 8, 2.0, 0.0, 0.0),
    (HEAVY, 1.0, 12, 2.0, 200.0, 100.0),
)
SCRIPT = """
units metal
atom_style atomic
atom_modify map yes
read_data start.data
velocity all create {temperature} {seed} mom yes rot no dist gaussian
pair_style mlip check_masses no
pair_coeff * * {model} O H
neighbor 3.0 bin
timestep {outer_ps}
run_style respa 2 {inner_steps} inner 1 4.0 5.0 outer 2
fix move all nve/mlip/highpass {temperature} {temperature} {seed} friction {friction} {bath}
run {settle}
dump frames all custom {every} frames.dump id xu yu zu vx vy vz
dump_modify frames sort id format float %.10g
run {steps}
"""


def follow(atoms: Atoms, r: BathedRespa, options: argparse.Namespace) -> tuple[list[Atoms], dict]:
    """Run in LAMMPS; return frames, and the kinetic temperature of each element, K."""
    from mlip_engines.simulations.lammps_input import write_data

    outer = r.outer_step_fs / 1000.0
    bath = f"high_pass_friction {r.high_pass_friction} memory_rate {r.memory_rate}"
    script = SCRIPT.format(
        temperature=TEMPERATURE,
        seed=options.seed,
        model=options.model,
        outer_ps=outer,
        inner_steps=r.inner_steps,
        friction=r.friction,
        bath=bath if r.high_pass_friction else "light_mass 0.1",  # no atom is as light
        settle=round(options.settle / outer),
        every=round(SAMPLE_FS / r.outer_step_fs),
        steps=round(options.picoseconds / outer),
    )
    with tempfile.TemporaryDirectory(prefix="linear-theory-") as scratch:
        write_data(Path(scratch) / "start.data", atoms.copy(), ["O", "H"])
        (Path(scratch) / "in.lammps").write_text(script)
        command = [*lammps_command(), "-in", "in.lammps", "-log", "none", "-screen", "none"]
        subprocess.run(command, cwd=scratch, check=True)
        blocks = (Path(scratch) / "frames.dump").read_text().split("ITEM: ATOMS")[1:]
    table = np.array(
        [[line.split()[1:7] for line in b.splitlines()[1 : len(atoms) + 1]] for b in blocks]
    ).astype(float)
    frames = []
    for rows in table:
        frames.append(atoms.copy())
        frames[-1].positions = rows[:, :3]
    v = table[:, :, 3:] / (1000.0 * ase.units.fs)
    twice_kinetic = atoms.get_masses()[:, None] * v**2  # eV
    kinetic = {
        e: float(twice_kinetic[:, np.array(atoms.symbols) == e].mean() / ase.units.kB) for e in "HO"
    }
    return frames, kinetic


def row(
    model: LoadedModel, molecules: list[LinearMolecule], case: tuple, options: argparse.Namespace
) -> dict:
    """Measure one row, and predict it."""
    mass, *numbers = case
    r = BathedRespa(*numbers)
    frames, kinetic = follow(water(1, mass), r, options)
    simulated = configurational_temperature(model, frames)
    wells = [m.with_hydrogen_mass(mass) for m in molecules] if mass else molecules
    theory = sampling(wells, r)
    return {
        "hydrogen_mass": mass or 1.008,
        "friction": r.friction,
        "high_pass_friction": r.high_pass_friction,
        "outer_step_fs": r.outer_step_fs,
        "frames": len(frames),
        "simulated": {e: tuple(simulated[e]) for e in "HO"},
        "theory": {e: TEMPERATURE * theory.configurational[e] for e in "HO"},
        "kinetic": kinetic,
        "kinetic_theory": {e: TEMPERATURE * theory.kinetic[e] for e in "HO"},
    }


def table_of(rows: list[dict]) -> str:
    """Return the rows as Markdown."""
    header = ["mass of H, g/mol", "k, 1/ps", "g, 1/ps", "outer step, fs"]
    header += [f"{kind} {e}, K" for e in "HO" for kind in ("theory", "simulated", "kinetic")]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for r in rows:
        cells = [r["hydrogen_mass"], r["friction"], r["high_pass_friction"], r["outer_step_fs"]]
        cells = [f"{value:g}" for value in cells]
        for e in "HO":
            value, error = r["simulated"][e]
            cells += [f"{r['theory'][e]:.0f}", f"{value:.0f} ± {error:.0f}"]
            cells += [f"{r['kinetic'][e]:.0f} ({r['kinetic_theory'][e]:.0f})"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water-fast")
    parser.add_argument("--picoseconds", type=float, default=6.0)
    parser.add_argument("--settle", type=float, default=1.0, help="ps that do not count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    model = load_model(options.model)
    molecules = linear_molecules(model, water(1, None))
    rows = []
    for case in tqdm(ROWS):
        try:
            rows.append(row(model, molecules, case, options))
        except subprocess.CalledProcessError:
            tqdm.write(f"{case}: LAMMPS has stopped")
            continue
        (options.output / "rows.json").write_text(json.dumps(rows, indent=1))
        (options.output / "table.md").write_text(table_of(rows))
        tqdm.write(table_of(rows).splitlines()[-1])


if __name__ == "__main__":
    main()
