"""An atom feels its neighbours and nothing else: structures in a batch, isolated atoms, domains, reach, cutoff."""

from __future__ import annotations

import torch

from mlip_engines.conformance.equality import allowed_difference, require_equal
from mlip_engines.conformance.probes import (
    Probe,
    at_the_cutoff,
    chain,
    crowded_cell,
    single_atom,
    without_longest_edges,
)
from mlip_engines.conformance.subject import ION, NC_VIRIAL, Subject
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.evaluation import network_of
from mlip_engines.model.graph import batch_graphs

_SHRINKS = 0.3  # what is continuous changes by a tenth as much if the edge is ten times nearer to the cutoff


def check_batch(subject: Subject) -> None:
    """Structures that are evaluated together have the results that each has alone."""
    graphs = [
        probe.graph()._replace(
            **{
                name: torch.tensor(ION[name] + k)  # another for each structure
                for name in subject.structure_inputs
            }
        )
        for k, probe in enumerate(subject.probes().values())
    ]
    batch, structure = batch_graphs(graphs)
    together = subject.evaluate(batch)
    singles = [subject.evaluate(graph) for graph in graphs]
    energy = torch.stack([single["energy"] for single in singles]).sum()
    require_equal("energy of a batch", energy, together["energy"], subject.equal)
    if NC_VIRIAL in together:
        virial = torch.stack([single[NC_VIRIAL] for single in singles]).sum(dim=0)
        require_equal(f"{NC_VIRIAL} of a batch", virial, together[NC_VIRIAL], subject.equal)
    for key in ("atomic_energies", "forces"):
        expected = torch.cat([single[key] for single in singles])
        require_equal(f"{key} of a batch", expected, together[key], subject.equal)
    if subject.has_head:  # the net force is removed from the batch: do it for each structure
        key = "non_conservative_forces"
        for k, single in enumerate(singles):
            found = together[key][structure == k]
            require_equal(f"{key} of a batch", single[key], found - found.mean(0), subject.equal)


def check_no_edges(subject: Subject) -> None:
    """Atoms without neighbours have their own energies and feel no force."""
    numbers = subject.numbers
    atoms = torch.arange(3 * len(numbers), dtype=torch.float64)
    apart = torch.stack([10.0 * subject.cutoff * atoms, atoms, -atoms], dim=1)
    output = subject.evaluate(Probe(apart, None, numbers * 3, subject.cutoff).graph())
    energies = [
        subject.energy(single_atom(subject.cutoff, [number]).graph()) for number in numbers * 3
    ]
    expected = torch.tensor(energies, dtype=torch.float64)
    require_equal("energies of isolated atoms", expected, output["atomic_energies"], subject.equal)
    for key in output.keys() & {"forces", "virial", NC_VIRIAL}:
        require_equal(f"{key} without edges", torch.zeros_like(output[key]), output[key], 0.0)
    if not subject.has_head:
        return
    # A file removes the net force, and with it any force that all isolated atoms have: ask its network.
    network = network_of(subject.module)
    graph = subject.with_structure(Probe(apart, None, numbers * 3, subject.cutoff).graph())
    graph = graph._replace(edge_vectors=graph.edge_vectors.to(subject.dtype))
    for given in (network(graph, True), network.non_conservative(graph)):
        forces = given["non_conservative_forces"].detach()
        zero = torch.zeros_like(forces)
        require_equal("non_conservative_forces of atoms without neighbours", zero, forces, 0.0)


def check_owned(subject: Subject) -> None:
    """Two domains, each with half of the atoms as its own, add up to the whole."""
    graph = crowded_cell(subject.cutoff, subject.numbers).graph()
    mask = torch.arange(graph.n_atoms) % 2 == 0
    whole = subject.evaluate(graph)
    parts = [subject.evaluate(graph._replace(owned=owned)) for owned in (mask, ~mask)]
    for key in whole.keys() & {"energy", "forces", "virial", NC_VIRIAL}:
        total = parts[0][key] + parts[1][key]
        require_equal(f"{key} summed over two domains", whole[key], total, subject.equal)
    if subject.has_head:  # up to the net force, which is that of the owned atoms
        key = "non_conservative_forces"
        expected, found = whole[key][mask], parts[0][key][mask]
        expected, found = expected - expected.mean(0), found - found.mean(0)
        require_equal(f"{key} of a domain", expected, found, subject.equal)


def check_reach(subject: Subject) -> None:
    """An atom does not feel one that is more edges away than the model has layers."""
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
            require_equal(name, expected, found, subject.equal)


def check_cutoff(subject: Subject) -> str | None:
    """Nothing jumps when an edge crosses the cutoff.

    Returns
    -------
    str or None
        A doubt: forces go to zero there, but steeply, as those of a cutoff function that is differentiable only once.
    """
    margin = subject.precision.margin
    near, far = _jumps(subject, margin), _jumps(subject, 10.0 * margin)
    doubts = []
    for key, (jump, allowed) in near.items():
        if jump <= allowed:
            continue
        text = f"{key} before and after an edge crosses the cutoff differs by {jump:.3g}, allowed {allowed:.3g}"
        if not jump <= _SHRINKS * far[key][0]:  # a true jump stays the same, NaN fails
            raise ModelContractError(text)
        slope = jump / (margin * subject.cutoff)
        doubts.append(f"{text}: it is continuous, with a slope of {slope:.3g} per Å at the cutoff")
    return "; ".join(doubts) or None


def _jumps(subject: Subject, margin: float) -> dict[str, tuple[float, float]]:
    """Return, of each output, how much it changes as an edge goes that is a margin within the cutoff, and the limit."""
    graph = at_the_cutoff(subject.cutoff, subject.numbers, margin).graph()
    fewer = without_longest_edges(graph, subject.cutoff * (1.0 - 10.0 * margin))
    if fewer.n_edges != graph.n_edges - 2:
        raise RuntimeError("the probe is wrong: expected one pair at the cutoff")
    before, after = subject.evaluate(graph), subject.evaluate(fewer)
    return {
        key: (
            float((before[key] - after[key]).abs().max()),
            allowed_difference(before[key], subject.precision.jump),
        )
        for key in ("energy", "forces", "non_conservative_forces", NC_VIRIAL)
        if key in before
    }
