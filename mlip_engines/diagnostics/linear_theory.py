"""How long may an outer step be under a thermostat? What linear theory says, before anything is simulated.

The integrator is followed exactly in the harmonic wells of some molecules, see
:mod:`mlip_engines.properties.linear_theory`. An outer step is taken if it and all shorter ones that were tried sample
positions at the temperature of the bath, and if velocities are as warm as with conservative forces in every inner
step, each within its limit. The high-pass thermostat is that of ``fix nve/mlip/highpass`` and
``RespaHighPassLangevinIntegrator``.

References
----------
Morrone, Markland, Ceriotti, Berne, J. Chem. Phys. 134, 014103 (2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import ModelDiagnostic, Results
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlip_engines.properties.linear_theory import BathedRespa, LinearMolecule, Sampling

LIMIT = 0.02  # of the temperature of positions: 6 K at 300 K
# Of velocities at the ends of outer steps, after the largest kick; averages over positions feel less of it.
KINETIC_LIMIT = 0.05
OUTER_STEPS_FS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24)
HEAVY = 3.024  # g/mol
EVALUATIONS_PER_COORDINATE = 8.0  # both kinds of forces are differentiated twice


@dataclass(frozen=True)
class Scheme:
    """Masses and a thermostat; rates in 1/ps."""

    hydrogen_mass: float | None
    inner_steps_of_case: float  # inner step over that of the case
    thermostat: str
    friction: float = 2.0
    high_pass_friction: float = 0.0
    memory_rate: float = 0.0


SCHEMES = (
    Scheme(None, 1.0, "Langevin, 2/ps"),
    Scheme(None, 1.0, "Langevin, 10/ps", friction=10.0),
    Scheme(None, 1.0, "high-pass, g 500/ps, a 200/ps", 2.0, 500.0, 200.0),
    Scheme(HEAVY, 2.0, "Langevin, 2/ps"),
    Scheme(HEAVY, 2.0, "Langevin, 10/ps", friction=10.0),
    Scheme(HEAVY, 2.0, "high-pass, g 200/ps, a 100/ps", 2.0, 200.0, 100.0),
)


class LinearTheory(ModelDiagnostic):
    """Temperatures against the outer step, for masses and thermostats."""

    name = "linear_theory"
    title = "Outer steps under a thermostat, by linear theory"

    def evaluations(self, case: Case) -> float:
        """The derivatives; the rest is nothing beside them."""
        return EVALUATIONS_PER_COORDINATE * 3.0 * _n_atoms(case) if case.has_head else 0.0

    def measure(self, case: Case) -> Result:
        """Follow every scheme through every outer step."""
        from mlip_engines.properties.linear_theory import linear_molecules

        kelvin = case.settings.temperature_K
        values: dict[str, Any] = {
            "temperature_K": kelvin,
            "limit": LIMIT,
            "kinetic_limit": KINETIC_LIMIT,
            "schemes": [],
        }
        if not case.has_head:
            return Result(values)
        molecules = linear_molecules(
            case.model, case.atoms, n_atoms=case.settings.linear_atoms, seed=case.settings.seed
        )
        values["molecules"] = len(molecules)
        has_hydrogen = any("H" in m.symbols for m in molecules)
        for scheme in SCHEMES:
            if has_hydrogen or not (scheme.hydrogen_mass or scheme.high_pass_friction):
                values["schemes"].append(_followed(scheme, molecules, case))
        return Result(values)

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        v = result.values
        if not v["schemes"]:
            return Section(
                ["The model has no head for non-conservative forces, so there is no outer step."]
            )
        caption = (
            "Configurational temperature of the element that is furthest from the bath. Steps "
            "that are unstable have no point. The grey band is the limit."
        )
        tables = [_table(v), *_table_of_motions(v)]
        return Section([_words(v)], tables, [(caption, _figure(v))])

    def verdict(self, result: Result, beside: Results) -> str:
        """The longest steps, with the high-pass thermostat and without it."""
        schemes = result.values["schemes"]
        if not schemes:
            return ""
        found = "; ".join(f"{_label(s)}: {_longest(s)}" for s in schemes)
        return f"outer steps for averages at constant temperature, by linear theory: {found}."


def longest_outer_step(rows: list[dict[str, Any]], reference: dict[str, float]) -> float | None:
    """Return the longest outer step (fs) that passes with all shorter ones; None if none does.

    Parameters
    ----------
    rows : list of dict
        In order of ``outer_step_fs``, with ``configurational`` and ``kinetic``: temperature over that of the bath, by
        element; NaN or None where the step is unstable.
    reference : dict of str to float
        The kinetic ones with conservative forces in every inner step.
    """
    best = None
    for row in rows:
        # NaN is beyond any limit
        if not (
            all(abs(_known(t) - 1.0) <= LIMIT for t in row["configurational"].values())
            and all(
                abs(_known(t) - reference[e]) <= KINETIC_LIMIT for e, t in row["kinetic"].items()
            )
        ):
            break
        best = row["outer_step_fs"]
    return best


def _n_atoms(case: Case) -> int:
    return min(len(case.atoms), case.settings.linear_atoms)


def _followed(scheme: Scheme, molecules: list[LinearMolecule], case: Case) -> dict[str, Any]:
    """Return what a scheme samples with each outer step."""
    from mlip_engines.properties.linear_theory import BathedRespa, sampling

    inner = scheme.inner_steps_of_case * case.settings.inner_step_fs
    if scheme.hydrogen_mass:
        molecules = [m.with_hydrogen_mass(scheme.hydrogen_mass) for m in molecules]

    def integrator(inner_steps: int) -> BathedRespa:
        bath = (scheme.friction, scheme.high_pass_friction, scheme.memory_rate)
        return BathedRespa(inner, inner_steps, *bath)

    reference = sampling(molecules, integrator(1))
    strides = sorted({max(1, round(outer / inner)) for outer in OUTER_STEPS_FS})
    rows = [_row(m * inner, sampling(molecules, integrator(m))) for m in strides]
    return {
        "hydrogen_mass_g_per_mol": scheme.hydrogen_mass,
        "thermostat": scheme.thermostat,
        "inner_step_fs": inner,
        "rows": rows,
        "longest_outer_step_fs": longest_outer_step(rows, reference.kinetic),
    }


def _row(outer_step_fs: float, found: Sampling) -> dict[str, Any]:
    return {
        "outer_step_fs": outer_step_fs,
        "is_stable": found.largest_eigenvalue < 1.0,
        "configurational": found.configurational,
        "configurational_of_motions": found.by_motion,
        "kinetic": found.kinetic,
        "potential_excess_kT_per_coordinate": found.potential,
    }


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _furthest(row: dict[str, Any]) -> float:
    """Return the configurational temperature, over the bath's, of the element furthest from it."""
    values = [_known(value) for value in row["configurational"].values()]
    return max(values, key=lambda value: abs(value - 1.0) if math.isfinite(value) else math.inf)


def _label(scheme: dict[str, Any]) -> str:
    mass = scheme["hydrogen_mass_g_per_mol"]
    return f"{scheme['thermostat']}{f', hydrogens of {mass:g} g/mol' if mass else ''}"


def _longest(scheme: dict[str, Any]) -> str:
    longest = scheme["longest_outer_step_fs"]
    return f"up to {longest:g} fs" if longest else "none that was tried"


def _words(v: dict[str, Any]) -> str:
    return (
        f"r-RESPA with a thermostat was followed exactly in {v['molecules']} harmonic wells of this structure, with "
        "all other atoms at rest. The table has the configurational temperature, which positions have; the thermostat "
        "hides errors of the kinetic one. Where there are molecules, a second table has how they move as a whole, "
        "turn (libration), bend and stretch. A step counts if it and all shorter ones keep positions within "
        f"{100 * v['limit']:g} % of the bath and velocities, at the ends of outer steps, within "
        f"{100 * v['kinetic_limit']:g} % of those with conservative forces in every inner step. Anharmonic motion and "
        "the motion of molecules against each other are not in it: keep below the longest step, and compare a run with "
        "conservative forces. High-pass thermostats damp vibrations: for averages over structures, not for dynamics. "
        "At constant energy see the part about the stride."
    )


def _table(v: dict[str, Any]) -> Table:
    steps = sorted({row["outer_step_fs"] for s in v["schemes"] for row in s["rows"]})
    rows = []
    for s in v["schemes"]:
        by_step = {row["outer_step_fs"]: row for row in s["rows"]}
        cells = []
        for step in steps:
            if step not in by_step:
                cells.append("")
            elif not by_step[step]["is_stable"]:
                cells.append("unstable")
            else:
                cells.append(number(v["temperature_K"] * _furthest(by_step[step]), 0))
        rows.append([_label(s), f"{s['inner_step_fs']:g}", *cells, _longest(s)])
    header = ["thermostat", "inner step, fs", *(f"{step:g} fs, K" for step in steps), "outer steps"]
    return Table(header, rows)


def _table_of_motions(v: dict[str, Any]) -> list[Table]:
    """Return the temperatures of each kind of motion; nothing where all atoms stand alone."""
    kinds = list(v["schemes"][0]["rows"][0].get("configurational_of_motions", {}))
    if len(kinds) < 2:
        return []
    steps = sorted({row["outer_step_fs"] for s in v["schemes"] for row in s["rows"]})
    rows = []
    for s in v["schemes"]:
        by_step = {row["outer_step_fs"]: row for row in s["rows"]}
        for kind in kinds:
            cells = []
            for step in steps:
                row = by_step.get(step)
                if row is None:
                    cells.append("")
                elif not row["is_stable"]:
                    cells.append("unstable")
                else:
                    of_kind = _known(row["configurational_of_motions"][kind])
                    cells.append(number(v["temperature_K"] * of_kind, 0))
            rows.append([_label(s), kind, *cells])
    return [Table(["thermostat", "motion", *(f"{step:g} fs, K" for step in steps)], rows)]


def _figure(v: dict[str, Any]) -> Figure:
    figure, (axes,) = panels(1)
    figure.set_size_inches(8.2, 3.4)
    kelvin = v["temperature_K"]
    axes.axhspan(kelvin * (1.0 - v["limit"]), kelvin * (1.0 + v["limit"]), color="0.9", zorder=0)
    for s in v["schemes"]:
        stable = [row for row in s["rows"] if row["is_stable"]]
        points = [(row["outer_step_fs"], kelvin * _furthest(row)) for row in stable]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", ms=3, lw=1, label=_label(s))
    axes.set(xlabel="outer step, fs", ylabel="configurational temperature, K")
    axes.set_ylim(0.9 * kelvin, 1.3 * kelvin)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
