"""Do minimisers find a minimum? Success rate and steps of FIRE and L-BFGS with C and with NC forces.

Both are ASE's (:mod:`mlip_engines.properties.relaxation`). Isolated molecules are converged to a largest force of
1e-5 eV/Å, the whole structure to 1e-4 eV/Å. A minimiser succeeds if it is there within the number of steps allowed.
Forces that are the gradient of nothing may lead it around in circles. float32 networks have forces that are good to
about 1e-5 eV/Å: where C fails close above the threshold, that is round-off.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), table 7 and figure 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.appearance import style_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import ModelDiagnostic
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.molecules import cluster_of, find_molecules, is_molecular
from mlip_engines.properties.relaxation import MINIMISERS, Relaxation, relax
from mlip_engines.report.figures import panels

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.figure import Figure

THRESHOLD = {"gas": 1e-5, "condensed": 1e-4}  # eV/Å, largest force on an atom
RATTLE = 0.05  # Å, standard deviation of displacements from the given structure
CLUSTER = 4  # molecules in an isolated cluster
PHASE_NAMES = {"gas": "isolated", "condensed": "whole structure"}
LITERATURE = (
    "L-BFGS within 1000 steps, gas/liquid: PET-C 83/58 %, PET-NC 75/52 %, MACE 94/83 %, ORB 69/9 %"
)


class Optimisation(ModelDiagnostic):
    """Success of two minimisers with two kinds of forces."""

    name = "optimisation"
    title = "Geometry optimisation"

    def evaluations(self, case: Case) -> float:
        """At most all steps of all minimisations: the head costs a third, clusters cost little."""
        s = case.settings
        members = max(1, s.optimisations // 2) if s.quick else s.optimisations
        return 2.0 * (1.0 + 1.0 / 3.0) * members * s.optimisation_steps

    def measure(self, case: Case) -> Result:
        """Minimise the same structures in every way."""
        from mlip_engines.calculator import MlipCalculator

        s = case.settings
        structures = starts(case.atoms, s.optimisations, np.random.default_rng(s.seed))
        if s.quick:  # a periodic box costs much more than a cluster
            whole = structures["condensed"]
            structures["condensed"] = whole[: max(1, len(whole) // 2)]
        runs, arrays = [], {}
        for kind in case.kinds:
            forces = "conservative" if kind == "C" else "non_conservative"
            calculator = MlipCalculator(case.model, forces=forces)
            for phase, members in structures.items():
                for minimiser in MINIMISERS:
                    found = [
                        relax(
                            atoms,
                            calculator,
                            minimiser=minimiser,
                            threshold=THRESHOLD[phase],
                            n_steps=s.optimisation_steps,
                        )
                        for atoms in members
                    ]
                    run = {"forces": kind, "phase": phase, "minimiser": minimiser}
                    run["threshold_eV_per_angstrom"] = THRESHOLD[phase]
                    runs.append(run | _counted(found))
                    for k, relaxation in enumerate(found):
                        key = _series(kind, phase, minimiser, k)
                        arrays[key] = np.array(relaxation.largest_force)
        return Result({"allowed_steps": s.optimisation_steps, "runs": runs}, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and the largest force against the step."""
        v = result.values
        words = (
            f"Each minimisation may take {v['allowed_steps']} steps. {_words(v['runs'])} Bigi, Langer and Ceriotti "
            f"report for {LITERATURE}."
        )
        caption = "Largest force on an atom at each step; the grey line is the threshold."
        section = Section([words], [_table(v["runs"])], [(caption, _figure(result))])
        if not any(r["converged"] for r in v["runs"] if r["forces"] == "C"):
            section.warnings.append(
                "No minimisation with conservative forces converged within the allowed steps, so success rates do not "
                "compare the two kinds of forces here. Allow more steps: leave out --quick."
            )
        return section


def starts(atoms: Atoms, n: int, rng: np.random.Generator) -> dict[str, list[Atoms]]:
    """Return rattled structures: clusters of molecules in vacuum, where there are any, and the whole.

    Parameters
    ----------
    atoms : ase.Atoms
    n : int
        Of each kind.
    rng : numpy.random.Generator
    """
    result: dict[str, list[Atoms]] = {"gas": [], "condensed": []}
    for _ in range(n):
        whole = atoms.copy()
        whole.positions += RATTLE * rng.normal(size=whole.positions.shape)
        result["condensed"].append(whole)
    if is_molecular(atoms):
        groups = find_molecules(atoms)
        for _ in range(n):
            cluster = cluster_of(atoms, groups, rng.integers(len(groups)), CLUSTER)
            cluster.positions += RATTLE * rng.normal(size=cluster.positions.shape)
            result["gas"].append(cluster)
    return {kind: structures for kind, structures in result.items() if structures}


def _counted(found: list[Relaxation]) -> dict[str, Any]:
    steps = [f.n_steps for f in found if f.converged]
    return {
        "structures": len(found),
        "converged": sum(f.converged for f in found),
        "median_steps": float(np.median(steps)) if steps else None,
        "median_final_largest_force_eV_per_angstrom": float(
            np.median([f.largest_force[-1] for f in found])
        ),
    }


def _series(kind: str, phase: str, minimiser: str, k: int) -> str:
    return f"{kind}_{phase}_{minimiser}_{k}_largest_force_eV_per_angstrom"


def _name(minimiser: str) -> str:
    return minimiser.replace("LBFGS", "L-BFGS")


def _words(runs: list[dict[str, Any]]) -> str:
    parts = []
    for kind in ("C", "NC"):
        chosen = [r for r in runs if r["forces"] == kind]
        if chosen:
            done, tried = (sum(r[key] for r in chosen) for key in ("converged", "structures"))
            parts.append(f"{done} of {tried} minimisations with {kind} forces converged")
    return ", ".join(parts) + "."


def _table(runs: list[dict[str, Any]]) -> Table:
    header = ["forces", "structure", "minimiser", "threshold, eV/Å", "converged", "median steps"]
    rows = [
        [
            r["forces"],
            PHASE_NAMES[r["phase"]],
            _name(r["minimiser"]),
            f"{r['threshold_eV_per_angstrom']:.0e}",
            f"{r['converged']} of {r['structures']}",
            "-" if r["median_steps"] is None else f"{r['median_steps']:.0f}",
            f"{r['median_final_largest_force_eV_per_angstrom']:.1e}",
        ]
        for r in runs
    ]
    return Table([*header, "largest force at the end, eV/Å"], rows)


def _figure(result: Result) -> Figure:
    runs = result.values["runs"]
    phases = list(dict.fromkeys(r["phase"] for r in runs))
    figure, axes = panels(len(phases))
    for r in runs:
        ax = axes[phases.index(r["phase"])]
        for k in range(r["structures"]):
            label = f"{r['forces']}, {_name(r['minimiser'])}" if k == 0 else None
            dashes = "--" if r["minimiser"] == "FIRE" else "-"
            style = {**style_of(r["forces"]), "label": label, "ls": dashes, "lw": 0.9}
            ax.plot(result.arrays[_series(r["forces"], r["phase"], r["minimiser"], k)], **style)
    for phase, ax in zip(phases, axes, strict=True):
        ax.axhline(THRESHOLD[phase], color="0.6", lw=0.8)
        ax.set(xlabel="step", yscale="log", title=PHASE_NAMES[phase])
    axes[0].set_ylabel("largest force, eV/Å")
    axes[0].legend(frameon=False, fontsize="small")
    return figure
