"""A training run as plain YAML, checked before anything runs."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from mlip_engines.model.card_facts import check_facts
from mlip_train.data.references import check_references
from mlip_train.data.sampling import BatchLimits
from mlip_train.loss_weights import ERROR_OF_TERM, TERMS, LossWeights
from mlip_train.machine.precision import PRECISIONS

OPTIMIZERS = ("muon", "adamw")
SCHEDULES = ("cosine", "plateau")
RANGES = ("auto", "keep", "forget")


@dataclass(frozen=True)
class Stage:
    """One part of a run with its own weights and learning-rate cycle."""

    name: str
    epochs: int
    learning_rate: float
    weights: LossWeights
    perturbed_steps: float = 0.0  # fraction of steps on frames and perturbed copies (needs match)
    perturbation: float = 0.05  # Å, standard deviation per component
    stiff_perturbations: float = 0.0  # fraction of them along the stiff modes of the model
    unlabelled_steps: float = 0.0  # fraction of steps on structures without labels (needs match)
    noise_steps: float = 0.0  # fraction of steps that denoise (needs denoising)
    noise: float = 0.05  # Å, standard deviation per component
    encode_forces: bool = False  # in these steps the network is given the forces before the noise
    negative_steps: float = 0.0  # fraction of steps on false minima of the network itself as well
    negative_weight: float = 1.0  # of what they lie too low, eV/atom
    negative_margin: float = 0.05  # eV/atom, how far below the lowest of the data is no mistake
    budget_minutes: float = 0.0  # if positive, the cycle is shortened to end within it
    trained: list[str] = field(default_factory=list)  # parts of the network; all if empty


@dataclass(frozen=True)
class Replay:
    """Old data that a run from another one goes on training on, so that it does not forget them."""

    data: str  # a file of labelled structures
    fraction: float = 0.2  # of the steps


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, besides the data."""

    name: str
    stages: list[Stage]
    network: dict[str, Any] = field(default_factory=dict)  # of the run to start from if empty
    n_validation: int = 50  # structures
    n_test: int = 100
    split_by: str = ""  # key of the data; structures with the same value of it stay together
    split_seed: int = 1
    seed: int = 1
    batch_size: int = 1  # structures per process and step, if neither of the next two is set
    batch_atoms: int = 0  # if positive, as many structures as have no more atoms together
    batch_edges: int = 0  # likewise, edges, those of the skin for perturbations included
    augment: bool = False  # turn each structure at random in each step, as PET needs it
    precision: str = "float32"  # float64, float32, tf32, bfloat16 (of matrix products)
    optimizer: str = "muon"  # muon (with adamw for what is not a matrix), adamw
    reference_energies: str | dict[str, float] = "fit"  # or isolated_atoms, or eV by element
    config_type_weights: dict[str, float] = field(default_factory=dict)  # factors on the loss
    stress_where_labelled: bool = False  # do without terms of stress if no structure has one
    refit_composition: bool = False  # with a run to start from: reference energies of these data
    force_scale: float = 0.0  # eV/Å, the unit of a new network; the RMS force of the data if 0
    range_of_start: str = (
        "auto"  # with a run to start from: keep what it was known to know, or forget
    )
    replay: Replay | None = None
    warm_up: float = 0.1  # fraction of a stage
    final_learning_rate: float = 0.01  # fraction of the largest
    schedule: str = "cosine"  # or plateau: lower where the validation gets no better
    patience: int = 2  # with plateau, validations without a better one that are borne
    reduction: float = 0.5  # with plateau, factor on the learning rate
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    sharpness: float = 0.0  # if positive, the radius of sharpness-aware minimisation
    average_decay: float = 0.998  # exponential moving average of the weights
    validate_every: int = 1  # epochs
    checkpoint_minutes: float = 2.0
    metadata: dict[str, Any] = field(default_factory=dict)  # licence, citation, data
    card: dict[str, Any] = field(default_factory=dict)  # what the model card shall say

    @property
    def batch_limits(self) -> BatchLimits:
        """How much goes into a batch of one process."""
        return BatchLimits(self.batch_size, self.batch_atoms, self.batch_edges)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for the record."""
        return asdict(self)


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe; a name without a folder is looked for among those that come with the package.

    Raises
    ------
    FileNotFoundError
        If there is no such recipe; the message lists those that come with the package.
    ValueError
        If a key is unknown or missing, or a value cannot be right.
    """
    path = Path(path)
    shipped = Path(__file__).parent / "recipes"
    if not path.is_file() and path.name == str(path):
        path = shipped / (path.name if path.suffix else f"{path.name}.yaml")
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in shipped.glob("*.yaml")))
        raise FileNotFoundError(
            f"expected a recipe file or one of {names}; found nothing at {path}"
        )
    values = yaml.safe_load(path.read_text())
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a mapping of settings, got {type(values).__name__}")
    return recipe_of(values, path)


def recipe_of(values: dict[str, Any], path: str | Path) -> Recipe:
    """Check the settings of a recipe; ``path`` says in messages where they come from.

    Raises
    ------
    ValueError
        As :func:`read_recipe`.
    """
    stages = []
    for k, entry in enumerate(values.get("stages") or []):
        where = f"{path}: stage {k + 1}"
        entry = dict(entry)
        entry["weights"] = _build(LossWeights, entry.get("weights") or {}, f"{where}: weights")
        stages.append(_build(Stage, entry, where))
    if not stages:
        raise ValueError(f"{path}: expected at least one stage, got none")
    values = {**values, "stages": stages}
    if values.get("replay") is not None:
        if not isinstance(values["replay"], dict):
            raise ValueError(
                f"{path}: replay: expected {{data: FILE, fraction: 0.2}}, got {values['replay']!r}"
            )
        values["replay"] = _build(Replay, values["replay"], f"{path}: replay")
    recipe = _build(Recipe, values, str(path))
    _check(recipe, path)
    try:
        return replace(recipe, reference_energies=check_references(recipe.reference_energies))
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from e


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{where}: unknown settings {unknown}; expected among {sorted(known)}")
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    missing = sorted(needed - set(values))
    if missing:
        raise ValueError(f"{where}: expected {', '.join(missing)} as well; got {sorted(values)}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as e:
        raise ValueError(f"{where}: {e}") from e


def _check(recipe: Recipe, path: str | Path) -> None:
    check_facts(recipe.card, f"{path}: card")
    for stage in recipe.stages:
        if stage.epochs < 1 or stage.learning_rate <= 0.0:
            raise ValueError(
                f"{path}: stage {stage.name}: epochs and learning_rate must be positive, "
                f"got {stage.epochs} and {stage.learning_rate}"
            )
        if not any(getattr(stage.weights, term) > 0.0 for term in TERMS):
            raise ValueError(f"{path}: stage {stage.name}: expected a term with a weight, got none")
        for name in ("negative_weight", "negative_margin"):
            if not getattr(stage, name) >= 0.0:
                raise ValueError(
                    f"{path}: stage {stage.name}: {name} must not be negative, got {getattr(stage, name)}"
                )
        if not 0.0 <= stage.negative_steps <= 1.0:
            raise ValueError(
                f"{path}: stage {stage.name}: negative_steps is a fraction of the steps, from 0 to 1, "
                f"got {stage.negative_steps}"
            )
        if not 0.0 <= stage.noise_steps <= 1.0:
            raise ValueError(
                f"{path}: stage {stage.name}: noise_steps is a fraction of the steps, from 0 to 1, "
                f"got {stage.noise_steps}"
            )
        if (stage.noise_steps > 0.0) != (stage.weights.denoising > 0.0):
            raise ValueError(
                f"{path}: stage {stage.name}: noise_steps and the term 'denoising' need each other, got noise_steps: "
                f"{stage.noise_steps} and denoising: {stage.weights.denoising}"
            )
        if stage.noise_steps > 0.0 and not 0.0 < stage.noise < float("inf"):
            raise ValueError(
                f"{path}: stage {stage.name}: noise must be positive, in Å, got {stage.noise}: without noise there is "
                "no way back to tell"
            )
        if stage.encode_forces and stage.noise_steps == 0.0:
            raise ValueError(
                f"{path}: stage {stage.name}: encode_forces belongs to denoising; expected noise_steps as well"
            )
        for name in ("perturbed_steps", "unlabelled_steps", "stiff_perturbations"):
            fraction = getattr(stage, name)
            if not 0.0 <= fraction <= 1.0:
                raise ValueError(
                    f"{path}: stage {stage.name}: {name} is a fraction of the steps, from 0 to 1, "
                    f"got {fraction}"
                )
            if fraction > 0.0 and stage.weights.match <= 0.0:
                raise ValueError(
                    f"{path}: stage {stage.name}: {name} have no labels, only the term 'match' "
                    f"learns from them; give it a weight or set {name} to 0"
                )
    if recipe.replay is not None and not 0.0 < recipe.replay.fraction < 1.0:
        raise ValueError(
            f"{path}: replay: fraction is one of the steps, between 0 and 1, got {recipe.replay.fraction}"
        )
    if recipe.batch_size < 1:
        raise ValueError(f"{path}: batch_size must be positive, got {recipe.batch_size}")
    for kind, weight in dict(recipe.config_type_weights).items():
        if (
            isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not 0.0 <= weight < 1e9
        ):
            raise ValueError(
                f"{path}: config_type_weights: expected factors of at least 0, got {kind}: {weight!r}"
            )
    if min(recipe.n_validation, recipe.n_test) < 0:
        raise ValueError(
            f"{path}: n_validation and n_test must not be negative, got {recipe.n_validation} and {recipe.n_test}"
        )
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(
            f"{path}: optimizer must be one of {list(OPTIMIZERS)}, got {recipe.optimizer!r}"
        )
    if recipe.precision not in PRECISIONS:
        raise ValueError(
            f"{path}: precision must be one of {list(PRECISIONS)}, got {recipe.precision!r}"
        )
    for name in (
        "batch_atoms",
        "batch_edges",
        "sharpness",
        "force_scale",
        "reduction",
        "patience",
        "warm_up",
    ):
        value = getattr(recipe, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(
                f"{path}: {name} must be a number, got {value!r}; YAML takes 1e-3 for text, write 1.0e-3"
            )
    for name in ("batch_atoms", "batch_edges", "sharpness", "force_scale"):
        if not 0 <= getattr(recipe, name) < float("inf"):
            raise ValueError(
                f"{path}: {name} must be finite and not negative, got {getattr(recipe, name)}"
            )
    if recipe.range_of_start not in RANGES:
        raise ValueError(
            f"{path}: range_of_start must be one of {list(RANGES)}, got {recipe.range_of_start!r}"
        )
    if recipe.schedule not in SCHEDULES:
        raise ValueError(
            f"{path}: schedule must be one of {list(SCHEDULES)}, got {recipe.schedule!r}"
        )
    for stage in recipe.stages if recipe.schedule == "plateau" else []:
        if not any(getattr(stage.weights, term) > 0.0 for term in ERROR_OF_TERM):
            raise ValueError(
                f"{path}: stage {stage.name}: schedule: plateau needs a term that the validation measures, one of "
                f"{list(ERROR_OF_TERM)}; give one a weight, or use schedule: cosine"
            )
    if recipe.patience < 0 or not 0.0 < recipe.reduction < 1.0:
        raise ValueError(
            f"{path}: patience must not be negative and reduction a factor between 0 and 1, "
            f"got {recipe.patience} and {recipe.reduction}"
        )
    if not 0.0 <= recipe.warm_up < 1.0:
        raise ValueError(
            f"{path}: warm_up is a fraction of a stage, from 0 to less than 1, got {recipe.warm_up}"
        )
