r"""Do trajectories stay physical? Atoms that overlap, and structures that come apart.

Overlap: two atoms closer than half the smallest distance between atoms at the start. Lindemann index of atom i,

    delta_i = mean over j of sqrt(<r_ij^2> - <r_ij>^2) / <r_ij>,

with averages over time; the trajectory is unphysical if any delta_i is above 0.25 (local) or their mean is above 0.2
(global). In a molecular structure j runs over the atoms of the same molecule only: in a liquid all other distances
change without anything being wrong. In other structures it runs over all atoms: there the indices say whether it melts.

References
----------
Zheng, Fung, physics-informed pre-training, for the thresholds; Lindemann, Phys. Z. 11, 609 (1910).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.appearance import label_of
from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import (
    Ensembles,
    Results,
    Simulations,
    Trajectories,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.nvt import compared_strides, trajectories_with_frames
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.failure import GLOBAL_LIMIT, LOCAL_LIMIT, OVERLAP
from mlip_engines.properties.lindemann import (
    lindemann_index,
    mean_over_partners,
    pair_distances,
)
from mlip_engines.properties.molecules import find_molecules, is_molecular
from mlip_engines.simulations.trajectory import Trajectory

if TYPE_CHECKING:
    from ase import Atoms

HOTTER = (1.0, 1.5, 2.0)  # temperatures, in units of that of the case
STARTS = 2
DURATION_PS = 1.0
FRAMES = 50  # that are looked at


class Physicality(TrajectoryDiagnostic):
    """Overlaps and Lindemann indices over starts and temperatures."""

    name = "physicality"
    title = "Physicality of trajectories"
    after = ("stride",)

    def simulations(self, case: Case, ensembles: Ensembles, earlier: Results) -> Simulations:
        """Several starts and temperatures; in a quick look the trajectories of ``nvt``."""
        if case.settings.quick:
            shared = trajectories_with_frames(case, ensembles, earlier)
            kelvin = case.settings.temperature_K
            return {f"{kelvin:g}.{name.split('.', 1)[1]}": s for name, s in shared.items()}
        wanted = {}
        for factor in HOTTER:
            kelvin = factor * case.settings.temperature_K
            for forces in case.force_choices(compared_strides(case, earlier)):
                for start in range(STARTS):
                    wanted[f"{kelvin:g}.{forces.file_name}.{start}"] = case.simulation(
                        forces,
                        DURATION_PS,
                        ensemble="langevin",
                        temperature_K=kelvin,
                        time_constant_fs=100.0,
                        seed=case.settings.seed + 100 + start,
                        row_every_fs=48.0,
                        frame_every_fs=24.0,
                    )
        return wanted

    def measure(self, case: Case, trajectories: Trajectories) -> Result:
        """Judge each trajectory."""
        groups = find_molecules(case.atoms) if is_molecular(case.atoms) else None
        rows = []
        for key, run in trajectories.items():
            kelvin, forces, start = key.rsplit(".", 2)
            if len(run.frame_time_ps) == 0:
                continue
            row = {"temperature_K": float(kelvin), "forces": forces, "start": int(start)}
            rows.append(row | judge(case.atoms, run, groups))
        return Result({"molecular": groups is not None, "runs": rows})

    def render(self, result: Result) -> Section:
        """Words and a table."""
        v = result.values
        warnings = [
            f"{r['forces']} at {r['temperature_K']:g} K, start {r['start'] + 1}, is unphysical: smallest "
            f"distance {r['smallest_distance_angstrom']:.2f} Å, δ up to {r['local_lindemann']:.2f}."
            for r in v["runs"]
            if r["unphysical"] and r["forces"] != "NC"
        ]
        return Section([_words(v)], [_table(v["runs"])], warnings=warnings)


def judge(
    atoms: Atoms, trajectory: Trajectory, groups: list[NDArray[np.int_]] | None
) -> dict[str, Any]:
    """Compare distances in a trajectory with the limits.

    Parameters
    ----------
    atoms : ase.Atoms
    trajectory : Trajectory
        With frames.
    groups : list of arrays or None
        Molecules; None for a structure that is not molecular.

    Returns
    -------
    dict
        ``smallest_distance_angstrom``, ``overlap``, ``local_lindemann``, ``global_lindemann``, ``unphysical``,
        ``stopped``.
    """
    frames = np.unique(np.linspace(0, len(trajectory.frame_time_ps) - 1, FRAMES).astype(int))
    positions, cells = trajectory.positions[frames], trajectory.frame_cell[frames]
    if not atoms.pbc.any():
        cells = np.zeros_like(cells)
    first, second = np.triu_indices(len(atoms), k=1)
    distances = pair_distances(positions, cells, first, second)
    together = _together(len(atoms), groups)
    use = together[first] == together[second]
    index = lindemann_index(distances[:, use])
    per_atom = mean_over_partners(index, first[use], second[use], len(atoms))
    local = float(per_atom.max()) if len(per_atom) else 0.0
    whole = float(per_atom.mean()) if len(per_atom) else 0.0
    overlap = bool((distances < OVERLAP * distances[0].min()).any())
    above = local > LOCAL_LIMIT or whole > GLOBAL_LIMIT
    return {
        "smallest_distance_angstrom": float(distances.min()),
        "overlap": overlap,
        "local_lindemann": local,
        "global_lindemann": whole,
        "unphysical": overlap or above or bool(trajectory.stopped),
        "stopped": trajectory.stopped,
    }


def _together(n_atoms: int, groups: list[NDArray[np.int_]] | None) -> NDArray[np.int_]:
    """Return a number for each atom, the same for atoms whose distances are to stay what they are."""
    label = np.zeros(n_atoms, dtype=int)
    for k, group in enumerate(groups or []):
        label[group] = k
    return label


def _words(v: dict[str, Any]) -> str:
    bad = sum(r["unphysical"] for r in v["runs"])
    kind = "within molecules" if v["molecular"] else "between all atoms"
    return (
        f"{bad} of {len(v['runs'])} trajectories are unphysical: two atoms come closer than half the smallest distance "
        f"at the start, or the Lindemann index δ {kind} exceeds {LOCAL_LIMIT} for an atom or {GLOBAL_LIMIT} on average."
    )


def _table(runs: list[dict[str, Any]]) -> Table:
    header = ["T, K", "forces", "start", "smallest distance, Å", "overlap", "largest δ of an atom"]
    rows = [
        [
            f"{r['temperature_K']:g}",
            label_of(r["forces"]),
            str(r["start"] + 1),
            f"{r['smallest_distance_angstrom']:.2f}",
            "yes" if r["overlap"] else "no",
            f"{r['local_lindemann']:.3f}",
            f"{r['global_lindemann']:.3f}",
            r["stopped"] or "",
        ]
        for r in runs
    ]
    return Table([*header, "mean δ", "stopped"], rows)
