"""How large the inner network is: what each size costs, and which one should be fastest."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.data import atomic_numbers

from mlip_engines.checkpoints import Exportable, export_network
from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.load import LoadedModel
from mlip_engines.simulations import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    EngineError,
    Forces,
    make_engine,
)
from mlip_engines.simulations.lammps_timing import LammpsTimings
from mlip_engines.simulations.pace import respa_ms
from mlip_train.acceleration.inner import GivenSize, given_size
from mlip_train.acceleration.outer import has_short_range, open_outer
from mlip_train.networks import build_network, complete_settings

TURNS = 4  # of a measurement of time, after one that does not count
FEWEST_STEPS, FEWEST_INNER_STEPS, MOST_STEPS = 6, 40, 400  # of C, of NC, of either in a turn
TURN_MS = 1500.0  # that a turn may take, if the fewest steps do not take longer
# The energy is so much dearer than what M - 1 inner steps cost that a larger network is worth trying.
CHEAP = 0.25


@dataclass(frozen=True)
class Size:
    """A size of the inner network."""

    name: str
    n_features: int
    n_layers: int = 2

    def settings(self, symbols: list[str], longest_cutoff: float) -> dict[str, Any]:
        """Return the settings of its network.

        Parameters
        ----------
        symbols : list of str
            Elements that it has to know.
        longest_cutoff : float, Å
            That of the energy, whose edges it is given.
        """
        # Stiff bonds to hydrogen are short; metals and salts feel their second and third shells.
        wanted = 4.0 if "H" in symbols else 4.8
        return complete_settings(
            {
                "name": "painn",
                "species": sorted(atomic_numbers[symbol] for symbol in symbols),
                "cutoff": min(wanted, longest_cutoff),
                "n_features": self.n_features,
                "n_basis": 8,
                "n_layers": self.n_layers,
                "non_conservative_layer": self.n_layers,
                "n_force_layers": 1,
            }
        )


SIZES = (Size("small", 16), Size("medium", 32), Size("large", 64))


@dataclass(frozen=True)
class Price:
    """What a step costs with an inner network of one size, ms."""

    size: str
    conservative_ms: float
    non_conservative_ms: float

    @property
    def ratio(self) -> float:
        """F, the price of the energy in units of the inner force."""
        return self.conservative_ms / self.non_conservative_ms

    def speed_up(self, inner_steps: int) -> float:
        """Return M F / (M - 1 + F): how much faster than C at the inner step r-RESPA is."""
        outer = respa_ms(inner_steps, self.conservative_ms, self.non_conservative_ms)
        return inner_steps * self.conservative_ms / outer

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def with_inner(
    model: LoadedModel, inner: Exportable | Path, symbols: list[str], output: Path, name: str
) -> ModelMetadata:
    """Write the energy of a model with another network's forces as its inner force.

    The file knows the given elements only, since the inner network has learnt no others.

    Raises
    ------
    ValueError
        If the two networks do not fit each other.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about distances that the model file lacks
        return export_network(
            replace(open_outer(model), species=symbols),
            output,
            model.metadata.dtype,
            inner=inner,
            name=name,
            short_range="zbl" if has_short_range(model) else "none",
        )


def measure_price(
    model: LoadedModel,
    symbols: list[str],
    size: Size | GivenSize,
    atoms: Atoms,
    step_fs: float,
    folder: Path,
) -> Price:
    """Measure the steps of C and NC in LAMMPS with a network that has not learnt anything: it costs the same."""
    torch.manual_seed(1)
    network = build_network(size.settings(symbols, model.metadata.cutoff))
    path = folder / "price.pt"
    folder.mkdir(parents=True, exist_ok=True)
    untrained = Exportable(network, symbols, name=size.name)
    with_inner(model, untrained, symbols, path, size.name)
    c, nc = _milliseconds(path.resolve(), atoms, step_fs)
    path.unlink()
    return Price(size.name, c, nc)


def _milliseconds(path: Path, atoms: Atoms, step_fs: float) -> tuple[float, float]:
    """Return the times of a step of C and of NC, measured in turns.

    A step of NC may be so short that whatever else the machine does takes longer; it gets more steps in a turn.
    """
    make_engine("lammps", path)  # says what is missing
    choices = {CONSERVATIVE: FEWEST_STEPS, NON_CONSERVATIVE: FEWEST_INNER_STEPS}
    times: dict[Forces, list[float]] = {forces: [] for forces in choices}
    with LammpsTimings(path, atoms, step_fs) as timings:
        for turn in range(TURNS + 1):
            for forces, steps in choices.items():
                found = timings.measure(forces, steps, first=turn == 0)
                if found is None:
                    break
                times[forces].append(found)
                if turn == 0:  # TorchScript settles: this turn only says how many steps are enough
                    enough = int(min(MOST_STEPS, TURN_MS / max(found, 1e-3)))
                    choices[forces] = max(steps, enough)
    if min(len(values) for values in times.values()) < 2:
        raise EngineError(f"LAMMPS failed while steps were timed: {timings.failure}")
    # the shortest: whatever else the machine does can only make a turn longer
    c, nc = (min(values[1:]) for values in times.values())
    return c, nc


def first_size(prices: list[Price], inner_steps: int) -> Price:
    """Return the largest size whose inner steps cost little beside the energy; the cheapest if none does.

    Parameters
    ----------
    prices : list of Price
        From small to large.
    inner_steps : int
        M that is hoped for.
    """
    fitting = [p for p in prices if (inner_steps - 1) / p.ratio <= CHEAP]
    return fitting[-1] if fitting else min(prices, key=lambda p: p.non_conservative_ms)


def next_size(prices: list[Price], current: str, inner_steps: int) -> Price:
    """Return the neighbouring size in the direction of what limits the speed, or the same.

    With M inner steps of which the price of M - 1 is more than that of the energy, a smaller network gains more than
    a few more steps would. With next to no price, a larger network may allow more steps.

    Parameters
    ----------
    prices : list of Price
        From small to large.
    current : str
        Name of the size that was trained.
    inner_steps : int
        M that it carried.
    """
    place = next(k for k, p in enumerate(prices) if p.size == current)
    share = (inner_steps - 1) / prices[place].ratio
    if share > 1.0 and place > 0:
        return prices[place - 1]
    if share <= CHEAP and place + 1 < len(prices):
        larger = prices[place + 1]
        if (inner_steps - 1) / larger.ratio <= 2.0 * CHEAP:
            return larger
    return prices[place]


def sizes_for(inner: LoadedModel | None) -> tuple[Size | GivenSize, ...]:
    """Return the sizes that may be trained, from small to large; of an inner force to begin with, only its own."""
    return SIZES if inner is None else (given_size(inner),)


def find_size(name: str, inner: LoadedModel | None = None) -> Size | GivenSize:
    """Return a size by its name."""
    return next(size for size in sizes_for(inner) if size.name == name)


def all_prices(
    model: LoadedModel,
    symbols: list[str],
    atoms: Atoms,
    step_fs: float,
    folder: Path,
    say: Callable[[str], None],
    inner: LoadedModel | None = None,
) -> list[Price]:
    """Measure the prices of all sizes that may be trained, from small to large."""
    prices = []
    for size in sizes_for(inner):
        price = measure_price(model, symbols, size, atoms, step_fs, folder)
        say(
            f"inner network {size.name}: a step of C takes {price.conservative_ms:.3g} ms, of the inner force "
            f"{price.non_conservative_ms:.3g} ms, F = {price.ratio:.1f}"
        )
        prices.append(price)
    return prices
