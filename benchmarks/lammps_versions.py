"""The same water through another LAMMPS, through that of this environment, and ASE at the positions they end at.

    mlip-lammps build --lammps-source PREFIX --lmp PREFIX/bin/lmp        # prints the folder of the plugin
    python benchmarks/lammps_versions.py --lmp PREFIX/bin/lmp --plugin FOLDER

Single point, velocity Verlet, r-RESPA (M = 4), r-RESPA over a restart file, minimization, and r-RESPA on two processes
(with --mpiexec, the launcher of that LAMMPS). Differences of potential energy, forces and positions are the largest
of all atoms; those against ASE belong to the other LAMMPS. The command fails if a force differs from ASE's by more
than 0.001 eV/Angstrom.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

from mlip_engines.calculator import MlipCalculator
from mlip_engines.lammps.plugin import find_plugin, lammps_command, models_directory, plugin_target

EXAMPLES = Path(__file__).parents[1] / "examples" / "lammps"
LIMIT = 1e-3  # eV/A; a float32 network differs by 1e-5 when sums are ordered otherwise

START = f"""
units metal
read_data {EXAMPLES / "water.data"}
pair_style mlip
pair_coeff * * {{model}} O H
velocity all create 300 4711 mom yes rot no dist gaussian
fix move all nve
timestep 0.0005
"""
RESPA = "timestep 0.002\nrun_style respa 2 4 inner 1 4.0 5.0 outer 2\n"
RESTART = (
    "run 10\nwrite_restart water.restart\nclear\nread_restart water.restart\nfix move all nve\n"
)
CASES = {
    "single point": "",
    "Verlet, 40 steps": "run 40",
    "r-RESPA, 20 steps": f"{RESPA}run 20",
    "r-RESPA, 10 + restart + 10": f"{RESPA}{RESTART}{RESPA}run 10",
    "minimization, 20 steps": "min_style cg\nminimize 0 0 20 200",
}
END = """
dump last all custom 1 last.dump id type xu yu zu fx fy fz
dump_modify last sort id format float %.17g
variable energy equal pe
run 0 post no
print "energy $(v_energy:%.17g)"
"""


def run(command: list[str], plugin: Path, commands: str, model: Path) -> tuple[str, float, Atoms]:
    """Version of LAMMPS, potential energy, and atoms with forces."""
    environment = {**os.environ, "LAMMPS_PLUGIN_PATH": str(plugin)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "in.lammps").write_text(START.format(model=model) + commands + END)
        done = subprocess.run(
            [*command, "-in", "in.lammps", "-log", "none"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} stopped\n{done.stdout}{done.stderr}")
        energy = float(done.stdout.split("\nenergy ")[1].split()[0])
        version = done.stdout.split("LAMMPS (")[1].split(")")[0]
        return version, energy, read(folder / "last.dump", format="lammps-dump-text", index=-1)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--lmp", required=True, help="executable of the other LAMMPS")
    parser.add_argument("--plugin", type=Path, required=True, help="folder of its plugin")
    parser.add_argument("--mpiexec", help="its launcher, for two processes")
    parser.add_argument("--model", type=Path, default=models_directory() / "water.pt")
    options = parser.parse_args()
    calculator = MlipCalculator(options.model)
    own = find_plugin(plugin_target())
    other, mpiexec = (  # they are started in another folder
        str(Path(shutil.which(name) or parser.error(f"{name} is no executable")).absolute())
        if name
        else None
        for name in (options.lmp, options.mpiexec)
    )
    # executable, commands
    cases = {name: ([other], commands) for name, commands in CASES.items()}
    if mpiexec:
        commands = CASES["r-RESPA, 20 steps"]
        cases["r-RESPA, 2 processes"] = ([mpiexec, "-n", "2", other], commands)

    worst = 0.0
    for k, (name, (command, commands)) in enumerate(cases.items()):
        (version, energy, ours), (other_version, other_energy, atoms) = (
            run(c, p, commands, options.model)
            for c, p in ((lammps_command(), own), (command, options.plugin.absolute()))
        )
        if k == 0:
            print(f"LAMMPS {other_version} against {version}, and against ASE\n")
            print("| | energy, eV | forces, eV/Å | positions, Å | ASE: energy, forces |")
            print("|---|---|---|---|---|")
        forces = atoms.get_forces()
        cells = [
            abs(other_energy - energy),
            np.abs(forces - ours.get_forces()).max(),
            np.abs(atoms.positions - ours.positions).max(),
        ]
        atoms.symbols[:] = np.array(["", "O", "H"])[atoms.arrays["type"]]
        atoms.calc = calculator
        difference = np.abs(atoms.get_forces() - forces).max()
        worst = max(worst, difference)
        last = f"{abs(atoms.get_potential_energy() - other_energy):.1e}, {difference:.1e}"
        print(f"| {name} | {' | '.join(f'{c:.1e}' for c in cells)} | {last} |", flush=True)
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
