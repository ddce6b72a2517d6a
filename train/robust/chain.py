"""From data to a robust network in one run: eam, perturb, label, pretrain, fine_tune.

Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining, fig. 4.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms

from mlip_engines.checkpoints import export_checkpoint
from mlip_engines.labels.composition import force_scale
from mlip_engines.labels.labelling import label, write_labelled
from mlip_engines.labels.reading import read_checked
from mlip_engines.model.load import load_model
from mlip_train.data.sets import DataFiles
from mlip_train.loop.budget import within
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.run import train
from mlip_train.loop.start import is_same_recipe
from mlip_train.machine.settings import Machine
from mlip_train.recipe import Recipe, read_recipe, recipe_of
from mlip_train.robust.distances import write_distances
from mlip_train.robust.perturbation import Perturbation
from mlip_train.robust.stream import perturb

PARTS = ("eam", "perturb", "pretrain", "fine_tune")
# Of a time for the whole chain. The potential has few parameters; pre-training gets half of what the network has on the
# data, as in benchmarks/robustness.py.
SHARES = {"eam": 0.1, "pretrain": 0.3, "fine_tune": 0.6}


@dataclass(frozen=True)
class Chain:
    """The recipes of a chain, and how structures are perturbed between them."""

    name: str
    eam: Recipe
    perturb: Perturbation
    pretrain: Recipe
    fine_tune: Recipe

    def within(self, minutes: float) -> Chain:
        """Return a chain whose trainings end after a time, at the latest; making and labelling structures comes on top.

        Raises
        ------
        ValueError
            As :func:`mlip_train.loop.budget.within`.
        """
        shares = {
            part: within(getattr(self, part), share * minutes) for part, share in SHARES.items()
        }
        return replace(self, **shares)


def read_chain(path: str | Path) -> Chain | None:
    """Read a recipe that is a chain; return None if it is one of a single run, or there is no such file.

    Parameters
    ----------
    path : str or Path
        A file, or ``robust`` for the chain that comes with the package.

    Raises
    ------
    ValueError
        If a part is missing or unknown, or a setting in it cannot be meant.
    """
    path = Path(path)
    if not path.is_file() and str(path) in ("robust", "robust.yaml"):
        path = Path(__file__).with_name("robust.yaml")
    if not path.is_file():
        return None
    values = yaml.safe_load(path.read_text())
    if not isinstance(values, dict) or "pretrain" not in values:
        return None
    missing = sorted(set(PARTS) - set(values))
    unknown = sorted(set(values) - {*PARTS, "name"})
    if missing or unknown:
        raise ValueError(
            f"{path}: a chain has the parts {list(PARTS)}; missing {missing}, unknown {unknown}"
        )
    settings = values["perturb"] or {}
    try:
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        perturbation = Perturbation(**lists)
    except (TypeError, ValueError) as e:
        raise ValueError(f"{path}: perturb: {e}") from e
    recipes = {part: _recipe(values[part], path, part) for part in PARTS if part != "perturb"}
    if recipes["eam"].network.get("name") != "eam":
        raise ValueError(
            f"{path}: eam: expected a recipe of the network eam, got {recipes['eam'].network}"
        )
    if not recipes["pretrain"].network:
        raise ValueError(f"{path}: pretrain: expected a network, got none")
    own = recipes["fine_tune"].network
    if own and own != recipes["pretrain"].network:
        raise ValueError(
            f"{path}: fine_tune goes on with the network of pretrain, {recipes['pretrain'].network}; leave its own "
            f"out, {own}"
        )
    return Chain(str(values.get("name", path.stem)), perturb=perturbation, **recipes)


def _recipe(value: Any, path: Path, part: str) -> Recipe:
    if isinstance(value, dict):
        return recipe_of(value, f"{path}: {part}")
    beside = path.parent / str(value)
    return read_recipe(beside if beside.is_file() else str(value))


def run_chain(
    chain: Chain,
    data: str | Path | DataFiles,
    output: Path,
    *,
    resume: bool = False,
    machine: Machine | None = None,
) -> None:
    """Run what is missing of a chain.

    The folder receives a folder for each training (``eam``, ``pretrain``, ``fine_tune``), ``eam.pt``,
    ``perturbed.extxyz`` with a page on its distances, ``labelled.extxyz``, and ``chain.json``.

    Parameters
    ----------
    chain : Chain
    data : str, Path or DataFiles
        Structures with labels. All but those for validation and test alone are perturbed; labels of the perturbed
        ones are those of the potential.
        Structures of one atom have no pair and are left out there, with a warning.
    output : Path
    resume : bool
        Go on with a chain in the folder.
    machine : Machine, optional

    Raises
    ------
    FileExistsError, FileNotFoundError
        If the folder holds a chain and ``resume`` is not set, or the reverse.
    ValueError
        If the chain or the data are not those of the folder, or as :func:`mlip_train.loop.run.train`,
        :func:`mlip_train.robust.stream.perturb` and :func:`mlip_engines.labels.labelling.label`.
    """
    machine = machine or Machine()
    files = DataFiles.of(data)
    files.check()
    _open(output, chain, files.hash(), resume=resume)
    _train(chain.eam, files, output / "eam", machine=machine)
    model = output / "eam.pt"
    if not model.exists():
        export_checkpoint(output / "eam/checkpoint.pt", model, short_range="none")
    perturbed, labelled = output / "perturbed.extxyz", output / "labelled.extxyz"
    if not perturbed.exists():
        structures = _with_pairs(_read(files, labels=False))
        distances = perturb(structures, chain.perturb, perturbed, workers=max(machine.workers, 1))
        write_distances(perturbed.with_suffix(".html"), chain.perturb, *distances)
    if not labelled.exists():
        structures = read_checked(perturbed, labels=False)[0]
        write_labelled(labelled, label(load_model(model), structures), len(structures))
    pretrain = _in_units_of(chain.pretrain, files, output / "pretrain/checkpoint.pt")
    _train(pretrain, labelled, output / "pretrain", machine=machine)
    start = output / "pretrain/checkpoint.pt"
    _train(chain.fine_tune, files, output / "fine_tune", start=start, machine=machine)
    print(f"{output / 'fine_tune/checkpoint.pt'}: turn it into a model file with mlip-export")


def _read(files: DataFiles, *, labels: bool) -> list[Atoms]:
    """Return the structures that are not for validation or test alone."""
    settings = {"units": files.units, "labels": labels, "keys": files.keys}
    return [
        atoms for path in (*files.data, *files.train) for atoms in read_checked(path, **settings)[0]
    ]


def _in_units_of(recipe: Recipe, files: DataFiles, begun: Path) -> Recipe:
    """Return the recipe with the unit of force of the data, unless it has one; of a run that is begun, with its own.

    Close pairs have forces that are hundreds of times larger, and the weights of a network in such a unit are too
    coarse for those of the data: errors after fine-tuning were twice as large.
    """
    if recipe.force_scale > 0.0:
        return recipe
    if begun.exists():  # one of an earlier version has none
        known = read_checkpoint(begun)["recipe"].get("force_scale", 0.0)
        return replace(recipe, force_scale=known)
    return replace(recipe, force_scale=force_scale(_read(files, labels=True)))


def _open(output: Path, chain: Chain, data_hash: str, *, resume: bool) -> None:
    """Write what the chain is, or compare it with what it was."""
    path = output / "chain.json"
    text = json.dumps({"chain": asdict(chain), "data_sha256": data_hash}, indent=2)
    if not resume:
        if path.exists():
            raise FileExistsError(
                f"{output} holds a chain; continue it with --resume or choose another"
            )
        output.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    if not path.exists():
        raise FileNotFoundError(f"expected a chain to resume, found no {path}")
    before = json.loads(path.read_text())
    old = before["chain"]
    is_same = (
        old["name"] == chain.name
        and old["perturb"] == json.loads(json.dumps(asdict(chain.perturb)))
        # settings that came later had their defaults then
        and all(
            is_same_recipe(old[part], getattr(chain, part))
            for part in ("eam", "pretrain", "fine_tune")
        )
    )
    for kept, what in ((is_same, "recipe"), (before["data_sha256"] == data_hash, "data")):
        if not kept:
            raise ValueError(f"{output}: expected the {what} of the chain to resume, got another")


def _train(
    recipe: Recipe,
    data: str | Path | DataFiles,
    output: Path,
    *,
    start: Path | None = None,
    machine: Machine,
) -> None:
    """Train to the end, from where an interruption has left it."""
    if (output / "test.json").exists():
        return
    resume = (output / "checkpoint.pt").exists()
    train(recipe, data, output, start=start, resume=resume, machine=machine)


def _with_pairs(structures: list[Atoms]) -> list[Atoms]:
    single = np.flatnonzero([len(atoms) < 2 for atoms in structures]).tolist()
    if single:
        warnings.warn(
            f"structures {single[:20]} have one atom, of which no pair can be pulled: {len(single)} are not perturbed",
            stacklevel=3,
        )
    return [atoms for atoms in structures if len(atoms) > 1]
