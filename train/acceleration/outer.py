"""The energy of any model file, ready to be given the inner force of another network."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from mlip_engines.checkpoints import Exportable, NotThisKind
from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.data_range import DataRange
from mlip_engines.model.evaluation import trained_network_of
from mlip_engines.model.graph import Graph
from mlip_engines.model.inner_force import WithInnerForce
from mlip_engines.model.load import LoadedModel
from mlip_train.loop.model_file import open_model_file


class ScriptedEnergy(nn.Module):
    """The energy of a network that is known only as a TorchScript program.

    What the network says about itself need not be in the program; it is taken from the metadata of its file.
    """

    heads: list[str]
    structure_inputs: list[str]

    def __init__(self, network: torch.jit.ScriptModule, metadata: ModelMetadata):
        super().__init__()
        self.network = network
        self.cutoff = float(metadata.cutoff)
        self.message_passing_layers = int(metadata.message_passing_layers)
        self.feature_exchange = bool(metadata.feature_exchange)
        self.edge_exchange = bool(metadata.edge_exchange)
        self.structure_inputs = list(metadata.structure_inputs)
        self.heads = ["energy"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,)."""
        return {"atomic_energies": self.network(graph, False)["atomic_energies"]}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate no head: there is none."""
        output: dict[str, Tensor] = {}
        return output


def open_outer(model: LoadedModel) -> Exportable:
    """Return the energy of a model file, without the non-conservative forces that it may have.

    A network of this package is built anew, so that the accelerated file can be exported again. Any other stays the
    program that it is.

    Raises
    ------
    ModelContractError
        If the file is damaged.
    """
    try:
        opened = open_model_file(model.path)
    except NotThisKind:
        opened = _scripted(model)
    if isinstance(opened.network, WithInnerForce):
        kept = {key: value for key, value in opened.training.items() if key != "inner"}
        opened = replace(opened, network=opened.network.outer, training=kept)
    return opened


def has_short_range(model: LoadedModel) -> bool:
    """Return whether a repulsion keeps the atoms of the model apart."""
    return bool(model.metadata.short_range)


def _scripted(model: LoadedModel) -> Exportable:
    metadata, module = model.metadata, model.module
    network = trained_network_of(module, metadata)
    if "inner" in metadata.training:
        network = network.outer
    return Exportable(
        ScriptedEnergy(network, metadata),
        species=list(metadata.species),
        name=metadata.name,
        reference_energies=dict(metadata.reference_energies),
        scale=float(module.scale),
        training={k: v for k, v in metadata.training.items() if k != "inner"},
        errors=dict(metadata.errors),
        licence=metadata.licence,
        citation=metadata.citation,
        shortest_distances=dict(metadata.short_range),
        data_range=DataRange(metadata.energy_range, metadata.largest_forces),
    )
