"""Every tolerance of the test suite, by the dtype of the network; looser ones need a comment.

Positions, sums and derivatives are float64 in every engine, so a float64 network is reproduced to a
few units of 1e-12; the values leave room for the order of sums and the digits that engines print.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerances:
    """Largest absolute differences between two ways to the same number."""

    energy: float  # eV, of the whole system without or with the composition baseline
    energy_per_atom: float  # eV/atom
    force: float  # eV/Å, each component
    stress: float  # eV/Å^3, each component
    virial: float  # eV, each component
    position: float  # Å, after a hundred steps of the same trajectory
    equality: float  # relative, scripted against eager, batch against single


TOLERANCE = {
    "float64": Tolerances(
        energy=1e-6,
        energy_per_atom=1e-6,
        force=1e-6,
        stress=1e-8,
        virial=1e-5,
        position=1e-8,
        equality=1e-10,
    ),
    # A float32 network gives atomic energies of a few eV with 7 digits: 1e-6 eV per atom, 2e-4 eV
    # for 192 atoms.
    "float32": Tolerances(
        energy=5e-4,
        energy_per_atom=1e-6,
        force=5e-4,
        stress=1e-5,
        virial=5e-3,
        position=1e-4,
        equality=1e-4,
    ),
}

# Central differences of a float64 energy with step h err by h^2 F''/6 and by round-off eps E / h.
FINITE_DIFFERENCE_STEP = 1e-4  # Å, or strain
FINITE_DIFFERENCE_FORCE = 1e-6  # eV/Å
FINITE_DIFFERENCE_VIRIAL = 1e-5  # eV
FINITE_DIFFERENCE_STRESS = 1e-7  # eV/Å^3

# Exact analytic formulas and ASE's own neighbour lists and potentials, float64 on both sides.
EXACT = 1e-10
