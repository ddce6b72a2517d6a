"""The parts of a public benchmark of potentials that need no download, for model files of this package.

    OMP_NUM_THREADS=1 python benchmarks/public_suite.py 7net-crystals.pt copper silicon water -o suite

The tasks and the definitions of their numbers are those of MLIP Arena (Chiang et al., arXiv:2509.20630;
github.com/atomind-ai/mlip-arena, flows ``diatomics``, ``eos_bulk`` and ``conservation``), written anew:

- **diatomics**: two atoms of one element from 0.9 covalent radii to 3.1 van der Waals radii (Alvarez), every 0.01 Å.
- **equation of state**: 21 volumes within 20 %, atoms relaxed at each. Arena takes crystals from a file; here they are
  those of ``measured_crystals.py``.
- **energy conservation**: 100 atoms or more from 1,000 K without a thermostat, with steps of 1 fs; Arena runs 5 ps.

Two numbers are those of LAMBench (Peng et al., arXiv:2504.19578; github.com/deepmodeling/LAMBench), whose other tasks
need files of others:

- **instability**, with energy conservation: orders of magnitude by which the slope is above 5e-4 eV/atom/ps.
- **efficiency**: 100 µs over the time for an atom, in cells of at most 1,000 atoms, of energy and forces with the
  neighbour list. LAMBench measures on a GPU; here it is the time of the processor.

Results are kept in FOLDER, a file for each model and task, and the same command goes on after a break.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers, covalent_radii, vdw_alvarez
from ase.md.verlet import VelocityVerlet
from measured_crystals import CRYSTALS
from scipy.stats import spearmanr

from mlip_engines import MlipCalculator, load_model
from mlip_engines.model.load import LoadedModel
from mlip_engines.relaxation import relax
from mlip_engines.relaxation.crystal import relaxed_crystal
from mlip_engines.relaxation.evaluation import evaluate_each

SMALL_FORCE, SMALL_ENERGY = 1e-2, 1e-3  # eV/Å and eV: smaller ones have no sign
TOLERATED_SLOPE = 0.5  # meV/atom/ps, of LAMBench
TASKS = ("diatomics", "equation_of_state", "conservation", "efficiency")


def flips(values: np.ndarray) -> int:
    """Return how often the sign changes along values; zeros have none."""
    signs = np.sign(values[values != 0.0])
    return int(np.count_nonzero(np.diff(signs)))


def jump(changes: np.ndarray) -> float:
    """Return the sum of the sizes of neighbouring changes that have opposite signs."""
    changes = changes[changes != 0.0]
    turns = np.diff(np.sign(changes)) != 0
    return float(np.abs(changes[:-1][turns]).sum() + np.abs(changes[1:][turns]).sum())


def without_small(values: np.ndarray, least: float) -> np.ndarray:
    """Return values, those that are smaller than least being zero."""
    return np.where(np.abs(values) < least, 0.0, values)


def of_a_pair(distances: np.ndarray, energies: np.ndarray, forces: np.ndarray) -> dict[str, float]:
    """Return what Arena says of a curve.

    Parameters
    ----------
    distances : (n,) array, Å
        Rising.
    energies : (n,) array, eV
    forces : (n,) array, eV/Å
        On the second atom, along the bond; positive pushes apart.
    """
    r, e, f = distances[::-1], energies[::-1] - energies[-1], forces[::-1]  # from far to near
    slope = np.gradient(e, r)
    lowest, deepest = int(np.argmin(e)), int(np.argmin(f))
    variation = float(np.abs(np.diff(e)).sum())
    return {
        "tortuosity": variation / (abs(e[0] - e.min()) + (e[-1] - e.min())),
        "force_flips": flips(without_small(f, SMALL_FORCE)),
        "energy_jump_eV": jump(without_small(np.diff(e), SMALL_ENERGY)),
        "conservation_deviation_eV_per_A": float(np.abs(f + slope).mean()),
        "spearman_repulsion": _rank(r[lowest:], e[lowest:]),
        "spearman_attraction": _rank(r[:lowest], e[:lowest]),
        "spearman_descending_force": _rank(r[deepest:], f[deepest:]),
        "bond_length_A": float(r[lowest]),
        "depth_eV": float(-e[lowest]),
    }


def _rank(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's coefficient; NaN where there is nothing to rank."""
    if len(x) < 2 or np.ptp(y) == 0.0:
        return float("nan")
    return float(spearmanr(x, y).statistic)


def diatomics(model: LoadedModel, _: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the numbers of each element's pair."""
    found = {}
    for symbol in model.metadata.species:
        number = atomic_numbers[symbol]
        nearest, far = 0.9 * covalent_radii[number], 3.1 * vdw_alvarez.vdw_radii[number]
        distances = np.linspace(nearest, far, int((far - nearest) / 0.01))
        pairs = [Atoms([symbol] * 2, [[0, 0, 0], [d, 0, 0]]) for d in distances]
        results = list(evaluate_each(model, pairs))
        energies = np.array([each.energy for each in results])
        forces = np.array([each.forces[1, 0] for each in results])
        found[symbol] = of_a_pair(distances, energies, forces)
    return found


def of_volumes(volumes: np.ndarray, energies: np.ndarray) -> dict[str, float]:
    """Return what Arena says of energies (n,) in eV at rising volumes (n,), n odd, the middle being the minimum."""
    middle = len(energies) // 2
    changes = np.diff(energies)
    between = 0.5 * (volumes[1:] + volumes[:-1])
    ends = abs(energies[0] - energies[middle]) + abs(energies[-1] - energies[middle])
    return {
        "tortuosity": float(np.abs(changes).sum() / ends),
        "energy_flips": flips(changes),
        "spearman_compression": _rank(volumes[:middle], energies[:middle]),
        "spearman_compression_derivative": _rank(between[:middle], changes[:middle]),
        "spearman_tension": _rank(volumes[middle:], energies[middle:]),
    }


def equation_of_state(model: LoadedModel, _: argparse.Namespace) -> dict[str, dict]:
    """Return the numbers of each crystal whose elements the model knows."""
    found = {}
    for name, atoms in known_crystals(model).items():
        try:
            relaxed, _ = relaxed_crystal(model, atoms, fmax=0.01)
        except ValueError as e:
            found[name] = {"failure": str(e)}
            continue
        scales = np.linspace(0.8, 1.2, 21) ** (1.0 / 3.0)
        cells = [relaxed.copy() for _ in scales]
        for cell, scale in zip(cells, scales, strict=True):
            cell.set_cell(relaxed.cell.array * scale, scale_atoms=True)
        ends = relax(model, cells, fmax=0.1, optimiser="fire")
        volumes = np.array([each.atoms.get_volume() for each in ends])
        found[name] = of_volumes(volumes, np.array([each.energy_after for each in ends]))
        found[name]["not_converged"] = sum(not each.converged for each in ends)
    return found


def conservation(model: LoadedModel, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the drift of the energy in a run at constant energy, for the first crystals that the model knows."""
    found = {}
    for name, atoms in list(known_crystals(model).items())[: options.runs]:
        repeat = int(np.ceil((100.0 / len(atoms)) ** (1.0 / 3.0)))
        start, _ = relaxed_crystal(model, atoms, fmax=0.01)
        cell = start.repeat(repeat)
        cell.calc = MlipCalculator(model)
        width = np.sqrt(cell.get_masses() * units.kB * 1000.0)[:, None]
        momenta = np.random.default_rng(1).normal(size=(len(cell), 3)) * width
        cell.set_momenta(momenta - momenta.mean(axis=0))
        dynamics = VelocityVerlet(cell, timestep=1.0 * units.fs)
        energies = [cell.get_total_energy()]
        for _ in range(options.steps // 10):
            dynamics.run(10)
            energies.append(cell.get_total_energy())
        per_atom = np.array(energies) * 1000.0 / len(cell)
        times = np.arange(len(per_atom)) * 0.01  # ps
        slope = float(np.polyfit(times, per_atom, 1)[0])
        found[name] = {
            "atoms": len(cell),
            "ps": float(times[-1]),
            "slope_meV_per_atom_per_ps": slope,
            "instability": instability(slope),
            "largest_deviation_meV_per_atom": float(np.abs(per_atom - per_atom[0]).max()),
            "kelvin_at_end": float(cell.get_temperature()),
        }
    return found


def instability(slope: float) -> float:
    """Return LAMBench's measure of a slope in meV/atom/ps: 0 if it is tolerated, 5 if the run has failed."""
    if not np.isfinite(slope):
        return 5.0
    return float(max(0.0, np.log10(max(abs(slope), 1e-12) / TOLERATED_SLOPE)))


def efficiency(model: LoadedModel, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the time of an evaluation for the first crystals; three evaluations before them warm up."""
    crystals = list(known_crystals(model).items())[: options.runs]
    cells = {name: repeated(atoms, 1000) for name, atoms in crystals}
    found = {}
    for name, cell in [*list(cells.items())[:1] * 3, *cells.items()]:
        calculator = MlipCalculator(model)  # which has no neighbour list yet
        began = time.process_time()
        calculator.calculate(cell, ["energy", "forces"])
        microseconds = 1e6 * (time.process_time() - began) / len(cell)
        found[name] = {"atoms": len(cell), "us_per_atom": microseconds}
    total = sum(each["us_per_atom"] for each in found.values())
    return {name: {**each, "score": 100.0 * len(found) / total} for name, each in found.items()}


def repeated(atoms: Atoms, largest: int) -> Atoms:
    """Return the cell repeated to at most so many atoms, as near to a cube of cells as can be."""
    repeats = [int((largest / len(atoms)) ** (1.0 / 3.0) + 1e-9)] * 3
    for axis in range(3):
        more = [n + (k == axis) for k, n in enumerate(repeats)]
        while len(atoms) * np.prod(more) <= largest:
            repeats = more
            more = [n + (k == axis) for k, n in enumerate(repeats)]
    return atoms.repeat(repeats)


def known_crystals(model: LoadedModel) -> dict[str, Atoms]:
    """Return the crystals whose elements the model knows."""
    species = set(model.metadata.species)
    every = {crystal.name: crystal.atoms() for crystal in CRYSTALS}
    return {k: atoms for k, atoms in every.items() if set(atoms.get_chemical_symbols()) <= species}


def summary(found: dict[str, dict]) -> dict[str, float]:
    """Return the means over elements or crystals, without what does not exist."""
    names = dict.fromkeys(key for each in found.values() for key in each if key != "failure")
    means = {}
    for name in names:
        values = [each[name] for each in found.values() if name in each]
        values = [x for x in values if x is not None and np.isfinite(x)]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means


def table(results: dict[str, dict[str, dict]]) -> list[str]:
    """Return a table for each task with a row for each model, of means; NaN is an empty field."""
    lines = []
    for task in TASKS:
        rows = {model: summary(tasks[task]) for model, tasks in results.items() if tasks.get(task)}
        if not rows:
            continue
        names = list(next(iter(rows.values())))
        lines += [f"**{task.replace('_', ' ')}**", ""]
        lines.append("| model | cases | " + " | ".join(n.replace("_", " ") for n in names) + " |")
        lines.append("|---" * (len(names) + 2) + "|")
        for model, means in rows.items():
            values = [means.get(name, float("nan")) for name in names]
            cells = ["" if np.isnan(x) else f"{x:.3g}" for x in values]
            lines.append(f"| {model} | {len(results[model][task])} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing in the folder and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="model files or names of shipped models")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--steps", type=int, default=5000, help="of 1 fs, for conservation")
    parser.add_argument(
        "--runs", type=int, default=1, help="crystals for conservation and efficiency"
    )
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    measure = dict(
        zip(TASKS, (diatomics, equation_of_state, conservation, efficiency), strict=True)
    )
    results: dict[str, dict[str, dict]] = {}
    for name in options.models:
        model = load_model(name)
        label = Path(name).stem
        results[label] = {}
        for task in options.tasks:
            made_with = {"checksum": model.metadata.checksum}
            if task in ("conservation", "efficiency"):
                made_with |= {"runs": options.runs}
            if task == "conservation":
                made_with |= {"steps": options.steps}
            path = options.output / f"{label}_{task}.json"
            kept = json.loads(path.read_text()) if path.exists() else {}
            if kept.get("made_with") != made_with:
                found = measure[task](model, options)
                kept = {"made_with": made_with, "found": found}
                path.write_text(json.dumps(kept, indent=1) + "\n")
            results[label][task] = kept["found"]
    text = "\n".join(table(results))
    (options.output / "suite.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
