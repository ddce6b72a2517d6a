"""What an engine is asked to run: the same for every engine."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import numpy as np

_POSITIVE = (
    "duration_ps",
    "inner_step_fs",
    "temperature_K",
    "time_constant_fs",
    "high_pass_friction",
    "memory_rate",
    "pressure_time_constant_fs",
    "row_every_fs",
)
ENSEMBLES = ("nve", "rescaled", "langevin", "svr", "gle", "high_pass", "nph", "npt", "berendsen")


@dataclass(frozen=True)
class Forces:
    """The forces that move the atoms: conservative, non-conservative, or both in r-RESPA.

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
        if not hasattr(self.inner_steps, "__index__"):
            raise TypeError(f"expected a whole number of inner steps, got {self.inner_steps!r}")
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

    def outer_steps(self, inner_steps: int) -> int:
        """Return the whole outer steps that are closest to so many inner steps, one at least."""
        return max(1, round(inner_steps / self.inner_steps))


CONSERVATIVE = Forces("conservative")
NON_CONSERVATIVE = Forces("non_conservative")


@dataclass(frozen=True)
class Simulation:
    """What to run: the forces, the length, the ensemble and what to keep.

    Parameters
    ----------
    forces : Forces
    duration_ps : float
    ensemble : str
        ``nve``; ``rescaled``, NVE with the velocities rescaled in every step so that the conservative
        energy stays what it was; ``langevin`` (white noise), ``svr`` (stochastic velocity rescaling)
        and ``gle`` (a high-pass generalised Langevin equation, see
        :func:`mlip_engines.simulations.thermostats.high_pass_matrix`); ``high_pass``, the same kind of bath in every
        inner step and on light atoms only, for averages with outer steps beyond the resonance; ``nph`` and ``npt``
        (isotropic); ``berendsen``, which scales velocities and cell towards their targets: it equilibrates, but samples
        no ensemble, and only LAMMPS has it.
    inner_step_fs : float
        The time step, and with r-RESPA that of the inner loop.
    temperature_K : float
        Of the initial velocities and of the bath.
    time_constant_fs : float
        Of the thermostat; of ``high_pass``, that of its friction without memory.
    high_pass_friction, memory_rate : float, 1/ps
        Of the bath of ``high_pass`` on atoms up to 4.5 g/mol. The defaults are for hydrogens of 3 to 4 g/mol; with
        natural hydrogens take 500 and 200.
    pressure_bar, pressure_time_constant_fs : float
        Of the barostat.
    non_conservative_stress : bool
        The barostat sees the stress of the head instead of the derivative of the energy.
    row_every_fs : float
        Between two rows of energies; rounded to whole outer steps.
    frame_every_fs : float
        Between two frames of positions and velocities; 0 keeps none.
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
    high_pass_friction: float = 200.0
    memory_rate: float = 100.0
    pressure_bar: float = 1.0
    pressure_time_constant_fs: float = 500.0
    non_conservative_stress: bool = False
    row_every_fs: float = 8.0
    frame_every_fs: float = 0.0
    chunks: int = 0
    seed: int = 1

    def __post_init__(self):
        if not isinstance(self.forces, Forces):
            raise TypeError(
                f"forces must be a Forces, such as Forces('conservative'), got {self.forces!r}"
            )
        if self.ensemble not in ENSEMBLES:
            raise ValueError(
                f"ensemble must be one of {', '.join(ENSEMBLES)}, got {self.ensemble!r}"
            )
        for name in _POSITIVE:
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("frame_every_fs", "chunks", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not math.isfinite(self.pressure_bar):
            raise ValueError(f"pressure_bar must be finite, got {self.pressure_bar}")
        if self.non_conservative_stress and self.ensemble not in ("nph", "npt"):
            raise ValueError(
                f"the stress of the head goes with a barostat, ensemble 'nph' or 'npt', got {self.ensemble!r}"
            )
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
