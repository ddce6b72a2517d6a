"""What a diagnostic asks an engine to run, and what comes back: the same for every engine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

ENSEMBLES = ("nve", "rescaled", "langevin", "svr", "gle", "nph", "npt")


@dataclass(frozen=True)
class Forces:
    """Which forces move the atoms.

    Parameters
    ----------
    kind : {"conservative", "non_conservative", "respa"}
    inner_steps : int
        M of r-RESPA; 1 for the other two.
    """

    kind: str
    inner_steps: int = 1

    def __post_init__(self):
        kinds = ("conservative", "non_conservative", "respa")
        if self.kind not in kinds:
            raise ValueError(f"forces must be one of {', '.join(kinds)}, got {self.kind!r}")
        if self.inner_steps < 1 or (self.kind != "respa" and self.inner_steps != 1):
            raise ValueError(
                f"expected inner_steps >= 1, and 1 without r-RESPA; got {self.inner_steps} for {self.kind}"
            )

    @property
    def label(self) -> str:
        """What tables and figures call it."""
        names = {"conservative": "C", "non_conservative": "NC"}
        return names.get(self.kind, f"M = {self.inner_steps}")

    @property
    def file_name(self) -> str:
        """What its folders are called."""
        return {"conservative": "C", "non_conservative": "NC"}.get(
            self.kind, f"M{self.inner_steps}"
        )


CONSERVATIVE = Forces("conservative")
NON_CONSERVATIVE = Forces("non_conservative")


@dataclass(frozen=True)
class Simulation:
    """One trajectory.

    Parameters
    ----------
    forces : Forces
    duration_ps : float
    ensemble : str
        ``nve``; ``rescaled``, NVE with the velocities rescaled in every step so that the conservative
        energy stays what it was; ``langevin`` (white noise), ``svr`` (stochastic velocity rescaling)
        and ``gle`` (a high-pass generalised Langevin equation, see
        :func:`mlip_engines.simulations.thermostats.high_pass_matrix`); ``nph`` and ``npt`` (isotropic).
    inner_step_fs : float
        The time step, and with r-RESPA that of the inner loop.
    temperature_K : float
        Of the initial velocities and of the bath.
    time_constant_fs : float
        Of the thermostat.
    pressure_bar, pressure_time_constant_fs : float
        Of the barostat.
    non_conservative_stress : bool
        The barostat sees the stress of the head instead of the derivative of the energy.
    row_every_fs : float
        Between two rows of energies; rounded to whole outer steps.
    frame_every_fs : float
        Between two frames of positions and velocities; 0 keeps none but the last.
    chunks : int
        Pieces after which a run that was stopped can go on; 0 is one per picosecond.
    seed : int
        Of velocities and noise. 0 keeps the velocities of the structure.
    """

    forces: Forces
    duration_ps: float
    ensemble: str = "nve"
    inner_step_fs: float = 0.5
    temperature_K: float = 300.0
    time_constant_fs: float = 100.0
    pressure_bar: float = 1.0
    pressure_time_constant_fs: float = 500.0
    non_conservative_stress: bool = False
    row_every_fs: float = 8.0
    frame_every_fs: float = 0.0
    chunks: int = 0
    seed: int = 1

    def __post_init__(self):
        if self.ensemble not in ENSEMBLES:
            raise ValueError(
                f"ensemble must be one of {', '.join(ENSEMBLES)}, got {self.ensemble!r}"
            )
        for name in ("duration_ps", "inner_step_fs", "temperature_K", "row_every_fs"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.non_conservative_stress and self.forces.kind != "non_conservative":
            raise ValueError("the stress of the head goes with non-conservative forces only")

    @property
    def outer_step_fs(self) -> float:
        """Time step of the engine, fs."""
        return self.inner_step_fs * self.forces.inner_steps

    @property
    def row_every(self) -> int:
        """Outer steps between two rows."""
        return max(1, round(self.row_every_fs / self.outer_step_fs))

    @property
    def frame_every(self) -> int:
        """Outer steps between two frames; 0 for none."""
        if self.frame_every_fs == 0.0:
            return 0
        return max(1, round(self.frame_every_fs / self.outer_step_fs))

    @property
    def n_steps(self) -> int:
        """Outer steps in all, a whole number of rows, frames and chunks."""
        unit = np.lcm(self.row_every, self.frame_every or 1) * self.n_chunks
        wanted = 1000.0 * self.duration_ps / self.outer_step_fs
        return int(unit * max(1, round(wanted / unit)))

    @property
    def n_chunks(self) -> int:
        """Pieces after which a run that is stopped can go on."""
        return self.chunks or max(1, int(np.ceil(self.duration_ps - 1e-9)))

    @property
    def name(self) -> str:
        """Unique name: ensemble, forces, and a hash of everything."""
        content = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return f"{self.ensemble}-{self.forces.file_name}-{self.seed}-{digest}"

    def cost(self, conservative_ms: float, non_conservative_ms: float) -> float:
        """Seconds that it should take: M - 1 head-only and one full evaluation per outer step.

        Rows of a non-conservative run need the energy, and cost a full evaluation each.
        """
        m = self.forces.inner_steps
        per_step = conservative_ms + (m - 1) * non_conservative_ms
        if self.forces.kind == "non_conservative":
            energies = 1.0 if self.ensemble == "rescaled" else 1.0 / self.row_every
            per_step = non_conservative_ms + conservative_ms * energies
        return self.n_steps * per_step / 1000.0


@dataclass
class Trajectory:
    """What an engine measured; rows are in time order and include the start.

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
