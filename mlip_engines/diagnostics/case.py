"""What is validated, and how thoroughly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.simulations.simulation import (
    CONSERVATIVE,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
)

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel


@dataclass(frozen=True)
class Settings:
    """How thoroughly; :func:`quick` and :func:`full` give the two usual answers."""

    quick: bool
    temperature_K: float = 300.0
    inner_step_fs: float = 0.5
    drift_limit_meV_per_atom_per_ps: float = 0.3
    fluctuation_limit_meV_per_atom: float = 0.1
    nve_ps: float = 10.0
    nvt_ps: float = 10.0
    npt_ps: float = 10.0
    equilibrate_ps: float = 2.0
    runs: int = 1  # independent trajectories of each kind, from different velocities
    strides: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16)
    conservative_steps: tuple[float, ...] = (1.5, 2.0, 2.5, 3.0)  # of C, times the inner step
    longer_strides: tuple[int, ...] = (2, 3, 4, 5, 6)  # over an inner step 1.5 times as long
    probes: int = 32  # random vectors of stochastic traces
    exact_atoms: int = 200  # up to which the Jacobian is exact
    linear_atoms: int = 60  # whose harmonic wells linear theory looks at
    configurations: int = 60  # frames of each run for the configurational temperature
    loops: int = 16
    loop_points: int = 96
    optimisations: int = 10
    optimisation_steps: int = 1000
    rotations: int = 20
    seed: int = 1


def quick(**changes: object) -> Settings:
    """Return settings for minutes."""
    values = {
        "quick": True,
        "nve_ps": 0.4,
        "nvt_ps": 0.4,
        "npt_ps": 0.2,
        "equilibrate_ps": 0.0,
        "strides": (2, 3, 4, 6, 8, 16),
        "conservative_steps": (
            1.5,
            2.0,
            3.0,
        ),  # 1.5: no r-RESPA may have a step that C is not given
        "longer_strides": (4,),
        "probes": 8,
        "exact_atoms": 24,
        "linear_atoms": 15,
        "configurations": 10,
        "loops": 3,
        "loop_points": 32,
        "optimisations": 2,
        "optimisation_steps": 200,
        "rotations": 6,
    }
    return Settings(**{**values, **changes})


def full(**changes: object) -> Settings:
    """Return settings for hours."""
    return Settings(quick=False, **changes)


def read_structure(path: str | Path, index: str = "-1") -> Atoms:
    """Read the structure to validate a model on.

    Parameters
    ----------
    path : str or Path
        Of any format of ASE.
    index : str
        Of the structure in the file, as ASE has it; the last one by default.

    Returns
    -------
    ase.Atoms
        Without calculator.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If ASE cannot read it, the index means several structures, or the structure is periodic in some directions only.
    """
    import ase.io

    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a structure, found no file {path}")
    try:
        atoms = ase.io.read(path, index=index)
    except Exception as e:  # every format of ASE has errors of its own
        raise ValueError(f"{path}: ASE cannot read a structure ({type(e).__name__}: {e})") from e
    if isinstance(atoms, list):
        raise ValueError(f"expected one structure, index {index} gives {len(atoms)}")
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(
            f"{path}: expected periodicity in all directions or in none, which both engines have, got "
            f"{atoms.pbc.tolist()}; give a periodic cell with vacuum instead"
        )
    atoms.calc = None
    return atoms


@dataclass
class Case:
    """A model, a structure, and how thoroughly."""

    model: LoadedModel
    atoms: Atoms
    settings: Settings

    @property
    def has_head(self) -> bool:
        """Whether the model predicts non-conservative forces."""
        return self.model.metadata.has_non_conservative_forces

    @property
    def kinds(self) -> tuple[str, ...]:
        """The forces that the model has: ``"C"``, and ``"NC"`` where there is a head for them."""
        return ("C", "NC") if self.has_head else ("C",)

    def force_choices(self, strides: tuple[int, ...]) -> list[Forces]:
        """Return C, NC and r-RESPA; C alone for a model without the head."""
        if not self.has_head:
            return [CONSERVATIVE]
        return [CONSERVATIVE, NON_CONSERVATIVE, *(Forces("respa", m) for m in strides)]

    def simulation(self, forces: Forces, duration_ps: float, **changes: object) -> Simulation:
        """Return a simulation with the settings of this case."""
        s = self.settings
        values = {
            "temperature_K": s.temperature_K,
            "inner_step_fs": s.inner_step_fs,
            "seed": s.seed,
            **changes,
        }
        return Simulation(forces, duration_ps, **values)
