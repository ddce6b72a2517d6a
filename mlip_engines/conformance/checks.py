"""The checks of the contract, each one property that an engine relies on.

A check is a function of a :class:`Subject` that returns nothing, or raises
:class:`~mlip_engines.model.contract.ModelContractError` with what was expected and what was got.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mlip_engines.conformance.probes import (
    Probe,
    at_the_cutoff,
    chain,
    cluster,
    crowded_cell,
    reorder_edges,
    single_atom,
    without_longest_edges,
)
from mlip_engines.model.contract import (
    ModelContractError,
    check_heads,
    check_structure_inputs,
)
from mlip_engines.model.evaluation import evaluate, network_of, non_conservative
from mlip_engines.model.graph import Graph, batch_graphs

# Two evaluations of the same thing, relative: they differ by the order of sums.
_EQUAL = {torch.float64: 1e-9, torch.float32: 1e-4}
# Differences of energies: how far atoms move at first (Å), and error relative to the largest force or virial.
_STEP = {torch.float64: 2e-3, torch.float32: 2e-2}
_HALVINGS = {torch.float64: 8, torch.float32: 3}  # of the step, at most
_DERIVATIVE = {torch.float64: 1e-6, torch.float32: 2e-2}
# How close to the cutoff the last edge is (relative), and the jump allowed when it goes.
_MARGIN = {torch.float64: 1e-8, torch.float32: 1e-6}
_JUMP = {torch.float64: 1e-6, torch.float32: 1e-4}

_NC_VIRIAL = "non_conservative_virial"  # where there is a head for stress


# An ion: values that a network may not take for granted.
_STRUCTURE = {"total_charge": 1.0, "spin_multiplicity": 2.0}


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
    def equal(self) -> float:
        """Relative difference allowed between two evaluations of the same thing."""
        return _EQUAL[self.dtype]

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
            name: torch.tensor(_STRUCTURE[name])
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


def _require_equal(name: str, expected: Tensor, found: Tensor, limit: float) -> None:
    """Raise unless two tensors agree to ``limit``, relative to the largest element or 1."""
    if expected.shape != found.shape:
        raise ModelContractError(
            f"expected {name} of shape {tuple(expected.shape)}, got {tuple(found.shape)}"
        )
    if expected.numel() == 0:
        return
    difference = float((expected - found).abs().max())
    allowed = _allowed(expected, limit)
    if not difference <= allowed:  # NaN fails
        raise ModelContractError(f"{name} differs by {difference:.3g}, allowed {allowed:.3g}")


def _allowed(expected: Tensor, limit: float) -> float:
    return limit * max(1.0, float(expected.abs().max()))


def _require_same_output(
    expected: dict[str, Tensor], found: dict[str, Tensor], limit: float
) -> None:
    if set(expected) != set(found):
        raise ModelContractError(f"expected the keys {sorted(expected)}, got {sorted(found)}")
    for name, value in expected.items():
        _require_equal(name, value, found[name], limit)


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
        _require_same_output(expected, found, subject.equal)
        if subject.has_head:
            expected = subject.non_conservative(graph)
            _require_same_output(expected, non_conservative(scripted, graph), subject.equal)


def _check_outputs(subject: Subject) -> None:
    for name, probe in subject.probes().items():
        graph = probe.graph()
        n = graph.n_atoms
        shapes = {"energy": (), "atomic_energies": (n,), "forces": (n, 3), "virial": (3, 3)}
        shapes["atomic_virials"] = (n, 3, 3)
        if subject.has_head:
            shapes["non_conservative_forces"] = (n, 3)
        output = subject.evaluate(graph, atomic_virials=True)
        if _NC_VIRIAL in output:
            shapes[_NC_VIRIAL] = (3, 3)
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


def _check_inputs_kept(subject: Subject) -> None:
    for name, probe in subject.probes().items():
        graph = probe.graph()
        before = Graph(*(None if value is None else value.clone() for value in graph))
        subject.evaluate(graph, atomic_virials=True)
        if subject.has_head:
            subject.non_conservative(graph)
        for name_of_field, old, new in zip(Graph._fields, before, graph, strict=True):
            if old is not None and not torch.equal(old, new):
                raise ModelContractError(f"{name}: the model changed its argument {name_of_field}")


def _check_head_alone(subject: Subject) -> None:
    for probe in subject.probes().values():
        graph = probe.graph()
        full, without = subject.evaluate(graph), subject.evaluate(graph, head=False)
        if "non_conservative_forces" in without or _NC_VIRIAL in without:
            raise ModelContractError("expected no non-conservative output when not asked for")
        for key, value in without.items():
            _require_equal(f"{key} with and without the head", value, full[key], subject.equal)
        if not subject.has_head:
            continue
        alone = subject.non_conservative(graph)
        key = "non_conservative_forces"
        for name in full.keys() & {key, _NC_VIRIAL}:
            if name not in alone:
                raise ModelContractError(f"expected {name} of the head alone, got {sorted(alone)}")
            _require_equal(
                f"{name} alone and with the energy", full[name], alone[name], subject.equal
            )
        if alone[key].requires_grad or "energy" in alone:
            raise ModelContractError("expected the head alone without an energy or its graph")


def _check_net_force(subject: Subject) -> None:
    for probe in subject.probes().values():
        output = subject.evaluate(probe.graph())
        for key in ("forces", "non_conservative_forces"):
            if key in output:
                largest = max(1.0, float(output[key].abs().max()))
                net = output[key].sum(dim=0) / largest
                zero = torch.zeros_like(net)  # summed in float64 whatever the network
                _require_equal(f"the sum of {key}", zero, net, _EQUAL[torch.float64])


def _check_batch(subject: Subject) -> None:
    graphs = [
        probe.graph()._replace(
            **{
                name: torch.tensor(_STRUCTURE[name] + k)  # another for each structure
                for name in subject.structure_inputs
            }
        )
        for k, probe in enumerate(subject.probes().values())
    ]
    batch, structure = batch_graphs(graphs)
    together = subject.evaluate(batch)
    singles = [subject.evaluate(graph) for graph in graphs]
    energy = torch.stack([single["energy"] for single in singles]).sum()
    _require_equal("energy of a batch", energy, together["energy"], subject.equal)
    if _NC_VIRIAL in together:
        virial = torch.stack([single[_NC_VIRIAL] for single in singles]).sum(dim=0)
        _require_equal(f"{_NC_VIRIAL} of a batch", virial, together[_NC_VIRIAL], subject.equal)
    for key in ("atomic_energies", "forces"):
        expected = torch.cat([single[key] for single in singles])
        _require_equal(f"{key} of a batch", expected, together[key], subject.equal)
    if subject.has_head:  # the net force is removed from the batch: do it for each structure
        key = "non_conservative_forces"
        for k, single in enumerate(singles):
            found = together[key][structure == k]
            _require_equal(f"{key} of a batch", single[key], found - found.mean(0), subject.equal)


def _check_no_edges(subject: Subject) -> None:
    numbers = subject.numbers
    atoms = torch.arange(3 * len(numbers), dtype=torch.float64)
    apart = torch.stack([10.0 * subject.cutoff * atoms, atoms, -atoms], dim=1)
    output = subject.evaluate(Probe(apart, None, numbers * 3, subject.cutoff).graph())
    energies = [
        subject.energy(single_atom(subject.cutoff, [number]).graph()) for number in numbers * 3
    ]
    expected = torch.tensor(energies, dtype=torch.float64)
    _require_equal("energies of isolated atoms", expected, output["atomic_energies"], subject.equal)
    for key in output.keys() & {"forces", "virial", _NC_VIRIAL}:
        _require_equal(f"{key} without edges", torch.zeros_like(output[key]), output[key], 0.0)
    if not subject.has_head:
        return
    # A file removes the net force, and with it any force that all isolated atoms have: ask its network.
    network = network_of(subject.module)
    graph = subject.with_structure(Probe(apart, None, numbers * 3, subject.cutoff).graph())
    graph = graph._replace(edge_vectors=graph.edge_vectors.to(subject.dtype))
    for given in (network(graph, True), network.non_conservative(graph)):
        forces = given["non_conservative_forces"].detach()
        zero = torch.zeros_like(forces)
        _require_equal("non_conservative_forces of atoms without neighbours", zero, forces, 0.0)


def _check_images(subject: Subject) -> None:
    cell = crowded_cell(subject.cutoff, subject.numbers)
    single, double = subject.evaluate(cell.graph()), subject.evaluate(cell.repeated().graph())
    for key in single.keys() & {"energy", "virial", _NC_VIRIAL}:
        _require_equal(f"{key} of a doubled cell", 2 * single[key], double[key], subject.equal)
    for key in ("forces", "non_conservative_forces"):
        if key in single:
            expected = single[key].repeat(2, 1)
            _require_equal(f"{key} of a doubled cell", expected, double[key], subject.equal)


def _check_edge_order(subject: Subject) -> None:
    for probe in subject.probes().values():
        graph = probe.graph()
        _require_same_output(
            subject.evaluate(graph), subject.evaluate(reorder_edges(graph)), subject.equal
        )


def _check_permutation(subject: Subject) -> None:
    for probe in subject.probes().values():
        order = torch.randperm(len(probe.numbers), generator=torch.Generator().manual_seed(5))
        expected = subject.evaluate(probe.graph())
        found = subject.evaluate(probe.reordered(order).graph())
        for key, value in expected.items():
            per_atom = key not in ("energy", "virial", _NC_VIRIAL)
            expected_value = value[order] if per_atom else value
            _require_equal(key, expected_value, found[key], subject.equal)


def _check_translation(subject: Subject) -> None:
    for probe in subject.probes().values():
        expected = subject.evaluate(probe.graph())
        found = subject.evaluate(probe.translated().graph())
        _require_same_output(expected, found, subject.equal)


def _check_owned(subject: Subject) -> None:
    graph = crowded_cell(subject.cutoff, subject.numbers).graph()
    mask = torch.arange(graph.n_atoms) % 2 == 0
    whole = subject.evaluate(graph)
    parts = [subject.evaluate(graph._replace(owned=owned)) for owned in (mask, ~mask)]
    for key in whole.keys() & {"energy", "forces", "virial", _NC_VIRIAL}:
        total = parts[0][key] + parts[1][key]
        _require_equal(f"{key} summed over two domains", whole[key], total, subject.equal)
    if subject.has_head:  # up to the net force, which is that of the owned atoms
        key = "non_conservative_forces"
        expected, found = whole[key][mask], parts[0][key][mask]
        expected, found = expected - expected.mean(0), found - found.mean(0)
        _require_equal(f"{key} of a domain", expected, found, subject.equal)


def _check_reach(subject: Subject) -> None:
    layers = subject.message_passing_layers
    row = chain(subject.cutoff, subject.numbers, layers + 3)
    move = torch.zeros_like(row.positions)
    move[-1, 1] = 0.05 * subject.cutoff
    before, after = subject.evaluate(row.graph()), subject.evaluate(row.displaced(move).graph())
    near = slice(0, 2)  # atoms more than `layers` edges away from the one that moves
    for key in ("atomic_energies", "non_conservative_forces"):
        if key in before:
            expected, found = before[key][near], after[key][near]
            if key != "atomic_energies":  # what the net force takes from all atoms alike
                expected, found = expected - expected.mean(0), found - found.mean(0)
            name = f"{key} more than {layers} edges from a moved atom"
            _require_equal(name, expected, found, subject.equal)


def _check_cutoff(subject: Subject) -> None:
    margin = _MARGIN[subject.dtype]
    graph = at_the_cutoff(subject.cutoff, subject.numbers, margin).graph()
    fewer = without_longest_edges(graph, subject.cutoff * (1.0 - 10.0 * margin))
    if fewer.n_edges != graph.n_edges - 2:
        raise RuntimeError("the probe is wrong: expected one pair at the cutoff")
    before, after = subject.evaluate(graph), subject.evaluate(fewer)
    for key in ("energy", "forces", "non_conservative_forces", _NC_VIRIAL):
        if key in before:
            name = f"{key} before and after an edge crosses the cutoff"
            _require_equal(name, before[key], after[key], _JUMP[subject.dtype])


def _check_forces(subject: Subject) -> None:
    for probe in (
        cluster(subject.cutoff, subject.numbers),
        crowded_cell(subject.cutoff, subject.numbers),
    ):
        forces = subject.evaluate(probe.graph(), head=False)["forces"]
        limit = _DERIVATIVE[subject.dtype]
        found = torch.zeros_like(forces)
        for k in range(forces.numel()):
            direction = torch.zeros_like(forces)
            direction.view(-1)[k] = 1.0
            found.view(-1)[k] = -_derivative(
                subject,
                lambda step, probe=probe, d=direction: probe.displaced(step * d),
                _STEP[subject.dtype],
                _allowed(forces, limit),
            )
        _require_equal("forces against energy differences", found, forces, limit)


def _check_virial(subject: Subject) -> None:
    for probe in (
        cluster(subject.cutoff, subject.numbers),
        crowded_cell(subject.cutoff, subject.numbers),
    ):
        output = subject.evaluate(probe.graph(), head=False, atomic_virials=True)
        limit = _DERIVATIVE[subject.dtype]
        strain = _STEP[subject.dtype] / subject.cutoff  # no edge grows by more than the step
        found = torch.zeros((3, 3), dtype=torch.float64)
        for k in range(9):
            direction = torch.zeros((3, 3), dtype=torch.float64)
            direction.view(-1)[k] = 1.0
            found.view(-1)[k] = -_derivative(
                subject,
                lambda step, probe=probe, d=direction: probe.strained(step * d),
                strain,
                _allowed(output["virial"], limit),
            )
        _require_equal("virial against strained energies", found, output["virial"], limit)
        total = output["atomic_virials"].sum(dim=0)
        _require_equal("sum of atomic virials", output["virial"], total, subject.equal)


def _derivative(
    subject: Subject, at: Callable[[float], Probe], step: float, allowed: float
) -> float:
    """Derivative of the energy along a path, with a step that fits the model (Ridders, Adv. Eng. Softw. 4, 75 (1982)).

    Central differences are extrapolated to a step of zero, while it is halved until the result stays the same to a
    tenth of what is ``allowed``: a cutoff function that falls within a tenth of an Å needs other steps than a wide one.
    """
    best, least = float("nan"), float("inf")
    before: list[float] = []
    for _ in range(_HALVINGS[subject.dtype] + 1):
        difference = subject.energy(at(step).graph()) - subject.energy(at(-step).graph())
        row = [difference / (2.0 * step)]
        for k, coarser in enumerate(before):
            row.append(row[k] + (row[k] - coarser) / (4.0 ** (k + 1) - 1.0))
            change = max(abs(row[k + 1] - row[k]), abs(row[k + 1] - coarser))
            if change < least:
                best, least = row[k + 1], change
        if least < 0.1 * allowed:
            break
        before, step = row, 0.5 * step
    return best


def check_rotation(subject: Subject) -> None:
    """Energy is a scalar, forces are vectors. Not part of the contract."""
    turn = torch.linalg.qr(
        torch.tensor([[0.3, -0.8, 0.5], [0.9, 0.2, 0.4], [-0.1, 0.6, 0.7]], dtype=torch.float64)
    )[0]
    turn = turn * torch.linalg.det(turn)  # (3, 3), a proper rotation
    for probe in subject.probes().values():
        expected = subject.evaluate(probe.graph())
        found = subject.evaluate(probe.rotated(turn).graph())
        _require_equal("energy", expected["energy"], found["energy"], subject.equal)
        for key in ("forces", "non_conservative_forces"):
            if key in expected:
                _require_equal(key, expected[key] @ turn, found[key], subject.equal)
        for key in expected.keys() & {"virial", _NC_VIRIAL}:
            _require_equal(key, turn.T @ expected[key] @ turn, found[key], subject.equal)


CHECKS: dict[str, Callable[[Subject], None]] = {
    "outputs have their shapes and dtype": _check_outputs,
    "inputs are not changed": _check_inputs_kept,
    "the head alone gives the same forces": _check_head_alone,
    "net forces are zero": _check_net_force,
    "batch equals single": _check_batch,
    "isolated atoms feel nothing": _check_no_edges,
    "a doubled cell has twice the energy": _check_images,
    "the order of edges does not matter": _check_edge_order,
    "permutation of atoms": _check_permutation,
    "translation, also by lattice vectors": _check_translation,
    "domains add up": _check_owned,
    "nothing is felt beyond the interaction range": _check_reach,
    "smooth at the cutoff": _check_cutoff,
}
DERIVATIVE_CHECKS: dict[str, Callable[[Subject], None]] = {
    "forces are the negative energy gradient": _check_forces,
    "virial is the negative strain derivative": _check_virial,
}
