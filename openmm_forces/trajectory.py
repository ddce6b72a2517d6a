"""One trajectory in OpenMM from a job file: ``python -m openmm_forces.trajectory job.json``.

The job is a :class:`mlip_engines.simulations.simulation.Simulation`, a model and a structure. Each chunk
is written to ``chunk_K.npz`` after its checkpoint; a job that was stopped goes on after the last one.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import openmm
from ase import Atoms
from openmm import unit

from mlip_engines.model.load import load_model
from mlip_engines.model.structure_inputs import structure_inputs_of
from mlip_engines.simulations.kinetics import species_of
from mlip_engines.simulations.simulation import Forces, Simulation
from mlip_engines.simulations.trajectory import Trajectory
from mlip_engines.units import EV_TO_KJ_PER_MOL
from openmm_forces.conserved import conserved_energy
from openmm_forces.evaluations import conservative_state, evaluation_counts
from openmm_forces.integrators import (
    BussiIntegrator,
    RespaBussiIntegrator,
    RespaHighPassLangevinIntegrator,
    RespaIntegrator,
    RespaLangevinIntegrator,
)
from openmm_forces.structure import from_ase
from openmm_forces.system import create_system

BAROSTAT_EVERY_FS = 12.5
# What forces can do to a run, unlike a full disk.
_BLOWN_UP = re.compile(r"\bnan\b|not a number|not finite|infinite", re.IGNORECASE)


class _Conservative:
    """The forces that a Context has when nobody asks for others: no head is evaluated, none is needed."""

    def _ask_for(self, quantity: int) -> None:
        """Leave the forces as they are."""


class ConservativeVerletIntegrator(_Conservative, RespaIntegrator):
    """Velocity Verlet with conservative forces, for one inner step."""


class ConservativeLangevinIntegrator(_Conservative, RespaLangevinIntegrator):
    """BAOAB with conservative forces, for one inner step."""


class ConservativeBussiIntegrator(_Conservative, RespaBussiIntegrator):
    """Velocity Verlet with conservative forces and stochastic velocity rescaling, for one inner step."""


class ConservativeHighPassIntegrator(_Conservative, RespaHighPassLangevinIntegrator):
    """BAOAB with conservative forces and the bath with memory, for one inner step."""


class _NonConservativeKick:
    """Both kicks of a step with the non-conservative forces alone: no r-RESPA, for comparison."""

    def _add_boundary_kick(self) -> None:
        self._ask_for(1)
        self.addComputePerDof("v", "v + 0.5*dt*f/m")

    def _add_end_of_step(self) -> None:
        """Leave velocities as they are."""


class NonConservativeVerletIntegrator(_NonConservativeKick, RespaIntegrator):
    """Velocity Verlet with non-conservative forces; states between steps are conservative."""


class NonConservativeLangevinIntegrator(_NonConservativeKick, RespaLangevinIntegrator):
    """BAOAB with non-conservative forces; states between steps are conservative."""


class NonConservativeHighPassIntegrator(_NonConservativeKick, RespaHighPassLangevinIntegrator):
    """BAOAB with non-conservative forces and the bath with memory; states between steps are conservative."""


_HIGH_PASS = {
    "respa": RespaHighPassLangevinIntegrator,
    "conservative": ConservativeHighPassIntegrator,
    "non_conservative": NonConservativeHighPassIntegrator,
}
_INTEGRATORS = {  # without a bath, with friction and noise, with velocity rescaling
    "respa": (RespaIntegrator, RespaLangevinIntegrator, RespaBussiIntegrator),
    "conservative": (
        ConservativeVerletIntegrator,
        ConservativeLangevinIntegrator,
        ConservativeBussiIntegrator,
    ),
    "non_conservative": (
        NonConservativeVerletIntegrator,
        NonConservativeLangevinIntegrator,
        BussiIntegrator,
    ),
}


def make_integrator(simulation: Simulation) -> openmm.Integrator:
    """Return the integrator of a simulation.

    Raises
    ------
    ValueError
        If OpenMM has no such ensemble here.
    """
    s, m = simulation, simulation.forces.inner_steps
    step, temperature = s.outer_step_fs * unit.femtosecond, s.temperature_K * unit.kelvin
    tau = s.time_constant_fs * unit.femtosecond
    if s.ensemble == "high_pass":
        per_ps = unit.picosecond**-1
        bath = (s.high_pass_friction * per_ps, s.memory_rate * per_ps, 1.0 / tau)
        return _HIGH_PASS[simulation.forces.kind](temperature, step, m, *bath)
    verlet, langevin, bussi = _INTEGRATORS[simulation.forces.kind]
    if s.ensemble == "nve":
        return verlet(step, m)
    if s.ensemble in ("langevin", "npt"):
        return langevin(temperature, 1.0 / tau, step, m)
    if s.ensemble == "svr":
        if bussi is BussiIntegrator:
            return bussi(temperature, tau, step)
        return bussi(temperature, tau, step, m)
    raise ValueError(f"expected nve, langevin, svr, high_pass or npt, got {s.ensemble}")


class TrajectoryRun:
    """A Context on its way through the chunks of a simulation."""

    def __init__(self, simulation: Simulation, atoms: Atoms, model: str, folder: Path):
        self.simulation, self.atoms, self.folder = simulation, atoms, folder
        structure, loaded = from_ase(atoms), load_model(model)
        # BussiIntegrator knows nothing about our parameter: its forces are the default
        bussi = simulation.ensemble == "svr" and simulation.forces.kind == "non_conservative"
        system = create_system(
            structure.topology,
            loaded,
            forces="non_conservative" if bussi else "conservative",
            remove_cm_motion=False,
            **structure_inputs_of(loaded.metadata.structure_inputs, atoms.info),
        )
        for particle, mass in enumerate(atoms.get_masses()):
            if system.getParticleMass(particle)._value > 0.0:  # others are fixed
                system.setParticleMass(particle, mass)
        if simulation.ensemble == "npt":
            every = max(1, round(BAROSTAT_EVERY_FS / simulation.outer_step_fs))
            barostat = openmm.MonteCarloBarostat(
                simulation.pressure_bar * unit.bar, simulation.temperature_K * unit.kelvin, every
            )
            barostat.setRandomNumberSeed(simulation.seed + 1)
            system.addForce(barostat)
        self.integrator = make_integrator(simulation)
        self.integrator.setRandomNumberSeed(simulation.seed + 1)
        self.context = openmm.Context(system, self.integrator)
        self.context.setPositions(structure.positions)
        self.context.setVelocities(structure.velocities)
        species = species_of(atoms)
        self.element = np.array([species.index(s) for s in atoms.get_chemical_symbols()])
        self.masses = atoms.get_masses()
        self.periodic = bool(atoms.pbc.all())

    def go_on(self) -> None:
        """Run the chunks that are missing."""
        s = self.simulation
        per_chunk = s.n_steps // s.n_chunks
        first = 0
        while (self.folder / f"chunk_{first}.npz").exists():
            first += 1
        if first:
            self.context.loadCheckpoint((self.folder / f"chunk_{first - 1}.chk").read_bytes())
        for k in range(first, s.n_chunks):
            chunk = self._chunk(k * per_chunk, per_chunk)
            if not chunk.stopped:
                (self.folder / f"chunk_{k}.chk").write_bytes(self.context.createCheckpoint())
            chunk.save(self.folder / f"chunk_{k}.npz")
            if chunk.stopped:
                return

    def _chunk(self, start: int, n_steps: int) -> Trajectory:
        s = self.simulation
        between = np.gcd(s.row_every, s.frame_every) if s.frame_every else s.row_every
        rows, frames, seconds, stopped = [], [], 0.0, ""
        counted, n_done = evaluation_counts(self.context)[:2], 0
        for done in range(0, n_steps + 1, between):
            try:
                if done:
                    began = time.perf_counter()
                    self.integrator.step(int(between))
                    seconds += time.perf_counter() - began
                row = self._row(start + done) if done % s.row_every == 0 else None
                frame = None
                if s.frame_every and done % s.frame_every == 0:
                    frame = self._frame(start + done)
            except openmm.OpenMMException as e:
                if not rows or not _BLOWN_UP.search(str(e)):
                    raise  # of a full disk, say, nothing is learned about the forces
                stopped = f"OpenMM: {e}"
                break
            if row is not None and not np.isfinite(row["potential_eV"]):
                if not rows:
                    raise ValueError("the energy of the start is not a number: minimise it first")
                stopped = "the energy is not a number"
                break
            n_done = done
            if row is not None:
                rows.append(row)
                print(f"step {start + done}", flush=True)
            if frame is not None:
                frames.append(frame)
        try:
            counts = evaluation_counts(self.context)[:2]
        except openmm.OpenMMException:  # of positions that are not numbers nothing can be asked
            counts = counted
        n_atoms = len(self.atoms)
        return Trajectory(
            **{name: np.array([row[name] for row in rows]) for name in rows[0]},
            frame_time_ps=np.array([frame[0] for frame in frames]),
            positions=np.array([frame[1] for frame in frames]).reshape(-1, n_atoms, 3),
            velocities=np.array([frame[2] for frame in frames]).reshape(-1, n_atoms, 3),
            frame_cell=np.array([frame[3] for frame in frames]).reshape(-1, 3, 3),
            evaluations=np.array([counts]) - np.array([counted]),
            seconds=np.array([seconds]),
            n_steps=np.array([n_done]),
            stopped=stopped,
        )

    def _row(self, step: int) -> dict[str, object]:
        state = conservative_state(self.context)
        velocities = _velocities(state)
        kinetic = 0.5 * self.masses * (velocities**2).sum(axis=1) * _AMU_A2_PER_PS2_IN_EV
        by_element = np.bincount(self.element, kinetic)
        potential = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        potential /= EV_TO_KJ_PER_MOL
        conserved = float("nan")  # not known under a barostat
        if self.simulation.ensemble != "npt":
            conserved = conserved_energy(self.context, self.integrator).conserved
        return {
            "time_ps": step * self.simulation.outer_step_fs / 1000.0,
            "potential_eV": potential,
            "kinetic_eV": by_element,
            "conserved_eV": conserved,
            "pressure_bar": float("nan"),
            "cell": self._cell(state),
        }

    def _frame(self, step: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        state = self.context.getState(positions=True, velocities=True)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        time_ps = step * self.simulation.outer_step_fs / 1000.0
        return time_ps, np.array(positions), _velocities(state), self._cell(state)

    def _cell(self, state: openmm.State) -> np.ndarray:
        if not self.periodic:
            return np.zeros((3, 3))
        return np.array(state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom))


_AMU_A2_PER_PS2_IN_EV = 0.01 / EV_TO_KJ_PER_MOL  # amu (nm/ps)^2 is kJ/mol


def _velocities(state: openmm.State) -> np.ndarray:
    return np.array(
        state.getVelocities(asNumpy=True).value_in_unit(unit.angstrom / unit.picosecond)
    )


def main(arguments: list[str]) -> int:
    """Run the job file that is the only argument; other arguments are an error."""
    if len(arguments) != 1:
        print("usage: python -m openmm_forces.trajectory job.json", file=sys.stderr)
        return 2
    path = Path(arguments[0]).resolve()
    job = json.loads(path.read_text())
    fields = {**job["simulation"], "forces": Forces(**job["simulation"]["forces"])}
    atoms = ase.io.read(path.parent / job["start"])
    TrajectoryRun(Simulation(**fields), atoms, job["model"], path.parent).go_on()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
