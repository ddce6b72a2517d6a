"""Models of SchNetPack: ``mlip-export --from schnetpack FILE#UNIT --species H O -o model.pt``.

``FILE`` is the ``best_model`` of a run of ``spktrain``. **It is a pickle, which is a program**: opening it runs what
its author put there. The file does not say in which unit its energies are, so ``#UNIT`` does: ``#eV`` (what is taken
without), ``#kcal/mol``, ``#Hartree`` or another one that SchNetPack knows. Lengths have to be Å.

The representation (SchNet, PaiNN, SO3net) and the network of the atomic energies are taken over as they are. Offsets
that SchNetPack adds to energies become reference energies.
"""

import copy
import typing
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mlip_engines.adapters.schnetpack.network import SchnetpackNetwork
from mlip_engines.checkpoints import Exportable

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

INSTALL = "pip install 'mlip-engines[schnetpack]'"
_CITATION = "Schütt, Hessmann, Gebauer, Lederer, Gastegger, J. Chem. Phys. 158, 144801 (2023)"
# What does not change the energy.
_BESIDE = ("Forces", "Response", "Strain", "PairwiseDistances", "CastTo64", "CastTo32")


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of SchNetPack.

    Parameters
    ----------
    file : str
        Path of a ``best_model``, with the unit of its energies behind ``#``.
    species : list of str, optional
        Chemical symbols. Only offsets of single atoms tell which elements a model has seen; without them the elements
        must be given. Tables of elements shrink to them.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If SchNetPack is not installed.
    ValueError
        If it is no model of SchNetPack, one whose energy is no sum over atoms or has other parts, or one that lacks an
        element.
    """
    from ase.data import atomic_numbers, chemical_symbols

    path, _, unit = file.partition("#")
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a model of SchNetPack, found nothing at {path}")
    warnings.warn(
        f"{path} is a pickle, and a pickle is a program: opening it runs what its author put there. Open models of "
        "people you trust only",
        stacklevel=2,
    )
    with _imported():
        factor = _electronvolts(unit or "eV")
        model = _unpickled(path)
        atomwise = _atomwise(model, path)
        offsets = _offsets(model, atomwise.output_key, path)
        seen = [chemical_symbols[z] for z, energy in offsets.items() if energy != 0.0 and z > 0]
        symbols = list(seen if species is None else species)
        if not symbols:
            raise ValueError(
                f"{path}: the model does not say which elements it was trained for; name them with --species"
            )
        numbers = [atomic_numbers[symbol] for symbol in symbols]
        _check_elements(model, numbers, seen, path)
        reference = _calculator(path, model, atomwise.output_key, unit or "eV", dtype)
        model = copy.deepcopy(model)
        cutoff, layers = _reach(model, path)
        rows = _shrunk(model.representation, numbers)
        parts = [
            part.to(getattr(torch, dtype)) for part in (model.representation, atomwise_of(model))
        ]
        network = SchnetpackNetwork(
            *(torch.jit.script(p.eval()) for p in parts), rows, cutoff, layers
        )
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return Exportable(
        network,
        symbols,
        name=Path(path).stem,
        reference_energies={
            s: factor * offsets.get(z, 0.0) for s, z in zip(symbols, numbers, strict=True)
        },
        scale=factor,
        citation=_CITATION,
        reference=reference,
    )


@contextmanager
def _imported() -> Iterator[None]:
    """Import SchNetPack in here, with a name that torch 2.9 no longer has."""
    from torch.utils.data import dataloader

    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = typing.TypeVar("T_co", covariant=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import schnetpack.interfaces.ase_interface  # noqa: F401

            yield
    except ImportError as e:
        raise ImportError(
            f"models of SchNetPack need the package schnetpack ({e}); run: {INSTALL}"
        ) from e


def _electronvolts(unit: str) -> float:
    from schnetpack.units import convert_units

    try:
        return float(convert_units(unit, "eV"))
    except Exception as e:
        raise ValueError(
            f"expected FILE#UNIT with a unit of energy that SchNetPack knows, such as eV, kcal/mol or Hartree, got "
            f"{unit!r}"
        ) from e


def _unpickled(path: str) -> Any:
    from schnetpack.model import NeuralNetworkPotential

    try:
        model = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as e:  # whatever a pickle may raise
        raise ValueError(
            f"{path}: expected the best_model of spktrain, torch cannot read it ({type(e).__name__}: {e})"
        ) from e
    if not isinstance(model, NeuralNetworkPotential):
        raise ValueError(
            f"{path}: expected a NeuralNetworkPotential of SchNetPack, got {type(model).__module__}."
            f"{type(model).__name__}; if another package has trained it, name that one: mlip-export --from NAME"
        )
    return model.eval()


def atomwise_of(model: Any) -> nn.Module:
    """Return the network of atomic energies."""
    from schnetpack.atomistic import Atomwise

    return next(m for m in model.output_modules if isinstance(m, Atomwise)).outnet


def _atomwise(model: Any, path: str) -> Any:
    """Return the module that predicts the energy, or refuse the model."""
    from schnetpack.atomistic import Atomwise

    found = [m for m in model.output_modules if isinstance(m, Atomwise)]
    others = [
        type(m).__name__
        for m in [*model.input_modules, *model.output_modules]
        if not isinstance(m, Atomwise) and type(m).__name__ not in _BESIDE
    ]
    if len(found) != 1 or others:
        raise ValueError(
            f"{path}: expected a model with one energy that is a sum over atoms, got "
            f"{', '.join(['Atomwise'] * len(found) + others) or 'none'}; electrostatics and other long-range parts "
            "cannot be taken over: in LAMMPS, overlay pair_style coul/long with fixed charges"
        )
    if found[0].aggregation_mode != "sum" or found[0].n_out != 1:
        raise ValueError(
            f"{path}: the energy is a mean over atoms, or several numbers; expected a sum (aggregation_mode: sum, "
            "n_out: 1), which a domain decomposition can divide"
        )
    if type(model.representation).__name__ == "FieldSchNet" or len(
        getattr(model.representation, "electronic_embeddings", [])
    ):
        raise ValueError(
            f"{path}: the representation takes an external field, or the charge or spin of the whole; expected one "
            "that sees atoms only"
        )
    return found[0]


def _offsets(model: Any, key: str, path: str) -> dict[int, float]:
    """Return what is added per atom of each atomic number, in the unit of the model."""
    energies = dict.fromkeys(range(100), 0.0)
    for step in model.postprocessors if model.do_postprocessing else []:
        if type(step).__name__ in _BESIDE:
            continue
        if type(step).__name__ != "AddOffsets" or step._property != key or not step.is_extensive:
            raise ValueError(
                f"{path}: expected offsets of the energy per atom after the network, got {type(step).__name__}"
            )
        if step.add_mean:
            energies = {z: e + float(step.mean) for z, e in energies.items()}
        if step.add_atomrefs:
            for z, energy in enumerate(step.atomref.flatten().tolist()):
                energies[z] += energy
    return energies


def _check_elements(model: Any, numbers: list[int], seen: list[str], path: str) -> None:
    from ase.data import chemical_symbols

    table = model.representation.embedding
    rows = table.num_embeddings if isinstance(table, nn.Embedding) else 100
    missing = [chemical_symbols[z] for z in numbers if z >= rows]
    if seen:
        missing += [s for s in (chemical_symbols[z] for z in numbers) if s not in seen]
    if missing:
        raise ValueError(
            f"{path}: the model was trained for {', '.join(seen) or f'elements up to {rows - 1}'}, got "
            f"{', '.join(missing)}; leave out what it does not know"
        )


def _reach(model: Any, path: str) -> tuple[float, int]:
    """Return the cutoff and how many edges away an energy looks."""
    representation = model.representation
    layers = getattr(representation, "interactions", None) or getattr(
        representation, "so3convs", None
    )
    if layers is None or not hasattr(representation, "cutoff"):
        raise ValueError(
            f"{path}: expected the representation SchNet, PaiNN or SO3net, got {type(representation).__name__}"
        )
    return float(representation.cutoff), len(layers)


def _shrunk(representation: Any, numbers: list[int]) -> dict[int, int]:
    """Keep the rows of these elements; return the row of each atomic number."""
    table = representation.embedding
    if not isinstance(table, nn.Embedding):
        return {z: z for z in numbers}
    representation.embedding = nn.Embedding.from_pretrained(
        table.weight[torch.tensor(numbers)].detach()
    )
    return {z: k for k, z in enumerate(numbers)}


def _calculator(path: str, model: Any, key: str, unit: str, dtype: str) -> "Calculator | None":
    """Return SchNetPack's own ASE calculator; None if the model gives no forces."""
    from schnetpack.interfaces.ase_interface import SpkCalculator
    from schnetpack.transform import ASENeighborList

    forces = [m.force_key for m in model.output_modules if type(m).__name__ == "Forces"]
    if not forces:
        return None
    from mlip_engines.adapters.mace.model_file import pickles_allowed

    with pickles_allowed():
        return SpkCalculator(
            path,
            ASENeighborList(cutoff=float(model.representation.cutoff)),
            energy_key=key,
            force_key=forces[0],
            stress_key="stress",
            energy_unit=unit,
            dtype=getattr(torch, dtype),
        )
