"""A network as export needs it: what it declares, what it returns, and that TorchScript accepts it."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn

from mlip_engines.conformance.equality import require_same_output
from mlip_engines.conformance.subject import Subject
from mlip_engines.model.contract import ModelContractError, check_heads, check_structure_inputs
from mlip_engines.model.evaluation import evaluate, non_conservative


def check_attributes(network: nn.Module) -> None:
    """A network says what export and the engines have to know."""
    cutoff = getattr(network, "cutoff", None)
    if not isinstance(cutoff, float) or not cutoff > 0.0:
        raise ModelContractError(f"expected a positive float 'cutoff', got {cutoff!r}")
    layers = getattr(network, "message_passing_layers", None)
    if not isinstance(layers, int) or layers < 1:
        raise ModelContractError(f"expected 'message_passing_layers' of at least 1, got {layers!r}")
    heads = getattr(network, "heads", None)
    if not isinstance(heads, list):
        raise ModelContractError(f"expected a list 'heads' of names, got {heads!r}")
    check_heads(heads, "'heads' of the network")
    inputs = getattr(network, "structure_inputs", [])
    if not isinstance(inputs, list):
        raise ModelContractError(f"expected a list 'structure_inputs' of names, got {inputs!r}")
    check_structure_inputs(inputs, "'structure_inputs' of the network")


def check_network_outputs(network: nn.Module, subject: Subject) -> None:
    """The network itself returns one energy per atom, and one force if asked."""
    for name, probe in subject.probes().items():
        graph = probe.graph()
        graph = graph._replace(edge_vectors=graph.edge_vectors.to(subject.dtype))
        graph = subject.with_structure(graph)
        output = network(graph, subject.has_head)
        shapes: dict[str, tuple[int, ...]] = {"atomic_energies": (graph.n_atoms,)}
        if subject.has_head:
            shapes["non_conservative_forces"] = (graph.n_atoms, 3)
        if "non_conservative_stress" in network.heads:
            shapes["non_conservative_virials"] = (graph.n_atoms, 3, 3)
        for key, shape in shapes.items():
            found = output.get(key)
            if found is None or tuple(found.shape) != shape or found.dtype != subject.dtype:
                got = None if found is None else (tuple(found.shape), found.dtype)
                raise ModelContractError(
                    f"{name}: expected {key} of shape {shape}, {subject.dtype}; got {got}"
                )


def check_scripted(subject: Subject) -> None:
    """TorchScript accepts the network, and its result is that of Python."""
    with warnings.catch_warnings():
        # torch deprecates TorchScript from 2.10 on; it is the format of contract version 1.
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        scripted = torch.jit.script(copy.deepcopy(subject.module))
    for probe in subject.probes().values():
        graph = probe.graph()
        graph = subject.with_structure(graph)
        found = evaluate(
            scripted, graph, with_non_conservative=subject.has_head, with_atomic_virials=True
        )
        expected = subject.evaluate(graph, atomic_virials=True)
        require_same_output(expected, found, subject.equal)
        if subject.has_head:
            expected = subject.non_conservative(graph)
            require_same_output(expected, non_conservative(scripted, graph), subject.equal)
