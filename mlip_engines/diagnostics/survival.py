"""How many of many trajectories stay physical: from many structures, in LAMMPS, several at a time, resumable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from mlip_engines.calculator import MlipCalculator
from mlip_engines.properties.failure import first_failure
from mlip_engines.properties.force_angles import force_angles
from mlip_engines.properties.force_parts import forces_of_parts
from mlip_engines.properties.lindemann import pair_distances
from mlip_engines.properties.partial_distribution import partial_distributions
from mlip_engines.simulations.engine import Engine
from mlip_engines.simulations.simulation import CONSERVATIVE, Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel

ENSEMBLES = {"nvt": "langevin", "npt": "berendsen"}  # those of the paper
FRAME_EVERY = 10  # steps; an overlap that is over in fewer is not seen
RADIUS, BINS = 6.0, 120  # Å, of pair distribution functions
DISTRIBUTION_FRAMES = 20  # of each trajectory


@dataclass(frozen=True)
class Survey:
    """What is run from each structure.

    Raises
    ------
    ValueError
        If a number is not positive, or there is no such ensemble.
    """

    ensembles: tuple[str, ...] = ("nvt",)
    n: int = 100  # structures, chosen at random; all if there are fewer
    steps: int = 5000  # inner steps
    step_fs: float = 1.0
    temperature_K: float = 300.0
    thermostat_fs: float = 100.0
    barostat_fs: float = 1000.0
    pressure_bar: float = 1.0
    inner_steps: int = 1  # above 1: r-RESPA
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        unknown = [name for name in self.ensembles if name not in ENSEMBLES]
        if unknown or not self.ensembles:
            raise ValueError(f"expected ensembles among {list(ENSEMBLES)}, got {self.ensembles}")
        for name in ("n", "steps", "step_fs", "temperature_K", "thermostat_fs", "barostat_fs"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.inner_steps < 1:
            raise ValueError(f"inner_steps must be positive, got {self.inner_steps}")

    def simulation(self, ensemble: str, index: int, *, orthogonal: bool = True) -> Simulation:
        """Return the simulation from the structure of an index.

        LAMMPS has the barostat of Berendsen for orthogonal cells only; others have that of Nosé and Hoover, isotropic
        as well and with the same time constants.
        """
        name = ENSEMBLES[ensemble] if orthogonal or ensemble == "nvt" else "npt"
        forces = CONSERVATIVE if self.inner_steps == 1 else Forces("respa", self.inner_steps)
        every = FRAME_EVERY * self.step_fs
        return Simulation(
            forces,
            self.steps * self.step_fs / 1000.0,
            ensemble=name,
            inner_step_fs=self.step_fs,
            temperature_K=self.temperature_K,
            time_constant_fs=self.thermostat_fs,
            pressure_bar=self.pressure_bar,
            pressure_time_constant_fs=self.barostat_fs,
            row_every_fs=every,
            frame_every_fs=every,
            chunks=1,
            seed=self.seed + index,
        )

    def chosen(self, structures: Sequence[Atoms]) -> list[int]:
        """Return the indices of the structures to start from, in order."""
        if self.n >= len(structures):
            return list(range(len(structures)))
        rng = np.random.default_rng(self.seed)
        return sorted(rng.choice(len(structures), self.n, replace=False).tolist())


def survey(
    model: LoadedModel,
    engine: Engine,
    structures: Sequence[Atoms],
    settings: Survey,
    folder: Path,
    *,
    workers: int = 1,
    beside: LoadedModel | None = None,
) -> dict[str, Any]:
    """Run what is missing in a folder and return all verdicts.

    Parameters
    ----------
    model : LoadedModel
    engine : Engine
        Of the same model file.
    structures : sequence of ase.Atoms
        To choose starts from; all of them are the reference of the pair distribution functions.
    settings : Survey
    folder : Path
        A verdict is written for each trajectory as soon as it ends; frames are not kept.
    workers : int
        Trajectories at a time, each in a process of its own.
    beside : LoadedModel, optional
        A model whose forces on the starts are compared in direction, such as an empirical potential.

    Returns
    -------
    dict
        ``settings``, ``trajectories`` (a list of verdicts), ``distributions``, ``angles_degrees`` if ``beside``, and
        ``angles_of_parts_degrees`` if the model is the sum of a network and an empirical potential.

    Raises
    ------
    ValueError
        If a structure cannot be simulated, with its index, or the folder is of another survey.
    EngineError
        If the engine fails for a reason that is not the model's.
    """
    if workers < 1:
        raise ValueError(f"expected at least one worker, got {workers}")
    starts = settings.chosen(structures)
    _check(model, structures, starts, settings)
    folder.mkdir(parents=True, exist_ok=True)
    _same_survey(folder / "survey.json", {**asdict(settings), "checksum": model.metadata.checksum})
    missing = [
        (ensemble, k)
        for ensemble in settings.ensembles
        for k in starts
        if not _path(folder, ensemble, k).exists()
    ]

    def run(ensemble: str, k: int) -> None:
        place = folder / f"{ensemble}-{k}"
        simulation = settings.simulation(ensemble, k, orthogonal=is_orthogonal(structures[k]))
        trajectory = engine.run(simulation, structures[k].copy(), place)
        verdict = {"ensemble": ensemble, "structure": k, "baths": simulation.ensemble}
        verdict |= judged(structures[k], trajectory)
        draft = _path(folder, ensemble, k).with_suffix(".draft")
        draft.write_text(json.dumps(verdict))
        draft.replace(_path(folder, ensemble, k))
        shutil.rmtree(place, ignore_errors=True)

    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(missing), unit="run") as bar:
        futures = [pool.submit(run, *each) for each in missing]
        try:
            for future in as_completed(futures):
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    verdicts = [
        json.loads(_path(folder, ensemble, k).read_text())
        for ensemble in settings.ensembles
        for k in starts
    ]
    r, reference = partial_distributions(structures, RADIUS, BINS)
    data = {
        "settings": asdict(settings),
        "trajectories": verdicts,
        "distributions": {
            "r_angstrom": r.tolist(),
            "reference": {name: g.tolist() for name, g in reference.items()},
            **{e: _mean_distributions(verdicts, e) for e in settings.ensembles},
        },
    }
    for verdict in verdicts:
        verdict.pop("distributions")
    chosen = [structures[k] for k in starts]
    if beside is not None:
        data["angles_degrees"] = _angles(model, beside, chosen)
    parts = [forces_of_parts(model, atoms) for atoms in chosen]
    if parts and parts[0] is not None:
        angles = [force_angles(each["network"], each["empirical"]) for each in parts]
        data["angles_of_parts_degrees"] = np.round(np.concatenate(angles), 2).tolist()
    return data


def judged(atoms: Atoms, trajectory: Trajectory) -> dict[str, Any]:
    """Return the verdict on a trajectory.

    Returns
    -------
    dict
        ``overlap_ps``, ``lindemann_ps``, ``stopped_ps`` (None if nothing happened), ``stopped``,
        ``smallest_distance_angstrom``, ``local_lindemann``, ``global_lindemann``, ``length_ps``, ``distributions``.
    """
    first, second = np.triu_indices(len(atoms), k=1)
    cells = trajectory.frame_cell if atoms.pbc.any() else np.zeros_like(trajectory.frame_cell)
    finite = np.isfinite(trajectory.positions).all(axis=(1, 2)) & np.isfinite(cells).all(
        axis=(1, 2)
    )
    n = int(np.argmin(finite)) if not finite.all() else len(finite)
    if n == 0:
        raise ValueError(
            f"expected at least the first frame of a trajectory, got {len(finite)} frames"
        )
    distances = pair_distances(trajectory.positions[:n], cells[:n], first, second)
    failure = first_failure(distances, first, second, len(atoms), trajectory.frame_time_ps[:n])
    last = float(trajectory.frame_time_ps[n - 1])
    chosen = np.unique(np.linspace(n // 4, n - 1, DISTRIBUTION_FRAMES).astype(int))
    failed = failure.overlap_ps is not None or bool(trajectory.stopped) or n < len(finite)
    frames = [] if failed else trajectory.structures(atoms, chosen.tolist())
    g = partial_distributions(frames, RADIUS, BINS)[1]
    return {
        "overlap_ps": failure.overlap_ps,
        "lindemann_ps": failure.lindemann_ps,
        "stopped_ps": last if trajectory.stopped or n < len(finite) else None,
        "stopped": trajectory.stopped,
        "smallest_distance_angstrom": failure.smallest_distance,
        "local_lindemann": failure.local_index,
        "global_lindemann": failure.global_index,
        "length_ps": last,
        "distributions": {name: np.round(each, 4).tolist() for name, each in g.items()},
    }


def is_orthogonal(atoms: Atoms) -> bool:
    """Return whether the three vectors of the cell are at right angles, to a thousandth of a degree."""
    return bool(np.abs(atoms.cell.angles() - 90.0).max() < 1e-3) or not atoms.pbc.any()


def _path(folder: Path, ensemble: str, index: int) -> Path:
    return folder / f"{ensemble}-{index}.json"


def _check(
    model: LoadedModel, structures: Sequence[Atoms], starts: list[int], settings: Survey
) -> None:
    known = set(model.metadata.species)
    for k in starts:
        atoms = structures[k]
        unknown = sorted(set(atoms.get_chemical_symbols()) - known)
        if unknown:
            raise ValueError(
                f"structure {k}: the model knows {sorted(known)}, got {unknown} beside"
            )
        if len(atoms) < 2:
            raise ValueError(f"structure {k}: expected at least two atoms, got {len(atoms)}")
        if atoms.pbc.any() and not atoms.pbc.all():
            raise ValueError(
                f"structure {k}: expected periodicity in all directions or in none, got {atoms.pbc.tolist()}"
            )
        if "npt" in settings.ensembles and not atoms.pbc.all():
            raise ValueError(
                f"structure {k}: NPT needs a periodic cell; leave it out or run nvt alone"
            )


def _same_survey(path: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record)
    if path.exists() and path.read_text() != text:
        raise ValueError(
            f"{path.parent} holds trajectories of another model or with other settings; choose another folder"
        )
    path.write_text(text)


def _mean_distributions(verdicts: list[dict[str, Any]], ensemble: str) -> dict[str, list[float]]:
    """Return g(r) of an ensemble, over the trajectories in which no atoms overlap."""
    found: dict[str, list[list[float]]] = {}
    for verdict in verdicts:
        if verdict["ensemble"] == ensemble:
            for name, g in verdict["distributions"].items():
                found.setdefault(name, []).append(g)
    return {name: np.mean(each, axis=0).tolist() for name, each in found.items()}


def _angles(model: LoadedModel, beside: LoadedModel, starts: list[Atoms]) -> list[float]:
    calculators = MlipCalculator(model), MlipCalculator(beside)
    angles = []
    for atoms in starts:
        forces = []
        for calculator in calculators:
            copy = atoms.copy()
            copy.calc = calculator
            forces.append(copy.get_forces())
        angles.append(force_angles(*forces))
    return np.round(np.concatenate(angles), 2).tolist()
