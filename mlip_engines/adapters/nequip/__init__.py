"""Models of NequIP and Allegro: ``mlip-export --from nequip FILE -o model.pt``.

``FILE`` is a checkpoint of ``nequip-train`` (``.ckpt``), a package of ``nequip-package`` (``.nequip.zip``), or the name
of a model such as ``nequip.net:GROUP/NAME:VERSION``, which NequIP downloads. ``FILE#NAME`` chooses one of several
models in a file. **All of them are programs**: opening one runs what its author put there. Units have to be eV and Å.

The weights of NequIP are taken over into a network of our own (``convolutional.py``), so that on several processes each
atom is evaluated once. Allegro, whose reach is one cutoff, and models with parts that have no counterpart here are
taken over as they are, without what differentiates them. Shifts of the atomic energies become reference energies;
scales, cutoffs by pair of elements and pair potentials such as ZBL stay in the network.
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mlip_engines.adapters.nequip.conversion import convert, why_not
from mlip_engines.adapters.nequip.network import NequipNetwork
from mlip_engines.checkpoints import Exportable

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

INSTALL = "pip install 'mlip-engines[nequip]'"
_CITATION = {
    "nequip": "Batzner et al., Nat. Commun. 13, 2453 (2022); Tan et al., arXiv:2504.16068 (2025)",
    "allegro": "Musaelian et al., Nat. Commun. 14, 579 (2023); Tan et al., arXiv:2504.16068 (2025)",
}
_COMPILED = (".nequip.pt2", ".nequip.pth", ".pt2", ".pth")
_SOLE = "sole_model"  # what NequIP calls the model of a file that has one


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of NequIP or Allegro.

    Parameters
    ----------
    file : str
        Path of a checkpoint or a package, or ``nequip.net:...``; ``FILE#NAME`` for one of several models.
    species : list of str, optional
        Chemical symbols to keep; by default all that the model has types for.
    dtype : {"float32", "float64"}
        A model that computes in the other precision is converted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If NequIP, or Allegro for one of its models, is not installed.
    ValueError
        If it is no model of theirs, a compiled one, one whose types are not elements, or one that lacks an element.
    """
    from ase.data import atomic_numbers

    path, _, key = file.partition("#")
    is_name = path.startswith("nequip.net:")
    if not is_name and not Path(path).is_file():
        raise FileNotFoundError(
            f"expected a checkpoint or a package of NequIP, found nothing at {path}"
        )
    if path.endswith(_COMPILED):
        raise ValueError(
            f"{path}: expected a checkpoint (.ckpt) or a package (.nequip.zip), got a compiled model, whose network "
            "cannot be taken out; give the file that it was compiled from"
        )
    warnings.warn(
        f"{path} is a program: opening it runs what its author put there. Open models of people you trust only",
        stacklevel=2,
    )
    with _imported():
        model = _loaded(path, key)
        names = list(model.type_names)
        strange = [name for name in names if name not in atomic_numbers]
        if strange:
            raise ValueError(
                f"{path}: expected types named by their elements, got {', '.join(strange)}; a model whose types are "
                "not elements cannot be told the types of its atoms"
            )
        symbols = list(names if species is None else species)
        missing = [symbol for symbol in symbols if symbol not in names]
        if missing:
            raise ValueError(
                f"{path}: the model was trained for {', '.join(names)}, got {', '.join(missing)}; leave out what it "
                "does not know"
            )
        own = {torch.float32: "float32", torch.float64: "float64"}[model.model_dtype]
        converted = model if own == dtype else _converted(model, dtype)
        # float32 numbers cannot judge float64 ones: then the converted model is compared with itself.
        reference = _calculator(model if dtype == "float32" or own == dtype else converted, names)
        energy_model = _energy_model(copy.deepcopy(converted), path)
        shifts = _taken_out_shifts(energy_model, names)
        kind, layers = _kind_and_layers(energy_model, path)
        _refuse_inputs(energy_model, path)
        cutoff = float(model.metadata["r_max"])
        numbers = [atomic_numbers[name] for name in names]
        unlike = why_not(energy_model) if kind == "nequip" else ""
        network: nn.Module
        if kind == "nequip" and not unlike:
            kept = [k for k, name in enumerate(names) if name in symbols]
            network = convert(energy_model, cutoff, numbers, kept, partial(_scripted, dtype=dtype))
        else:
            core = _scripted(energy_model.requires_grad_(False), dtype)
            network = NequipNetwork(core, numbers, cutoff, layers, dtype)
    if unlike:
        warnings.warn(
            f"{path}: {unlike} have no counterpart in our network, so the package's own modules go into the file: it "
            "is slower, and on several processes atoms near borders are evaluated on both sides",
            stacklevel=2,
        )
    return Exportable(
        network,
        symbols,
        name=Path(path).name.split(".")[0] if not is_name else path.split("/")[-1].split(":")[0],
        reference_energies={symbol: shifts[symbol] for symbol in symbols},
        citation=_CITATION[kind],
        reference=reference,
    )


@contextmanager
def _imported() -> Iterator[None]:
    """Import NequIP in here, without its warnings and without a change of torch's settings that outlives it."""
    before = torch.get_default_dtype()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nequip.model  # noqa: F401

            yield
    except ImportError as e:
        raise ImportError(
            f"models of NequIP and Allegro need the packages nequip and, for the latter, nequip-allegro ({e}); run: "
            f"{INSTALL}"
        ) from e
    finally:
        torch.set_default_dtype(before)


def _loaded(path: str, key: str) -> Any:
    """Return the ``GraphModel`` of a file."""
    from nequip.model.saved_models.load_utils import load_saved_model
    from nequip.utils.global_state import set_global_state

    set_global_state()
    try:
        models = load_saved_model(path, model_key=None)
    except ImportError:
        raise
    except Exception as e:  # whatever a pickle may raise
        raise ValueError(
            f"{path}: expected a checkpoint of nequip-train (.ckpt) or a package of nequip-package (.nequip.zip), "
            f"NequIP cannot read it ({type(e).__name__}: {e})"
        ) from e
    names = list(models.keys())
    key = key or _SOLE
    if key not in names:
        raise ValueError(
            f"{path}: expected one of the models {', '.join(names)}, got {key!r}; give FILE#NAME"
        )
    return models[key].eval()


def _converted(model: Any, dtype: str) -> Any:
    """Return a copy that computes in another precision."""
    to = getattr(torch, dtype)
    other = torch.float64 if to == torch.float32 else torch.float32
    converted = copy.deepcopy(model)
    for module in converted.modules():
        for name in ("_output_dtype", "model_dtype"):
            if getattr(module, name, None) == other:
                setattr(module, name, to)
    return converted.to(to)


def _energy_model(model: Any, path: str) -> nn.Module:
    """Return what gives atomic energies: the model without derivatives and sums."""
    from nequip.nn import ForceStressOutput

    inner = model.model
    if not isinstance(inner, ForceStressOutput) and type(inner).__name__ != "ForceStressOutput":
        raise ValueError(
            f"{path}: expected a model of energy, forces and stress, got one whose outermost module is "
            f"{type(inner).__name__}"
        )
    energy_model = inner.func
    if hasattr(energy_model, "total_energy_sum"):
        del energy_model.total_energy_sum
    return energy_model


def _taken_out_shifts(energy_model: nn.Module, names: list[str]) -> dict[str, float]:
    """Return the shift of each type and leave zeros behind."""
    shifts = dict.fromkeys(names, 0.0)
    for module in energy_model.modules():
        if type(module).__name__ == "PerTypeScaleShift" and module.has_shifts:
            values = module.shifts.detach().flatten().tolist()
            values = values if len(values) == len(names) else values * len(names)
            shifts = {name: shifts[name] + value for name, value in zip(names, values, strict=True)}
            with torch.no_grad():
                module.shifts.zero_()
    return shifts


def _kind_and_layers(energy_model: nn.Module, path: str) -> tuple[str, int]:
    """Return which network it is, and how many edges away an energy looks."""
    kinds = [type(module).__name__ for module in energy_model.modules()]
    if "Allegro_Module" in kinds:
        return "allegro", 1
    layers = kinds.count("ConvNetLayer")
    if layers:
        return "nequip", layers
    raise ValueError(
        f"{path}: expected a network of NequIP or Allegro, got {', '.join(dict.fromkeys(kinds))}"
    )


def _refuse_inputs(energy_model: nn.Module, path: str) -> None:
    """Refuse models that want to know more of a structure than its atoms."""
    for module in energy_model.modules():
        fields = getattr(module, "categorical_graph_field_embed_shifts", None)
        if fields:
            raise ValueError(
                f"{path}: expected a model of atoms alone, got one that is told {', '.join(fields)} of the structure"
            )


def _scripted(module: nn.Module, dtype: str) -> torch.jit.ScriptModule:
    from e3nn.util.jit import script

    torch.set_default_dtype(
        getattr(torch, dtype)
    )  # of the constants that e3nn traces; _imported puts it back
    return script(module.eval())


def _calculator(model: Any, names: list[str]) -> "Calculator":
    """Return NequIP's own ASE calculator, which takes positions in torch's default dtype: float64 in its programs."""
    from nequip.integrations.ase import NequIPCalculator
    from nequip.integrations.utils import basic_transforms

    class InFloat64(NequIPCalculator):
        def calculate(self, *arguments: Any, **more: Any) -> None:
            before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float64)
            try:
                super().calculate(*arguments, **more)
            finally:
                torch.set_default_dtype(before)

    own = {name: name for name in names}
    metadata = model.metadata
    transforms = basic_transforms(metadata, float(metadata["r_max"]), names, own)
    return InFloat64(model, "cpu", transforms=transforms)
