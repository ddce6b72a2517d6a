"""What is checked: a model file, or a network in the module that export wraps around it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mlip_engines.conformance.precision import PRECISION, Precision
from mlip_engines.conformance.probes import Probe, cluster, crowded_cell, single_atom
from mlip_engines.model.evaluation import evaluate, non_conservative
from mlip_engines.model.graph import Graph

NC_VIRIAL = "non_conservative_virial"  # where there is a head for stress

# An ion: values that a network may not take for granted.
ION = {"total_charge": 1.0, "spin_multiplicity": 2.0}


@dataclass(frozen=True)
class Subject:
    """A module with the methods of a model file, and what is needed to probe it."""

    module: nn.Module
    cutoff: float
    message_passing_layers: int
    dtype: torch.dtype
    has_head: bool
    numbers: list[int]
    structure_inputs: list[str] = field(default_factory=list)

    @property
    def precision(self) -> Precision:
        """Steps and tolerances that fit the dtype."""
        return PRECISION[self.dtype]

    @property
    def equal(self) -> float:
        """Relative difference allowed between two evaluations of the same thing."""
        return self.precision.equal

    def evaluate(
        self, graph: Graph, *, head: bool | None = None, atomic_virials: bool = False
    ) -> dict[str, Tensor]:
        """Evaluate with the head, if there is one and nothing else is said."""
        head = self.has_head if head is None else head
        return evaluate(
            self.module,
            self.with_structure(graph),
            with_non_conservative=head,
            with_atomic_virials=atomic_virials,
        )

    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the heads alone."""
        return non_conservative(self.module, self.with_structure(graph))

    def with_structure(self, graph: Graph) -> Graph:
        """Return the graph with a charge and a spin where the model depends on them and the graph has none."""
        missing = {
            name: torch.tensor(ION[name])
            for name in self.structure_inputs
            if getattr(graph, name) is None
        }
        return graph._replace(**missing)

    def energy(self, graph: Graph) -> float:
        """Energy, eV."""
        return float(self.evaluate(graph, head=False)["energy"])

    def probes(self) -> dict[str, Probe]:
        """Structures that most checks go through, by name."""
        arguments = (self.cutoff, self.numbers)
        return {build.__name__: build(*arguments) for build in (single_atom, cluster, crowded_cell)}
