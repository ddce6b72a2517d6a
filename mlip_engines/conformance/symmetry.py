"""The same structure written differently has the same energy and forces."""

from __future__ import annotations

import torch

from mlip_engines.conformance.equality import require_equal, require_same_output
from mlip_engines.conformance.probes import crowded_cell, reorder_edges
from mlip_engines.conformance.subject import NC_VIRIAL, Subject


def check_images(subject: Subject) -> None:
    """A cell that is written twice has twice the energy: periodic images are atoms like others."""
    cell = crowded_cell(subject.cutoff, subject.numbers)
    single, double = subject.evaluate(cell.graph()), subject.evaluate(cell.repeated().graph())
    for key in single.keys() & {"energy", "virial", NC_VIRIAL}:
        require_equal(f"{key} of a doubled cell", 2 * single[key], double[key], subject.equal)
    for key in ("forces", "non_conservative_forces"):
        if key in single:
            expected = single[key].repeat(2, 1)
            require_equal(f"{key} of a doubled cell", expected, double[key], subject.equal)


def check_edge_order(subject: Subject) -> None:
    """Edges of an atom may come in any order."""
    for probe in subject.probes().values():
        graph = probe.graph()
        require_same_output(
            subject.evaluate(graph), subject.evaluate(reorder_edges(graph)), subject.equal
        )


def check_permutation(subject: Subject) -> None:
    """Atoms may come in any order."""
    for probe in subject.probes().values():
        order = torch.randperm(len(probe.numbers), generator=torch.Generator().manual_seed(5))
        expected = subject.evaluate(probe.graph())
        found = subject.evaluate(probe.reordered(order).graph())
        for key, value in expected.items():
            per_atom = key not in ("energy", "virial", NC_VIRIAL)
            expected_value = value[order] if per_atom else value
            require_equal(key, expected_value, found[key], subject.equal)


def check_translation(subject: Subject) -> None:
    """Moving all atoms, or any of them by lattice vectors, changes nothing."""
    for probe in subject.probes().values():
        expected = subject.evaluate(probe.graph())
        found = subject.evaluate(probe.translated().graph())
        require_same_output(expected, found, subject.equal)


def check_rotation(subject: Subject) -> None:
    """Energy is a scalar, forces are vectors. Not part of the contract."""
    turn = torch.linalg.qr(
        torch.tensor([[0.3, -0.8, 0.5], [0.9, 0.2, 0.4], [-0.1, 0.6, 0.7]], dtype=torch.float64)
    )[0]
    turn = turn * torch.linalg.det(turn)  # (3, 3), a proper rotation
    for probe in subject.probes().values():
        expected = subject.evaluate(probe.graph())
        found = subject.evaluate(probe.rotated(turn).graph())
        require_equal("energy", expected["energy"], found["energy"], subject.equal)
        for key in ("forces", "non_conservative_forces"):
            if key in expected:
                require_equal(key, expected[key] @ turn, found[key], subject.equal)
        for key in expected.keys() & {"virial", NC_VIRIAL}:
            require_equal(key, turn.T @ expected[key] @ turn, found[key], subject.equal)
