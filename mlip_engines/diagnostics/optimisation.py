"""Do minimisers find a minimum? Success rate and steps of FIRE and L-BFGS with C and with NC forces.

Both are ASE's, through :class:`mlip_engines.MlipCalculator`. Isolated molecules are converged to a largest force of
1e-5 eV/Å, the whole structure to 1e-4 eV/Å. A minimiser succeeds if it is there within the number of steps allowed.
Forces that are the gradient of nothing may lead it around in circles.
float32 networks have forces that are good to about
1e-5 eV/Å: where C fails close above the threshold, that is round-off.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), table 7 and figure 7; Bitzek, Koskinen, Gähler, Moseler, Gumbsch,
Phys. Rev. Lett. 97, 170201 (2006), for FIRE; Liu, Nocedal, Math. Program. 45, 503 (1989), for L-BFGS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels, style_of
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.molecules import find_molecules, is_molecular, whole_molecule
from mlip_engines.properties.relaxation import MINIMISERS, relax
from mlip_engines.simulations.simulation import Simulation, Trajectory

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.simulations.engine import Engine

THRESHOLD = {"gas": 1e-5, "condensed": 1e-4}  # eV/Å, largest force on an atom
RATTLE = 0.05  # Å, standard deviation of displacements from the given structure
CLUSTER = 4  # molecules in an isolated cluster
LITERATURE = (
    "L-BFGS within 1000 steps, gas/liquid: PET-C 83/58 %, PET-NC 75/52 %, MACE 94/83 %, ORB 69/9 %"
)


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
            centre = groups[rng.integers(len(groups))]
            cluster = _cluster(atoms, groups, centre)
            cluster.positions += RATTLE * rng.normal(size=cluster.positions.shape)
            result["gas"].append(cluster)
    return {kind: structures for kind, structures in result.items() if structures}


def _cluster(atoms: Atoms, groups: list[np.ndarray], centre: np.ndarray) -> Atoms:
    """Return a molecule and those nearest to it, without periodicity."""
    periodic = bool(atoms.pbc.any())
    first = [int(g[0]) for g in groups]
    vectors = atoms.get_distances(int(centre[0]), first, mic=periodic, vector=True)
    nearest = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")[:CLUSTER]
    parts = []
    for k in nearest:
        part = atoms[groups[k]]
        part.positions = whole_molecule(atoms, groups[k]) - atoms.positions[first[k]] + vectors[k]
        parts.append(part)
    cluster = parts[0]
    for part in parts[1:]:
        cluster += part
    cluster.pbc = False
    cluster.cell = np.zeros((3, 3))
    return cluster


class Optimisation:
    """Success of two minimisers with two kinds of forces."""

    name: ClassVar[str] = "optimisation"
    title: ClassVar[str] = "Geometry optimisation"
    needs_engine: ClassVar[bool] = False
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return none: the structure is enough."""
        return {}

    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs, in full evaluations of the structure."""
        s = case.settings  # FIRE and L-BFGS, C and NC: the head costs a third, clusters cost little
        members = max(1, s.optimisations // 2) if s.quick else s.optimisations
        return 2.0 * (1.0 + 1.0 / 3.0) * members * s.optimisation_steps

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
        """Minimise the same structures in every way."""
        from mlip_engines.calculator import MlipCalculator

        s = case.settings
        rng = np.random.default_rng(s.seed)
        structures = starts(case.atoms, s.optimisations, rng)
        runs, arrays = [], {}
        for kind in ("C", "NC") if case.has_head else ("C",):
            forces = "conservative" if kind == "C" else "non_conservative"
            calculator = MlipCalculator(case.model, forces=forces)
            for phase, members in structures.items():
                # a periodic box costs much more than a cluster
                members = (
                    members[: max(1, len(members) // 2)]
                    if s.quick and phase == "condensed"
                    else members
                )
                for minimiser in MINIMISERS:
                    found = [
                        relax(
                            a,
                            calculator,
                            minimiser=minimiser,
                            threshold=THRESHOLD[phase],
                            n_steps=s.optimisation_steps,
                        )
                        for a in members
                    ]
                    steps = [f.n_steps for f in found if f.converged]
                    runs.append(
                        {
                            "forces": kind,
                            "phase": phase,
                            "minimiser": minimiser,
                            "threshold_eV_per_angstrom": THRESHOLD[phase],
                            "structures": len(found),
                            "converged": sum(f.converged for f in found),
                            "median_steps": float(np.median(steps)) if steps else None,
                            "median_final_largest_force_eV_per_angstrom": float(
                                np.median([f.largest_force[-1] for f in found])
                            ),
                        }
                    )
                    for k, f in enumerate(found):
                        arrays[f"{kind}_{phase}_{minimiser}_{k}_largest_force_eV_per_angstrom"] = (
                            np.array(f.largest_force)
                        )
        return Result({"allowed_steps": s.optimisation_steps, "runs": runs}, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and the largest force against the step."""
        v, section = result.values, Section()
        names = {"gas": "isolated", "condensed": "whole structure"}
        rows = [
            [
                r["forces"],
                names[r["phase"]],
                r["minimiser"].replace("LBFGS", "L-BFGS"),
                f"{r['threshold_eV_per_angstrom']:.0e}",
                f"{r['converged']} of {r['structures']}",
                "-" if r["median_steps"] is None else f"{r['median_steps']:.0f}",
                f"{r['median_final_largest_force_eV_per_angstrom']:.1e}",
            ]
            for r in v["runs"]
        ]
        section.tables.append(
            Table(
                [
                    "forces",
                    "structure",
                    "minimiser",
                    "threshold, eV/Å",
                    "converged",
                    "median steps",
                    "largest force at the end, eV/Å",
                ],
                rows,
            )
        )
        if not any(r["converged"] for r in v["runs"] if r["forces"] == "C"):
            section.warnings.append(
                "No minimisation with conservative forces converged in the steps allowed: success rates do not compare "
                "the two kinds of forces here. Allow more steps (leave out --quick)."
            )
        section.paragraphs.append(
            f"At most {v['allowed_steps']} steps each. {_words(v['runs'])} Bigi, Langer and Ceriotti, {LITERATURE}."
        )
        phases = list(dict.fromkeys(r["phase"] for r in v["runs"]))
        figure, axes = panels(len(phases))
        for phase, ax in zip(phases, axes, strict=True):
            for kind in ("C", "NC"):
                for minimiser, dashes in (("FIRE", "--"), ("LBFGS", "-")):
                    k = 0
                    while (
                        key := f"{kind}_{phase}_{minimiser}_{k}_largest_force_eV_per_angstrom"
                    ) in result.arrays:
                        label = (
                            f"{kind}, {minimiser.replace('LBFGS', 'L-BFGS')}" if k == 0 else None
                        )
                        style = {**style_of(kind), "label": label, "ls": dashes, "lw": 0.9}
                        ax.plot(result.arrays[key], **style)
                        k += 1
            ax.axhline(THRESHOLD[phase], color="0.6", lw=0.8)
            ax.set(xlabel="step", yscale="log", title=names[phase])
        axes[0].set_ylabel("largest force, eV/Å")
        axes[0].legend(frameon=False, fontsize="small")
        section.figures.append(
            ("Largest force on an atom at each step; the grey line is the threshold.", figure)
        )
        return section


def _words(runs: list[dict[str, Any]]) -> str:
    parts = []
    for kind in ("C", "NC"):
        chosen = [r for r in runs if r["forces"] == kind]
        if chosen:
            done, tried = (sum(r[key] for r in chosen) for key in ("converged", "structures"))
            parts.append(f"{done} of {tried} minimisations with {kind} forces converged")
    return ", ".join(parts) + "."
