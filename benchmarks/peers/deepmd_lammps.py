"""Contestant: DeePMD-kit in LAMMPS, a network of the published size for water after a few steps of training.

The labels are those of springs: enough for a speed, not for a simulation.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from lammps_steps import DATA, LammpsSteps
from turns import claim_stdout, parser_of, peak_mb, take_turns, versions_of

N_FRAMES, STEPS = 4, 20  # of training
DESCRIPTOR = {
    "type": "se_e2_a",
    "sel": [46, 92],  # of O and H, the largest numbers within the cutoff
    "rcut": 6.0,  # Å
    "rcut_smth": 0.5,
    "neuron": [25, 50, 100],
    "axis_neuron": 16,
    "seed": 1,
}


def read_water() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return types (N,), positions (N, 3) and cell (3, 3), Å, of the water that LAMMPS reads."""
    head, _, body = DATA.read_text().partition("Velocities")[0].partition("Atoms # atomic")
    edges = [float(line.split()[1]) for line in head.splitlines() if line.endswith("hi")]
    rows = np.array([line.split() for line in body.splitlines() if line.strip()], dtype=float)
    return rows[:, 1].astype(int) - 1, rows[:, 2:5], np.diag(edges)


def write_frames(folder: Path) -> None:
    """Write displaced structures whose forces are those of springs to where the atoms were."""
    types, positions, cell = read_water()
    displacement = np.random.default_rng(1).normal(0.0, 0.05, (N_FRAMES, *positions.shape))
    (folder / "set.000").mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "type.raw", types, fmt="%d")
    (folder / "type_map.raw").write_text("O\nH\n")
    arrays = {
        "coord": positions + displacement,
        "box": np.tile(cell, (N_FRAMES, 1, 1)),
        "energy": 0.5 * (displacement**2).sum(axis=(1, 2)),
        "force": -displacement,
    }
    for name, values in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", values.reshape(N_FRAMES, -1))


def train(folder: Path, precision: str, compress: bool, model: Path) -> None:
    """Train for a few steps, freeze, and compress if asked to."""
    folder.mkdir(exist_ok=True)
    write_frames(folder / "frames")
    fitting = {"neuron": [240, 240, 240], "resnet_dt": True, "seed": 1, "precision": precision}
    settings = {
        "model": {
            "type_map": ["O", "H"],
            "descriptor": {**DESCRIPTOR, "precision": precision},
            "fitting_net": fitting,
        },
        "learning_rate": {"type": "exp", "start_lr": 1e-3, "stop_lr": 1e-6, "decay_steps": 5},
        "loss": {"type": "ener"},
        "training": {
            "training_data": {"systems": ["frames"], "batch_size": 1},
            "numb_steps": STEPS,
            "disp_freq": STEPS,
            "save_freq": STEPS,
            "seed": 1,
        },
    }
    (folder / "input.json").write_text(json.dumps(settings))
    dp = str(Path(sys.executable).with_name("dp"))
    commands = [[dp, "train", "input.json"], [dp, "freeze", "-o", "frozen.pb"]]
    if compress:
        commands.append([dp, "compress", "-i", "frozen.pb", "-o", "compressed.pb"])
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    os.replace(folder / ("compressed.pb" if compress else "frozen.pb"), model)


def main() -> None:
    """Write the model, or run steps with it when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["float32", "float64"], default="float64")
    parser.add_argument("--compress", action="store_true")
    options = parser.parse_args()
    name = f"deepmd-{options.precision}{'-compressed' * options.compress}"
    model = (options.files / f"{name}.pb").resolve()
    if options.prepare:
        if not model.is_file():
            folder = options.files / name
            train(folder, options.precision, options.compress, model)
        return
    before = peak_mb()
    steps = LammpsSteps(f"deepmd {model}", "* * O H", options.copies)
    about = {
        "n_atoms": steps.n_atoms,
        "versions": versions_of("deepmd-kit", "tensorflow-cpu", "lammps"),
        "dtype": options.precision,
        "first_force": steps.first_force(),
    }
    take_turns(stdout, lambda: steps.run(options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
