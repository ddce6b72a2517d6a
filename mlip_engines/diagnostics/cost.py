"""What does a step cost? Milliseconds per inner step of C, NC and each stride, against what sharing should give.

One outer step of M inner steps makes M - 1 evaluations of the head alone and one of everything. In units of a
head-only evaluation, with F the price of a full one, an inner step costs 1 + (F - 1)/M; without sharing the
evaluation between C and NC it would be 1 + F/M. All kinds of forces take turns in one process of the engine, several
times, so that whatever else the machine does concerns all alike: compare the ratios.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), tables 5, 6 and 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlip_engines.diagnostics.appearance import label_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import EngineDiagnostic
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.report.figures import panels
from mlip_engines.report.numbers import number, with_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlip_engines.simulations.engine import Engine

INNER_STEPS = 48  # of each turn, whole outer steps of all strides up to 16 but 5, 7 and 10
TURNS = {True: 3, False: 8}  # quick or not
DISAGREEMENT = 0.25  # of measured and expected cost, from which on the reader is warned


class Cost(EngineDiagnostic):
    """Times of all kinds of forces in an engine."""

    name = "cost"
    title = "Cost"

    def evaluations(self, case: Case) -> float:
        """Steps of all turns, those that warm up included; a kind of forces with NC costs about half of C."""
        choices = len(case.force_choices(case.settings.strides))
        return TURNS[case.settings.quick] * 1.3 * INNER_STEPS * (1.0 + 0.5 * (choices - 1))

    def measure(self, case: Case, engine: Engine) -> Result:
        """Time per inner step, speed-up over C, and the expected cost."""
        s = case.settings
        choices, n_turns = case.force_choices(s.strides), TURNS[s.quick]
        turns = engine.time_steps(choices, case.atoms, s.inner_step_fs, INNER_STEPS, n_turns)
        n_atoms, modes = len(case.atoms), {}
        over_c = relative_times(turns, "C")
        over_nc = relative_times(turns, "NC") if "NC" in turns else {}
        for forces in choices:
            name = forces.file_name
            times = np.array(turns[name])
            typical = float(np.nanmedian(times)) if np.isfinite(times).any() else float("nan")
            relative, scatter = over_c[name]
            mode: dict[str, Any] = {
                "inner_steps": forces.inner_steps,
                "ms_per_inner_step": typical,
                "us_per_atom_per_inner_step": 1000.0 * typical / n_atoms,
                "speed_up_over_C": 1.0 / relative,
                "speed_up_over_C_scatter": scatter / relative**2,
            }
            if over_nc:
                mode["relative_to_NC"], mode["relative_to_NC_scatter"] = over_nc[name]
                price = over_nc["C"][0]
                mode["shared_theory"] = (
                    1.0 if name == "NC" else shared_cost(forces.inner_steps, price)
                )
            modes[name] = mode
        arrays = {f"{name}_ms_per_inner_step": np.array(times) for name, times in turns.items()}
        return Result({"n_atoms": n_atoms, "turns": n_turns, "modes": modes}, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and a figure."""
        modes = result.values["modes"]
        section = Section(tables=[_table(modes)])
        if "NC" in modes:
            price = number(modes["C"].get("relative_to_NC"))
            section.paragraphs.append(
                f"Conservative forces cost F = {price} times the head alone. r-RESPA should cost "
                "1 + (F - 1)/M of it per inner step, because C and NC at the end of an outer step come from one "
                f"evaluation. Times are medians of {result.values['turns']} turns; ± is half the range between their "
                "quartiles."
            )
            caption = "Cost of an inner step, in units of the head alone."
            section.figures.append((caption, _figure(modes)))
            section.warnings += _warnings(modes)
        return section


def shared_cost(inner_steps: int, price: float) -> float:
    """Cost 1 + (F - 1)/M of an inner step in units of one head-only evaluation, F the price of a full one."""
    return 1.0 + (price - 1.0) / inner_steps


def relative_times(turns: dict[str, list[float]], reference: str) -> dict[str, tuple[float, float]]:
    """Median over turns of the time relative to that of the reference in the same turn, and its scatter.

    Parameters
    ----------
    turns : dict of str to list of float
        Times, one per turn; NaN where a turn failed.
    reference : str

    Returns
    -------
    dict of str to (median, scatter)
        The scatter is half the range between the quartiles.
    """
    base = np.array(turns[reference])
    result = {}
    for name, times in turns.items():
        ratios = np.array(times) / base
        ratios = ratios[np.isfinite(ratios)]
        if len(ratios) == 0:
            result[name] = (float("nan"), float("nan"))
            continue
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        result[name] = (float(middle), float(high - low) / 2.0)
    return result


def _table(modes: dict[str, Any]) -> Table:
    header = ["forces", "ms per inner step", "µs per atom", "speed-up over C", "relative to NC"]
    rows = [
        [
            label_of(name),
            number(m["ms_per_inner_step"], 1),
            number(m["us_per_atom_per_inner_step"], 0),
            with_error(m["speed_up_over_C"], m["speed_up_over_C_scatter"]),
            with_error(m.get("relative_to_NC"), m.get("relative_to_NC_scatter")),
            number(m.get("shared_theory")),
        ]
        for name, m in modes.items()
    ]
    return Table([*header, "1 + (F - 1)/M"], rows)


def _warnings(modes: dict[str, Any]) -> list[str]:
    off = [
        label_of(name)
        for name, m in modes.items()
        if m["relative_to_NC"]
        and abs(m["relative_to_NC"] / m["shared_theory"] - 1.0) > DISAGREEMENT
    ]
    if not off:
        return []
    return [
        f"{', '.join(off)}: the cost differs by more than {100 * DISAGREEMENT:.0f} % from that of the "
        "evaluations. Either the machine was busy, or the engine itself costs much beside this model."
    ]


def _figure(modes: dict[str, Any]) -> Figure:
    figure, (axes,) = panels(1)
    strides = [m for name, m in modes.items() if name.startswith("M")]
    axes.errorbar(
        [m["inner_steps"] for m in strides],
        [m["relative_to_NC"] or np.nan for m in strides],
        [m["relative_to_NC_scatter"] or 0.0 for m in strides],
        fmt="o",
        color="black",
        capsize=2,
        label="measured",
    )
    price = modes["C"]["relative_to_NC"] or np.nan
    dense = np.linspace(1, max((m["inner_steps"] for m in strides), default=2), 100)
    axes.plot(dense, shared_cost(dense, price), color="#2171b5", label="1 + (F - 1)/M, shared")
    axes.plot(dense, 1 + price / dense, color="0.6", ls=":", label="1 + F/M, not shared")
    axes.axhline(price, color="black", lw=0.8, ls="--", label="C in every step")
    axes.set(xlabel="M", ylabel="cost of an inner step / NC", ylim=(0, 1.15 * (1 + price)))
    axes.legend(frameon=False, fontsize="small")
    return figure
