"""M3GNet against its equations: three-body terms summed pair by pair, the bases, and forces in opposite pairs."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.integrate import quad
from scipy.special import eval_legendre, spherical_jn

from mlip_engines.conformance import check_conformance
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network
from mlip_train.networks.m3gnet import M3GNet, SmoothRadialBasis
from mlip_train.networks.three_body import SphericalBessel, bessel_roots, racah_harmonics
from structures import STRUCTURES
from tolerances import TOLERANCE

CUTOFF, THREE_BODY = 4.0, 2.9
EQUALITY = TOLERANCE["float64"].equality
SINGLE = 1e-5  # what constants made in float32 leave of digits


def build(**arguments):
    torch.manual_seed(3)
    settings = {"n_features": 6, "three_body_cutoff": THREE_BODY, "n_layers": 2, "n_roots": 3}
    return M3GNet([1, 8], CUTOFF, **{**settings, **arguments}).double().eval()


def test_it_keeps_the_contract():
    network = build(non_conservative_layer=1, non_conservative_stress=True)
    check_conformance(network, species=["H", "O"], rotation=True)


@pytest.mark.parametrize("name", ["molecules", "cell_smaller_than_cutoff"])
def test_three_body_sums_equal_a_loop_over_pairs_of_edges(name):
    network = build(non_conservative_layer=0)
    graph = neighbor_graph(STRUCTURES[name](), CUTOFF)
    _, _, edges = network._features(graph)
    block = network.shared[0].three_body
    torch.manual_seed(0)
    v = torch.randn(graph.n_atoms, 6).double()
    found = block.sums(v, edges).detach().numpy()  # (S, L, n_roots)

    third = torch.sigmoid(block.of_third(v)).view(-1, 4, 3).detach().numpy()
    roots, vectors = bessel_roots(4, 3), graph.edge_vectors.numpy()
    i, j = graph.edge_index.tolist()
    r = np.linalg.norm(vectors, axis=1)

    def fade(distance):
        x = distance / THREE_BODY
        return 1 - 6 * x**5 + 15 * x**4 - 10 * x**3

    largest, short = 0.0, edges.short.tolist()
    assert short == [e for e in range(graph.n_edges) if r[e] < THREE_BODY]
    for row, a in enumerate(short[:60]):
        expected = np.zeros((4, 3))
        for b in (b for b in short if i[b] == i[a] and b != a):
            cosine = vectors[a] @ vectors[b] / (r[a] * r[b])
            for degree in range(4):
                y = math.sqrt((2 * degree + 1) / (4 * math.pi)) * eval_legendre(degree, cosine)
                j_l = spherical_jn(degree, roots[degree] * r[b] / THREE_BODY)
                expected[degree] += fade(r[a]) * fade(r[b]) * j_l * y * third[j[b], degree]
        np.testing.assert_allclose(found[row], expected, rtol=SINGLE, atol=SINGLE)
        largest = max(largest, np.abs(expected).max())
    assert largest > 1e-2


def test_roots_and_functions_of_bessel_are_those_of_scipy():
    roots = bessel_roots(4, 3)
    assert roots[1, 0] == pytest.approx(4.493409457909064)  # Abramowitz, Stegun, table 10.6
    basis = SphericalBessel(4, 3, 1.0).double()
    r = np.linspace(1e-3, 1.0, 200)
    found = basis(torch.tensor(r)).numpy()
    for degree in range(4):
        x = basis.wavenumbers[degree].numpy() * r[:, None]
        np.testing.assert_allclose(found[:, degree], spherical_jn(degree, x), rtol=0, atol=EQUALITY)
    # at the seam of series and closed form, single precision keeps its digits too
    near = torch.tensor(np.linspace(0.01, 1.0, 400))
    np.testing.assert_allclose(basis(near).numpy(), basis.float()(near.float()), rtol=0, atol=3e-6)


def test_harmonics_obey_the_addition_theorem():
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 20, 3)))
    products = racah_harmonics(torch.tensor(a), 4) * racah_harmonics(torch.tensor(b), 4)
    for degree in range(4):
        found = products[:, degree**2 : (degree + 1) ** 2].sum(dim=1)
        expected = eval_legendre(degree, (a * b).sum(axis=1))
        np.testing.assert_allclose(found, expected, rtol=0, atol=EQUALITY)


def test_radial_functions_are_orthonormal_and_flat_at_the_cutoff():
    basis = SmoothRadialBasis(4, CUTOFF).double()

    def h(r):
        return basis(torch.tensor([r], dtype=torch.float64))[0].numpy()

    for m in range(4):
        for k in range(m + 1):
            integral = quad(lambda r, m=m, k=k: r**2 * h(r)[m] * h(r)[k], 1e-9, CUTOFF)[0]
            assert integral == pytest.approx(float(m == k), abs=SINGLE)
    end = torch.tensor([CUTOFF], dtype=torch.float64, requires_grad=True)
    for m in range(4):
        value = basis(end)[0, m]
        (slope,) = torch.autograd.grad(value, end, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), end)
        assert max(abs(value.item()), abs(slope.item()), abs(curvature.item())) < SINGLE


def test_energies_of_bond_angles_differ_where_all_distances_to_the_centre_are_the_same():
    network = build(non_conservative_layer=0, n_layers=1)

    def energy(angle):
        end = [1.0 * math.cos(angle), 1.0 * math.sin(angle), 0.0]
        atoms = Atoms("OH2", [[0, 0, 0], [1.0, 0, 0], end])
        return network(neighbor_graph(atoms, CUTOFF), False)["atomic_energies"][0].item()

    assert abs(energy(1.8) - energy(2.4)) > 1e-6


def test_direct_forces_are_opposite_in_pairs():
    network = build(non_conservative_layer=1)
    graph = neighbor_graph(STRUCTURES["cell_smaller_than_cutoff"](), CUTOFF)
    forces = network(graph, True)["non_conservative_forces"]
    assert forces.abs().max() > 1e-4
    assert forces.sum(dim=0).abs().max() < EQUALITY
    _, e, edges = network._features(graph)
    w = network.force_head(e, edges.radial, graph.reverse_edge)
    torch.testing.assert_close(w, w[graph.reverse_edge], rtol=0, atol=EQUALITY)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"three_body_cutoff": 6.0}, "three_body_cutoff=6.0 <= cutoff=5.0"),
        ({"n_degrees": 5}, "n_degrees=5 <= 4"),
        ({"n_roots": 0}, "n_roots=0"),
    ],
)
def test_settings_that_do_not_fit_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        build_network({"name": "m3gnet", "species": [1], **wrong})
