"""Models of TorchMD-Net: ``mlip-export --from torchmdnet FILE.ckpt#UNIT --species H O -o model.pt``.

``FILE.ckpt`` is a checkpoint of ``torchmd-train``. **It is a pickle, which is a program**: opening it runs what its
author put there. The file does not say in which unit its energies are, so ``#UNIT`` does: ``#eV`` (what is taken
without), ``#kcal/mol``, ``#kJ/mol`` or ``#Hartree``. Lengths have to be Å. ``FILE.ckpt#UNIT,charge`` makes the total
charge of the structure an input, for a TensorNet that was trained with it; otherwise the charge is zero.

The representation (equivariant transformer, TensorNet, transformer, graph network) and the network of the atomic
energies are taken over as they are, with the scale and the nuclear repulsion. Energies of free atoms become reference
energies. Elements are atomic numbers; models of atom types of one's own cannot be told from them.
"""

import copy
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlip_engines.adapters.torchmdnet.network import (
    EquivariantOutput,
    GivenEdges,
    NeighborEmbedding,
    NoRepulsion,
    Repulsion,
    ScalarOutput,
    TorchmdNetwork,
)
from mlip_engines.checkpoints import Exportable

INSTALL = "pip install 'mlip-engines[torchmdnet]'"
_CITATION = "Pelaez et al., J. Chem. Theory Comput. 20, 4076 (2024)"
_ARCHITECTURES = {
    "equivariant-transformer": "Thölke, De Fabritiis, ICLR 2022 (arXiv:2202.02541)",
    "tensornet": "Simeon, De Fabritiis, NeurIPS 2023 (arXiv:2306.06482)",
    "transformer": "Thölke, De Fabritiis, ICLR 2022 (arXiv:2202.02541)",
    "graph-network": "Schütt et al., J. Chem. Phys. 148, 241722 (2018)",
}
_PRIORS = ("Atomref", "LearnableAtomref", "ZBL")
_CHARGE = "charge"


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of TorchMD-Net.

    Parameters
    ----------
    file : str
        Path of a checkpoint; behind ``#`` the unit of its energies, and ``charge`` after a comma.
    species : list of str, optional
        Chemical symbols. Only energies of free atoms tell which elements a model has seen; without them the elements
        must be given. Tables of elements shrink to them.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If TorchMD-Net is not installed.
    ValueError
        If it is no checkpoint of TorchMD-Net, its energy is no sum over atoms or has parts of long range, or it lacks
        an element.
    """
    from ase.data import atomic_numbers

    path, _, said = file.partition("#")
    factor, charged = _said(said)
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a checkpoint of TorchMD-Net, found nothing at {path}")
    warnings.warn(
        f"{path} is a pickle, and a pickle is a program: opening it runs what its author put there. Open models of "
        "people you trust only",
        stacklevel=2,
    )
    with _imported():
        arguments = _arguments(path)
        model = _loaded(path, dtype)
        _refuse(model, arguments, path, charged=charged)
        offsets, seen = _free_atoms(model)
        symbols = list(seen if species is None else species)
        if not symbols:
            raise ValueError(
                f"{path}: the model does not say which elements it was trained for; name them with --species"
            )
        numbers = [atomic_numbers[symbol] for symbol in symbols]
        _check_elements(model, arguments, numbers, seen, path)
        reference = _calculator(model, factor, charged=charged)
        network = _network(model, arguments, numbers, charged=charged)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return Exportable(
        network,
        symbols,
        name=Path(path).stem,
        reference_energies={
            symbol: factor * offsets.get(z, 0.0) for symbol, z in zip(symbols, numbers, strict=True)
        },
        scale=factor,
        citation=f"{_ARCHITECTURES[arguments['model']]}; {_CITATION}",
        reference=reference,
    )


def _said(said: str) -> tuple[float, bool]:
    """Return the factor to eV of the unit, and whether the charge is an input."""
    from ase import units

    factors = {
        "eV": 1.0,
        "kcal/mol": units.kcal / units.mol,
        "kJ/mol": units.kJ / units.mol,
        "Hartree": units.Hartree,
    }
    words = [word for word in said.split(",") if word]
    named = [word for word in words if word != _CHARGE] or ["eV"]
    if len(named) > 1 or named[0] not in factors:
        raise ValueError(
            f"expected FILE.ckpt#UNIT or FILE.ckpt#UNIT,{_CHARGE} with the unit one of {', '.join(factors)}, got "
            f"#{said}"
        )
    return factors[named[0]], _CHARGE in words


@contextmanager
def _imported() -> Iterator[None]:
    """Import TorchMD-Net in here, without its compiled search for neighbours, which loads beside one torch only."""
    extensions, ops = (
        types.ModuleType(f"torchmdnet.{n}") for n in ("extensions", "extensions.ops")
    )
    extensions.ops, extensions.__path__ = ops, []
    ops.is_current_stream_capturing = ops.get_neighbor_pairs_kernel = _absent
    for module in (extensions, ops):
        sys.modules.setdefault(module.__name__, module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchmdnet.models.model  # noqa: F401
        yield
    except ImportError as e:
        raise ImportError(
            f"models of TorchMD-Net need the package torchmd-net-cpu ({e}); run: {INSTALL}"
        ) from e


def _absent(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("TorchMD-Net's compiled extension is not loaded here")


def _arguments(path: str) -> dict[str, Any]:
    """Return what the model was built with."""
    if path.endswith(".zip"):
        raise ValueError(
            f"{path}: expected one checkpoint (.ckpt), got an archive, as of an ensemble; give one of the checkpoints "
            "in it"
        )
    try:
        found = torch.load(path, map_location="cpu", weights_only=False)
        arguments = dict(found["hyper_parameters"])
        kind = arguments["model"], arguments["embedding_dimension"], found["state_dict"]
    except Exception as e:  # whatever a pickle may raise
        raise ValueError(
            f"{path}: expected a checkpoint of torchmd-train (.ckpt), which this is not ({type(e).__name__}: {e}); if "
            "another package has trained it, name that one: mlip-export --from NAME"
        ) from e
    if kind[0] not in _ARCHITECTURES:
        raise ValueError(
            f"{path}: expected a network among {', '.join(_ARCHITECTURES)}, got {kind[0]}"
        )
    if float(arguments["cutoff_lower"]) > 0.0:
        raise ValueError(
            f"{path}: the model ignores neighbours nearer than {arguments['cutoff_lower']} Å; expected a lower cutoff "
            "of 0"
        )
    return arguments


def _loaded(path: str, dtype: str) -> Any:
    """Return the ``TorchMD_Net`` of a checkpoint, without derivatives."""
    from torchmdnet.models.model import load_model

    bits = {"float32": 32, "float64": 64}[dtype]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arguments that older versions had not
            model = load_model(path, derivative=False, precision=bits, static_shapes=False)
    except (KeyError, RuntimeError, AssertionError, TypeError) as e:
        raise ValueError(
            f"{path}: TorchMD-Net cannot build the model of this checkpoint ({type(e).__name__}: {e}); it may be of "
            "another version"
        ) from e
    return model.to(getattr(torch, dtype)).eval()


def _refuse(model: Any, arguments: dict[str, Any], path: str, *, charged: bool) -> None:
    """Raise ValueError for what cannot be a sum of atomic energies, and warn of what is left out or rough."""
    output = type(model.output_model).__name__
    if output not in ("Scalar", "EquivariantScalar"):
        raise ValueError(f"{path}: expected a model of the energy (Scalar), got one of {output}")
    if model.output_model.reduce_op not in ("add", "sum"):
        raise ValueError(
            f"{path}: the energy is the {model.output_model.reduce_op} over atoms; expected their sum (reduce_op: "
            "add), which a domain decomposition can divide"
        )
    foreign = [type(p).__name__ for p in _priors(model) if type(p).__name__ not in _PRIORS]
    if foreign:
        raise ValueError(
            f"{path}: the model has {', '.join(foreign)}, of a range beyond the cutoff, which cannot be taken over; in "
            "LAMMPS, overlay pair_style coul/long with fixed charges, or dispersion/d3"
        )
    if charged and arguments["model"] != "tensornet":
        raise ValueError(
            f"{path}: only a TensorNet has the total charge as an input, got {arguments['model']}; leave out {_CHARGE}"
        )
    if float(model.mean) != 0.0:
        warnings.warn(
            f"{path}: the model adds {float(model.mean):g} in its unit to the energy of each structure, whatever the "
            "number of atoms, which is no sum over atoms: it is left out, so energies differ by this constant",
            stacklevel=4,
        )
    if arguments["model"] == "equivariant-transformer" and not arguments.get("vector_cutoff"):
        warnings.warn(
            f"{path}: the model was trained with vector_cutoff: false, so that its energy jumps as an atom crosses the "
            "cutoff, and dynamics drift; TorchMD-Net fades it out with vector_cutoff: true",
            stacklevel=4,
        )


def _priors(model: Any) -> list[nn.Module]:
    return [] if model.prior_model is None else list(model.prior_model)


def _free_atoms(model: Any) -> tuple[dict[int, float], list[str]]:
    """Return energies of free atoms by atomic number, in the unit of the model, and the elements they know."""
    from ase.data import chemical_symbols

    energies: dict[int, float] = {}
    seen: set[str] = set()
    for prior in _priors(model):
        if type(prior).__name__ == "ZBL":
            continue
        table = prior.atomref.weight.detach().flatten().tolist()
        known = {z: e for z, e in enumerate(table) if e != 0.0 and 0 < z < len(chemical_symbols)}
        seen |= {chemical_symbols[z] for z in known}
        if prior.enable:
            for z, energy in known.items():
                energies[z] = energies.get(z, 0.0) + energy
    return energies, [s for s in chemical_symbols if s in seen]


def _check_elements(
    model: Any, arguments: dict[str, Any], numbers: list[int], seen: list[str], path: str
) -> None:
    from ase.data import chemical_symbols

    rows = int(arguments["max_z"])
    missing = [chemical_symbols[z] for z in numbers if z >= rows]
    if seen:
        missing += [s for s in (chemical_symbols[z] for z in numbers) if s not in seen]
    if missing:
        raise ValueError(
            f"{path}: the model was trained for {', '.join(seen) or f'elements up to {rows - 1}'}, got "
            f"{', '.join(missing)}; leave out what it does not know"
        )
    for prior in _priors(model):
        if type(prior).__name__ == "ZBL":
            table = prior.atomic_number.tolist()
            if any(z >= len(table) or table[z] != z for z in numbers):
                raise ValueError(
                    f"{path}: the atoms of the model have types of its own, which are no atomic numbers; such a model "
                    "cannot be told the types of atoms"
                )


def _calculator(model: Any, factor: float, *, charged: bool) -> Any:
    from mlip_engines.adapters.torchmdnet.reference import TorchmdNetCalculator

    whole = copy.deepcopy(model)
    whole.mean.zero_()
    whole.derivative = True
    free: dict[int, float] = {}
    if next(whole.parameters()).dtype == torch.float32:
        # in which a sum with hundreds of eV for each atom loses the digits of the bonds
        free, _ = _free_atoms(whole)
        for prior in _priors(whole):
            if type(prior).__name__ != "ZBL":
                prior.enable = False
    return TorchmdNetCalculator(whole, _cutoff(model), factor, free, charged=charged)


def _cutoff(model: Any) -> float:
    """Return the longest cutoff of the network and its priors, Å."""
    found = [float(model.representation_model.cutoff_upper)]
    found += [float(p.cutoff_distance) for p in _priors(model) if type(p).__name__ == "ZBL"]
    return max(found)


def _network(
    model: Any, arguments: dict[str, Any], numbers: list[int], *, charged: bool
) -> TorchmdNetwork:
    """Return the model as a network of the contract, with rows for these elements only."""
    model = copy.deepcopy(model)
    representation = model.representation_model
    kind = arguments["model"]
    # the equivariant transformer sends messages from row 0 to row 1, all others from 1 to 0
    receiver = 1 if kind == "equivariant-transformer" else 0
    loops = bool(representation.distance.loop)
    representation.distance = GivenEdges(representation.cutoff_upper, loops=loops)
    layers = int(representation.num_layers) + (kind == "tensornet")  # which embeds neighbours first
    if getattr(representation, "neighbor_embedding", None) is not None:
        representation.neighbor_embedding = NeighborEmbedding(
            representation.neighbor_embedding, receiver
        )
        layers += 1
    for parent in list(representation.modules()):
        for name, table in list(parent.named_children()):
            if isinstance(table, nn.Embedding):
                kept = table.weight[torch.tensor(numbers)].detach()
                setattr(parent, name, nn.Embedding.from_pretrained(kept))
    output = model.output_model.output_network
    equivariant = type(model.output_model).__name__ == "EquivariantScalar"
    repulsion: nn.Module = NoRepulsion()
    for prior in _priors(model):
        if type(prior).__name__ == "ZBL":
            prior.distance = GivenEdges(prior.cutoff_distance, loops=False)
            repulsion = Repulsion(prior)
    return TorchmdNetwork(
        representation,
        EquivariantOutput(output) if equivariant else ScalarOutput(output),
        repulsion,
        receiver,
        float(model.std),
        {z: row for row, z in enumerate(numbers)},
        _cutoff(model),
        layers,
        charged=charged,
    ).eval()
