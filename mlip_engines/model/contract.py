"""Contract, version 1: what a network sees, what it returns, and what its file says about it.

A network sees a local graph and nothing else. Units are eV and Å throughout.

====================  ==============  =====  ==========================================================
argument              shape           unit   meaning
====================  ==============  =====  ==========================================================
``atomic_numbers``    (N,) int64             one entry per atom of the graph
``edge_index``        (2, E) int64           row 0 the centre i, row 1 the neighbour j; both directions
                                             are present, sorted by centre (row 0 never decreases)
``edge_vectors``      (E, 3)          Å      r_j + shift - r_i, each shorter than the cutoff
``reverse_edge``      (E,) int64             index of the edge j -> i with the opposite shift; E or more if
                                             another process evaluates it (:mod:`mlip_engines.operators`)
``owned``             (N,) bool              atoms whose energy counts (all, without domain decomposition)
====================  ==============  =====  ==========================================================

``Network.forward(..., with_non_conservative)`` returns a dictionary with

===============================  =========  ========  ====================================================
``atomic_energies``              (N,)       eV        without the composition baseline
``non_conservative_forces``      (N, 3)     eV/Å      if asked for, and the network has this head
``non_conservative_virials``     (N, 3, 3)  eV        likewise, with the head ``non_conservative_stress``: what
                                                      each atom adds to -dE/d(strain), LAMMPS's sign
===============================  =========  ========  ====================================================

A network sees no cell and knows no volume, so the head for stress gives atomic virials. They are summed over the owned
atoms and symmetrised in the file, which returns ``non_conservative_virial`` (3, 3) in eV; whoever knows the volume V
divides: the stress is -virial/V.

``Network.non_conservative(...)`` returns only the non-conservative keys and builds no energy. Energies and forces go
smoothly to their edge-free values as an edge reaches the cutoff. No edges at all and a single atom are ordinary input.
A network with ``feature_exchange = True`` evaluates only the atoms that :mod:`mlip_engines.operators` asks for; with
``edge_exchange = True`` as well it takes features of reverse edges from there.

The exported file wraps a network (:mod:`mlip_engines.model.exported`): it adds the baseline, differentiates, and
removes the net non-conservative force, all in float64. Its metadata are the fields of :class:`ModelMetadata`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from mlip_engines.model.graph import Graph

CONTRACT_VERSION = 1
STRUCTURE_INPUTS = ("total_charge", "spin_multiplicity")
HEADS = ("energy", "non_conservative_forces", "non_conservative_stress")
DTYPES = ("float32", "float64")


class ModelContractError(ValueError):
    """A model or a model file breaks the contract; the message says what was expected."""


class AtomicNetwork(Protocol):
    """What :func:`mlip_engines.model.export.export_model` accepts; a scriptable ``torch.nn.Module``."""

    cutoff: float
    message_passing_layers: int
    heads: list[str]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate the energy and, if asked, the non-conservative heads."""

    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the non-conservative heads only."""


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says about itself; readable without running the model."""

    name: str
    species: list[str]  # chemical symbols; any other element is refused
    cutoff: float  # Å
    message_passing_layers: int
    heads: list[str]
    dtype: str
    interaction_range: float  # Å, what a domain decomposition must see around an owned atom
    non_conservative_layers: int = 0  # edges that these heads see; 0: message_passing_layers
    feature_exchange: bool = False  # the network evaluates the atoms it is asked for only
    edge_exchange: bool = False  # and asks mlip_engines.operators for features of reverse edges
    contract_version: int = CONTRACT_VERSION
    energy_unit: str = "eV"
    length_unit: str = "Angstrom"
    reference_energies: dict[str, float] = field(default_factory=dict)  # eV per atom of an element
    training: dict[str, Any] = field(default_factory=dict)  # data, their hash, split, recipe
    errors: dict[str, float] = field(default_factory=dict)  # on the test split, eV and eV/Å
    licence: str = ""
    citation: str = ""
    checksum: str = ""  # "sha256:..." over the archive without these metadata

    def to_json(self) -> str:
        """Return the metadata as indented JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str = "metadata") -> ModelMetadata:
        """Parse and check metadata.

        Parameters
        ----------
        text : str
            JSON.
        where : str
            Named in messages, usually the file.

        Raises
        ------
        ModelContractError
            If the JSON is unreadable, the version is not ours, or a field is missing or wrong.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as e:
            raise ModelContractError(f"{where}: expected metadata in JSON, got: {e}") from e
        if not isinstance(values, dict):
            raise ModelContractError(
                f"{where}: expected a JSON object, got {type(values).__name__}"
            )
        version = values.get("contract_version")
        if version != CONTRACT_VERSION:
            raise ModelContractError(
                f"{where}: expected contract version {CONTRACT_VERSION}, got {version}; "
                "export the checkpoint again with this version of mlip-export, or install the "
                "version of mlip-engines that wrote the file"
            )
        known = {f.name for f in fields(cls)}
        required = {"name", "species", "cutoff", "message_passing_layers", "heads", "dtype"}
        missing = sorted((required | {"interaction_range"}) - set(values))
        if missing:
            raise ModelContractError(
                f"{where}: metadata lack {', '.join(missing)}; export it again"
            )
        metadata = cls(**{name: value for name, value in values.items() if name in known})
        metadata.check(where)
        return metadata

    def check(self, where: str = "metadata") -> None:
        """Raise :class:`ModelContractError` if a value cannot be right."""
        if self.dtype not in DTYPES:
            raise ModelContractError(f"{where}: dtype must be one of {DTYPES}, got {self.dtype!r}")
        if not self.cutoff > 0.0:
            raise ModelContractError(f"{where}: cutoff must be positive, got {self.cutoff}")
        if not self.interaction_range >= self.cutoff:
            raise ModelContractError(
                f"{where}: interaction range must be at least the cutoff {self.cutoff}, "
                f"got {self.interaction_range}"
            )
        unknown = sorted(set(self.heads) - set(HEADS))
        if unknown or "energy" not in self.heads:
            raise ModelContractError(
                f"{where}: heads must include 'energy' and be among {HEADS}, got {self.heads}"
            )
        if self.edge_exchange and not self.feature_exchange:
            raise ModelContractError(
                f"{where}: a network that exchanges features of edges (edge_exchange) must also evaluate only the "
                "atoms it is asked for (feature_exchange)"
            )
        if "non_conservative_stress" in self.heads and not self.has_non_conservative_forces:
            raise ModelContractError(
                f"{where}: a head for non-conservative stress needs one for forces beside it, got {self.heads}"
            )
        if not self.species:
            raise ModelContractError(f"{where}: expected at least one species, got none")

    @property
    def has_non_conservative_forces(self) -> bool:
        """Whether the model can be the inner force of r-RESPA."""
        return "non_conservative_forces" in self.heads

    @property
    def has_non_conservative_stress(self) -> bool:
        """Whether the model predicts a virial beside the conservative one."""
        return "non_conservative_stress" in self.heads
