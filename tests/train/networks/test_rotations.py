"""Rotations: PaiNN in single precision, and PET when its answers are averaged over all of them."""

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from mlip_engines.model.graph import Graph
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network
from structures import STRUCTURES
from tests.small_networks import CUTOFF, NETWORKS

OUTPUTS = ("atomic_energies", "non_conservative_forces", "non_conservative_virials")
LIMIT = 1e-5  # relative to the largest component


def build(name, species):
    torch.manual_seed(5)
    settings = {"name": name, "species": species, "cutoff": CUTOFF, **NETWORKS[name]}
    return build_network({**settings, "non_conservative_stress": True}).eval()


def turned_back(key, values, turns):
    """Outputs of structures turned by ``turns`` (..., 3, 3), r' = turn r, as of the structures themselves."""
    if key == "non_conservative_forces":
        return torch.einsum("...ba,...b->...a", turns, values)
    if key == "non_conservative_virials":
        return torch.einsum("...ca,...cd,...db->...ab", turns, values, turns)
    return values


@pytest.mark.parametrize("improper", [False, True])
@pytest.mark.parametrize("name", ["molecules", "triclinic", "cell_smaller_than_cutoff"])
def test_painn_turns_with_the_structure_in_single_precision(name, improper):
    network = build("painn", [1, 8])
    graph = neighbor_graph(STRUCTURES[name](), CUTOFF)
    turn = torch.tensor(Rotation.random(random_state=7).as_matrix()) * (-1.0 if improper else 1.0)
    answers = []
    for vectors in (graph.edge_vectors, graph.edge_vectors @ turn.T):
        vectors = vectors.float().requires_grad_(True)
        output = network(graph._replace(edge_vectors=vectors), True)
        (gradient,) = torch.autograd.grad(output["atomic_energies"].sum(), vectors)
        answers.append({**{key: output[key].detach() for key in OUTPUTS}, "gradient": gradient})
    before, after = answers
    for key in OUTPUTS:
        expected = before[key].double()
        found = turned_back(key, after[key].double(), turn)
        assert float((found - expected).abs().max()) < LIMIT * float(expected.abs().max())
    difference = after["gradient"].double() @ turn - before["gradient"].double()
    assert float(difference.abs().max()) < LIMIT * float(before["gradient"].abs().max())


def all_rotations(n):
    """Rotations (M, 3, 3) and weights (M,) that average polynomials of degree 2n - 1 in their elements exactly.

    Product rule in Euler angles z-y-z: 2n equidistant points in two of them, Gauss-Legendre in the cosine of the third.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n)
    around = np.arange(2 * n) * np.pi / n
    alpha, beta, gamma = np.meshgrid(around, np.arccos(nodes), around, indexing="ij")
    angles = np.stack([alpha, beta, gamma], axis=-1).reshape(-1, 3)
    weight = np.broadcast_to((weights / weights.sum())[None, :, None], alpha.shape).ravel()
    turns = Rotation.from_euler("ZYZ", angles).as_matrix()
    return torch.tensor(turns), torch.tensor(weight / weight.sum())


def averaged(network, graph, n):
    """Outputs averaged over all rotations, all of them as one graph."""
    turns, weights = all_rotations(n)
    m, n_atoms, n_edges = len(turns), graph.n_atoms, graph.n_edges
    copies = torch.arange(m).repeat_interleave(n_edges)
    many = Graph(
        graph.atomic_numbers.repeat(m),
        graph.edge_index.repeat(1, m) + n_atoms * copies,
        torch.einsum("mab,eb->mea", turns, graph.edge_vectors).flatten(0, 1),
        graph.reverse_edge.repeat(m) + n_edges * copies,
        graph.owned.repeat(m),
    )
    with torch.no_grad():
        output = network(many, True)
    result = {}
    for key in OUTPUTS:
        values = output[key].view(m, n_atoms, *output[key].shape[1:])
        values = turned_back(key, values, turns[:, None])
        result[key] = torch.einsum("m,m...->...", weights, values)
    return result


def test_pet_averaged_over_all_rotations_turns_with_the_structure():
    network = build("pet", [1, 8]).double()
    with (
        torch.no_grad()
    ):  # features that change over more than a few angles would need a finer average
        for layer in (*network.shared, *network.energy_layers):
            layer.e_r.weight.mul_(0.3)
    molecule = Atoms("OHHO", [[0, 0, 0], [0.9, 0.3, -0.5], [-0.4, 0.8, -0.7], [1.4, -1.9, 0.8]])
    graph = neighbor_graph(molecule, CUTOFF)
    turn = torch.tensor(Rotation.random(random_state=3).as_matrix())
    other = graph._replace(edge_vectors=graph.edge_vectors @ turn.T)
    errors = {}
    for n in (1, 8):
        before, after = averaged(network, graph, n), averaged(network, other, n)
        errors[n] = [
            float(
                (turned_back(key, after[key], turn) - before[key]).abs().max()
                / before[key].abs().max()
            )
            for key in OUTPUTS
        ]
    assert min(errors[1]) > 1e-3  # before averaging it is not equivariant
    assert max(errors[8]) < LIMIT
