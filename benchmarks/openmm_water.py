"""Temperature, density and conserved energy of water in OpenMM: C, NC and r-RESPA with M = 2 to 16.

    python benchmarks/openmm_water.py --picoseconds 20            # hours on two cores
    python benchmarks/openmm_water.py --picoseconds 0.2 --modes C M4 --ensembles nve

Ensembles: ``nve``; ``bussi`` and ``langevin`` (NVT); ``npt`` (Langevin and a Monte Carlo barostat, which
NC forces cannot have: they have no energy). Each run is a folder with a table and a checkpoint; a
command that was stopped goes on where it was, and one that is done is not run again. Prints a table
and writes it to ``table.md`` and ``results.json``.

Temperatures of oxygen and hydrogen count each atom's share of the three degrees of freedom that the
fixed centre of mass takes. The first fifth of a run is left out of means. The drift is the slope of the
conserved energy (less the heat from the bath), with the conservative potential energy in all modes.
"""

import argparse
import csv
import json
from pathlib import Path

import ase.io
import numpy as np
import openmm
from openmm import app, unit
from tqdm import tqdm

from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN, EV_TO_KJ_PER_MOL
from openmm_forces import (
    BussiIntegrator,
    RespaBussiIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
    conserved_energy,
    create_system,
    evaluation_counts,
    from_ase,
)

START = Path(__file__).parents[1] / "examples" / "water_64.extxyz"
MODES = {"C": 1, "NC": 1, "M2": 2, "M4": 4, "M8": 8, "M16": 16}  # inner steps
ENSEMBLES = ("nve", "bussi", "langevin", "npt")
INNER_STEP = 0.5  # fs
ROW_EVERY = 80  # inner steps: whole outer steps of every mode, 40 fs
TEMPERATURE = 300.0  # K
COLUMNS = ("step", "time_ps", "T", "T_O", "T_H", "density", "potential", "conserved", "NC", "full")


def make_integrator(mode: str, ensemble: str, options: argparse.Namespace) -> openmm.Integrator:
    """C is r-RESPA with M = 1, which is velocity Verlet or BAOAB with conservative forces."""
    step = MODES[mode] * INNER_STEP * unit.femtosecond
    temperature, tau = TEMPERATURE * unit.kelvin, options.time_constant * unit.femtosecond
    friction = options.friction / unit.picosecond
    if mode == "NC":
        if ensemble == "bussi":
            return BussiIntegrator(temperature, tau, step)
        if ensemble == "langevin":
            return openmm.LangevinMiddleIntegrator(temperature, friction, step)
        return openmm.VerletIntegrator(step)
    if ensemble == "nve":
        return RespaIntegrator(step, MODES[mode])
    if ensemble == "bussi":
        return RespaBussiIntegrator(temperature, tau, step, MODES[mode])
    return RespaLangevinIntegrator(temperature, friction, step, MODES[mode])


class Run:
    """One trajectory in its folder."""

    def __init__(self, mode: str, ensemble: str, options: argparse.Namespace):
        self.mode, self.ensemble = mode, ensemble
        self.folder = options.output / f"{ensemble}_{mode}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.table, self.checkpoint = self.folder / "rows.csv", self.folder / "run.chk"
        self.n_rows = max(1, round(1000 * options.picoseconds / (INNER_STEP * ROW_EVERY)))
        self.options = options

    def rows(self, up_to: int | None = None) -> list[dict[str, float]]:
        """Read the rows so far."""
        if not self.table.exists():
            return []
        with self.table.open() as file:
            found = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        return [row for row in found if up_to is None or row["step"] <= up_to]

    def go_on(self, progress: tqdm) -> None:
        """Run what is missing."""
        finished = len(self.rows())
        if finished >= self.n_rows:
            progress.update(self.n_rows)
            return
        simulation = self._simulation()
        outer_per_row = ROW_EVERY // MODES[self.mode]
        kept = []
        if self.checkpoint.exists():
            simulation.loadCheckpoint(str(self.checkpoint))
            kept = self.rows(up_to=simulation.currentStep)
        with self.table.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
            progress.update(len(kept))
            for _ in range(self.n_rows - len(kept)):
                simulation.step(outer_per_row)
                writer.writerow(self._row(simulation))
                file.flush()
                simulation.saveCheckpoint(str(self.checkpoint))
                progress.update()

    def _simulation(self) -> app.Simulation:
        structure = from_ase(ase.io.read(START))
        forces = "non_conservative" if self.mode == "NC" else "conservative"
        system = create_system(structure.topology, self.options.model, forces=forces)
        if self.ensemble == "npt":
            trial_every = max(1, 25 // MODES[self.mode])
            barostat = openmm.MonteCarloBarostat(
                1 * unit.bar, TEMPERATURE * unit.kelvin, trial_every
            )
            barostat.setRandomNumberSeed(self.options.seed)
            system.addForce(barostat)
        integrator = make_integrator(self.mode, self.ensemble, self.options)
        if hasattr(integrator, "setRandomNumberSeed"):
            integrator.setRandomNumberSeed(self.options.seed)
        simulation = app.Simulation(structure.topology, system, integrator)
        simulation.context.setPositions(structure.positions)
        simulation.context.setVelocities(structure.velocities)
        return simulation

    def _row(self, simulation: app.Simulation) -> dict[str, float]:
        context, system = simulation.context, simulation.system
        state = context.getState(velocities=True)
        masses = np.array(
            [system.getParticleMass(k)._value for k in range(system.getNumParticles())]
        )
        v = state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)
        twice_kinetic = masses * (v**2).sum(axis=1) / EV_TO_KJ_PER_MOL  # eV
        oxygen = masses > 10.0

        def temperature(chosen: np.ndarray) -> float:
            degrees = 3 * chosen.sum() - 3 * masses[chosen].sum() / masses.sum()
            return twice_kinetic[chosen].sum() / (degrees * BOLTZMANN_EV_PER_KELVIN)

        counts = evaluation_counts(context)
        volume = state.getPeriodicBoxVolume().value_in_unit(unit.nanometer**3)
        grams_per_ml = masses.sum() / unit.AVOGADRO_CONSTANT_NA._value * 1e21 / volume
        try:
            energy = conserved_energy(context, simulation.integrator)
            potential, conserved = energy.potential, energy.conserved
        except ValueError:  # under a barostat, or an integrator that does not count heat
            potential = conserved = float("nan")
        return {
            "step": simulation.currentStep,
            "time_ps": round(state.getTime().value_in_unit(unit.picosecond), 6),
            "T": temperature(np.ones_like(oxygen)),
            "T_O": temperature(oxygen),
            "T_H": temperature(~oxygen),
            "density": grams_per_ml,
            "potential": potential,
            "conserved": conserved,
            "NC": counts.non_conservative,
            "full": counts.full,
        }

    def summary(self) -> dict[str, float | str]:
        """Return means after the first fifth, their errors from five blocks, and the drift."""
        rows = self.rows()
        used = rows[len(rows) // 5 :]
        result: dict[str, float | str] = {"ensemble": self.ensemble, "mode": self.mode}
        result["picoseconds"] = rows[-1]["time_ps"]
        for name in ("T", "T_O", "T_H", "density"):
            values = np.array([row[name] for row in used])
            blocks = [block.mean() for block in np.array_split(values, 5) if len(block)]
            result[name] = float(values.mean())
            result[f"{name}_error"] = float(np.std(blocks) / np.sqrt(max(1, len(blocks) - 1)))
        time, conserved = (np.array([row[k] for row in rows]) for k in ("time_ps", "conserved"))
        enough = len(rows) > 2 and np.isfinite(conserved).all()
        slope = np.polyfit(time, conserved, 1)[0] if enough else float("nan")
        result["drift"] = float(1000.0 * slope / 192)
        return result


def table_of(results: list[dict]) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        "| ensemble | forces | ps | T, K | T of O, K | T of H, K | density, g/ml | drift, meV/atom/ps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        cells = [f"{r[k]:.1f} ± {r[k + '_error']:.1f}" for k in ("T", "T_O", "T_H")]
        density = f"{r['density']:.3f} ± {r['density_error']:.3f}" if r["ensemble"] == "npt" else ""
        drift = f"{r['drift']:+.3f}" if np.isfinite(r["drift"]) else ""
        name = r["mode"] if r["mode"] in ("C", "NC") else f"r-RESPA M = {r['mode'][1:]}"
        lines.append(
            f"| {r['ensemble']} | {name} | {r['picoseconds']:.2f} | {' | '.join(cells)} | {density} | {drift} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="water", help="model file or shipped model")
    parser.add_argument("--picoseconds", type=float, default=20.0, help="per run")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--ensembles", nargs="+", choices=ENSEMBLES, default=list(ENSEMBLES))
    parser.add_argument("--time-constant", type=float, default=10.0, help="fs, of bussi")
    parser.add_argument("--friction", type=float, default=1.0, help="1/ps, of langevin and npt")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/openmm_water"))
    options = parser.parse_args()
    runs = [
        Run(mode, ensemble, options)
        for ensemble in options.ensembles
        for mode in options.modes
        if (mode, ensemble) != ("NC", "npt")
    ]
    with tqdm(total=sum(run.n_rows for run in runs), unit="row", desc="40 fs each") as progress:
        for run in runs:
            progress.set_postfix_str(f"{run.ensemble} {run.mode}")
            try:
                run.go_on(progress)
            except (
                openmm.OpenMMException
            ) as e:  # M = 16 may blow up; the table says how far it came
                tqdm.write(f"{run.ensemble} {run.mode}: {e}")
    results = [run.summary() for run in runs if run.rows()]
    (options.output / "results.json").write_text(json.dumps(results, indent=1))
    (options.output / "table.md").write_text(table_of(results))
    print(table_of(results))


if __name__ == "__main__":
    main()
