"""What comes back from an engine: the same for every engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms


@dataclass
class Trajectory:
    """What an engine returns; rows are in time order and include the start.

    ===================  ============  =======  ====================================================
    field                shape         unit     meaning
    ===================  ============  =======  ====================================================
    ``time_ps``          (R,)          ps
    ``potential_eV``     (R,)          eV       conservative, whatever forces move the atoms
    ``kinetic_eV``       (R, S)        eV       by element, in the order of the sorted symbols
    ``conserved_eV``     (R,)          eV       total energy less what baths and pistons gave
    ``pressure_bar``     (R,)          bar      NaN where the engine has none
    ``cell``             (R, 3, 3)     Å        rows are lattice vectors; zero without periodicity
    ``frame_time_ps``    (F,)          ps
    ``positions``        (F, N, 3)     Å        not wrapped
    ``velocities``       (F, N, 3)     Å/ps
    ``frame_cell``       (F, 3, 3)     Å
    ``evaluations``      (K, 2)                 in each chunk: of the head only, and full ones
    ``seconds``          (K,)          s        that the steps of each chunk took; NaN if unknown
    ``n_steps``          (K,)                   outer steps of each chunk
    ``stopped``          str                    why it ended early; empty if it did not
    ===================  ============  =======  ====================================================
    """

    time_ps: np.ndarray
    potential_eV: np.ndarray
    kinetic_eV: np.ndarray
    conserved_eV: np.ndarray
    pressure_bar: np.ndarray
    cell: np.ndarray
    frame_time_ps: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    frame_cell: np.ndarray
    evaluations: np.ndarray
    seconds: np.ndarray
    n_steps: np.ndarray
    stopped: str = field(default="")

    def structures(self, atoms: Atoms, chosen: Iterable[int] | None = None) -> list[Atoms]:
        """Return the frames as structures of ASE, with their velocities and their cells.

        Parameters
        ----------
        atoms : ase.Atoms
            What was simulated: elements, masses and periodicity.
        chosen : iterable of int, optional
            Indices of frames; all of them if none are given.

        Returns
        -------
        list of ase.Atoms
            In the orientation of the engine, which may differ from that of ``atoms``.
        """
        from ase import units

        frames = []
        for k in range(len(self.positions)) if chosen is None else chosen:
            frame = atoms.copy()
            frame.set_cell(self.frame_cell[k] if atoms.pbc.any() else atoms.cell)
            frame.set_positions(self.positions[k])
            frame.set_velocities(self.velocities[k] / (1000.0 * units.fs))
            frames.append(frame)
        return frames

    def save(self, path: Path) -> None:
        """Write to an npz file; it is there whole or not at all."""
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Trajectory:
        """Read an npz file."""
        with np.load(path) as data:
            values = {f.name: data[f.name] for f in fields(cls)}
        values["stopped"] = str(values["stopped"])
        return cls(**values)

    @classmethod
    def join(cls, parts: list[Trajectory]) -> Trajectory:
        """Put the chunks of one run together.

        Each chunk begins with the state at which the one before ended. That row and frame are
        dropped, after the conserved energy has been shifted to agree there: some thermostats
        count what they gave anew in each process.

        Raises
        ------
        ValueError
            If there is no chunk.
        """
        if not parts:
            raise ValueError("expected at least one chunk, got none")
        conserved = [parts[0].conserved_eV]
        for part in parts[1:]:
            conserved.append((part.conserved_eV + (conserved[-1][-1] - part.conserved_eV[0]))[1:])
        joined = {}
        for name in ("evaluations", "seconds", "n_steps"):
            joined[name] = np.concatenate([getattr(part, name) for part in parts])
        for name in ("time_ps", "potential_eV", "kinetic_eV", "pressure_bar", "cell"):
            first, *others = (getattr(part, name) for part in parts)
            joined[name] = np.concatenate([first, *(values[1:] for values in others)])
        for name in ("frame_time_ps", "positions", "velocities", "frame_cell"):
            chunks = [getattr(part, name) for part in parts]
            repeated = [0] + [
                int(len(b.frame_time_ps) > 0 and len(a.frame_time_ps) > 0)
                for a, b in zip(parts[:-1], parts[1:], strict=True)
            ]
            joined[name] = np.concatenate(
                [c[skip:] for c, skip in zip(chunks, repeated, strict=True)]
            )
        return cls(
            **joined,
            conserved_eV=np.concatenate(conserved),
            stopped=parts[-1].stopped,
        )
