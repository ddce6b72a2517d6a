"""The lines that run the accelerated model, to be copied."""

from __future__ import annotations

from pathlib import Path

from mlip_engines.simulations.pace import Pace


def lammps_lines(model: Path, symbols: list[str], pace: Pace) -> str:
    """Return the lines of a LAMMPS input that differ from other inputs.

    Parameters
    ----------
    model : Path
    symbols : list of str
        In the order of the atom types.
    pace : Pace
        Of r-RESPA.
    """
    return "\n".join(
        [
            "units         metal",
            "pair_style    mlip disagreement warn",
            f'pair_coeff    * * "{model}" {" ".join(symbols)}',
            "neighbor      2.0 bin",
            "neigh_modify  every 1 delay 0 check yes",
            f"timestep      {pace.outer_step_fs / 1000.0:.12g}",
            f"run_style     respa 2 {pace.forces.inner_steps} inner 1 4.0 5.0 outer 2",
        ]
    )


def openmm_lines(model: Path, pace: Pace) -> str:
    """Return the lines of a Python program for OpenMM."""
    return "\n".join(
        [
            "from openmm import unit",
            "from openmm_forces import RespaIntegrator, create_system",
            "",
            f'system = create_system(topology, "{model}")',
            f"integrator = RespaIntegrator({pace.outer_step_fs:g} * unit.femtosecond, {pace.forces.inner_steps})",
        ]
    )
