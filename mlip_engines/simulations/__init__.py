"""Run a model in an MD engine from Python, and get the trajectory back.

Say what is to be run (a :class:`Simulation` with its :class:`Forces`), and give it to an engine together with a
model and a structure. LAMMPS and OpenMM come with this package; other packages can add engines
(:mod:`mlip_engines.simulations.engine`). The engine works in a process of its own, and what comes back is the same for
all of them: a :class:`Trajectory` of energies, temperatures and, on request, positions and velocities.

>>> import ase.io
>>> from mlip_engines.simulations import Forces, Simulation, conservation, simulate
>>> simulation = Simulation(Forces("respa", inner_steps=4), duration_ps=1.0, ensemble="nve")
>>> simulation.inner_step_fs, simulation.outer_step_fs
(0.5, 2.0)
>>> atoms = ase.io.read("examples/water_64.extxyz")                                   # doctest: +SKIP
>>> trajectory = simulate("water", atoms, simulation, engine="lammps")                # doctest: +SKIP
>>> trajectory.time_ps, trajectory.conserved_eV                                       # doctest: +SKIP
>>> conservation(atoms, [trajectory]).drift       # meV/atom/ps and its error         # doctest: +SKIP

A :class:`Forces` is ``"conservative"`` (minus the gradient of the energy), ``"non_conservative"`` (predicted directly
by the model) or ``"respa"`` (r-RESPA: non-conservative forces in the inner steps, corrected once per outer step of
``inner_steps`` inner steps). :data:`CONSERVATIVE` and :data:`NON_CONSERVATIVE` are the first two.

A simulation in a folder of your own, ``simulate(..., folder=Path("run"))``, can be stopped and goes on from its last
chunk when it is called again. For many simulations of one model, make the engine once (:func:`make_engine`) and call
its ``run``.
"""

from mlip_engines.simulations.drift import Conservation, conservation, energy_drift
from mlip_engines.simulations.engine import Engine, EngineError, engine_names, make_engine
from mlip_engines.simulations.kinetics import temperatures
from mlip_engines.simulations.run import simulate
from mlip_engines.simulations.simulation import (
    CONSERVATIVE,
    ENSEMBLES,
    NON_CONSERVATIVE,
    Forces,
    Simulation,
)
from mlip_engines.simulations.statistics import Estimate, mean_and_error, slope_and_error
from mlip_engines.simulations.trajectory import Trajectory

__all__ = [
    "CONSERVATIVE",
    "ENSEMBLES",
    "NON_CONSERVATIVE",
    "Conservation",
    "Engine",
    "EngineError",
    "Estimate",
    "Forces",
    "Simulation",
    "Trajectory",
    "conservation",
    "energy_drift",
    "engine_names",
    "make_engine",
    "mean_and_error",
    "simulate",
    "slope_and_error",
    "temperatures",
]
