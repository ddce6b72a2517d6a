"""From a model file to an accelerated one: rounds until the speed stops growing or the time is over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io

from mlip_engines.model.archive import read_metadata, replace_metadata
from mlip_engines.model.disagreement_limit import LARGEST
from mlip_engines.simulations.pace import Pace
from mlip_engines.units import MEV_PER_EV
from mlip_train.acceleration.climb import Climb, pace_as_dict, pace_from_dict
from mlip_train.acceleration.energy_check import check_energy
from mlip_train.acceleration.journal import Journal
from mlip_train.acceleration.report import Summary, write_report
from mlip_train.acceleration.request import Request
from mlip_train.acceleration.round import Outcome, Reference, run_round
from mlip_train.acceleration.sizes import Price, all_prices, first_size, next_size
from mlip_train.acceleration.starts import Start

ROUND = 0.3  # of the minutes, for one round
GROWTH = 1.05  # of the speed, without which no further round begins
HOPED_FS = {
    True: 4.0,
    False: 16.0,
}  # outer step to choose the first size by: with hydrogen, without
MOST_ROUNDS = 8


def accelerate(request: Request, folder: Path, say: Callable[[str], None] = print) -> Summary:
    """Write ``NAME-fast.pt`` and ``report.html`` into a folder, or go on where an earlier call was stopped.

    Parameters
    ----------
    request : Request
    folder : Path
        It receives a folder for each round and ``journal.json``, from which the same call goes on.
    say : callable
        Is given lines of progress.

    Returns
    -------
    Summary
        What was found, with the path of the model.

    Raises
    ------
    ValueError
        If the model has no energy that can be differentiated, its dynamics blow up at every step that was tried, or
        the folder has another acceleration.
    EngineError
        If LAMMPS is not installed or fails for a reason that says nothing about the model.
    """
    journal = Journal(folder, request.as_dict(), request.minutes, say)
    journal.once("check", lambda: check_energy(request.model, request.structures[0]))
    prices = [
        Price(**values) for values in journal.once("prices", lambda: _prices(request, journal))
    ]

    def reference(files: list[Path], picoseconds: float) -> Reference:
        return _reference(request, journal, prices[0], files, picoseconds)

    outcomes: list[Outcome] = []
    hoped = max(2, round(HOPED_FS["H" in request.symbols] / request.inner_step_fs))
    price = first_size(prices, hoped)
    while len(outcomes) < MOST_ROUNDS:
        number = len(outcomes) + 1
        last = _latest(outcomes)
        begin = f"round {number}: begin"
        if outcomes and begin not in journal and not _is_time_for(request, journal):
            break
        minutes = journal.once(begin, lambda: _minutes_of_round(request, journal))
        outcome, known = run_round(number, request, journal, price, hoped, minutes, last, reference)
        outcomes.append(outcome)
        carried = outcome.best(request)
        _tell(outcome, carried, journal)
        if len(outcomes) > 1 and not _grows(outcomes, request):
            journal.say("the speed has stopped growing")
            break
        hoped = carried.forces.inner_steps if carried is not None else 2
        price = next_size(prices, price.size, hoped)
    best = _best(outcomes, request)
    others = _elsewhere(request, journal, best)
    # A step of C as measured in turns with this inner force, and not at another time: only the ratio counts.
    conservative = [
        dataclasses.replace(pace, ms_per_outer_step=best.price.conservative_ms)
        for pace in known.paces
    ]
    summary = Summary(request, prices, conservative, outcomes, best, others, journal.minutes_used)
    _write_model(summary, folder)
    write_report(summary, folder)
    return summary


def _prices(request: Request, journal: Journal) -> list[dict[str, Any]]:
    found = all_prices(
        request.model,
        request.symbols,
        request.structures[0],
        request.inner_step_fs,
        journal.folder / "prices",
        journal.say,
        request.inner,
    )
    return [price.as_dict() for price in found]


def _is_time_for(request: Request, journal: Journal) -> bool:
    """Return whether the minutes that are left are enough for another round."""
    return journal.minutes_left >= 0.5 * ROUND * request.minutes


def _minutes_of_round(request: Request, journal: Journal) -> float:
    """Return the minutes of the next round: never less than half of a share, for the first whatever prices took."""
    share = ROUND * request.minutes
    return min(share, max(0.5 * share, journal.minutes_left))


def _reference(
    request: Request, journal: Journal, price: Price, files: list[Path], picoseconds: float
) -> Reference:
    """Measure what C does at longer and longer steps, once."""
    start = journal.folder / "start.extxyz"
    if not start.exists():
        ase.io.write(start, ase.io.read(files[0], -1, format="extxyz"), format="extxyz")

    def measure() -> list[dict[str, Any]]:
        climb = Climb(
            request.model.path,
            ase.io.read(start),
            price,
            request.limits,
            picoseconds,
            journal.folder / "conservative",
            journal.say,
        )
        return [pace_as_dict(pace) for pace in climb.conservative(request.inner_step_fs)]

    paces = [pace_from_dict(values) for values in journal.once("measure C", measure)]
    return Reference(start, paces)


def _latest(outcomes: list[Outcome]) -> Outcome | None:
    return outcomes[-1] if outcomes else None


def _speed(outcome: Outcome, request: Request) -> float:
    pace = outcome.best(request)
    return 0.0 if pace is None else 1.0 / pace.seconds_per_ps


def _grows(outcomes: list[Outcome], request: Request) -> bool:
    """Return whether the last round is better than the best before; without a pace yet, the match has to improve."""
    *before, last = outcomes
    fastest_before = max(_speed(outcome, request) for outcome in before)
    if fastest_before == 0.0 and _speed(last, request) == 0.0:
        return (
            GROWTH * last.disagreement.rms_meV_per_angstrom
            < before[-1].disagreement.rms_meV_per_angstrom
        )
    return _speed(last, request) > GROWTH * fastest_before


def _best(outcomes: list[Outcome], request: Request) -> Outcome:
    """Return the fastest outcome; the one that agrees best if none stays within the limits."""
    quick = max(outcomes, key=lambda outcome: _speed(outcome, request))
    if _speed(quick, request) > 0.0:
        return quick
    return min(outcomes, key=lambda outcome: outcome.disagreement.rms_meV_per_angstrom)


def _tell(outcome: Outcome, carried: Pace | None, journal: Journal) -> None:
    if carried is None:
        journal.say(f"round {outcome.number}: no M of r-RESPA stays within the limits yet")
        return
    journal.say(
        f"round {outcome.number}: {carried.label} is the fastest within the limits, {carried.ns_per_day:.3g} ns/day"
    )


def _elsewhere(request: Request, journal: Journal, best: Outcome) -> dict[str, Pace]:
    """Try what was found from the other starts: one small network may not serve them all."""
    pace = best.best(request)
    folder = journal.folder / f"round_{best.number}"
    if pace is None:
        return {}

    def measure() -> dict[str, Any]:
        found = {}
        for path in sorted((folder / "sampling").glob("start_*.extxyz")):
            frame = ase.io.read(path, -1, format="extxyz")
            begin = (frame.info[name] for name in ("start", "temperature_K"))
            name = Start(*begin, frame.info.get("pressure_bar")).label
            climb = Climb(
                best.model,
                frame,
                best.price,
                request.limits,
                journal.once(f"round {best.number}: picoseconds", lambda: 0.5),
                folder / "elsewhere" / path.stem,
                lambda text: journal.say(f"{name}: {text}"),  # noqa: B023
            )
            found[name] = pace_as_dict(climb.pace(pace.forces, pace.inner_step_fs))
        return found

    found = journal.once(f"round {best.number}: elsewhere", measure)
    return {name: pace_from_dict(values) for name, values in found.items()}


def _write_model(summary: Summary, folder: Path) -> None:
    """Copy the best model, with what was found in its metadata."""
    best, request = summary.best, summary.request
    pace = best.best(request)
    metadata = read_metadata(best.model)
    found: dict[str, Any] = {
        "rounds": len(summary.outcomes),
        "minutes": round(summary.minutes, 1),
        "temperatures_K": list(request.temperatures_K),
        "pressures_bar": list(request.pressures_bar),
        "drift_limit_meV_per_atom_per_ps": request.limits.drift_meV_per_atom_per_ps,
        "fluctuation_limit_meV_per_atom": request.limits.fluctuation_meV_per_atom,
        "disagreement_eV_per_angstrom": best.disagreement.warning_limit,
    }
    if pace is not None:
        found |= {"inner_step_fs": pace.inner_step_fs, "inner_steps": pace.forces.inner_steps}
    rms = best.disagreement.rms_meV_per_angstrom / MEV_PER_EV
    metadata = dataclasses.replace(
        metadata,
        training={**metadata.training, "acceleration": found},
        errors={
            **metadata.errors,
            "rms_c_minus_nc": rms,
            LARGEST: best.disagreement.largest_eV_per_angstrom,
        },
    )
    path = summary.model_file(folder)
    draft = path.with_suffix(".unfinished")
    draft.write_bytes(best.model.read_bytes())
    replace_metadata(draft, metadata)
    draft.replace(path)
