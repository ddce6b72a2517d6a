"""Smoothly cut Lennard-Jones with a curl, summed over images in plain numpy: no neighbour list, no torch."""

import itertools

import numpy as np
from ase import Atoms


class ClosedForm:
    """Energy, forces and virial of 1/2 sum_e u(r) f(r), f = (1 - (r/c)^2)^3, and its head with a curl."""

    def __init__(self, cutoff: float, epsilon: float, sigma: float, curl: float = 0.0):
        self.cutoff, self.epsilon, self.sigma, self.curl = cutoff, epsilon, sigma, curl

    def evaluate(self, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Return energy (eV), forces (N, 3), virial (3, 3) and non-conservative forces (N, 3)."""
        vectors, centres = self._vectors(atoms)
        r = np.linalg.norm(vectors, axis=1)
        sixth = (self.sigma / r) ** 6
        u = 4.0 * self.epsilon * (sixth**2 - sixth)
        u_slope = -24.0 * self.epsilon * (2.0 * sixth**2 - sixth) / r
        x = r / self.cutoff
        f = (1.0 - x**2) ** 3
        f_slope = -6.0 * x * (1.0 - x**2) ** 2 / self.cutoff
        slope = u_slope * f + u * f_slope
        pair_forces = (slope / r)[:, None] * vectors  # on the centre
        swirl = np.cross([0.0, 0.0, 1.0], vectors) * (self.curl * f)[:, None]
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, centres, pair_forces)
        direct = forces.copy()
        np.add.at(direct, centres, swirl)
        virial = -0.5 * vectors.T @ pair_forces
        return 0.5 * float((u * f).sum()), forces, virial, direct - direct.mean(axis=0)

    def _vectors(self, atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
        """All vectors shorter than the cutoff, from centres to neighbours and their images."""
        atoms = atoms.copy()
        atoms.wrap()
        cell = atoms.cell.array
        spacing = np.linalg.norm(np.linalg.pinv(cell), axis=0)  # 1 / distance between planes
        counts = [
            int(np.ceil(self.cutoff * s)) + 1 if p else 0
            for s, p in zip(spacing, atoms.pbc, strict=True)
        ]
        vectors, centres = [], []
        for shift in itertools.product(*(range(-n, n + 1) for n in counts)):
            d = atoms.positions[None] + np.array(shift) @ cell - atoms.positions[:, None]
            r = np.linalg.norm(d, axis=2)
            i, j = np.nonzero((r < self.cutoff) & (r > 0))
            vectors.append(d[i, j])
            centres.append(i)
        return np.concatenate(vectors), np.concatenate(centres)
