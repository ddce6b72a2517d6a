"""Models of graph-pes: ``mlip-export --from graph_pes FILE -o model.pt``.

``FILE`` is the ``model.pt`` that ``graph-pes-train`` writes (not ``lammps_model.pt``). **It is a pickle, which is a
program**: opening it runs what its author put there. graph-pes leaves the units to the labels of the training; here
they have to be eV and Å.

Everything that graph-pes can train is taken over as it is: the network gets a graph whose atoms are all at the origin
and whose cell is the unit matrix, so that the "cell offset" of an edge is its vector. Offsets of the elements become
reference energies. What the network is made of may have cutoffs of its own; each part sees the edges up to its cutoff.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mlip_engines.checkpoints import Exportable
from mlip_engines.model.graph import Graph

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

INSTALL = "pip install 'mlip-engines[graph-pes]'"
_CITATION = "Gardner, graph-pes, https://github.com/jla-gardner/graph-pes"
_FARTHEST = 12  # edges; whatever looks farther is taken to see the whole structure


class GraphPesNetwork(nn.Module):
    """Atomic energies by a model of graph-pes; follows :mod:`mlip_engines.model.contract`.

    Parameters
    ----------
    core : nn.Module
        Atomic numbers (N,), edges (2, E) and their vectors (E, 3) to atomic energies (N,).
    cutoff : float, Å
    layers : int
    """

    heads: list[str]

    def __init__(self, core: nn.Module, cutoff: float, layers: int):
        super().__init__()
        self.core = core
        self.cutoff, self.message_passing_layers = float(cutoff), layers
        self.heads = ["energy"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        return {
            "atomic_energies": self.core(graph.atomic_numbers, graph.edge_index, graph.edge_vectors)
        }

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """There is no such head."""
        shape = (graph.atomic_numbers.size(0), 3)
        zero = torch.zeros(shape, dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        return {"non_conservative_forces": zero}


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of graph-pes.

    Parameters
    ----------
    file : str
        Path of a ``model.pt``.
    species : list of str, optional
        Chemical symbols; by default those that the model has seen in its training.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If graph-pes is not installed.
    ValueError
        If it is no model of graph-pes, predicts forces of its own, sees the whole structure, or lacks an element.
    """
    from ase.data import atomic_numbers

    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"expected a model of graph-pes, found nothing at {file}")
    warnings.warn(  # not within _imported, which silences warnings
        f"{path} is a pickle, and a pickle is a program: opening it runs what its author put there. Open models of "
        "people you trust only",
        stacklevel=2,
    )
    with _imported():
        model = _unpickled(path).to(getattr(torch, dtype)).eval()
        known = model.elements_seen
        symbols = list(known if species is None else species)
        if not symbols:
            raise ValueError(
                f"{file}: the model does not say which elements it was trained for; name them with --species"
            )
        missing = sorted(set(symbols) - set(known)) if known else []
        if missing:
            raise ValueError(
                f"{file}: the model was trained for {', '.join(known)}, got {', '.join(missing)}; leave out what it "
                "does not know"
            )
        numbers = [atomic_numbers[symbol] for symbol in symbols]
        parts, offsets = _parts(model)
        if not parts:
            raise ValueError(f"{file}: the model has offsets of the elements and nothing else")
        energies = [sum(float(o._offsets[z]) for o in offsets) for z in numbers]
        core = _scripted(parts, dtype)
        reference = _calculator(model, dtype)
    cutoff = max(float(part.cutoff) for part in parts)
    for parameter in core.parameters():
        parameter.requires_grad_(False)
    return Exportable(
        GraphPesNetwork(core, cutoff, _layers(core, cutoff, numbers[0], dtype, file)),
        symbols,
        name=path.stem,
        reference_energies=dict(zip(symbols, energies, strict=True)),
        citation=_CITATION,
        reference=reference,
    )


@contextmanager
def _imported() -> Iterator[None]:
    """Import graph-pes in here: silently, and without MPI, which a package that it uses would start."""
    hidden = "mpi4py" not in sys.modules
    if hidden:
        sys.modules["mpi4py"] = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # e3nn 0.4.4 reads its constants with pickle
            from mlip_engines.adapters.mace.model_file import pickles_allowed

            with pickles_allowed():
                import graph_pes.models  # noqa: F401
            yield
    except ImportError as e:
        raise ImportError(
            f"models of graph-pes need the package graph-pes ({e}); run: {INSTALL}"
        ) from e
    finally:
        if hidden:
            del sys.modules["mpi4py"]


def _unpickled(path: Path) -> Any:
    from graph_pes import GraphPESModel

    try:
        model = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as e:  # whatever a pickle may raise
        raise ValueError(
            f"{path}: expected a model that graph-pes-train has written (model.pt), torch cannot read it "
            f"({type(e).__name__}: {e})"
        ) from e
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(
            f"{path}: expected the model as graph-pes-train has written it (model.pt), got a compiled one "
            "(lammps_model.pt); give the model.pt beside it"
        )
    if not isinstance(model, GraphPESModel):
        raise ValueError(
            f"{path}: expected a model of graph-pes, got {type(model).__module__}.{type(model).__name__}; if another "
            "package has trained it, name that one: mlip-export --from NAME"
        )
    own = sorted({"forces", "stress", "virial"} & set(model.implemented_properties))
    if own:
        raise ValueError(
            f"{path}: the model predicts {', '.join(own)} beside its energy, not as its derivative; expected a model "
            "whose forces are those of its energy"
        )
    return model


def _parts(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return what a model is a sum of: networks, and offsets of the elements."""
    from graph_pes.models.addition import AdditionModel
    from graph_pes.models.offsets import EnergyOffset

    if isinstance(model, EnergyOffset):
        return [], [model]
    if not isinstance(model, AdditionModel):
        return [model], []
    found = [_parts(part) for part in model.models.values()]
    return [n for nets, _ in found for n in nets], [o for _, offs in found for o in offs]


def _scripted(parts: list[nn.Module], dtype: str) -> torch.jit.ScriptModule:
    """Return the sum of parts as a module of TorchScript."""
    from e3nn.util.jit import script

    from mlip_engines.adapters.graph_pes.functions import Sum, replaced

    with replaced(), _default(dtype):
        return script(Sum(parts).eval(), in_place=False)


@contextmanager
def _default(dtype: str) -> Iterator[None]:
    """Make a dtype torch's own, in which graph-pes makes its graphs and e3nn traces its modules."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _layers(core: nn.Module, cutoff: float, number: int, dtype: str, file: str) -> int:
    """Return how many edges away an energy looks: along a chain, from what becomes of an edge that is not a number."""
    n_atoms = _FARTHEST + 3
    step = torch.tensor([0.6 * cutoff, 0.05, 0.1], dtype=getattr(torch, dtype))
    right = torch.arange(n_atoms - 1)
    edge_index = torch.cat([torch.stack((right, right + 1)), torch.stack((right + 1, right))], 1)
    vectors = torch.cat((step.expand(len(right), 3), -step.expand(len(right), 3)))
    order = torch.argsort(edge_index[0], stable=True)
    edge_index, vectors = edge_index[:, order], vectors[order].clone()
    vectors[(edge_index >= n_atoms - 2).all(dim=0)] = torch.nan  # between the last two
    try:
        with torch.no_grad(), torch.jit.optimized_execution(False):
            energies = core(torch.full((n_atoms,), number), edge_index, vectors)
    except RuntimeError as e:
        if dtype == "float64" and "dtype" in str(e):
            raise ValueError(
                f"{file}: this model of graph-pes computes in torch's default dtype, float32, wherever it starts from "
                "zeros; give --dtype float32"
            ) from e
        raise
    layers = int(torch.isnan(energies).sum()) - 1  # of the last two, one is an edge away
    if not 1 <= layers <= _FARTHEST:
        raise ValueError(
            f"{file}: the energy of an atom depends on atoms more than {_FARTHEST} edges away, as by a mean over the "
            "structure; no domain decomposition can divide such a model"
        )
    return layers


def _calculator(model: Any, dtype: str) -> "Calculator":
    """Return the ASE calculator of graph-pes, which otherwise computes in torch's default dtype."""
    from graph_pes.utils.calculator import GraphPESCalculator

    class InItsDtype(GraphPESCalculator):
        def calculate(self, *arguments: Any, **more: Any) -> None:
            with _default(dtype):
                super().calculate(*arguments, **more)

    InItsDtype.__module__, InItsDtype.__name__ = (
        GraphPESCalculator.__module__,
        "GraphPESCalculator",
    )
    return InItsDtype(model, device="cpu", skin=0.0)
