"""Simulations through the installed ``lmp``: an input is written, run in a process of its own, and read back."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mlip_engines.diagnostics.engine import (
    EngineError,
    child_process,
    complete_turns,
    initial_state,
)
from mlip_engines.diagnostics.kinetics import species_of
from mlip_engines.diagnostics.simulation import ENSEMBLES, Forces, Simulation, Trajectory
from mlip_engines.diagnostics.thermostats import (
    HIGH_PASS_FREQUENCY,
    high_pass_matrix,
    white_noise_matrix,
)
from mlip_engines.lammps import PluginError, find_plugin, lammps_command, plugin_target

if TYPE_CHECKING:
    from ase import Atoms

SKIN = 2.0  # Å
WARM_UP = 4  # outer steps before each measurement of time
PADDING = 10.0  # Å of empty space around a structure without periodicity
_CELL = ("xlo", "xhi", "ylo", "yhi", "zlo", "zhi", "xy", "xz", "yz")
# What a run says that has gone wrong, unlike one that never could go right.
_BLOWN_UP = re.compile(r"max_force|not finite|not a number|NaN|lost atoms|skin|bond atoms", re.I)


class LammpsEngine:
    """LAMMPS with ``pair_style mlip``; positions and cells come back in the orientation of LAMMPS."""

    name: ClassVar[str] = "lammps"
    ensembles: ClassVar[tuple[str, ...]] = ENSEMBLES

    def __init__(self, model: Path):
        try:
            if find_plugin(plugin_target()) is None:
                raise EngineError("LAMMPS has no plugin for this model yet; run: mlip-lammps build")
        except PluginError as e:
            raise EngineError(f"LAMMPS cannot be used: {e}") from e
        self.model = Path(model).resolve()

    def run(
        self,
        simulation: Simulation,
        atoms: Atoms,
        folder: Path,
        progress: Callable[[int], None] = lambda steps: None,
    ) -> Trajectory:
        """Run a trajectory, see :class:`~mlip_engines.diagnostics.engine.Engine`."""
        folder.mkdir(parents=True, exist_ok=True)
        species = species_of(atoms)
        data = folder / "start.data"
        if not data.exists():
            _write_data(data, initial_state(atoms, simulation), species)
        n_chunks, per_chunk = simulation.n_chunks, simulation.n_steps // simulation.n_chunks
        first = 0
        while (folder / f"chunk_{first}.restart").exists():
            first += 1
        progress(first * per_chunk)
        failure = ""
        if first < n_chunks and not (folder / "stopped").exists():
            script = _script(simulation, self.model, species, first, bool(atoms.pbc.all()))
            (folder / "run.in").write_text(script)
            _write_matrix(folder / "gle.A", simulation)
            failure = self._execute(folder, progress)
        chunks = []
        for k in range(n_chunks):
            log = folder / f"chunk_{k}.log"
            if not log.exists():
                break
            if (folder / f"chunk_{k}.restart").exists():
                chunks.append(_read_chunk(folder, k, simulation, len(species)))
                continue
            if failure:
                (folder / "stopped").write_text(failure)
            chunks.append(_read_chunk(folder, k, simulation, len(species)))
            chunks[-1].stopped = (folder / "stopped").read_text()
            break
        return Trajectory.join(chunks)

    def time_steps(
        self,
        choices: list[Forces],
        atoms: Atoms,
        inner_step_fs: float,
        inner_steps: int,
        turns: int,
    ) -> dict[str, list[float]]:
        """Take times, see :class:`~mlip_engines.diagnostics.engine.Engine`."""
        species = species_of(atoms)
        found: dict[str, list[float]] = {}
        last_words = "no message"
        with tempfile.TemporaryDirectory(prefix="mlip-timing-") as scratch:
            folder = Path(scratch)
            simulation = Simulation(choices[0], 1.0, inner_step_fs=inner_step_fs)
            _write_data(folder / "start.data", initial_state(atoms, simulation), species)
            periodic = bool(atoms.pbc.all())
            lines = _preamble("read_data start.data", "mlip", self.model, species, periodic)
            lines += ["thermo_style custom step", "fix move all nve"]
            lines += _turns(choices, self.model, species, inner_step_fs, inner_steps, turns)
            (folder / "run.in").write_text("\n".join(lines) + "\n")
            command = [*lammps_command(), "-in", "run.in", "-log", "none"]
            name, m = "", 1
            try:
                with child_process(command, folder, folder / "lammps.out") as output:
                    for line in output:
                        if line.startswith("turn "):
                            name, m = line.split()[1], int(line.split()[2])
                        elif name and line.startswith("Loop time of"):
                            words = line.split()
                            ms = 1000.0 * float(words[3]) / (int(words[words.index("for") + 1]) * m)
                            found.setdefault(name, []).append(ms)
                            name = ""
                        elif "ERROR" in line:
                            last_words = line.strip()
            except subprocess.CalledProcessError as e:
                if not found:
                    raise EngineError(f"LAMMPS failed: {last_words}") from e
        return complete_turns(found, choices, turns)

    def _execute(self, folder: Path, progress: Callable[[int], None]) -> str:
        """Run the input; return why it ended early, empty if it did not."""
        command = [*lammps_command(), "-in", "run.in", "-log", "none"]
        last_words, row, first_row = "", 0, None
        try:
            with child_process(command, folder, folder / "lammps.out") as lines:
                for line in lines:
                    words = line.split()
                    if words and words[0].isdigit() and len(words) > 10:
                        row = int(words[0])
                        first_row = row if first_row is None else first_row
                        progress(row)
                    if "ERROR" in line or "is not available" in line:
                        last_words = last_words or line.strip()
        except subprocess.CalledProcessError as e:
            message = (
                re.sub(r"\s*\(src/.*|\(/.*", "", last_words) or f"it exited with {e.returncode}"
            )
            ran = first_row is not None and row > first_row
            if ran or (first_row is not None and _BLOWN_UP.search(message)):
                return message
            raise EngineError(
                f"LAMMPS failed before the first step: {message}; its output is "
                f"{folder / 'lammps.out'}, its input {folder / 'run.in'}"
            ) from e
        return ""


def _write_data(path: Path, atoms: Atoms, species: list[str]) -> None:
    from ase.io.lammpsdata import write_lammps_data

    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(
            f"expected a structure that is periodic in all directions or in none, got {atoms.pbc}"
        )
    if not atoms.pbc.any():
        atoms.center(vacuum=PADDING)
    draft = path.with_suffix(".draft")
    write_lammps_data(draft, atoms, specorder=species, masses=True, velocities=True, units="metal")
    draft.replace(path)


def _preamble(start: str, style: str, model: Path, species: list[str], periodic: bool) -> list[str]:
    """Return the commands from the units to the neighbour list."""
    return [
        "units metal",
        "atom_style atomic",
        "atom_modify map yes",
        f"boundary {'p p p' if periodic else 'f f f'}",
        start,
        f"pair_style {style}",
        _pair_coeff(model, species),
        # a cluster is too small for bins if the cutoff is large
        f"neighbor {SKIN} {'bin' if periodic else 'nsq'}",
        "neigh_modify every 1 delay 0 check yes",
    ]


def _pair_coeff(model: Path, species: list[str]) -> str:
    return f'pair_coeff * * "{model}" {" ".join(species)}'


def _turns(
    choices: list[Forces],
    model: Path,
    species: list[str],
    inner_step_fs: float,
    inner_steps: int,
    turns: int,
) -> list[str]:
    """Return the runs in which kinds of forces take turns, each after a warm-up that is not counted."""
    lines, style = [], "mlip"
    for _ in range(turns):
        for forces in choices:
            m = forces.inner_steps
            alone = forces.kind == "non_conservative"
            wanted = "mlip forces non_conservative" if alone else "mlip"
            lines.append("run_style verlet")
            if wanted != style:
                lines += [f"pair_style {wanted}", _pair_coeff(model, species)]
                style = wanted
            if forces.kind == "respa":
                lines.append(f"run_style respa 2 {m} inner 1 4.0 5.0 outer 2")
            lines += [
                f"timestep {m * inner_step_fs / 1000.0:.12g}",
                "velocity all create 1.0 4711",  # cold: nothing blows up at any stride
                f"run {WARM_UP}",
                f'print "turn {forces.file_name} {m}"',
                f"run {max(1, round(inner_steps / m))}",
            ]
    return lines


def _script(
    simulation: Simulation, model: Path, species: list[str], first: int, periodic: bool
) -> str:
    """Return the input that runs the chunks from ``first`` on."""
    s, forces = simulation, simulation.forces
    step = s.outer_step_fs / 1000.0  # ps
    style = "mlip"
    if forces.kind == "non_conservative":
        style += " forces non_conservative"
    if s.non_conservative_stress:
        style += " stress non_conservative"
    start = "read_data start.data" if first == 0 else f"read_restart chunk_{first - 1}.restart"
    groups = [f"group g{k + 1} type {k + 1}" for k in range(len(species))]
    kinetic = [f"compute k{k + 1} g{k + 1} ke" for k in range(len(species))]
    columns = ["step", "pe", *(f"c_k{k + 1}" for k in range(len(species))), "econserve"]
    columns += ["press", *_CELL, "c_mlip[1]", "c_mlip[2]"]
    lines = [
        *_preamble(start, style, model, species, periodic),
        f"timestep {step:.12g}",
        *groups,
        *kinetic,
        "compute mlip all pair mlip",
        f"thermo_style custom {' '.join(columns)}",
        "thermo_modify format float %.12g norm no flush yes",
        f"thermo {s.row_every}",
    ]
    if forces.kind == "respa":
        lines.append(f"run_style respa 2 {forces.inner_steps} inner 1 4.0 5.0 outer 2")
    lines += _movers(s, first)
    steps = s.n_steps // s.n_chunks
    for k in range(first, s.n_chunks):
        lines.append(f"log chunk_{k}.log")
        if s.frame_every:
            lines += [
                f"dump frames all custom {s.frame_every} chunk_{k}.dump id xu yu zu vx vy vz",
                "dump_modify frames sort id format float %.9g",
            ]
        lines.append(f"run {steps}")
        if s.frame_every:
            lines.append("undump frames")
        lines += ["log none", "write_restart draft", f"shell mv draft chunk_{k}.restart"]
    return "\n".join(lines) + "\n"


def _movers(s: Simulation, first: int) -> list[str]:
    """Return the fixes of an ensemble."""
    noise = 7919 * (s.seed + 1) + first
    tau = s.time_constant_fs / 1000.0  # ps
    bath = f"{s.temperature_K} {s.temperature_K}"
    piston = f"iso {s.pressure_bar} {s.pressure_bar} {s.pressure_time_constant_fs / 1000.0}"
    if s.ensemble == "nve":
        return ["fix move all nve"]
    if s.ensemble == "rescaled":
        # c_thermo_temp knows the degrees of freedom; the target is that of E0 - potential energy
        return [
            "fix move all nve",
            "fix tally all ave/time 1 1 1 c_thermo_pe",  # the energy is known in every step
            "run 0",
            "variable E0 equal $(pe+ke)",
            "variable per_kelvin equal $(ke/temp)",
            'variable wanted equal "(v_E0-c_thermo_pe)/v_per_kelvin"',
            f"fix bath all temp/rescale 1 v_wanted {s.temperature_K} 0.0 1.0",
        ]
    if s.ensemble == "svr":
        return ["fix move all nve", f"fix bath all temp/csvr {bath} {tau} {noise}"]
    if s.ensemble in ("langevin", "gle"):
        # White noise through fix gle too: fix langevin is not exact where the step is not short
        # against the time constant, as it is not at 10 fs under r-RESPA.
        return [f"fix move all gle 1 {bath} {noise} gle.A"]
    if s.ensemble == "nph":
        return [f"fix move all nph {piston}"]
    return [f"fix move all npt temp {bath} {tau} {piston}"]


def _write_matrix(path: Path, s: Simulation) -> None:
    if s.ensemble in ("langevin", "gle"):
        rate = 1000.0 / s.time_constant_fs  # 1/ps
        matrix = white_noise_matrix(rate)
        if s.ensemble == "gle":
            matrix = high_pass_matrix(rate, HIGH_PASS_FREQUENCY)
        np.savetxt(path, matrix, header="drift matrix, 1/ps")


def _read_chunk(folder: Path, k: int, s: Simulation, n_species: int) -> Trajectory:
    """Read the log and the dump of a chunk."""
    log = (folder / f"chunk_{k}.log").read_text()
    n_columns = 3 + n_species + 1 + len(_CELL) + 2
    rows = np.array(
        [
            [float(word) for word in line.split()]
            for line in log.splitlines()
            if (words := line.split()) and words[0].isdigit() and len(words) == n_columns
        ]
    ).reshape(-1, n_columns)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) == 0:
        raise EngineError(f"expected rows of energies in {folder / f'chunk_{k}.log'}, found none")
    loop = re.search(r"Loop time of (\S+) on", log)
    to_ps = s.outer_step_fs / 1000.0
    end = 2 + n_species
    times, positions, velocities, cells = _read_dump(folder / f"chunk_{k}.dump", to_ps)
    return Trajectory(
        time_ps=rows[:, 0] * to_ps,
        potential_eV=rows[:, 1],
        kinetic_eV=rows[:, 2:end],
        conserved_eV=rows[:, end],
        pressure_bar=rows[:, end + 1],
        cell=np.array([_cell(row) for row in rows[:, end + 2 : end + 2 + len(_CELL)]]),
        frame_time_ps=times,
        positions=positions,
        velocities=velocities,
        frame_cell=cells,
        evaluations=(rows[-1:, -2:] - rows[:1, -2:]).astype(int),
        seconds=np.array([float(loop.group(1)) if loop else np.nan]),
        n_steps=np.array([rows[-1, 0] - rows[0, 0]], dtype=int),
    )


def _cell(bounds: np.ndarray) -> np.ndarray:
    """Lattice vectors (3, 3) from the bounds and tilts of LAMMPS."""
    xlo, xhi, ylo, yhi, zlo, zhi, xy, xz, yz = bounds
    return np.array([[xhi - xlo, 0, 0], [xy, yhi - ylo, 0], [xz, yz, zhi - zlo]])


def _read_dump(path: Path, to_ps: float) -> tuple[np.ndarray, ...]:
    """Times (F,), positions and velocities (F, N, 3) and cells (F, 3, 3) of a dump; whole frames only."""
    times, positions, velocities, cells = [], [], [], []
    text = path.read_text() if path.exists() else ""
    for frame in text.split("ITEM: TIMESTEP\n")[1:]:
        head, _, body = frame.partition("ITEM: ATOMS id xu yu zu vx vy vz\n")
        head_lines = head.splitlines()
        table = np.fromstring(body, sep=" ")
        if len(head_lines) < 6 or table.size != 7 * int(head_lines[2]):
            break  # the process ended while it was writing
        table = table.reshape(-1, 7)
        times.append(int(head_lines[0]) * to_ps)
        positions.append(table[:, 1:4])
        velocities.append(table[:, 4:7])
        cells.append(_dumped_cell(head_lines[3:7]))
    if not times:
        return np.zeros(0), np.zeros((0, 0, 3)), np.zeros((0, 0, 3)), np.zeros((0, 3, 3))
    return np.array(times), np.array(positions), np.array(velocities), np.array(cells)


def _dumped_cell(lines: list[str]) -> np.ndarray:
    """Lattice vectors from BOX BOUNDS, in which a tilted box is given by its bounding box."""
    bounds = np.array([[float(word) for word in line.split()] for line in lines[1:4]])
    xy, xz, yz = bounds[:, 2] if bounds.shape[1] == 3 else (0.0, 0.0, 0.0)
    xlo, ylo = bounds[0, 0] - min(0.0, xy, xz, xy + xz), bounds[1, 0] - min(0.0, yz)
    xhi, yhi = bounds[0, 1] - max(0.0, xy, xz, xy + xz), bounds[1, 1] - max(0.0, yz)
    return _cell(np.array([xlo, xhi, ylo, yhi, *bounds[2, :2], xy, xz, yz]))
