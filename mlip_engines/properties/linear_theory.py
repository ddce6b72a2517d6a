r"""What r-RESPA samples in harmonic wells, without noise: how long an outer step may be, from a few derivatives.

Near its place, every molecule of a structure feels C = -H x and NC = -J x, with the Hessian H of the energy and the
Jacobian J of the non-conservative forces. An outer step of r-RESPA with a bath is then a linear map with Gaussian
noise,

    z' = A z + noise of the covariance N,    z = (x, v, s),

and the covariance S that it settles to solves S = A S A^T + N (Lyapunov). From S follow the temperatures that a
simulation would show. A sampling error that takes a simulation of many picoseconds to see is there in a second; what is
missing are anharmonic motion and that molecules move together. Other atoms are held where they are.

References
----------
Morrone, Markland, Ceriotti, Berne, J. Chem. Phys. 134, 014103 (2011), who find the resonances of r-RESPA in this way;
Ceriotti, Bussi, Parrinello, J. Chem. Theory Comput. 6, 1170 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_engines.properties.molecules import find_molecules, is_molecular, whole_molecule
from mlip_engines.properties.motion import MOTIONS, bonds_within, motion_projectors

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel

SOFTEST = 10.0  # 1/ps, angular (53 cm^-1): a softer or unstable mode in a frozen liquid is made as stiff as this
LARGEST_WHOLE = 50  # atoms of a structure without molecules that is taken as one


@dataclass(frozen=True)
class LinearMolecule:
    """A molecule in a harmonic well, all other atoms at rest.

    Parameters
    ----------
    symbols : list of str
        Of its n atoms.
    positions : (n, 3) array, Å
        In one piece.
    masses : (n,) array, g/mol
    hessian : (3n, 3n) array, eV/Å^2
        Of the energy, -dC/dx.
    jacobian : (3n, 3n) array, eV/Å^2
        -dNC/dx, which need not be symmetric.
    """

    symbols: list[str]
    positions: NDArray[np.float64]
    masses: NDArray[np.float64]
    hessian: NDArray[np.float64]
    jacobian: NDArray[np.float64]

    def with_hydrogen_mass(self, mass: float) -> LinearMolecule:
        """Return the molecule with hydrogens of this mass (g/mol), taken from the atom nearest to each that is none."""
        masses = self.masses.copy()
        is_hydrogen = np.array(self.symbols) == "H"
        others = np.flatnonzero(~is_hydrogen)
        for k in np.flatnonzero(is_hydrogen):
            if len(others):
                distances = np.linalg.norm(self.positions[others] - self.positions[k], axis=1)
                masses[others[distances.argmin()]] -= mass - masses[k]
            masses[k] = mass
        return replace(self, masses=masses)


@dataclass(frozen=True)
class BathedRespa:
    """r-RESPA with half drifts around a bath in each inner step, as both engines have it.

    Parameters
    ----------
    inner_step_fs : float, fs
    inner_steps : int
        M; 1 is velocity Verlet with conservative forces.
    friction : float, 1/ps
        Without memory, on all atoms. It has to be positive, or there is nothing to settle to.
    high_pass_friction, memory_rate : float, 1/ps
        Of the bath with memory; 0 for none.
    light_mass : float, g/mol
        Largest mass of the atoms that the bath with memory acts on.
    """

    inner_step_fs: float
    inner_steps: int
    friction: float = 2.0
    high_pass_friction: float = 0.0
    memory_rate: float = 0.0
    light_mass: float = 4.5

    @property
    def outer_step_fs(self) -> float:
        """Return the outer step, fs."""
        return self.inner_steps * self.inner_step_fs


@dataclass(frozen=True)
class Sampling:
    """What is sampled at the ends of outer steps; all NaN if the step is unstable.

    Parameters
    ----------
    largest_eigenvalue : float
        Of the map of an outer step; unstable from 1 on.
    configurational, kinetic : dict of str to float
        Temperature of each element over that of the bath.
    potential : float
        Mean potential energy above kT/2 for each degree of freedom, in kT for each degree of freedom.
    by_motion : dict of str to float
        Configurational temperature of each kind of motion that the molecules have, over that of the bath; see
        :mod:`mlip_engines.properties.motion`.
    """

    largest_eigenvalue: float
    configurational: dict[str, float]
    kinetic: dict[str, float]
    potential: float
    by_motion: dict[str, float]


def linear_molecules(
    model: LoadedModel, atoms: Atoms, *, n_atoms: int = 60, seed: int = 1
) -> list[LinearMolecule]:
    """Return the wells of some molecules of a structure; of single atoms, if it is not made of molecules.

    Parameters
    ----------
    model : LoadedModel
        With a head for non-conservative forces.
    atoms : ase.Atoms
        A typical structure, such as the last of a simulation.
    n_atoms : int
        In all molecules together, at least one of them. An atom costs about 24 evaluations.
    seed : int
        Which molecules.

    Returns
    -------
    list of LinearMolecule

    Raises
    ------
    ValueError
        If the model has no head for non-conservative forces or does not know an element.
    """
    from mlip_engines.properties.force_field import ForceField
    from mlip_engines.properties.jacobian import jacobian_rows

    if is_molecular(atoms):
        groups = find_molecules(atoms)
    elif not atoms.pbc.any() and len(atoms) <= LARGEST_WHOLE:
        groups = [np.arange(len(atoms))]
    else:
        groups = [np.array([k]) for k in range(len(atoms))]
    order = np.random.default_rng(seed).permutation(len(groups))
    n_taken = np.searchsorted(np.cumsum([len(groups[k]) for k in order]), n_atoms, side="right")
    taken = [groups[k] for k in order[: max(1, int(n_taken))]]
    chosen = np.concatenate(taken)
    rows = {
        conservative: -jacobian_rows(
            ForceField(model, atoms, conservative=conservative), atoms.positions, chosen
        )
        for conservative in (True, False)
    }
    molecules, start = [], 0
    for group in taken:
        stop = start + 3 * len(group)
        columns = (3 * group[:, None] + np.arange(3)).ravel()
        hessian, jacobian = (rows[c][start:stop][:, columns] for c in (True, False))
        start = stop
        molecules.append(
            LinearMolecule(
                symbols=[atoms.symbols[k] for k in group],
                positions=whole_molecule(atoms, group),
                masses=atoms.get_masses()[group],
                hessian=0.5 * (hessian + hessian.T),
                jacobian=jacobian,
            )
        )
    return molecules


def sampling(molecules: Sequence[LinearMolecule], integrator: BathedRespa) -> Sampling:
    """Return what an integrator samples, averaged over molecules.

    Parameters
    ----------
    molecules : sequence of LinearMolecule
    integrator : BathedRespa

    Raises
    ------
    ValueError
        If there is no molecule, or the friction is not positive.
    """
    if not molecules:
        raise ValueError("expected at least one molecule, got none")
    if not integrator.friction > 0.0:
        raise ValueError(f"expected a friction of more than 0 / ps, got {integrator.friction} / ps")
    largest, potential, n_coordinates = 0.0, 0.0, 0
    sums: dict[str, NDArray] = {}
    of_motions = {name: np.zeros(2) for name in MOTIONS}
    for molecule in molecules:
        hessian, jacobian = _stiffened(molecule)
        radius, x, v = _settled(hessian, jacobian, molecule.masses, integrator)
        largest = max(largest, radius)
        if not radius < 1.0:
            break
        # mass-weighted, in units of kT
        forces = hessian @ x @ hessian
        squares = np.diag(forces)
        potential += 0.5 * np.trace(hessian @ x) - 0.5 * len(x)
        n_coordinates += len(x)
        of_coordinates = np.repeat(molecule.masses, 3)
        parts = [squares * of_coordinates, np.diag(hessian) * of_coordinates, np.diag(v)]
        for k, symbol in enumerate(molecule.symbols):
            each = np.array([*(part[3 * k : 3 * k + 3].sum() for part in parts), 3.0])
            sums[symbol] = sums.get(symbol, 0.0) + each
        for name, projector in _projectors(molecule).items():
            of_motions[name] += [np.trace(projector @ forces), np.trace(projector @ hessian)]
    if not largest < 1.0:
        unknown = dict.fromkeys(sorted({s for m in molecules for s in m.symbols}), float("nan"))
        kinds = {name for m in molecules for name, p in _projectors(m).items() if p.any()}
        nothing = {name: float("nan") for name in MOTIONS if name in kinds}
        return Sampling(largest, unknown, dict(unknown), float("nan"), nothing)
    elements = sorted(sums)
    return Sampling(
        largest,
        {e: float(sums[e][0] / sums[e][1]) for e in elements},
        {e: float(sums[e][2] / sums[e][3]) for e in elements},
        float(potential / n_coordinates),
        {name: float(above / below) for name, (above, below) in of_motions.items() if below > 0.0},
    )


def _projectors(molecule: LinearMolecule) -> dict[str, NDArray]:
    pairs = bonds_within(molecule.symbols, molecule.positions)
    return motion_projectors(molecule.positions, molecule.masses, pairs)


def _stiffened(molecule: LinearMolecule) -> tuple[NDArray, NDArray]:
    """Return Hessian and Jacobian, mass-weighted, 1/ps^2, with no mode of the energy below SOFTEST.

    What is added to one is added to the other: C - NC stays as it is.
    """
    from ase import units

    root = np.sqrt(np.repeat(molecule.masses, 3))
    per_ps2 = (1000.0 * units.fs) ** 2 / np.outer(root, root)
    hessian, jacobian = molecule.hessian * per_ps2, molecule.jacobian * per_ps2
    squares, modes = np.linalg.eigh(hessian)
    added = modes * np.maximum(SOFTEST**2 - squares, 0.0) @ modes.T
    return hessian + added, jacobian + added


def _settled(
    hessian: NDArray, jacobian: NDArray, masses: NDArray, integrator: BathedRespa
) -> tuple[float, NDArray, NDArray]:
    """Return the largest eigenvalue of an outer step, and the covariances of x and v, (n, n), in units of kT."""
    from scipy.linalg import solve_discrete_lyapunov

    n = len(hessian)
    h = integrator.inner_step_fs / 1000.0
    g, a = integrator.high_pass_friction, integrator.memory_rate
    light = np.flatnonzero(np.repeat(masses <= integrator.light_mass, 3)) if g > 0.0 else []
    size = 2 * n + len(light)
    x, v = slice(0, n), slice(n, 2 * n)

    def kick(matrix: NDArray, dt: float) -> NDArray:
        step = np.eye(size)
        step[v, x] = -dt * matrix
        return step

    drift = np.eye(size)
    drift[x, v] = 0.5 * h * np.eye(n)
    bath, bath_noise = np.eye(size), np.zeros((size, size))
    for k, coordinate in enumerate(light):
        pair = np.ix_(*2 * ([n + coordinate, 2 * n + k],))
        along = np.sqrt(np.array([g, a]) / (g + a))
        left = np.exp(-(g + a) * h)
        bath[pair] += (left - 1.0) * np.outer(along, along)
        bath_noise[pair] += (1.0 - left**2) * np.outer(along, along)
    left = np.exp(-integrator.friction * h)
    white, white_noise = np.eye(size), np.zeros((size, size))
    white[v, v] *= left
    white_noise[v, v] = (1.0 - left**2) * np.eye(n)

    before, after = drift @ kick(jacobian, 0.5 * h), kick(jacobian, 0.5 * h) @ drift
    inner = after @ white @ bath @ before
    inner_noise = after @ (white @ bath_noise @ white.T + white_noise) @ after.T
    correction = kick(hessian - jacobian, 0.5 * integrator.inner_steps * h)
    step, noise = correction, np.zeros((size, size))
    for _ in range(integrator.inner_steps):
        step = inner @ step
        noise = inner @ noise @ inner.T + inner_noise
    step, noise = correction @ step, correction @ noise @ correction.T
    radius = float(np.abs(np.linalg.eigvals(step)).max())
    if not radius < 1.0:
        return radius, np.full((n, n), np.nan), np.full((n, n), np.nan)
    covariance = solve_discrete_lyapunov(step, noise)
    return radius, covariance[x, x], covariance[v, v]
