"""Labels from the model, and an inner network that learns them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import ase.io
from ase import Atoms

from mlip_engines.labels.labelling import label, write_labelled
from mlip_engines.labels.undisplaced import undisplaced
from mlip_engines.model.load import LoadedModel
from mlip_train.acceleration.inner import GivenSize
from mlip_train.acceleration.sizes import Size
from mlip_train.loop.run import train
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Recipe, Stage

COPIES = 2  # of a frame that gets any: one displaced at random, one along stiff modes
DISPLACEMENT = 0.03  # Å, of copies: they show how forces change along stiff bonds
SLOPE_WEIGHT = 0.3  # of the term of the loss, beside 1 for the forces themselves
HELD_OUT = 12  # one structure in so many is kept for validation, and one for the test
FEWEST = 6  # structures, or there is nothing to hold out


def label_frames(
    model: LoadedModel,
    frames: list[Atoms],
    choose: Callable[[list[Atoms]], list[int]],
    output: Path,
    seed: int,
) -> int:
    """Write frames with the energy and the forces of a model, and two copies of some of them.

    One copy has its atoms displaced at random, the other along stiff modes: how forces change there decides how long
    the outer step may be.

    Parameters
    ----------
    model : LoadedModel
    frames : list of ase.Atoms
        ``info["start"]`` stays with them and with their copies.
    choose : callable
        Is given the labelled frames and returns the indices of those that get copies.
    output : Path
        Extended XYZ.
    seed : int
        Of the displacements.

    Returns
    -------
    int
        How many structures were labelled.
    """
    with _quietly(output.with_suffix(".log")):
        labelled = list(_labelled(model, frames))
        copies = [frames[k] for k in choose(labelled)]
        labelled += _copies(model, copies, seed)
        write_labelled(output, labelled, len(labelled))
    return len(labelled)


def _labelled(model: LoadedModel, frames: list[Atoms]) -> Iterator[Atoms]:
    for frame, found in zip(frames, label(model, frames), strict=True):
        found.info["start"] = frame.info.get("start", 0)
        yield found


def _copies(model: LoadedModel, frames: list[Atoms], seed: int) -> Iterator[Atoms]:
    """Yield the copies of frames, without the frames themselves, which have labels already."""
    found = label(model, frames, copies=COPIES, displacement=DISPLACEMENT, stiff=True, seed=seed)
    for k, atoms in enumerate(found):
        if k % (COPIES + 1) > 0:
            atoms.info["start"] = frames[k // (COPIES + 1)].info.get("start", 0)
            yield atoms


def gather(files: list[Path], output: Path) -> int:
    """Put files of labelled structures together; return how many structures there are.

    Raises
    ------
    ValueError
        If there are too few to hold some out.
    """
    structures = [atoms for path in files for atoms in ase.io.read(path, ":", format="extxyz")]
    if len(structures) < FEWEST:
        raise ValueError(
            f"expected at least {FEWEST} labelled structures to train on, got {len(structures)}; give more --minutes"
        )
    draft = output.with_suffix(".partial")
    ase.io.write(draft, structures, format="extxyz")
    draft.replace(output)
    return len(structures)


def count_pairs(data: Path) -> int:
    """Return how many structures of a file are displaced copies that say of what."""
    return sum(undisplaced(atoms) is not None for atoms in ase.io.iread(data, format="extxyz"))


def inner_recipe(
    name: str,
    size: Size | GivenSize,
    model: LoadedModel,
    symbols: list[str],
    n_structures: int,
    n_atoms: int,
    minutes: float,
    *,
    is_first: bool,
    seed: int,
    n_pairs: int = 0,
    begun_with: str = "",
) -> Recipe:
    """Return the recipe of an inner network: direct forces only, for a number of minutes.

    Parameters
    ----------
    name : str
    size : Size or GivenSize
    model : LoadedModel
        The teacher.
    symbols : list of str
    n_structures : int
    n_atoms : int
        Of the largest structure.
    minutes : float
    is_first : bool
        Whether the network begins with random weights.
    seed : int
    n_pairs : int
        How many of the structures are displaced copies that say of what; with enough of them, how forces change along
        displacements is learnt too.
    begun_with : str
        Name of the model whose inner force the first network was, if it was one.
    """
    held_out = max(1, n_structures // HELD_OUT)
    slope_weight = SLOPE_WEIGHT if n_pairs > 2 * held_out else 0.0
    stage = Stage(
        "direct",
        epochs=100_000,  # more than the minutes allow
        learning_rate=0.003 if is_first else 0.0015,
        weights=LossWeights(energy=0.0, non_conservative=1.0, non_conservative_slope=slope_weight),
        budget_minutes=minutes,
    )
    return Recipe(
        name,
        [stage],
        network=size.settings(symbols, model.metadata.cutoff),
        n_validation=held_out,
        n_test=held_out,
        seed=seed,
        batch_atoms=max(n_atoms, 64),
        average_decay=0.999,
        validate_every=max(1, 2000 // n_structures),
        metadata={
            "licence": model.metadata.licence,
            "citation": model.metadata.citation,
            "source": f"labelled by {model.metadata.name}, on structures of its own dynamics"
            + (f"; begun with the inner force of {begun_with}" if begun_with else ""),
        },
    )


def teach(recipe: Recipe, data: Path, folder: Path, start: Path | None) -> Path:
    """Train an inner network, or go on with a training that was interrupted; return its checkpoint.

    Parameters
    ----------
    recipe : Recipe
    data : Path
    folder : Path
        Of the run; what it prints goes into ``training.log`` beside it.
    start : Path, optional
        Checkpoint, or model file, of a network of the same size to start from.
    """
    checkpoint = folder / "checkpoint.pt"
    resume = checkpoint.exists()
    with _quietly(folder.with_suffix(".log")):
        train(recipe, data, folder, start=start, resume=resume)
    return checkpoint


@contextlib.contextmanager
def _quietly(log: Path):
    """Send what is printed to a file: bars and tables of a part would drown the progress of the whole."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield
