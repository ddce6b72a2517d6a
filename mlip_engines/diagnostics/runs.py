"""Which trajectories belong together."""

from __future__ import annotations

from mlip_engines.diagnostics.diagnostic import Trajectories
from mlip_engines.simulations.trajectory import Trajectory


def independent_runs(trajectories: Trajectories) -> dict[str, list[Trajectory]]:
    """Return trajectories that differ in their random numbers only, in lists.

    Parameters
    ----------
    trajectories : dict of str to Trajectory
        By ``NAME.NUMBER``.

    Returns
    -------
    dict of str to list of Trajectory
        By ``NAME``, in the same order.
    """
    found: dict[str, list[Trajectory]] = {}
    for key, run in trajectories.items():
        found.setdefault(key.rsplit(".", 1)[0], []).append(run)
    return found
