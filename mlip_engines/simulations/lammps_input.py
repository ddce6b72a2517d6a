"""Inputs for ``lmp``: a simulation in LAMMPS's words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlip_engines.model.archive import read_metadata
from mlip_engines.model.structure_inputs import structure_inputs_of
from mlip_engines.simulations.simulation import Forces, Simulation
from mlip_engines.simulations.thermostats import (
    HIGH_PASS_FREQUENCY,
    high_pass_matrix,
    white_noise_matrix,
)

if TYPE_CHECKING:
    from ase import Atoms

SKIN = 2.0  # Å
WARM_UP = (
    4  # outer steps before the first measurement of time: TorchScript settles at its first calls
)
MEASURED, FINISHED = "mlip-timing-begins", "mlip-timing-ends"
BERENDSEN_MODULUS_BAR = (
    5.0e5  # of the material: with that of oxides the time constant of the barostat is as it says
)
PADDING = 10.0  # Å of empty space around a structure without periodicity
CELL_COLUMNS = ("xlo", "xhi", "ylo", "yhi", "zlo", "zhi", "xy", "xz", "yz")


def write_data(path: Path, atoms: Atoms, species: list[str]) -> None:
    """Write a data file; atom types follow the order of the species.

    Raises
    ------
    ValueError
        If the structure is periodic in some directions only, or atoms of one element differ in mass.
    """
    from ase.io.lammpsdata import write_lammps_data

    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(
            f"expected a structure that is periodic in all directions or in none, got {atoms.pbc}"
        )
    for element in species:  # the masses of LAMMPS belong to types
        masses = atoms.get_masses()[np.array(atoms.get_chemical_symbols()) == element]
        if len(masses) and np.ptp(masses) > 0.0:
            raise ValueError(
                f"expected one mass for all atoms of {element}, which LAMMPS can have, got "
                f"{masses.min():g} to {masses.max():g} amu; use OpenMM"
            )
    if not atoms.pbc.any():
        atoms.center(vacuum=PADDING)
    draft = path.with_suffix(".draft")
    write_lammps_data(draft, atoms, specorder=species, masses=True, velocities=True, units="metal")
    draft.replace(path)


def write_matrix(path: Path, s: Simulation) -> None:
    """Write the drift matrix of the ensembles that need one."""
    if s.ensemble in ("langevin", "gle"):
        rate = 1000.0 / s.time_constant_fs  # 1/ps
        matrix = white_noise_matrix(rate)
        if s.ensemble == "gle":
            matrix = high_pass_matrix(rate, HIGH_PASS_FREQUENCY)
        np.savetxt(path, matrix, header="drift matrix, 1/ps")


def script_of(
    simulation: Simulation,
    model: Path,
    species: list[str],
    first: int,
    *,
    periodic: bool,
    structure: Mapping[str, float],
) -> str:
    """Return the input that runs the chunks from ``first`` on; ``structure`` as for :func:`pair_style_of`."""
    s, forces = simulation, simulation.forces
    step = s.outer_step_fs / 1000.0  # ps
    style = pair_style_of(forces, structure)
    if s.non_conservative_stress:
        style += " stress non_conservative"
    start = "read_data start.data" if first == 0 else f"read_restart chunk_{first - 1}.restart"
    groups = [f"group g{k + 1} type {k + 1}" for k in range(len(species))]
    kinetic = [f"compute k{k + 1} g{k + 1} ke" for k in range(len(species))]
    columns = ["step", "pe", *(f"c_k{k + 1}" for k in range(len(species))), "econserve"]
    columns += ["press", *CELL_COLUMNS, "c_mlip[1]", "c_mlip[2]"]
    lines = [
        *preamble(start, style, model, species, periodic),
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


def structure_inputs_for(model: Path, atoms: Atoms) -> dict[str, float]:
    """Return what the model depends on of the structure as a whole, from ``atoms.info``."""
    if not model.is_file():
        return {}  # LAMMPS says so
    return structure_inputs_of(read_metadata(model).structure_inputs, atoms.info)


def pair_style_of(forces: Forces, structure: Mapping[str, float]) -> str:
    """Return the pair style and its keywords, without a stress of the head.

    ``structure`` has the total charge and the spin multiplicity, as far as the model depends on them.
    """
    # Masses are those of the structure: heavy hydrogens are hydrogens.
    alone = " forces non_conservative" if forces.kind == "non_conservative" else ""
    words = "".join(f" {name} {value:.17g}" for name, value in structure.items())
    return f"mlip check_masses no{alone}{words}"


def timed_run(
    forces: Forces, inner_step_fs: float, outer_steps: int, *, warm_up: bool
) -> list[str]:
    """Return a run to take the time of, between the lines MEASURED and FINISHED of the output."""
    m = forces.inner_steps
    respa = f"respa 2 {m} inner 1 4.0 5.0 outer 2"
    return [
        f"run_style {respa if forces.kind == 'respa' else 'verlet'}",
        f"timestep {m * inner_step_fs / 1000.0:.12g}",
        "velocity all create 1.0 4711",  # cold: nothing blows up at any stride
        *([f"run {WARM_UP}"] if warm_up else []),
        f'print "{MEASURED}"',
        f"run {outer_steps}",
        f'print "{FINISHED}"',
    ]


def preamble(start: str, style: str, model: Path, species: list[str], periodic: bool) -> list[str]:
    """Return the commands from the units to the neighbour list."""
    return [
        "units metal",
        "atom_style atomic",
        "atom_modify map yes",
        f"boundary {'p p p' if periodic else 's s s'}",
        start,
        f"pair_style {style}",
        _pair_coeff(model, species),
        # a cluster is too small for bins if the cutoff is large
        f"neighbor {SKIN} {'bin' if periodic else 'nsq'}",
        "neigh_modify every 1 delay 0 check yes",
    ]


def _pair_coeff(model: Path, species: list[str]) -> str:
    return f'pair_coeff * * "{model}" {" ".join(species)}'


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
    if s.ensemble == "high_pass":
        rates = f"high_pass_friction {s.high_pass_friction} memory_rate {s.memory_rate}"
        return [f"fix move all nve/mlip/highpass {bath} {noise} {rates} friction {1.0 / tau}"]
    if s.ensemble == "berendsen":
        return [
            "fix move all nve",
            f"fix bath all temp/berendsen {bath} {tau}",
            f"fix box all press/berendsen {piston} modulus {BERENDSEN_MODULUS_BAR:g}",
        ]
    if s.ensemble == "nph":
        return [f"fix move all nph {piston}"]
    return [f"fix move all npt temp {bath} {tau} {piston}"]
