"""The page about an acceleration, and what it is written from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.report import elements
from mlip_engines.report.figures import panels, png
from mlip_engines.report.numbers import number, with_error
from mlip_engines.report.page import page
from mlip_engines.simulations.pace import Pace, fair_gain, fastest
from mlip_train.acceleration.recommendation import lammps_lines, openmm_lines
from mlip_train.acceleration.request import Request
from mlip_train.acceleration.round import Outcome
from mlip_train.acceleration.sizes import CHEAP, Price
from mlip_train.acceleration.theory import Theory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Summary:
    """What an acceleration found.

    Parameters
    ----------
    request : Request
    prices : list of Price
        Of all sizes of the inner network.
    conservative : list of Pace
        Of C at several steps.
    outcomes : list of Outcome
        Of the rounds.
    best : Outcome
        The one that the model file has.
    elsewhere : dict of str to Pace
        What was found, from the other starts.
    minutes : float
    """

    request: Request
    prices: list[Price]
    conservative: list[Pace]
    outcomes: list[Outcome]
    best: Outcome
    elsewhere: dict[str, Pace]
    minutes: float

    @property
    def pace(self) -> Pace | None:
        """The fastest of r-RESPA within the limits."""
        return self.best.best(self.request)

    @property
    def gain(self) -> float:
        """How much faster than C's best within the same limits; NaN if either has none."""
        return fair_gain([*self.conservative, *self.best.paces], self.request.limits)

    @property
    def gain_at_equal_fluctuation(self) -> float:
        """How much faster than C at the longest step of no larger fluctuation, over steps that were measured."""
        if self.pace is None:
            return float("nan")
        calm = [
            pace.seconds_per_ps
            for pace in self.conservative
            if not pace.stopped
            and pace.fluctuation_meV_per_atom <= self.pace.fluctuation_meV_per_atom
            and pace.verdict(self.request.limits) != "fails"
        ]
        return min(calm) / self.pace.seconds_per_ps if calm else float("nan")

    def model_file(self, folder: Path) -> Path:
        """Return the path of the accelerated model."""
        return Path(folder) / f"{self.request.model.path.stem}-fast.pt"


def limited_by(summary: Summary) -> str:
    """Say in a sentence what keeps the speed from being higher."""
    best, pace, limits = summary.best, summary.pace, summary.request.limits
    if pace is None:
        return (
            "No number of inner steps stays within the limits: the inner force is not close enough to that of the "
            "energy. Give more --minutes, or structures and temperatures nearer to what you will simulate."
        )
    share = (pace.forces.inner_steps - 1) / best.price.ratio
    words = []
    beyond = [
        p
        for p in best.paces
        if p.inner_step_fs == pace.inner_step_fs
        and p.outer_step_fs > pace.outer_step_fs
        and p.verdict(limits) != "passes"
    ]
    if beyond:
        p = min(beyond, key=lambda other: other.outer_step_fs)
        if p.stopped:
            words.append(f"at the next longer outer step ({p.label}) the simulation blows up")
        elif p.verdict_of_fluctuation(limits) != "passes":
            fluctuation = with_error(
                p.fluctuation_meV_per_atom, p.fluctuation_error_meV_per_atom, 3
            )
            words.append(
                f"at the next longer outer step ({p.label}) the energy fluctuates by {fluctuation} meV/atom"
            )
        else:
            words.append(
                f"at the next longer outer step ({p.label}) the energy drifts by "
                f"{with_error(*p.drift, 3, sign=True)} meV/atom/ps"
            )
    else:
        words.append("the longest outer step that was tried is still within the limits")
    if share > 1.0:
        words.append(
            f"the inner steps cost more than the energy (F = {best.price.ratio:.1f}): a cheaper inner network or a "
            "dearer model would gain more"
        )
    elif share <= CHEAP:
        words.append("the inner steps cost next to nothing beside the energy")
    return f"What limits the speed: {'; '.join(words)}."


def write_report(summary: Summary, folder: Path) -> Path:
    """Write ``report.html`` and return its path."""
    path = Path(folder) / "report.html"
    title = f"{summary.request.model.metadata.name}, accelerated"
    path.write_text(page(title, _elements(summary, folder, title)), encoding="utf-8")
    return path


def words(summary: Summary) -> list[str]:
    """Return what was found, in sentences."""
    pace, best = summary.pace, summary.best
    if pace is None:
        return [limited_by(summary)]
    c = fastest(summary.conservative, summary.request.limits, "conservative")
    advice = "Use r-RESPA with"
    if c is not None and summary.gain < 1.0:
        advice = f"Use C alone, with {c.inner_step_fs:g} fs: it is faster. The best r-RESPA has"
    sentences = [
        f"{advice} an inner step of {pace.inner_step_fs:g} fs and M = {pace.forces.inner_steps} (outer step "
        f"{pace.outer_step_fs:g} fs): {pace.ns_per_day:.3g} ns/day, {pace.seconds_per_ps:.3g} s/ps on this machine. "
        f"The energy drifts by {with_error(*pace.drift, 3, sign=True)} meV/atom/ps and fluctuates by "
        f"{pace.fluctuation_meV_per_atom:.3f} meV/atom."
    ]
    if c is not None:
        sentences.append(
            f"That is {summary.gain:.2f} times as fast as C at its best step within the same limits "
            f"({c.inner_step_fs:g} fs, {c.seconds_per_ps:.3g} s/ps), "
            f"{number(summary.gain_at_equal_fluctuation)} times as fast as C at the longest step that fluctuates no "
            f"more, and {best.price.speed_up(pace.forces.inner_steps):.2f} times as fast as C at the inner step."
        )
    sentences.append(limited_by(summary))
    return sentences


def warnings_of(summary: Summary) -> list[str]:
    """Return what a user should know before relying on the model."""
    found, limits = [], summary.request.limits
    if summary.gain < 1.0:
        found.append(
            "C alone, at its best step within the limits, is faster than r-RESPA with this inner force. Give more "
            "--minutes: a longer training brings the inner force closer to that of the energy."
        )
    unequal = summary.best.disagreement.unequal_starts
    if unequal is not None:
        worst, best = unequal
        off = summary.best.disagreement.by_start
        found.append(
            f"One small network does not serve all structures: |C - NC| is {off[worst]:.0f} meV/Å in simulations from "
            f"structure {worst} and {off[best]:.0f} from structure {best}. Accelerate the model for each by itself."
        )
    failed = [name for name, p in summary.elsewhere.items() if p.verdict(limits) != "passes"]
    if failed:
        found.append(
            f"From other starts the same steps do not stay within the limits: {', '.join(failed)}. Use fewer inner "
            "steps there."
        )
    return found


def _elements(summary: Summary, folder: Path, title: str) -> list[str]:
    request, best = summary.request, summary.best
    parts = [
        elements.heading(title, level=1),
        elements.verdict(map(elements.paragraph, words(summary))),
    ]
    parts += [elements.warning(text) for text in warnings_of(summary)]
    if summary.pace is not None:
        model = summary.model_file(folder).resolve()
        limit = best.disagreement.warning_limit
        parts += [
            elements.heading("How to run it"),
            elements.paragraph("In LAMMPS; atom types are in the order of the elements:"),
            elements.code(lammps_lines(model, request.symbols, summary.pace)),
            elements.paragraph("In OpenMM:"),
            elements.code(openmm_lines(model, summary.pace)),
            elements.paragraph(
                f"LAMMPS warns if |C - NC| of an atom exceeds the limit in the file, {limit:.3g} eV/Å, which it does "
                "not in what was sampled (HeadDisagreementReporter with warn does so in OpenMM): then the simulation "
                "has gone where the inner network has learnt nothing. Trajectories still follow "
                "the energy of the model, but their drift is no longer the one measured here."
            ),
        ]
    parts += [
        elements.heading("Speed against drift"),
        elements.paragraph(
            f"Simulations at constant energy of structure 0 ({len(request.structures[0])} atoms), all from one state "
            f"at about {request.hottest_K:g} K. Limits: drift {request.limits.drift_meV_per_atom_per_ps:g} "
            f"meV/atom/ps, fluctuation of the energy {request.limits.fluctuation_meV_per_atom:g} meV/atom. Times are "
            "those of steps of C and of the inner force, measured in turns."
        ),
        elements.figure(
            png(_front(summary)), "Seconds per simulated picosecond against the size of the drift."
        ),
        _paces(summary),
        elements.heading("Rounds"),
        _rounds(summary),
        elements.heading("C - NC"),
        elements.paragraph(
            "Root mean square of a component on structures that were not trained on, by element and by the structure "
            "that the simulation began with."
        ),
        _disagreements(summary),
        *_theory(best.theory),
        elements.heading("Prices"),
        elements.table(
            ["inner network", "C, ms", "inner force, ms", "F"],
            [
                [
                    p.size,
                    number(p.conservative_ms),
                    number(p.non_conservative_ms),
                    number(p.ratio, 1),
                ]
                for p in summary.prices
            ],
        ),
    ]
    if summary.elsewhere:
        rows = [
            [
                name,
                p.label,
                "blew up" if p.stopped else with_error(*p.drift, 3, sign=True),
                p.verdict(request.limits),
            ]
            for name, p in summary.elsewhere.items()
        ]
        parts += [
            elements.heading("From each start"),
            elements.table(["start", "steps", "drift, meV/atom/ps", "verdict"], rows),
        ]
    return parts


def _paces(summary: Summary) -> str:
    limits = summary.request.limits
    rows = [
        [
            p.label,
            number(p.outer_step_fs, 1),
            number(p.seconds_per_ps),
            number(p.ns_per_day),
            "blew up" if p.stopped else with_error(*p.drift, 3, sign=True),
            with_error(p.fluctuation_meV_per_atom, p.fluctuation_error_meV_per_atom, 3),
            p.verdict(limits),
        ]
        for p in [*summary.conservative, *summary.best.paces]
    ]
    header = ["steps", "outer step, fs", "s/ps", "ns/day", "drift, meV/atom/ps"]
    return elements.table([*header, "fluctuation, meV/atom", "verdict"], rows)


def _rounds(summary: Summary) -> str:
    rows = []
    for o in summary.outcomes:
        pace = o.best(summary.request)
        rows.append(
            [
                str(o.number),
                o.price.size,
                str(o.labelled),
                number(o.disagreement.rms_meV_per_angstrom, 1),
                f"M = {o.expected_inner_steps}, {o.price.speed_up(o.expected_inner_steps):.1f} times C",
                "-"
                if pace is None
                else f"M = {pace.forces.inner_steps}, {o.price.speed_up(pace.forces.inner_steps):.1f} times C",
                number(pace.ns_per_day) if pace else "-",
            ]
        )
    header = ["round", "inner network", "labelled structures", "RMS of C - NC, meV/Å"]
    return elements.table([*header, "hoped for", "got", "ns/day"], rows)


def _disagreements(summary: Summary) -> str:
    off = summary.best.disagreement
    rows = [[symbol, number(value, 1)] for symbol, value in off.by_element.items()]
    rows += [[f"structure {k}", number(value, 1)] for k, value in off.by_start.items()]
    rows.append(["all", number(off.rms_meV_per_angstrom, 1)])
    rows.append(["the forces themselves", number(off.forces_meV_per_angstrom, 1)])
    return elements.table(["of", "RMS, meV/Å"], rows)


def _theory(theory: Theory | None) -> list[str]:
    """Say what linear theory expects of averages at constant temperature."""
    if theory is None:
        return []
    symbols = list(theory.rows[0].configurational)
    rows = [
        [
            str(row.inner_steps),
            number(row.inner_steps * theory.inner_step_fs, 1),
            *(number(row.configurational[s], 3) if row.is_stable else "unstable" for s in symbols),
        ]
        for row in theory.rows
    ]
    longest = theory.longest_fs
    found = (
        "No outer step samples" if longest is None else f"Up to {longest:g} fs, outer steps sample"
    )
    return [
        elements.heading("At constant temperature, by linear theory"),
        elements.paragraph(
            f"Temperature of the positions over that of the bath, with a friction of 2/ps, in the harmonic wells of "
            f"{theory.n_atoms} atoms, neighbours at rest and without noise. {found} positions within 2 %. "
            "Outer steps from the first unstable one on were not simulated."
        ),
        elements.table(["M", "outer step, fs", *symbols], rows),
    ]


def _front(summary: Summary) -> Figure:
    figure, (axes,) = panels(1, height=4.0)
    for paces, colour, name in (
        (summary.conservative, "black", "C"),
        (summary.best.paces, "#2171b5", "r-RESPA"),
    ):
        shown = [p for p in paces if not p.stopped]
        drifts = [max(abs(p.drift.value), 1e-4) for p in shown]
        axes.plot(drifts, [p.seconds_per_ps for p in shown], "o", color=colour, label=name, ms=5)
        for drift, p in zip(drifts, shown, strict=True):
            text = p.label.removeprefix("C, ")
            place = {"xytext": (4, 3), "textcoords": "offset points", "fontsize": 7}
            axes.annotate(text, (drift, p.seconds_per_ps), color=colour, **place)
    axes.axvline(summary.request.limits.drift_meV_per_atom_per_ps, color="0.4", ls="--")
    axes.set(xlabel="|drift|, meV/atom/ps", ylabel="s/ps", xscale="log", yscale="log")
    axes.legend(frameon=False, fontsize="small")
    return figure
