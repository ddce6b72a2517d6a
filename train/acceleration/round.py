"""One round: sample with the best that there is, label, teach, measure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms

from mlip_engines.model.load import load_model
from mlip_engines.simulations import CONSERVATIVE, Forces
from mlip_engines.simulations.pace import Pace, fastest, respa_ms
from mlip_train.acceleration.climb import Climb, pace_as_dict, pace_from_dict
from mlip_train.acceleration.disagreement import (
    Disagreement,
    measure_disagreement,
    most_different,
)
from mlip_train.acceleration.inner import write_inner
from mlip_train.acceleration.journal import Journal
from mlip_train.acceleration.request import Request
from mlip_train.acceleration.sampling import read_frames, sample
from mlip_train.acceleration.sizes import Price, find_size, with_inner
from mlip_train.acceleration.starts import plan_sampling
from mlip_train.acceleration.teaching import (
    COPIES,
    count_pairs,
    gather,
    inner_recipe,
    label_frames,
    teach,
)
from mlip_train.acceleration.theory import Theory, linear_theory
from mlip_train.loop.model_file import inner_of_file

SHARES = {"sampling": 0.25, "training": 0.45, "measuring": 0.3}  # of the minutes of a round
COPIED = 0.25  # fraction of the frames of which displaced copies are labelled too
THEORY = 0.03  # of the minutes of a round, for the derivatives of linear theory
LONGEST_PS = 2.0  # of a simulation at constant energy
FIRST_INNER_STEPS = (
    4  # of the first samples with an inner force that was given: it follows the energy in any case
)


@dataclass(frozen=True)
class Reference:
    """What C alone does, at constant energy."""

    start: Path  # the state at which simulations at constant energy begin
    paces: list[Pace]


@dataclass(frozen=True)
class Outcome:
    """What a round came to.

    Parameters
    ----------
    number : int
        From 1 on.
    price : Price
        Of the size that was trained.
    expected_inner_steps : int
        M that was hoped for when the size was chosen.
    disagreement : Disagreement
        On structures that were not trained on.
    paces : list of Pace
        Of r-RESPA.
    model, checkpoint : Path
    labelled : int
        Structures with labels, of all rounds.
    theory : Theory, optional
        What linear theory says of the inner force.
    """

    number: int
    price: Price
    expected_inner_steps: int
    disagreement: Disagreement
    paces: list[Pace]
    model: Path
    checkpoint: Path
    labelled: int
    theory: Theory | None = None

    def best(self, request: Request) -> Pace | None:
        """Return the fastest pace within the limits, None if there is none."""
        return fastest(self.paces, request.limits, "respa")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)},
            "price": self.price.as_dict(),
            "disagreement": self.disagreement.as_dict(),
            "paces": [pace_as_dict(pace) for pace in self.paces],
            "theory": None if self.theory is None else self.theory.as_dict(),
            "model": str(self.model),
            "checkpoint": str(self.checkpoint),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        """Make an outcome from what :meth:`as_dict` returned."""
        return cls(
            **{
                **values,
                "price": Price(**values["price"]),
                "disagreement": Disagreement(**values["disagreement"]),
                "paces": [pace_from_dict(pace) for pace in values["paces"]],
                "theory": values.get("theory") and Theory.from_dict(values["theory"]),
                "model": Path(values["model"]),
                "checkpoint": Path(values["checkpoint"]),
            }
        )


def run_round(
    number: int,
    request: Request,
    journal: Journal,
    price: Price,
    expected_inner_steps: int,
    minutes: float,
    before: Outcome | None,
    reference: Callable[[list[Path], float], Reference],
) -> tuple[Outcome, Reference]:
    """Run a round, or what is left of it.

    Parameters
    ----------
    number : int
        From 1 on.
    request : Request
    journal : Journal
    price : Price
        Of the size to train.
    expected_inner_steps : int
    minutes : float
        For the round.
    before : Outcome or None
        Of the last round: its inner force samples, and its network is the start if the size is the same.
    reference : callable
        Measures C, given the files of sampled frames and the picoseconds of a simulation.
    """
    folder = journal.folder / f"round_{number}"
    journal.say(f"round {number} begins: {minutes:.1f} min, inner network {price.size}")

    given = _given(request, journal) if before is None else None

    frames = journal.once(
        f"round {number}: sample",
        lambda: [
            str(path)
            for path in _sample(number, request, journal, price, minutes, before, given, folder)
        ],
    )
    files = [Path(path) for path in frames]
    picoseconds = journal.once(
        f"round {number}: picoseconds", lambda: _picoseconds(request, price, minutes)
    )
    known = reference(files, picoseconds)
    labelled = folder / "labelled.extxyz"
    journal.once(
        f"round {number}: label",
        lambda: _label(number, request, journal, files, before, given, labelled),
    )
    parts = [journal.folder / f"round_{k}" / "labelled.extxyz" for k in range(1, number + 1)]
    data = folder / "data.extxyz"
    count = journal.once(f"round {number}: gather", lambda: gather(parts, data))

    def learn() -> str:
        same = before is not None and before.price.size == price.size
        journal.say(
            f"round {number}: trains on {count} structures for {SHARES['training'] * minutes:.1f} min"
        )
        start = before.checkpoint if same else None if given is None else given.network
        recipe = inner_recipe(
            f"{request.model.metadata.name}-inner",
            find_size(price.size, request.inner),
            request.model,
            request.symbols,
            count,
            max(len(atoms) for atoms in request.structures),
            SHARES["training"] * minutes,
            is_first=start is None,
            seed=request.seed,
            n_pairs=count_pairs(data),
            begun_with="" if request.inner is None else request.inner.metadata.name,
        )
        return str(teach(recipe, data, folder / "training", start))

    checkpoint = Path(journal.once(f"round {number}: train", learn))
    model = folder / "model.pt"
    name = f"{request.model.metadata.name}-fast"

    def export() -> dict[str, Any]:
        with_inner(request.model, checkpoint, request.symbols, model, name)
        return measure_disagreement(load_model(model), _held_out(data, folder)).as_dict()

    disagreement = Disagreement(**journal.once(f"round {number}: export", export))
    journal.say(
        f"round {number}: RMS of C - NC is {disagreement.rms_meV_per_angstrom:.1f} meV/Å, of the forces "
        f"{disagreement.forces_meV_per_angstrom:.0f}"
    )

    def foresee() -> dict[str, Any]:
        start, seconds = ase.io.read(known.start), 60.0 * THEORY * minutes
        step, c_ms = request.inner_step_fs, price.conservative_ms
        return linear_theory(load_model(model), start, step, c_ms, seconds).as_dict()

    theory = Theory.from_dict(journal.once(f"round {number}: linear theory", foresee))

    def measure() -> list[dict[str, Any]]:
        climb = Climb(
            model,
            ase.io.read(known.start),
            price,
            request.limits,
            picoseconds,
            folder / "constant_energy",
            lambda text: journal.say(f"round {number}: {text}"),
        )
        return [
            pace_as_dict(p) for p in climb.respa(request.inner_step_fs, known.paces, theory.allows)
        ]

    paces = [pace_from_dict(p) for p in journal.once(f"round {number}: measure", measure)]
    outcome = Outcome(
        number, price, expected_inner_steps, disagreement, paces, model, checkpoint, count, theory
    )
    return outcome, known


@dataclass(frozen=True)
class Given:
    """An inner force to begin with: the file of its network, and that of the energy with it."""

    network: Path
    model: Path


def _given(request: Request, journal: Journal) -> Given | None:
    if request.inner is None:
        return None
    folder = journal.folder / "inner"
    given = Given(folder / "network.pt", folder / "model.pt")

    def write() -> dict[str, str]:
        write_inner(request.inner, given.network)
        name = f"{request.model.metadata.name}-fast"
        inner = inner_of_file(request.inner)
        with_inner(request.model, inner, request.symbols, given.model, name)
        return {}

    journal.once("inner force to begin with", write)
    return given


def _sample(
    number: int,
    request: Request,
    journal: Journal,
    price: Price,
    minutes: float,
    before: Outcome | None,
    given: Given | None,
    folder: Path,
) -> list[Path]:
    step, forces, model = request.inner_step_fs, CONSERVATIVE, request.model.path
    seconds_per_ps = price.conservative_ms / step
    best = before.best(request) if before is not None else None
    if best is not None:
        step, forces, model = best.inner_step_fs, best.forces, before.model
        seconds_per_ps = best.seconds_per_ps
    elif given is not None:
        forces, model = Forces("respa", FIRST_INNER_STEPS), given.model
        ms = respa_ms(FIRST_INNER_STEPS, price.conservative_ms, price.non_conservative_ms)
        seconds_per_ps = ms / (FIRST_INNER_STEPS * step)
    seconds = 60.0 * minutes * SHARES["sampling"]
    label_seconds = (1.0 + (COPIES + 1) * COPIED) * price.conservative_ms / 1000.0
    plan = plan_sampling(request, seconds, seconds_per_ps, label_seconds)
    return sample(
        request,
        model,
        forces,
        step,
        plan,
        folder / "sampling",
        request.seed + 1000 * number,
        lambda text: journal.say(f"round {number}: {text}"),
    )


def _label(
    number: int,
    request: Request,
    journal: Journal,
    files: list[Path],
    before: Outcome | None,
    given: Given | None,
    output: Path,
) -> int:
    frames = read_frames(files)
    if number == 1:  # what the user gave is worth knowing too
        for k, atoms in enumerate(request.structures):
            at_rest = Atoms(
                atoms.get_chemical_symbols(), atoms.positions, cell=atoms.cell, pbc=atoms.pbc
            )
            at_rest.info.update(atoms.info)
            at_rest.info["start"] = k
            frames.append(at_rest)
    journal.say(f"round {number}: labels {len(frames)} frames")

    def choose(labelled: list[Atoms]) -> list[int]:
        known = before or given
        if known is None:
            return list(range(0, len(labelled), round(1 / COPIED)))
        return most_different(load_model(known.model), labelled, COPIED)

    return label_frames(request.model, frames, choose, output, request.seed + number)


def _picoseconds(request: Request, price: Price, minutes: float) -> float:
    """Return how long simulations at constant energy may be: about eight of them, in steps of some M."""
    seconds = 60.0 * minutes * SHARES["measuring"] / 8.0
    per_ps = price.conservative_ms / (4.0 * request.inner_step_fs)
    return min(LONGEST_PS, max(0.1, seconds / per_ps))


def _held_out(data: Path, folder: Path) -> list[Atoms]:
    """Return the structures that the training has not seen."""
    split = json.loads((folder / "training" / "split.json").read_text())
    frames = ase.io.read(data, ":", format="extxyz")
    return [frames[k] for k in [*split["validation"], *split["test"]]]
