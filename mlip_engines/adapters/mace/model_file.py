"""Models of mace-torch: from a file or a name to the object, the head and what is known of its origin."""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

INSTALL = "pip install 'mlip-engines[mace]'"
TESTED = "0.3.16"

CITATION = "Batatia et al., NeurIPS 2022, arXiv:2206.07697 (MACE)"
_ASL = "ASL (Academic Software License: no commercial use)"
_MP = "Batatia et al., arXiv:2401.00096 (MACE-MP)"
_OFF = "Kovacs et al., arXiv:2312.15211 (MACE-OFF23)"

# What the weights of models by name are given away under, as mace-torch says when it downloads them.
_UNDER_ASL = ("small-omat-0", "medium-omat-0", "mace-matpes-pbe-0", "mace-matpes-r2scan-0")

_WITHOUT_ENERGY = ("AtomicDipolesMACE", "AtomicDielectricMACE")
_LONG_RANGE = ("MACELES", "PolarMACE")


@dataclass(frozen=True)
class Opened:
    """A model of mace-torch and what is known of it."""

    model: nn.Module
    name: str
    head: int
    licence: str
    citation: str

    @property
    def head_name(self) -> str:
        """What mace-torch calls the head."""
        return heads_of(self.model)[self.head]


@contextmanager
def pickles_allowed() -> Iterator[None]:
    """Let ``torch.load`` run pickles in here: e3nn 0.4.4 reads its constants so, and mace-torch allows it for good."""
    variable = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before


@contextmanager
def imported() -> Iterator[None]:
    """Import mace-torch in here, silently.

    Raises
    ------
    ImportError
        If it, or something it needs, is not installed; with the command that installs it.
    """
    try:
        with warnings.catch_warnings(), pickles_allowed():
            warnings.simplefilter("ignore")
            import mace.calculators  # noqa: F401

            yield
    except ImportError as e:
        raise ImportError(f"MACE models need the package mace-torch ({e}); run: {INSTALL}") from e


def open_model(file: str) -> Opened:
    """Open ``FILE``, ``FILE#HEAD``, ``NAME`` or ``NAME#HEAD``.

    Raises
    ------
    FileNotFoundError
        If there is neither a file nor a model of this name.
    ImportError
        If mace-torch is not installed.
    ValueError
        If it is no model of MACE that can be taken over, or the head is not said or unknown.
    """
    place, _, head = file.partition("#")
    path = Path(place)
    if path.is_file():
        _refuse_other_formats(path)
        model, name, licence, citation = _unpickled(path), path.stem, "", CITATION
    else:
        model, licence, citation = _downloaded(place)
        name = place
    _refuse_other_models(model, place)
    return Opened(model, name, _head_called(head, heads_of(model), place), licence, citation)


def heads_of(model: nn.Module) -> list[str]:
    """Return the names of the heads of a model; older ones have one without a name."""
    return [str(head) for head in getattr(model, "heads", None) or ["Default"]]


def _refuse_other_formats(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path}: expected a model that mace_run_train has written (NAME.model), got a file of another format"
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        raise ValueError(
            f"{path}: expected the model as mace_run_train has written it (NAME.model), got a compiled one "
            "(NAME_compiled.model, NAME.model-lammps.pt), which cannot be taken apart; give the .model file beside it"
        )


def _unpickled(path: Path) -> nn.Module:
    """Load a pickle, which is to run it."""
    import torch

    warnings.warn(
        f"{path} is a pickle, and a pickle is a program: opening it has run what its author put there. Open models of "
        "people you trust only",
        stacklevel=4,
    )
    with imported():
        try:
            loaded: Any = torch.load(path, map_location="cpu", weights_only=False)
        except (pickle.UnpicklingError, AttributeError, RuntimeError, EOFError) as e:
            raise ValueError(
                f"{path}: mace-torch cannot read this file ({type(e).__name__}: {e}); expected a model that "
                f"mace_run_train has written (NAME.model). Tested with mace-torch {TESTED}"
            ) from e
    if isinstance(loaded, dict):
        raise ValueError(
            f"{path}: expected a whole model (NAME.model), got a dictionary with {', '.join(map(str, [*loaded][:5]))}: "
            "a checkpoint of a training has weights without an architecture. Give the .model file that mace_run_train "
            "writes at the end, or make one: mace_run_train --restart_latest --max_num_epochs=0 with the same settings"
        )
    if type(loaded).__name__ == "LAMMPS_MLIAP_MACE":
        loaded = loaded.model.model
    return loaded


def _downloaded(name: str) -> tuple[nn.Module, str, str]:
    """Return a model that mace-torch knows by name, its licence and citation; it downloads what is not in its cache."""
    with imported():
        from mace.calculators import foundations_models as known

        names = {n: ("mace_mp", n) for n in known.mace_mp_names if n}
        names.update({f"off-{size}": ("mace_off", size) for size in ("small", "medium", "large")})
        names["omol-extra_large"] = ("mace_omol", "extra_large")
        if name not in names:
            raise FileNotFoundError(
                f"expected a file, or the name of a model that mace-torch knows ({', '.join(names)}), found nothing at "
                f"{name}"
            )
        function, model = names[name]
        try:
            loaded = getattr(known, function)(model=model, device="cpu", return_raw_model=True)
        except Exception as e:  # whatever a download may raise
            raise ValueError(
                f"{name}: mace-torch could not get the model ({type(e).__name__}: {e}); download it, see "
                "https://github.com/ACEsuit/mace-foundations, and give the file"
            ) from e
    is_asl = function != "mace_mp" or name in _UNDER_ASL
    of_model = {"mace_mp": _MP, "mace_off": _OFF, "mace_omol": "MACE-OMOL"}[function]
    return loaded, _ASL if is_asl else "MIT", f"{CITATION}; {of_model}"


def _refuse_other_models(model: object, place: str) -> None:
    kind = type(model).__name__
    if kind in _LONG_RANGE:
        raise ValueError(
            f"{place}: a {kind} has a long-range part, which no cutoff bounds and no domain decomposition can divide; "
            "expected MACE or ScaleShiftMACE. Train one without, and add electrostatics or dispersion in the engine "
            "(LAMMPS: kspace_style, pair_style hybrid/overlay mlip dispersion/d3)"
        )
    if kind in _WITHOUT_ENERGY:
        raise ValueError(f"{place}: a {kind} predicts no energy; expected MACE or ScaleShiftMACE")
    if kind not in ("MACE", "ScaleShiftMACE"):
        raise ValueError(
            f"{place}: expected a model of mace-torch (MACE or ScaleShiftMACE), got {type(model).__module__}.{kind}; "
            "if another package has trained it, name that one: mlip-export --from NAME"
        )
    for module in model.modules():
        if type(module).__module__.split(".")[0] in ("cuequivariance_torch", "openequivariance"):
            raise ValueError(
                f"{place}: expected a model with the operators of e3nn, got one that was converted for a GPU library; "
                "convert it back with mace_cueq_to_e3nn (or python -m mace.cli.convert_oeq_e3nn)"
            )
    if hasattr(model, "joint_embedding"):
        raise ValueError(
            f"{place}: the model depends on {', '.join(model.embedding_specs)}, which this adapter cannot give it yet"
        )


def _head_called(name: str, heads: list[str], place: str) -> int:
    """Return the position of a head: the one that is named, the only one, or the one called Default."""
    if name:
        if name not in heads:
            raise ValueError(
                f"{place}: expected a head of {', '.join(heads)}, got {name!r}; name it as {place}#{heads[0]}"
            )
        return heads.index(name)
    if len(heads) == 1:
        return 0
    default = [k for k, head in enumerate(heads) if head.lower() == "default"]
    if not default:
        raise ValueError(
            f"{place}: the model has several heads, one for each level of theory: {', '.join(heads)}; choose one, such "
            f"as {place}#{heads[0]}"
        )
    return default[0]
