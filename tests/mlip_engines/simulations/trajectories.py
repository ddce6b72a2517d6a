"""Trajectories made by hand."""

import numpy as np

from mlip_engines.simulations.trajectory import Trajectory


def trajectory(time_ps, kinetic, conserved, **changes):
    n = len(time_ps)
    values = {
        "time_ps": np.asarray(time_ps, float),
        "potential_eV": np.zeros(n),
        "kinetic_eV": np.asarray(kinetic, float).reshape(n, -1),
        "conserved_eV": np.asarray(conserved, float),
        "pressure_bar": np.zeros(n),
        "cell": np.zeros((n, 3, 3)),
        "frame_time_ps": np.zeros(0),
        "positions": np.zeros((0, 0, 3)),
        "velocities": np.zeros((0, 0, 3)),
        "frame_cell": np.zeros((0, 3, 3)),
        "evaluations": np.array([[3, 1]]),
        "seconds": np.array([1.0]),
        "n_steps": np.array([4]),
        **changes,
    }
    return Trajectory(**values)
