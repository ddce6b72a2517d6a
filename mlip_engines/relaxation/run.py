"""Relax structures: each joins a batch, moves with an optimiser state of its own, and leaves when it is done."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import NDArray

from mlip_engines.model.load import LoadedModel
from mlip_engines.quantities import stress_from_virial, stress_to_ase_voigt
from mlip_engines.relaxation.batch import Batch, Evaluation
from mlip_engines.relaxation.bfgs import LARGEST_SYSTEM, Bfgs
from mlip_engines.relaxation.deformation import deformation, force_on_log
from mlip_engines.relaxation.evaluation import evaluate_each
from mlip_engines.relaxation.fire import Fire
from mlip_engines.relaxation.lbfgs import Lbfgs
from mlip_engines.relaxation.member import Member
from mlip_engines.relaxation.optimiser import Optimiser
from mlip_engines.relaxation.relaxed import (
    EXPLODED,
    NOT_CONVERGED,
    REFUSED,
    UNKNOWN_ELEMENT,
    Relaxed,
)
from mlip_engines.relaxation.rows import Rows
from mlip_engines.relaxation.settings import Settings
from mlip_engines.relaxation.under_way import UnderWay

Array = NDArray[np.float64]

_OPTIMISERS: dict[str, type[Optimiser]] = {"lbfgs": Lbfgs, "bfgs": Bfgs, "fire": Fire}
LARGEST_FORCE = 1e5  # eV/Å; no minimum is to be found from there
LARGEST_STRAIN = np.log(2.0)  # of a cell that has not exploded or collapsed, as a logarithm


def relax(
    model: LoadedModel,
    structures: Iterable[Atoms],
    *,
    progress: Callable[[Relaxed], None] | None = None,
    **settings: Any,
) -> list[Relaxed]:
    """Relax structures together and return all of them, in the order that they were given.

    Parameters
    ----------
    model : LoadedModel
    structures : iterable of ase.Atoms
        They are not changed. ``FixAtoms`` is respected; other constraints are refused.
    progress : callable, optional
        Called with each structure that is done.
    **settings
        As :class:`mlip_engines.relaxation.settings.Settings`: ``optimiser``, ``fmax``, ``steps``, ``cell``, ...

    Returns
    -------
    list of Relaxed
        A structure that fails is among them, with the reason.

    Raises
    ------
    ValueError
        If a setting cannot be right or the model lacks what it needs.
    """
    done = []
    for relaxed in relax_each(model, enumerate(structures), Settings(**settings)):
        done.append(relaxed)
        if progress is not None:
            progress(relaxed)
    return sorted(done, key=lambda relaxed: relaxed.index)


def relax_each(
    model: LoadedModel,
    structures: Iterable[tuple[int, Atoms]],
    settings: Settings,
    *,
    under_way: UnderWay | None = None,
    save: Callable[[Callable[[], UnderWay]], None] | None = None,
) -> Iterator[Relaxed]:
    """Relax numbered structures together and yield each when it is done.

    Parameters
    ----------
    model : LoadedModel
    structures : iterable of (int, ase.Atoms)
        Taken one by one as there is room for them. Those of ``under_way`` come first; what is missing of them is
        left out.
    settings : Settings
    under_way : UnderWay, optional
        Where an earlier call was, with the same model and settings.
    save : callable, optional
        Called before each step with a function that returns what has to be kept to go on from there.

    Raises
    ------
    ValueError
        If the model lacks the forces that are wanted.
    """
    settings.check(model)
    crowd = _Crowd(model, settings)
    waiting, is_empty = iter(structures), False
    held: Member | None = None  # the next, for which there is no room yet
    if under_way is not None:
        place = {int(index): k for k, index in enumerate(under_way.index)}
        taken: list[tuple[int, Atoms]] = []
        for each in waiting:
            if each[0] not in place:
                waiting = itertools.chain([each], waiting)
                break
            taken.append(each)
        resumed = []
        for index, atoms in sorted(taken, key=lambda each: place[each[0]]):
            found = _member(index, atoms, model, settings)
            if isinstance(found, Relaxed):
                yield found
            else:
                resumed.append(found)
        crowd.resume(resumed, under_way)
    while True:
        joining: list[Member] = []
        n_edges = crowd.batch.n_edges
        while not is_empty:
            if held is None:
                index, atoms = next(waiting, (None, None))
                if index is None:
                    is_empty = True
                    break
                found = _member(index, atoms, model, settings)
                if isinstance(found, Relaxed):
                    yield found
                    continue
                held = found
            if n_edges + held.n_edges > settings.max_edges and (crowd.batch.members or joining):
                break
            n_edges += held.n_edges
            joining.append(held)
            held = None
        crowd.admit(joining)
        if not crowd.batch.members:
            return
        if save is not None:
            save(crowd.under_way)
        yield from crowd.advance()


def _member(index: int, atoms: Atoms, model: LoadedModel, settings: Settings) -> Member | Relaxed:
    """Return a structure that can be relaxed, or why it cannot."""
    try:
        model.check_elements(set(atoms.get_chemical_symbols()))
    except ValueError as e:
        return Relaxed(index, atoms.copy(), UNKNOWN_ELEMENT, str(e))
    if settings.optimiser == "bfgs" and len(atoms) > LARGEST_SYSTEM:
        reason = (
            f"{len(atoms)} atoms are too many for bfgs, which diagonalises a matrix of three times this size at each "
            f"step; expected at most {LARGEST_SYSTEM}, use lbfgs"
        )
        return Relaxed(index, atoms.copy(), REFUSED, reason)
    reach = model.metadata.cutoff + settings.skin
    try:
        return Member(index, atoms, model, reach, with_cell=settings.cell)
    except ValueError as e:
        return Relaxed(index, atoms.copy(), REFUSED, str(e))


class _Crowd:
    """The members of a batch with their coordinates, joined, and the optimiser.

    Coordinates are rows (R, 3): the atoms of a structure before its cell was deformed, in Å, and for a cell N L, the
    logarithm L of the deformation times the number of atoms.
    """

    def __init__(self, model: LoadedModel, settings: Settings):
        self.settings = settings
        self.is_direct = settings.forces == "non_conservative"
        self.batch = Batch(model, settings.forces, with_virials=settings.cell)
        self.optimiser: Optimiser = _OPTIMISERS[settings.optimiser](settings.max_step)
        self.coordinates = np.zeros((0, 3))
        self._arrange([])

    def admit(self, members: list[Member]) -> None:
        """Let members join, after those that are there."""
        if not members:
            return
        begin = [
            np.concatenate([member.positions, np.zeros((3 * member.deforms, 3))])
            for member in members
        ]
        self.coordinates = np.concatenate([self.coordinates, *begin])
        self.optimiser.add(Rows(np.array([member.n_rows for member in members])))
        self._arrange([*self.batch.members, *members])
        if self.is_direct:
            for member in members:
                member.energy_before = self._energy(member.atoms)

    def resume(self, members: list[Member], before: UnderWay) -> None:
        """Go on with members where they were; nobody may be there yet."""
        stays = np.isin(before.index, [member.index for member in members])
        for member, steps, energy in zip(
            members, before.steps[stays], before.energy_before[stays], strict=True
        ):
            member.steps, member.energy_before = int(steps), float(energy)
        rows = np.repeat(stays, before.counts)
        self.coordinates = before.coordinates[rows]
        self.optimiser.restore(before.optimiser)
        self.optimiser.keep(rows, stays)
        self._arrange(members)

    def under_way(self) -> UnderWay:
        """Return where the members are."""
        members = self.batch.members
        return UnderWay(
            index=np.array([member.index for member in members], dtype=np.int64),
            steps=np.array([member.steps for member in members], dtype=np.int64),
            energy_before=np.array([member.energy_before for member in members]),
            counts=self.rows.counts,
            coordinates=self.coordinates,
            optimiser=self.optimiser.state(),
        )

    def _energy(self, atoms: Atoms) -> float:
        """Return the energy of a structure, which non-conservative forces do without; NaN if it is not finite."""
        try:
            (found,) = evaluate_each(self.batch.model, [atoms])
        except ValueError:
            return float("nan")
        return found.energy

    def advance(self) -> Iterator[Relaxed]:
        """Evaluate all members, yield those that are done, and move the others by a step."""
        members, (positions, cells, log) = self.batch.members, self._structures()
        lost = self.batch.renew(positions, cells)
        for k in self._torn(log):
            lost.setdefault(k, "the cell has more than doubled or less than half of its length")
        if lost:
            yield from self._give_up(lost)
            return  # the others come again, with the same coordinates
        found = self.batch.evaluate(positions, cells)
        forces = self._forces(found, log)
        largest = np.sqrt(self.rows.largest(np.einsum("ij,ij->i", forces, forces)))
        stays = np.ones(len(members), dtype=bool)
        atoms_of = np.split(positions, self.batch.atoms.starts[1:])
        forces_of = np.split(found.forces, self.batch.atoms.starts[1:])
        for k, member in enumerate(members):
            energy, size = float(found.energies[k]), float(largest[k])
            if member.steps == 0 and not self.is_direct:
                member.energy_before = energy
            is_sound = (self.is_direct or np.isfinite(energy)) and size < LARGEST_FORCE
            is_done = is_sound and size < self.settings.fmax
            if is_sound and not (is_done or self.settings.keep_path or self._is_last(member)):
                continue
            virial = found.virials[k] if member.deforms else None
            if self.is_direct:
                energy = self._energy(moved(member.atoms, atoms_of[k], cells[k]))
            now = snapshot(member.atoms, atoms_of[k], cells[k], energy, forces_of[k], virial)
            if self.settings.keep_path:
                member.path.append(now)
            if is_done or not is_sound or self._is_last(member):
                stays[k] = False
                failure, reason = self._failure(is_sound, is_done, size)
                yield Relaxed(
                    member.index,
                    now,
                    failure,
                    reason,
                    member.steps,
                    size,
                    member.energy_before,
                    energy,
                    member.path,
                )
        if not stays.all():
            rows = np.repeat(stays, self.rows.counts)
            forces = forces[rows]
            self._keep(stays)
        if self.batch.members:
            self.coordinates = self.coordinates + self.optimiser.step(
                self.coordinates, forces, self.rows
            )
            for member in self.batch.members:
                member.steps += 1

    def _is_last(self, member: Member) -> bool:
        return member.steps >= self.settings.steps

    def _failure(self, is_sound: bool, is_done: bool, size: float) -> tuple[str | None, str]:
        if is_done:
            return None, ""
        if not is_sound:
            return EXPLODED, f"energy or forces are not finite or too large ({size:.3g} eV/Å)"
        return (
            NOT_CONVERGED,
            f"the largest force is {size:.3g} eV/Å after {self.settings.steps} steps",
        )

    def _give_up(self, lost: dict[int, str]) -> Iterator[Relaxed]:
        """Let members leave that cannot be evaluated any more; they are returned as they were given."""
        for k, reason in lost.items():
            member = self.batch.members[k]
            yield Relaxed(
                member.index,
                member.atoms.copy(),
                EXPLODED,
                reason,
                member.steps,
                energy_before=member.energy_before,
                path=member.path,
            )
        self._keep(np.array([k not in lost for k in range(len(self.batch.members))]))

    def _keep(self, stays: NDArray[np.bool_]) -> None:
        rows = np.repeat(stays, self.rows.counts)
        self.coordinates = self.coordinates[rows]
        self.optimiser.keep(rows, stays)
        self._arrange([m for m, stay in zip(self.batch.members, stays, strict=True) if stay])

    def _arrange(self, members: list[Member]) -> None:
        """Find anew which rows are atoms and which are cells."""
        self.batch.change(members)
        self.rows = Rows(np.array([member.n_rows for member in members], dtype=np.int64))
        is_atom = [np.arange(member.n_rows) < len(member.atoms) for member in members]
        self.is_atom = np.concatenate(is_atom) if is_atom else np.zeros(0, dtype=bool)
        self.deforms = np.array([member.deforms for member in members], dtype=bool)
        self.sizes = np.array([len(member.atoms) for member in members], dtype=np.float64)
        self.first_cells = np.array([member.first_cell for member in members]).reshape(-1, 3, 3)
        moves = [member.moves for member in members]
        self.moves = np.concatenate(moves) if moves else np.zeros((0, 1))

    def _structures(self) -> tuple[Array, Array, Array]:
        """Return positions (N, 3), cells (S, 3, 3) and logarithms of deformations (S, 3, 3)."""
        positions = self.coordinates[self.is_atom]
        log = np.zeros_like(self.first_cells)
        if not self.deforms.any():
            return positions, self.first_cells, log
        own = self.coordinates[~self.is_atom].reshape(-1, 3, 3)
        log[self.deforms] = own / self.sizes[self.deforms, None, None]
        change = deformation(log)
        change[~self.deforms] = np.eye(3)
        by_atom = np.repeat(change, self.batch.atoms.counts, axis=0)
        return np.einsum("ij,ijk->ik", positions, by_atom), self.first_cells @ change, log

    def _torn(self, log: Array) -> list[int]:
        """Return the members whose cell is stretched or compressed beyond reason."""
        if not self.deforms.any():
            return []
        largest = np.abs(np.linalg.eigvalsh(log)).max(axis=1)
        return [int(k) for k in np.flatnonzero(~(largest < LARGEST_STRAIN))]

    def _forces(self, found: Evaluation, log: Array) -> Array:
        """Return the forces (R, 3) on the coordinates."""
        on_atoms = found.forces * self.moves
        if not self.deforms.any():
            return on_atoms
        by_atom = np.repeat(deformation(log), self.batch.atoms.counts, axis=0)
        forces = np.zeros_like(self.coordinates)
        forces[self.is_atom] = np.einsum("ij,ijk->ik", on_atoms, by_atom)
        on_log = force_on_log(log[self.deforms], found.virials[self.deforms])
        forces[~self.is_atom] = (on_log / self.sizes[self.deforms, None, None]).reshape(-1, 3)
        return forces


def moved(atoms: Atoms, positions: Array, cell: Array) -> Atoms:
    """Return a structure elsewhere."""
    now = atoms.copy()
    now.set_cell(cell)
    now.set_positions(positions, apply_constraint=False)
    return now


def snapshot(
    atoms: Atoms, positions: Array, cell: Array, energy: float, forces: Array, virial: Array | None
) -> Atoms:
    """Return a structure elsewhere, with its energy and forces and, with a virial, its stress."""
    now = moved(atoms, positions, cell)
    results: dict[str, Any] = {"energy": energy, "forces": forces.copy()}
    if virial is not None:
        results["stress"] = stress_to_ase_voigt(stress_from_virial(virial, now.get_volume()))
    now.calc = SinglePointCalculator(now, **results)
    return now
