"""Forces that grow in proportion to small displacements, at the symmetric sites of crystals and near them.

A network that takes the length of a vector feature, or divides by it, has an energy with the tip of a cone where the
feature vanishes, that is at every site of high symmetry. There a crystal has no phonons, and the perfect lattice is no
minimum. Both checks have two limits. Where the change within :data:`SHORT` is beyond :data:`TOLERANCE`, the model
fails: no bond is so stiff, whatever its cutoff function. Where it is beyond only for larger displacements, something
in the model is steep, such as a cutoff function that falls within a few tenths of an Å; this is reported as a doubt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlip_engines.conformance.crystals import crystals
from mlip_engines.conformance.probes import Probe
from mlip_engines.conformance.subject import ION, Subject
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.graph import batch_graphs

DISPLACEMENTS = (1e-4, 1e-3, 5e-3, 0.01, 0.02)  # Å
RATTLES = (1e-3, 1e-2)  # Å, root mean square over all coordinates
SHORT = 5e-3  # Å
TOLERANCE = 0.02  # relative: one force constant
_ANHARMONIC = 0.1  # relative: what a term of order u^2 may add to it at the largest displacement
_FACTOR = 2.0  # in proportion: within this factor
_ROUNDINGS = 4  # evaluations of one structure, with edges that are rounded differently
_MOST_ROUNDING = 0.25  # relative: what rounding can excuse
_SMALL = 1e-6  # eV/Å: forces that count as zero
_WEAK = 1e-3  # eV/Å^2: force constants below it are compared as if they were as large
_KINDS = {"forces": "conservative", "non_conservative_forces": "non-conservative"}
_ADVICE = (
    "a network whose energy is a cone at symmetric sites takes the length |v| or the direction v / |v| of a vector "
    "feature; sqrt(|v|^2 + w^2) with w of the size of v is smooth"
)


def check_force_constants(subject: Subject) -> str | None:
    """One displaced atom has one force constant from 1e-4 to 0.02 Å, apart from an anharmonic term of order u^2.

    Returns
    -------
    str or None
        A doubt: force constants that change, but not within :data:`SHORT`.
    """
    failures, doubts = [], []
    direction = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    direction = direction / direction.norm()  # no axis of a lattice
    for name, crystal in crystals(subject.cutoff, subject.numbers).items():
        move = torch.zeros_like(crystal.positions)
        move[0] = direction
        moves = [sign * u * move for u in DISPLACEMENTS for sign in (1.0, -1.0)]
        for kind, (forces, rounding) in _forces(subject, crystal, moves).items():
            slopes = _slopes(forces, DISPLACEMENTS)  # columns of the Hessian
            size = min(float(slope.norm()) for slope in slopes)
            allowed = [_allowed(size, rounding, u) for u in DISPLACEMENTS]
            text = f"{name}, {kind}: " + ", ".join(f"{float((s * move).sum()):.4g}" for s in slopes)
            n_short = sum(u <= SHORT for u in DISPLACEMENTS)
            harmonic, bend = _without_anharmonic(slopes)
            if not _is_one(slopes[:n_short], allowed):
                failures.append(text)
            elif (
                not _is_one(harmonic, allowed)
                or bend > _ANHARMONIC * max(size, _WEAK) + allowed[-1]
            ):
                doubts.append(text)
    steps = ", ".join(f"{u:g}" for u in DISPLACEMENTS)
    return _verdict(
        f"expected one force constant of a displaced atom, to {100 * TOLERANCE:g} %; got -F/u in eV/Å^2 for u = "
        f"{steps} Å",
        failures,
        doubts,
    )


def check_hessian(subject: Subject) -> str | None:
    """Force constants change in proportion to small displacements of all atoms.

    Returns
    -------
    str or None
        A doubt: changes that are not in proportion, but small.
    """
    failures, doubts = [], []
    step = subject.precision.hessian_step
    for name, crystal in crystals(subject.cutoff, subject.numbers).items():
        generator = torch.Generator().manual_seed(3)
        shape = (2, *crystal.positions.shape)
        rattle, move = torch.randn(shape, generator=generator, dtype=torch.float64)
        move = move / move.norm()
        moves = [a * rattle + sign * step * move for a in (0.0, *RATTLES) for sign in (1.0, -1.0)]
        for kind, (forces, rounding) in _forces(subject, crystal, moves).items():
            # The Hessian times a displacement, at rest and at two rattles.
            at_rest, slightly, more = _slopes(forces, 3 * [step])
            small, large = float((slightly - at_rest).norm()), float((more - at_rest).norm())
            size = min(float(slope.norm()) for slope in (at_rest, slightly, more))
            in_proportion = _FACTOR * RATTLES[0] / RATTLES[1] * large
            if small <= in_proportion + _allowed(size, rounding, step, 0.1 * TOLERANCE):
                continue
            allowed = _allowed(size, rounding, step)
            changes = (
                " and ".join(f"{100 * c / max(size, _WEAK):.3g}" for c in (small, large)) + " %"
            )
            (doubts if small <= allowed else failures).append(f"{name}, {kind}: {changes}")
    rattles = " and ".join(f"{a:g}" for a in RATTLES)
    return _verdict(
        "expected force constants that change in proportion to the displacements of all atoms; got changes, for "
        f"displacements of {rattles} Å, of",
        failures,
        doubts,
    )


def _forces(
    subject: Subject, crystal: Probe, moves: Sequence[Tensor]
) -> dict[str, tuple[list[Tensor], float]]:
    """Return the forces (N, 3) after each of some displacements (N, 3), and how far they are rounded, by kind.

    The edges are those of the crystal. Rounding is found by changing them as the dtype of the network does.
    """
    graph = crystal.graph()
    if subject.structure_inputs:
        given = {name: torch.tensor(ION[name]) for name in subject.structure_inputs}
        graph = graph._replace(**given)
    centre, neighbor = graph.edge_index
    edges = [graph.edge_vectors + move[neighbor] - move[centre] for move in moves]
    generator = torch.Generator().manual_seed(9)
    digit = torch.finfo(subject.dtype).eps
    for _ in range(_ROUNDINGS):
        error = torch.rand(edges[0].shape, generator=generator, dtype=torch.float64) - 0.5
        edges.append(edges[0] * (1.0 + 2.0 * digit * error))
    batch, structure = batch_graphs([graph._replace(edge_vectors=e) for e in edges])
    output = subject.evaluate(batch)
    found = {}
    for key, kind in _KINDS.items():
        if key in output:
            forces = [output[key][structure == k] for k in range(len(edges))]
            rounded = forces[len(moves) :]
            rounding = max(float((force - forces[0]).norm()) for force in rounded)
            found[kind] = forces[: len(moves)], max(rounding, 10.0 * digit)  # forces of some eV/Å
    return found


def _slopes(forces: Sequence[Tensor], steps: Sequence[float]) -> list[Tensor]:
    """Return -dF/du (N, 3), eV/Å^2, from forces after steps forth and back."""
    return [
        -(forth - back) / (2.0 * u)
        for u, forth, back in zip(steps, forces[::2], forces[1::2], strict=True)
    ]


def _allowed(size: float, rounding: float, step: float, tolerance: float = TOLERANCE) -> float:
    """Return how far force constants may differ, eV/Å^2, after rounding; a cone is not excused by it."""
    size = max(size, _WEAK)
    return tolerance * size + min(2.0 * rounding / step, _MOST_ROUNDING * size + _SMALL / step)


def _is_one(slopes: Sequence[Tensor], allowed: Sequence[float]) -> bool:
    """Return whether force constants are those of the last, the largest step."""
    return all(
        float((slope - slopes[-1]).norm()) <= limit
        for slope, limit in zip(slopes, allowed, strict=False)
    )


def _without_anharmonic(slopes: Sequence[Tensor]) -> tuple[list[Tensor], float]:
    """Take from the force constants the term of order u^2, and return its norm at the largest displacement too."""
    squares = torch.tensor(DISPLACEMENTS, dtype=torch.float64) ** 2
    powers = torch.stack([torch.ones_like(squares), squares / squares[-1]], dim=1)
    values = torch.stack(list(slopes)).flatten(1)  # (steps, 3 N)
    bend = torch.linalg.lstsq(powers, values).solution[1].reshape(slopes[0].shape)
    rest = [s - bend * float(p) for s, p in zip(slopes, powers[:, 1], strict=True)]
    return rest, float(bend.norm())


def _verdict(expected: str, failures: Sequence[str], doubts: Sequence[str]) -> str | None:
    """Raise for failures, with all that was found; return doubts."""
    if not failures and not doubts:
        return None
    text = "\n".join([expected, *failures, *doubts])
    if failures:
        raise ModelContractError(f"{text}\n{_ADVICE}")
    return text
