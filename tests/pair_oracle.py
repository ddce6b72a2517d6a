"""Pair potentials summed by numpy over ASE's neighbour list: nothing of this project is used."""

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list


def smooth_cutoff(distance, cutoff):
    """(1 - x^2)^3 and its derivative with respect to the distance."""
    x = distance / cutoff
    return (1 - x**2) ** 3, -6 * x * (1 - x**2) ** 2 / cutoff


def lennard_jones(distance, epsilon, sigma):
    """Energy and derivative."""
    sixth = (sigma / distance) ** 6
    energy = 4 * epsilon * (sixth**2 - sixth)
    return energy, 4 * epsilon * (-12 * sixth**2 + 6 * sixth) / distance


def pair_sums(atoms: Atoms, cutoff: float, epsilon: float, sigma: float, curl: float):
    """Energy, forces and non-conservative forces of a smoothly cut Lennard-Jones system.

    The non-conservative forces are the forces plus curl f(r) z x r for every neighbour at r.
    """
    i, d, D = neighbor_list("idD", atoms, cutoff)
    factor, factor_slope = smooth_cutoff(d, cutoff)
    energy, slope = lennard_jones(d, epsilon, sigma)
    total_slope = slope * factor + energy * factor_slope
    forces, head = np.zeros((len(atoms), 3)), np.zeros((len(atoms), 3))
    np.add.at(forces, i, (total_slope / d)[:, None] * D)
    np.add.at(head, i, curl * factor[:, None] * np.cross([0.0, 0.0, 1.0], D))
    return 0.5 * float((energy * factor).sum()), forces, forces + head
