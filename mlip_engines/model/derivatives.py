"""Edge gradients to forces and virials: the only place where an energy is differentiated.

With g_e = dE/d(r_e) for the edge e = (i -> j), r_e = r_j + shift - r_i, the chain rule gives both forces and virial
from g_e alone, so periodic images, ghosts, triclinic cells and no cell at all are the same case. Everything here
is scripted into the exported file.
"""

import torch
from torch import Tensor


def energy_gradient(
    energy: Tensor, edge_vectors: Tensor, create_graph: bool = False, retain_graph: bool = False
) -> Tensor:
    """Gradient of a scalar energy with respect to the edge vectors.

    Parameters
    ----------
    energy : () tensor, eV
    edge_vectors : (E, 3) tensor, Å
        Must require grad.
    create_graph : bool
        Whether the gradient can itself be differentiated, as training on forces needs it.
    retain_graph : bool
        Whether the energy can be differentiated once more, as training on energies needs it.

    Returns
    -------
    (E, 3) tensor, eV/Å
        Zero where the energy does not depend on the edges, as for an isolated atom.
    """
    if not energy.requires_grad:
        return torch.zeros_like(edge_vectors)
    gradient = torch.autograd.grad(
        [energy],
        [edge_vectors],
        retain_graph=retain_graph or create_graph,
        create_graph=create_graph,
        allow_unused=True,
    )[0]
    if gradient is None:
        return torch.zeros_like(edge_vectors)
    return gradient


def forces_from_edges(edge_index: Tensor, edge_gradients: Tensor, n_atoms: int) -> Tensor:
    """Forces F_i = sum_{e from i} g_e - sum_{e to i} g_e.

    Parameters
    ----------
    edge_index : (2, E) int64 tensor
    edge_gradients : (E, 3) tensor, eV/Å
    n_atoms : int

    Returns
    -------
    (n_atoms, 3) tensor, eV/Å
    """
    forces = torch.zeros(
        (n_atoms, 3), dtype=edge_gradients.dtype, device=edge_gradients.device
    )  # (N, 3)
    forces = forces.index_add(0, edge_index[0], edge_gradients)
    return forces.index_add(0, edge_index[1], edge_gradients, alpha=-1.0)


def virial_from_edges(edge_vectors: Tensor, edge_gradients: Tensor) -> Tensor:
    """Virial W = -sum_e r_e (x) g_e = -dE/d(strain), LAMMPS's sign.

    Parameters
    ----------
    edge_vectors : (E, 3) tensor, Å
    edge_gradients : (E, 3) tensor, eV/Å

    Returns
    -------
    (3, 3) tensor, eV
        Not symmetrised.

    References
    ----------
    Thompson, Plimpton, Mattson, J. Chem. Phys. 131, 154107 (2009).
    """
    return -edge_vectors.transpose(0, 1) @ edge_gradients


def atomic_virials_from_edges(
    edge_index: Tensor, edge_vectors: Tensor, edge_gradients: Tensor, n_atoms: int
) -> Tensor:
    """Per-atom virials, each edge shared equally by its two atoms; they sum to the virial.

    Returns
    -------
    (n_atoms, 3, 3) tensor, eV
    """
    half = -0.5 * edge_vectors[:, :, None] * edge_gradients[:, None, :]  # (E, 3, 3)
    virials = torch.zeros((n_atoms, 3, 3), dtype=half.dtype, device=half.device)
    return virials.index_add(0, edge_index[0], half).index_add(0, edge_index[1], half)


def centroid_virials_from_edges(
    edge_index: Tensor,
    edge_vectors: Tensor,
    edge_gradients: Tensor,
    n_atoms: int,
    energy_moments: Tensor | None = None,
) -> Tensor:
    """Per-atom virials that say where the energy goes; they sum to the virial.

    W_j = sum_i (r_i - r_j) (x) dE_i/dr_j, so that sum_j W_j v_j is the potential part of the heat flux. Virials that
    are shared equally give that for pair potentials only.

    If the energy of an atom depends on the edges from it only (one message-passing layer), each edge is given to its
    neighbour: W_j = -sum_{e to j} r_e (x) g_e. With more layers, what an edge e = (k -> j) adds to energies E_i
    elsewhere counts from i: with its moment M_e = sum_i (r_i - r_k) (x) dE_i/d(r_e), W_j gets M_e - r_e (x) g_e and
    W_k gets -M_e.

    Parameters
    ----------
    edge_index : (2, E) int64 tensor
    edge_vectors : (E, 3) tensor, Å
    edge_gradients : (E, 3) tensor, eV/Å
        Of the sum of the energies.
    n_atoms : int
    energy_moments : (E, 3, 3) tensor, eV, optional
        From :func:`energy_moments`. Without: one layer, whose moments are zero.

    Returns
    -------
    (n_atoms, 3, 3) tensor, eV
        The first index is that of the position, the second that of the gradient.

    References
    ----------
    Surblys, Matsubara, Kikugawa, Ohara, Phys. Rev. E 99, 051301 (2019); Fan, Pereira, Wang, Zheng,
    Donadio, Harju, Phys. Rev. B 92, 094301 (2015). Several layers: Langer, Knoop, Carbogno, Scheffler, Rupp,
    Phys. Rev. B 108, L100302 (2023).
    """
    to_neighbor = -edge_vectors[:, :, None] * edge_gradients[:, None, :]  # (E, 3, 3)
    if energy_moments is not None:
        to_neighbor = to_neighbor + energy_moments
    virials = torch.zeros((n_atoms, 3, 3), dtype=to_neighbor.dtype, device=to_neighbor.device)
    virials = virials.index_add(0, edge_index[1], to_neighbor)
    if energy_moments is not None:
        virials = virials.index_add(0, edge_index[0], energy_moments, alpha=-1.0)
    return virials


def energy_moments(
    atomic_energies: Tensor,
    positions: Tensor,
    edge_index: Tensor,
    edge_vectors: Tensor,
    edge_gradients: Tensor,
) -> Tensor:
    """Where the energies are that an edge changes, from three gradients.

    M_e = sum_i (r_i - r_k) (x) dE_i/d(r_e) for the edge e from the atom k: the gradient of sum_i r_i E_i, with the
    r_i held fixed, minus r_k (x) g_e.

    Parameters
    ----------
    atomic_energies : (N,) tensor, eV
        With their graph, which is kept; zero where an energy does not count.
    positions : (N, 3) tensor, Å
        Of the atoms themselves, no periodic images: positions of neighbours differ by their edge vectors. The nearer
        to the origin, the better in float32; the result is the same for any origin.
    edge_index : (2, E) int64 tensor
    edge_vectors : (E, 3) tensor, Å
        Must require grad.
    edge_gradients : (E, 3) tensor, eV/Å
        Of the sum of the energies.

    Returns
    -------
    (E, 3, 3) tensor, eV
        The first index is that of the position, the second that of the gradient.
    """
    directions: list[Tensor] = []
    for a in range(3):
        weighted = (positions[:, a] * atomic_energies).sum()
        directions.append(energy_gradient(weighted, edge_vectors, retain_graph=True))
    centres = positions.index_select(0, edge_index[0])  # (E, 3)
    return torch.stack(directions, dim=1) - centres[:, :, None] * edge_gradients[:, None, :]


def remove_net_force(forces: Tensor, owned: Tensor) -> Tensor:
    """Subtract the mean force over the owned atoms, so that momentum is conserved.

    Parameters
    ----------
    forces : (N, 3) tensor, eV/Å
    owned : (N,) bool tensor

    Returns
    -------
    (N, 3) tensor, eV/Å
        Zero for atoms that are not owned.
    """
    weight = owned.to(forces.dtype)[:, None]  # (N, 1)
    count = weight.sum().clamp(min=1.0)
    return (forces - (forces * weight).sum(dim=0, keepdim=True) / count) * weight


def differentiable_gradient(energy: Tensor, positions: Tensor) -> Tensor:
    """Gradient of an energy that can itself be differentiated; not for the exported file.

    Parameters
    ----------
    energy : () tensor, eV
    positions : (N, 3) tensor, Å
        Must require grad.

    Returns
    -------
    (N, 3) tensor, eV/Å
    """
    gradient = torch.autograd.grad(energy, positions, create_graph=True, allow_unused=True)[0]
    return torch.zeros_like(positions) if gradient is None else gradient


def vector_jacobian(forces: Tensor, positions: Tensor, vector: Tensor) -> Tensor:
    """Return J^T v, with J the derivative of the forces with respect to the positions.

    Parameters
    ----------
    forces : (N, 3) tensor, eV/Å
        With a graph, which is kept.
    positions : (N, 3) tensor, Å
    vector : (N, 3) tensor

    Returns
    -------
    (N, 3) tensor, eV/Å^2
    """
    if not forces.requires_grad:
        return torch.zeros_like(positions)
    (product,) = torch.autograd.grad(
        forces, positions, vector, retain_graph=True, allow_unused=True
    )
    return torch.zeros_like(positions) if product is None else product
