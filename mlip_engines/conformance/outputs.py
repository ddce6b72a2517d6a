"""What a model returns: shapes and dtypes, nothing changed, the head alone as with the energy, no net force."""

from __future__ import annotations

import torch

from mlip_engines.conformance.equality import require_equal
from mlip_engines.conformance.precision import PRECISION
from mlip_engines.conformance.subject import NC_VIRIAL, Subject
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.graph import Graph


def check_outputs(subject: Subject) -> None:
    """Every output is there, finite, in float64, of its shape, and detached."""
    for name, probe in subject.probes().items():
        graph = probe.graph()
        n = graph.n_atoms
        shapes = {"energy": (), "atomic_energies": (n,), "forces": (n, 3), "virial": (3, 3)}
        shapes["atomic_virials"] = (n, 3, 3)
        if subject.has_head:
            shapes["non_conservative_forces"] = (n, 3)
        output = subject.evaluate(graph, atomic_virials=True)
        if NC_VIRIAL in output:
            shapes[NC_VIRIAL] = (3, 3)
        for key, shape in shapes.items():
            if key not in output:
                raise ModelContractError(f"{name}: expected {key}, got {sorted(output)}")
            value = output[key]
            if tuple(value.shape) != shape or value.dtype != torch.float64 or value.requires_grad:
                raise ModelContractError(
                    f"{name}: expected {key} detached, float64, of shape {shape}; got "
                    f"{value.dtype}, {tuple(value.shape)}, requires_grad={value.requires_grad}"
                )
            if not bool(torch.isfinite(value).all()):
                raise ModelContractError(f"{name}: expected finite {key}, got {value.tolist()}")


def check_inputs_kept(subject: Subject) -> None:
    """The arguments are the same after the call."""
    for name, probe in subject.probes().items():
        graph = probe.graph()
        before = Graph(*(None if value is None else value.clone() for value in graph))
        subject.evaluate(graph, atomic_virials=True)
        if subject.has_head:
            subject.non_conservative(graph)
        for name_of_field, old, new in zip(Graph._fields, before, graph, strict=True):
            if old is not None and not torch.equal(old, new):
                raise ModelContractError(f"{name}: the model changed its argument {name_of_field}")


def check_head_alone(subject: Subject) -> None:
    """The head gives the same forces with and without the energy, and only where asked."""
    for probe in subject.probes().values():
        graph = probe.graph()
        full, without = subject.evaluate(graph), subject.evaluate(graph, head=False)
        if "non_conservative_forces" in without or NC_VIRIAL in without:
            raise ModelContractError("expected no non-conservative output when not asked for")
        for key, value in without.items():
            require_equal(f"{key} with and without the head", value, full[key], subject.equal)
        if not subject.has_head:
            continue
        alone = subject.non_conservative(graph)
        key = "non_conservative_forces"
        for name in full.keys() & {key, NC_VIRIAL}:
            if name not in alone:
                raise ModelContractError(f"expected {name} of the head alone, got {sorted(alone)}")
            require_equal(
                f"{name} alone and with the energy", full[name], alone[name], subject.equal
            )
        if alone[key].requires_grad or "energy" in alone:
            raise ModelContractError("expected the head alone without an energy or its graph")


def check_net_force(subject: Subject) -> None:
    """Forces sum to zero."""
    for probe in subject.probes().values():
        output = subject.evaluate(probe.graph())
        for key in ("forces", "non_conservative_forces"):
            if key in output:
                largest = max(1.0, float(output[key].abs().max()))
                net = output[key].sum(dim=0) / largest
                zero = torch.zeros_like(net)  # summed in float64 whatever the network
                require_equal(f"the sum of {key}", zero, net, PRECISION[torch.float64].equal)
