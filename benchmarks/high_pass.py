"""Averages over the structures of water with outer steps beyond the resonance, against small conservative steps.

    OMP_NUM_THREADS=1 OPENMM_CPU_THREADS=1 python benchmarks/high_pass.py --model water-fast -o high_pass

Each row is one run of --picoseconds in OpenMM at 300 K: the reference (Langevin dynamics with conservative forces and
a step of 0.5 fs), then RespaHighPassLangevinIntegrator and, to see what its memory is good for, RespaLangevinIntegrator
with the same outer steps. --rows chooses others: "C 2" is C with a step of 2 fs, "2 x 8" the high-pass thermostat with
8 inner steps of 2 fs. A folder that has some of the rows gets those that are missing. Hydrogens have their natural mass
(inner step 0.5 fs) or 3.024 g/mol, with the mass taken from the oxygens (inner step 1 fs). For each: kinetic and
configurational temperature of H and O, mean potential energy, mean and standard deviation of the O-H bond, height of
the first peak of g_OO, self-diffusion coefficient of oxygen, pressure, and seconds per picosecond. Errors are standard
errors from blocks of the run. Writes ``table.md`` and ``rows.json``.

    OMP_NUM_THREADS=1 OPENMM_CPU_THREADS=1 python benchmarks/high_pass.py --model water-large --masses natural \
        --rows "C 2" "2 x 8" --turns 9 -o turns

takes the times only: all rows simulate 48 fs in turns, so that what else the machine does meets all of them; the table
has medians, and how many times faster than the first row each is (the median and the quartiles of the turns).

References
----------
Morrone, Markland, Ceriotti, Berne, J. Chem. Phys. 134, 014103 (2011).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import openmm
from ase import Atoms, units
from openmm import unit
from speed_of_engine import water
from tqdm import tqdm

from mlip_engines import MlipCalculator, load_model
from mlip_engines.properties import configurational_temperature
from openmm_forces import (
    RespaHighPassLangevinIntegrator,
    RespaLangevinIntegrator,
    create_system,
    from_ase,
)

TEMPERATURE = 300.0  # K
HEAVY = 3.024  # g/mol
BLOCKS = 8
KJ_PER_EV = 96.48533212
SAMPLE_FS = 48.0  # a multiple of every outer step below
FRAMES = 60  # for the configurational temperature, which takes derivatives of forces

# name: inner step (fs), high-pass friction, memory rate (1/ps), outer steps (fs)
MASSES = {
    "natural": (None, 0.5, 500.0, 200.0, (8.0, 12.0, 16.0)),
    "heavy": (HEAVY, 1.0, 200.0, 100.0, (8.0, 12.0, 16.0)),
}


def integrators(options: argparse.Namespace):
    """Yield label, mass of hydrogen and integrator of every row."""
    for name, (mass, inner, friction, memory, outer_steps) in MASSES.items():
        if name not in options.masses:
            continue
        for words in options.rows:
            yield chosen(name, mass, friction, memory, words)
        if options.rows:
            continue
        if not options.without_reference:
            yield (
                f"{name}, C {inner:g} fs",
                mass,
                RespaLangevinIntegrator(TEMPERATURE, 2.0, 1e-3 * inner, 1),
            )
        for outer in outer_steps:
            stride = round(outer / inner)
            yield (
                f"{name}, high-pass, {inner:g} x {stride} = {outer:g} fs",
                mass,
                RespaHighPassLangevinIntegrator(
                    TEMPERATURE, 1e-3 * outer, stride, friction, memory
                ),
            )
            if options.plain:
                yield (
                    f"{name}, Langevin, {inner:g} x {stride} = {outer:g} fs",
                    mass,
                    RespaLangevinIntegrator(TEMPERATURE, 2.0, 1e-3 * outer, stride),
                )


def chosen(
    name: str, mass: float | None, friction: float, memory: float, words: str
) -> tuple[str, float | None, openmm.Integrator]:
    """Return label, mass of hydrogen and integrator of a row such as "C 2" or "2 x 8"."""
    if words.startswith("C"):
        step = float(words[1:])
        return f"{name}, C {step:g} fs", mass, RespaLangevinIntegrator(300.0, 2.0, 1e-3 * step, 1)
    inner, stride = float(words.split("x")[0]), int(words.split("x")[1])
    outer = inner * stride
    label = f"{name}, high-pass, {inner:g} x {stride} = {outer:g} fs"
    integrator = RespaHighPassLangevinIntegrator(
        TEMPERATURE, 1e-3 * outer, stride, friction, memory
    )
    return label, mass, integrator


def context_of(
    atoms: Atoms, integrator: openmm.Integrator, options: argparse.Namespace
) -> openmm.Context:
    """Return a context with positions, masses and velocities of 300 K."""
    structure = from_ase(atoms)
    system = create_system(structure.topology, options.model)
    for index, mass in enumerate(atoms.get_masses()):
        system.setParticleMass(index, mass)
    integrator.setRandomNumberSeed(options.seed)
    platform = openmm.Platform.getPlatformByName(options.platform)
    context = openmm.Context(system, integrator, platform)
    context.setPositions(structure.positions)
    context.setVelocitiesToTemperature(TEMPERATURE * unit.kelvin, options.seed)
    return context


def outer_step_fs(integrator: openmm.Integrator) -> float:
    """Return the step of an integrator."""
    return integrator.getStepSize().value_in_unit(unit.femtosecond)


def follow(atoms: Atoms, integrator: openmm.Integrator, options: argparse.Namespace) -> dict:
    """Run and return the samples: positions (T, N, 3) unwrapped, Å; potential, meV/atom; temperatures of H, O, K."""
    context = context_of(atoms, integrator, options)
    every = round(SAMPLE_FS / outer_step_fs(integrator))
    samples = round(1000.0 * options.picoseconds / SAMPLE_FS)
    settle = round(1000.0 * options.settle / SAMPLE_FS)
    kept = {"positions": [], "potential": [], "H": [], "O": []}
    seconds = 0.0
    for sample in tqdm(range(settle + samples), leave=False):
        started = time.perf_counter()
        integrator.step(every)
        seconds += time.perf_counter() - started
        if sample < settle:
            continue
        state = context.getState(getPositions=True, getVelocities=True, getEnergy=True)
        energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        if not np.isfinite(energy):
            raise FloatingPointError("the run has exploded")
        kept["positions"].append(state.getPositions(asNumpy=True).value_in_unit(unit.angstrom))
        kept["potential"].append(1000.0 * energy / KJ_PER_EV / len(atoms))
        v = state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)
        for symbol in "HO":
            of = np.array(atoms.symbols) == symbol
            kinetic = atoms.get_masses()[of] @ (v[of] ** 2).sum(axis=1)  # twice it, kJ/mol
            kept[symbol].append(
                kinetic / (3 * of.sum()) / unit.MOLAR_GAS_CONSTANT_R._value * 1000.0
            )
    kept = {name: np.array(values) for name, values in kept.items()}
    kept["seconds_per_ps"] = seconds / (options.picoseconds + options.settle)
    return kept


def of_positions(atoms: Atoms, run: dict, model: str) -> dict[str, tuple[float, float]]:
    """Return the temperature of the positions by element, the pressure that they have at 300 K, and their errors."""
    x = run["positions"]
    frames, pressures = [], []
    for k in np.unique(np.linspace(0, len(x) - 1, FRAMES).astype(int)):
        frames.append(atoms.copy())
        frames[-1].positions = x[k]
        frames[-1].calc = MlipCalculator(model)
        virial = -frames[-1].get_stress(voigt=False).trace() / 3.0
        ideal = len(atoms) * units.kB * TEMPERATURE / atoms.get_volume()
        pressures.append((virial + ideal) / units.bar / 1000.0)
    found = configurational_temperature(load_model(model), frames)
    mean = np.array([np.mean(block) for block in np.array_split(pressures, BLOCKS)])
    return {f"configurational T of {e}, K": tuple(found[e]) for e in "HO"} | {
        "pressure, kbar": (float(mean.mean()), float(mean.std(ddof=1) / np.sqrt(len(mean))))
    }


def take_turns(options: argparse.Namespace) -> str:
    """Return a table of the times that the rows take in turns."""
    rows = {}
    for label, mass, integrator in integrators(options):
        rows[label] = context_of(water(1, mass), integrator, options)
    seconds = {label: [] for label in rows}
    for turn in tqdm(range(options.turns + 1), leave=False):
        for label, context in rows.items():
            every = round(SAMPLE_FS / outer_step_fs(context.getIntegrator()))
            started = time.perf_counter()
            context.getIntegrator().step(every)
            context.getState(getEnergy=True)
            if turn > 0:  # TorchScript settles in the first
                seconds[label].append(1000.0 * (time.perf_counter() - started) / SAMPLE_FS)
    first = np.array(next(iter(seconds.values())))
    lines = ["| | s/ps | times as fast as the first |", "|---|---|---|"]
    for label, found in seconds.items():
        low, middle, high = np.quantile(first / np.array(found), [0.25, 0.5, 0.75])
        lines.append(
            f"| {label} | {np.median(found):.2f} | {middle:.2f} ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines) + "\n"


def observables(atoms: Atoms, run: dict) -> dict[str, tuple[float, float]]:
    """Return mean and error of what the table shows."""
    x, cell = run["positions"], atoms.cell.lengths()
    oxygens, hydrogens = (np.flatnonzero(np.array(atoms.symbols) == s) for s in "OH")

    def nearest(vectors: np.ndarray) -> np.ndarray:
        return np.linalg.norm(vectors - cell * np.round(vectors / cell), axis=-1)

    partner = oxygens[
        nearest(x[0][hydrogens][:, None] - x[0][oxygens][None]).argmin(axis=1)
    ]  # of each H
    bonds = nearest(x[:, hydrogens] - x[:, partner])  # (T, H)
    i, j = np.triu_indices(len(oxygens), 1)
    pairs = np.array([nearest(frame[oxygens[i]] - frame[oxygens[j]]) for frame in x])  # (T, P)
    edges = np.arange(2.4, 3.4, 0.05)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3) * len(i) / atoms.get_volume()
    peak = [
        np.histogram(block, edges)[0] / shells / len(block)
        for block in np.array_split(pairs, BLOCKS)
    ]
    time_ps = SAMPLE_FS * 1e-3
    diffusion = []
    for block in np.array_split(x[:, oxygens], BLOCKS // 2):
        lag = len(block) // 2
        moved = ((block[lag:] - block[:-lag]) ** 2).sum(axis=-1).mean()
        diffusion.append(moved / (6.0 * lag * time_ps))  # Å^2/ps = 1e-8 m^2/s

    def blocked(values: np.ndarray, measure=np.mean) -> tuple[float, float]:
        found = np.array([measure(block) for block in np.array_split(values, BLOCKS)])
        return float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found)))

    heights = np.array([block.max() for block in peak])
    return {
        "T of H, K": blocked(run["H"]),
        "T of O, K": blocked(run["O"]),
        "potential, meV/atom": blocked(run["potential"]),
        "O-H, Å": blocked(bonds),
        "its spread, Å": blocked(bonds, np.std),
        "peak of g_OO": (
            float(heights.mean()),
            float(heights.std(ddof=1) / np.sqrt(BLOCKS)),
        ),
        "D of O, Å²/ps": (
            float(np.mean(diffusion)),
            float(np.std(diffusion, ddof=1) / np.sqrt(len(diffusion))),
        ),
    }


def table(rows: list[dict]) -> str:
    """Return the rows as Markdown; potentials relative to the first row."""
    names = list(dict.fromkeys(name for row in rows for name in row["observables"]))
    zero = rows[0]["observables"]["potential, meV/atom"][0]
    lines = ["| | " + " | ".join(names) + " | s/ps |", "|---" * (len(names) + 2) + "|"]
    for row in rows:
        cells = []
        for name in names:
            if name not in row["observables"]:
                cells.append("")
                continue
            value, error = row["observables"][name]
            value -= zero if name.startswith("potential") else 0.0
            digits = max(0, -int(np.floor(np.log10(max(error, 1e-6)))))
            cells.append(f"{value:.{digits}f} ± {error:.{digits}f}")
        lines.append(
            f"| {row['label']} | " + " | ".join(cells) + f" | {row['seconds_per_ps']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run every row, write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water-fast")
    parser.add_argument("--masses", nargs="+", choices=list(MASSES), default=list(MASSES))
    parser.add_argument(
        "--rows", nargs="+", default=[], help='instead of the usual ones, such as "C 2" "2 x 8"'
    )
    parser.add_argument(
        "--turns", type=int, default=0, help="take times only, in so many turns of 48 fs"
    )
    parser.add_argument("--plain", action="store_true", help="RespaLangevinIntegrator as well")
    parser.add_argument(
        "--without-reference",
        action="store_true",
        help="without C: averages over structures are the same for all masses, so one reference serves both",
    )
    parser.add_argument("--picoseconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=2.0, help="ps that do not count")
    parser.add_argument("--platform", default="Reference")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.turns:
        found = take_turns(options)
        (options.output / "turns.md").write_text(found)
        print(found)
        return
    known = options.output / "rows.json"
    rows = json.loads(known.read_text()) if known.exists() else []
    for label, mass, integrator in integrators(options):
        if label in {row["label"] for row in rows}:
            continue
        atoms = water(1, mass)
        try:
            run = follow(atoms, integrator, options)
        except (FloatingPointError, openmm.OpenMMException) as e:
            tqdm.write(f"{label}: {e}")
            continue
        rows.append(
            {
                "label": label,
                "ps": options.picoseconds,
                "seconds_per_ps": run["seconds_per_ps"],
                "observables": observables(atoms, run) | of_positions(atoms, run, options.model),
            }
        )
        (options.output / "rows.json").write_text(json.dumps(rows, indent=1))
        (options.output / "table.md").write_text(table(rows))
        tqdm.write(table(rows[-1:]).splitlines()[-1])


if __name__ == "__main__":
    main()
