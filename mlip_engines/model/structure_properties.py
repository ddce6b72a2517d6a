"""Numbers per structure that a model file gives beside the energy, such as a HOMO-LUMO gap.

A file gives them by atom, so that a structure can be divided among processes: a value v_i and a score s_i for each atom
and property. They are pooled over the atoms of a structure in one of the :data:`POOLINGS`:

    sum        P = sum_i v_i
    mean       P = sum_i v_i / N
    attention  P = sum_i exp(s_i) v_i / sum_i exp(s_i)
"""

import re
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.graph import Graph, batch_graphs, graph_to_device

POOLINGS = ("sum", "mean", "attention")
VALUES, SCORES = "property_values", "property_scores"

# What engines, ASE and reports give a meaning of their own.
_TAKEN = {
    *("step", "time_ps", "substyle"),
    *("energy", "free_energy", "energies", "forces", "stress", "stresses", "dipole", "charges"),
    *("magmom", "magmoms", "non_conservative_forces", "non_conservative_stress"),
}
# LAMMPS takes names as words of a command
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class StructureProperty:
    """A property as the metadata of a file describe it.

    Raises
    ------
    ModelContractError
        If the name is no word or means something else already, or there is no such pooling.
    """

    name: str
    unit: str = ""  # empty: unknown
    pooling: str = "attention"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ModelContractError(
                f"expected properties named by letters, digits and underscores, got {self.name!r}; rename it in the "
                "data and train again"
            )
        if self.name in _TAKEN:
            raise ModelContractError(
                f"the property {self.name!r} has the name of something that engines know already; call it "
                f"{self.name}_of_structure in the data, for example, and train again"
            )
        if self.pooling not in POOLINGS:
            raise ModelContractError(
                f"property {self.name}: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}"
            )

    def as_dict(self) -> dict[str, str]:
        """Return plain values, for the metadata."""
        return asdict(self)


def properties_in(described: list[dict[str, str]]) -> list[StructureProperty]:
    """Return the properties that metadata describe.

    Raises
    ------
    ModelContractError
        As :class:`StructureProperty`, or if a name is there twice.
    """
    found = [
        StructureProperty(d.get("name", ""), d.get("unit", ""), d.get("pooling", ""))
        for d in described
    ]
    if len({each.name for each in found}) < len(found):
        raise ModelContractError(
            f"expected properties, each once, got {[each.name for each in found]}"
        )
    return found


class ModelWithProperties(ExportedModel):
    """An exported model with a second network, which gives properties; the first one does not know of it.

    Parameters
    ----------
    network, reference_energies, scale
        As for :class:`~mlip_engines.model.exported.ExportedModel`.
    reader : nn.Module
        Scriptable; ``forward(graph)`` returns ``property_values`` and ``property_scores`` (N, T) each, of T properties
        in their units. Like a network it sees the edges within the cutoff only.
    """

    structure_inputs: list[str]
    other_heads: list[str]

    def __init__(
        self,
        network: nn.Module,
        reference_energies: dict[int, float],
        scale: float,
        reader: nn.Module,
    ):
        super().__init__(network, reference_energies, scale)
        self.property_reader = reader

    @torch.jit.export
    def properties(
        self,
        atomic_numbers: Tensor,
        edge_index: Tensor,
        edge_vectors: Tensor,
        reverse_edge: Tensor,
        owned: Tensor,
        structure: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Evaluate what atoms give to the properties; no energy, no gradient.

        Returns
        -------
        dict
            ``property_values`` and ``property_scores``, (N, T) float64; only those of owned atoms count.
        """
        output: dict[str, Tensor] = {}
        with torch.no_grad():
            edges = edge_vectors.to(self.dtype)
            graph = Graph(atomic_numbers, edge_index, edges, reverse_edge, owned)
            predicted = self.property_reader(self._with_structure(graph, structure))
            for name, value in predicted.items():
                output[name] = value.to(torch.float64)
        return output


def pooled(
    values: Tensor, scores: Tensor, structure: Tensor, n_structures: int, poolings: list[str]
) -> Tensor:
    """Return properties (S, T) from values and scores (N, T) of atoms, and the structure (N,) of each atom."""
    zero = values.new_zeros((n_structures, values.size(1)))  # (S, T)
    index = structure[:, None].expand_as(scores)
    # less the largest of each structure: a softmax does not change, and no exponential overflows
    largest = torch.full_like(zero, -torch.inf).scatter_reduce(0, index, scores, "amax")
    is_attention = torch.tensor([p == "attention" for p in poolings], device=values.device)
    weights = torch.where(is_attention, torch.exp(scores - largest[structure]), 1.0)  # (N, T)
    total = zero.index_add(0, structure, weights)
    is_sum = torch.tensor([p == "sum" for p in poolings], device=values.device)
    return zero.index_add(0, structure, weights * values) / torch.where(is_sum, 1.0, total)


def evaluate_properties(model, graphs: list[Graph]) -> Tensor:
    """Return the properties (S, T) of structures, float64 on the CPU, in the order and the units of the metadata.

    Parameters
    ----------
    model : LoadedModel
    graphs : list of Graph
        At least one, with edge vectors in float64.

    Raises
    ------
    ModelContractError
        If the model has no properties.
    ValueError
        If one is not finite.
    """
    known = properties_in(model.metadata.properties)
    if not known:
        raise ModelContractError(
            f"{model.path}: expected a model with properties, got one without; train it with mlip-property --from "
            "POTENTIAL and export that checkpoint"
        )
    joined, structure = batch_graphs(graphs)
    joined = graph_to_device(joined, next(model.module.buffers()).device)
    inputs = (joined.structure_inputs,) if joined.structure_inputs else ()
    with torch.jit.optimized_execution(False):
        terms = model.module.properties(*joined.local, *inputs)
    found = pooled(
        terms[VALUES].cpu(),
        terms[SCORES].cpu(),
        structure,
        len(graphs),
        [each.pooling for each in known],
    )
    wrong = [
        p.name for p, column in zip(known, found.T, strict=True) if not column.isfinite().all()
    ]
    if wrong:
        raise ValueError(
            f"{model.path}: {', '.join(wrong)} of a structure is not finite; look for atoms on top of each other"
        )
    return found
