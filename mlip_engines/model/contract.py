"""The contract: what a network sees, what it returns, and what its file says about it.

A network sees a local graph, a :class:`mlip_engines.model.graph.Graph`, and nothing else. Units are eV and Å.

=====================  ==============  =====  ==========================================================
field of the graph     shape           unit   meaning
=====================  ==============  =====  ==========================================================
``atomic_numbers``     (N,) int64             one entry per atom of the graph
``edge_index``         (2, E) int64           row 0 the centre i, row 1 the neighbour j; both directions
                                              are present, sorted by centre (row 0 never decreases)
``edge_vectors``       (E, 3)          Å      r_j + shift - r_i, each shorter than the cutoff
``reverse_edge``       (E,) int64             index of the edge j -> i with the opposite shift; E or more if
                                              another process evaluates it (:mod:`mlip_engines.operators`)
``owned``              (N,) bool              atoms whose energy counts (all, without domain decomposition)
``total_charge``       () or (B,)      e      charge of each structure; None unless the network declares it
``spin_multiplicity``  () or (B,)             2 S + 1 of each structure; None unless the network declares it
``structure_index``    (N,) int64             which of the B structures each atom belongs to; None: all to one
=====================  ==============  =====  ==========================================================

``Network.forward(graph, with_non_conservative)`` returns a dictionary with

===============================  =========  ========  ====================================================
``atomic_energies``              (N,)       eV        without the composition baseline
``non_conservative_forces``      (N, 3)     eV/Å      if asked for, and the network has this head
``non_conservative_virials``     (N, 3, 3)  eV        likewise, with the head ``non_conservative_stress``: what
                                                      each atom adds to -dE/d(strain), LAMMPS's sign
===============================  =========  ========  ====================================================

A network sees no cell and knows no volume, so the head for stress gives atomic virials. They are summed over the owned
atoms and symmetrised in the file, which returns ``non_conservative_virial`` (3, 3) in eV; whoever knows the volume V
divides: the stress is -virial/V.

``Network.non_conservative(graph)`` returns only the non-conservative keys and builds no energy. Energies and forces go
smoothly to their edge-free values as an edge reaches the cutoff. No edges at all and a single atom are ordinary input.
A network with ``feature_exchange = True`` evaluates only the atoms that :mod:`mlip_engines.operators` asks for; with
``edge_exchange = True`` as well it takes features of reverse edges from there.

A network may have **other heads**, under names of its own. What it returns under such a name is passed on by the file;
engines do not read it.

**Properties** are numbers per structure, such as a gap. A file that has them, listed under ``properties`` in its
metadata, has a second network and a method ``properties`` (:mod:`mlip_engines.model.structure_properties`). Who does
not call it pays nothing, and readers that do not know it are right about everything else.

A network that depends on the structure as a whole declares so in ``structure_inputs``, a list of names from
:data:`STRUCTURE_INPUTS`. An engine that was not told the value refuses to evaluate the model, and one that was told a
value refuses a model that does not depend on it.

The exported file wraps a network (:mod:`mlip_engines.model.exported`): it adds the baseline, differentiates, and
removes the net non-conservative force, all in float64. Its metadata are the fields of :class:`ModelMetadata`.

**Versions.** A file of version 1 needs nothing but a graph of atoms and edges, the heads in :data:`ENGINE_HEADS`, and
torch's operators and ours. A file of version 2 has structure inputs, other heads, or operators of another library
(``extensions``); its methods take the structure inputs as a last argument. Readers accept both. They ignore fields of
the metadata that they do not know, so a field may be added without a new version where older readers stay right.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from mlip_engines.model.card_facts import check_facts

if TYPE_CHECKING:
    from torch import Tensor

    from mlip_engines.model.graph import Graph

CONTRACT_VERSIONS = (1, 2)
ENGINE_HEADS = ("energy", "non_conservative_forces", "non_conservative_stress")
"""Heads that engines use; a network may have others."""

STRUCTURE_INPUTS = ("total_charge", "spin_multiplicity")
"""What a network may depend on of the structure as a whole."""

DTYPES = ("float32", "float64")
ENERGY_UNIT, LENGTH_UNIT = "eV", "Angstrom"
OWN_OPERATORS = "mlip"
"""The operator library of this package, the one that files of version 1 may call."""


# Keys of the output of a file that a head of another meaning must not take.
_OUTPUTS = {
    *("atomic_energies", "forces", "virial", "atomic_virials", "centroid_virials"),
    *("non_conservative_virial", "non_conservative_virials"),
}


class ModelContractError(ValueError):
    """A model or a model file breaks the contract; the message says what was expected."""


class AtomicNetwork(Protocol):
    """What :func:`mlip_engines.model.export.export_model` accepts; a scriptable ``torch.nn.Module``."""

    cutoff: float
    message_passing_layers: int
    heads: list[str]
    # Optional: non_conservative_layers, feature_exchange, edge_exchange, structure_inputs.

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
    structure_inputs: list[str] = field(default_factory=list)  # from STRUCTURE_INPUTS
    # "H-O": Å, below which a repulsion takes over; empty: none (mlip_engines.model.short_range)
    short_range: dict[str, float] = field(default_factory=dict)
    # "H": [lowest, highest] atomic energy in the data, eV, without the reference energy; below, the energy turns round
    # (mlip_engines.model.data_range). "H": length of the longest conservative force there, eV/Å
    energy_range: dict[str, list[float]] = field(default_factory=dict)
    largest_forces: dict[str, float] = field(default_factory=dict)
    # "grid", "degree", "inversion", "orientations" that the answers are averaged over; empty: none
    # (mlip_engines.model.symmetrised)
    symmetrisation: dict[str, Any] = field(default_factory=dict)
    # "name", "unit", "pooling" of what the file gives per structure beside the energy
    # (mlip_engines.model.structure_properties)
    properties: list[dict[str, str]] = field(default_factory=list)
    # Libraries of operators that the file calls, by the names under torch.ops
    extensions: list[str] = field(default_factory=lambda: [OWN_OPERATORS])
    contract_version: int = 1
    energy_unit: str = ENERGY_UNIT
    length_unit: str = LENGTH_UNIT
    reference_energies: dict[str, float] = field(default_factory=dict)  # eV per atom of an element
    training: dict[str, Any] = field(default_factory=dict)  # data, their hash, split, recipe
    errors: dict[str, float] = field(default_factory=dict)  # on the test split, eV and eV/Å
    # "element" and "config_type": the same by name, of sets with several (mlip_engines.model.card)
    errors_by: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    # What somebody has written down about the model (mlip_engines.model.card_facts)
    card: dict[str, Any] = field(default_factory=dict)
    # Largest differences from the calculator of the package that the network comes from: eV/atom, eV/Å, eV/Å^3
    comparison: dict[str, Any] = field(default_factory=dict)
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
        if version not in CONTRACT_VERSIONS:
            known_versions = " or ".join(map(str, CONTRACT_VERSIONS))
            raise ModelContractError(
                f"{where}: expected contract version {known_versions}, got {version}; "
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
        try:
            check_facts(metadata.card, f"{where}: card")
        except ValueError as e:
            raise ModelContractError(str(e)) from e
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
        if (self.energy_unit, self.length_unit) != (ENERGY_UNIT, LENGTH_UNIT):
            raise ModelContractError(
                f"{where}: expected energies in {ENERGY_UNIT} and lengths in {LENGTH_UNIT}, the file has "
                f"{self.energy_unit} and {self.length_unit}; convert the network and export it again"
            )
        check_heads(self.heads, where)
        check_structure_inputs(self.structure_inputs, where)
        if self.edge_exchange and not self.feature_exchange:
            raise ModelContractError(
                f"{where}: a network that exchanges features of edges (edge_exchange) must also evaluate only the "
                "atoms it is asked for (feature_exchange)"
            )
        if self.has_non_conservative_stress and not self.has_non_conservative_forces:
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

    @property
    def other_heads(self) -> list[str]:
        """Heads that no engine uses; what they give is in the output of the file."""
        return [head for head in self.heads if head not in ENGINE_HEADS]

    @property
    def least_version(self) -> int:
        """The lowest contract version whose readers evaluate this file correctly."""
        is_new = self.structure_inputs or self.other_heads
        return 2 if is_new or set(self.extensions) - {OWN_OPERATORS} else 1


def check_heads(heads: list[str], where: str) -> None:
    """Raise :class:`ModelContractError` unless heads are names, each once, with the energy among them."""
    if "energy" not in heads:
        raise ModelContractError(f"{where}: heads must include 'energy', got {heads}")
    bad = [head for head in heads if not isinstance(head, str) or not head.isidentifier()]
    if bad or len(set(heads)) < len(heads):
        raise ModelContractError(
            f"{where}: heads must be different names of letters, digits and underscores, got {heads}"
        )
    taken = sorted(set(heads) & _OUTPUTS)
    if taken:
        raise ModelContractError(
            f"{where}: {', '.join(taken)} is what the file itself returns; give the head another name"
        )


def check_structure_inputs(names: list[str], where: str) -> None:
    """Raise :class:`ModelContractError` if a structure input is one that engines cannot give."""
    unknown = [name for name in names if name not in STRUCTURE_INPUTS]
    if unknown:
        raise ModelContractError(
            f"{where}: the model depends on {', '.join(map(str, unknown))}, which this version of mlip-engines cannot "
            f"give it (known: {', '.join(STRUCTURE_INPUTS)}); install a newer mlip-engines"
        )
