"""Radial functions and directions of near edges against their formulas, derivatives against finite differences."""

import numpy as np
import pytest
import torch
from scipy.special import spherical_jn

from mlip_engines.operators import are_compiled, bessel_edges, composed_bessel_edges
from tolerances import TOLERANCE

CUTOFF = 4.0
FUNCTIONS = [bessel_edges, composed_bessel_edges]


def random_edges(n_centres, n_edges, dtype, longest=1.5 * CUTOFF):
    """Sorted by centre, between 0.3 Å and the longest, of ten atoms."""
    centre = torch.randint(n_centres, (n_edges,)).sort().values
    direction = torch.nn.functional.normalize(torch.randn(n_edges, 3, dtype=torch.float64), dim=1)
    length = 0.3 + (longest - 0.3) * torch.rand(n_edges, 1, dtype=torch.float64)
    edge_index = torch.stack((centre, torch.randint(10, (n_edges,))))
    return edge_index, (length * direction).to(dtype).requires_grad_(True)


def message(result, sources):
    """Return what the edges are for: sums over neighbours, of radial functions and directions."""
    first_edge, neighbor, radial, unit = result
    centre = torch.repeat_interleave(first_edge.diff())
    parts = torch.cat((radial, radial[:, :1] * unit), 1)[:, :, None] * sources[neighbor][:, None]
    zero = torch.zeros(first_edge.size(0) - 1, *parts.shape[1:], dtype=radial.dtype)
    return zero.index_add(0, centre, parts)


def written_out(edge_index, vectors, n_basis, n_centres, sources):
    near = vectors.detach().norm(dim=1) < CUTOFF
    edge_index, vectors = edge_index[:, near], vectors[near]
    r = vectors.square().sum(1, keepdim=True).sqrt()
    x = r / CUTOFF
    envelope = (1 - x) ** 3 * (1 + 3 * x + 6 * x**2 + 10 * x**3 + 15 * x**4 + 21 * x**5)
    k = torch.arange(1, n_basis + 1, dtype=r.dtype)
    radial = (2 / CUTOFF) ** 0.5 * torch.sin(k * torch.pi * x) / r * envelope
    counts = torch.bincount(edge_index[0], minlength=n_centres)
    first_edge = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)))
    return message((first_edge, edge_index[1], radial, vectors / r), sources)


@pytest.mark.parametrize("n_basis", [1, 8, 20])
@pytest.mark.parametrize("n_centres, n_edges", [(1, 1), (10, 100), (4, 33), (10, 3), (3, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_sums_over_neighbours_equal_those_of_the_formula(
    function, dtype, n_centres, n_edges, n_basis
):
    torch.manual_seed(n_edges)
    edge_index, vectors = random_edges(n_centres, n_edges, getattr(torch, dtype))
    sources = torch.rand(10, 4, dtype=torch.float64)
    exact = vectors.detach().double().requires_grad_(True)
    expected = written_out(edge_index, exact, n_basis, n_centres, sources)
    by = torch.rand_like(expected)
    (by_exact,) = torch.autograd.grad(expected, exact, by)
    limit = TOLERANCE[dtype].equality
    with torch.no_grad():
        found = message(
            function(edge_index, vectors, n_basis, CUTOFF, n_centres), sources.to(vectors.dtype)
        )
    torch.testing.assert_close(found.double(), expected.detach(), rtol=limit, atol=limit)
    found = message(
        function(edge_index, vectors, n_basis, CUTOFF, n_centres), sources.to(vectors.dtype)
    )
    torch.testing.assert_close(found.double(), expected, rtol=limit, atol=limit)
    (by_vectors,) = torch.autograd.grad(found, vectors, by.to(vectors.dtype))
    slope = limit * max(1.0, n_basis * by_exact.abs().max().item()) if n_edges else 0.0
    torch.testing.assert_close(by_vectors.double(), by_exact, rtol=limit, atol=slope)


def test_radial_functions_are_spherical_bessel_functions():
    """Times (k pi / c) sqrt(2 / c) and the envelope."""
    r = torch.linspace(0.2, 3.9, 40, dtype=torch.float64)
    vectors = torch.stack((r, 0 * r, 0 * r), 1)
    index = torch.zeros(2, 40, dtype=torch.int64)
    _, _, radial, unit = bessel_edges(index, vectors, 12, CUTOFF, 1)
    x = r.numpy() / CUTOFF
    envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    for k in range(1, 13):
        wave = k * np.pi / CUTOFF
        expected = (2 / CUTOFF) ** 0.5 * wave * spherical_jn(0, wave * r.numpy()) * envelope
        np.testing.assert_allclose(radial[:, k - 1], expected, atol=TOLERANCE["float64"].equality)
    np.testing.assert_allclose(unit[:, 0], 1.0, atol=TOLERANCE["float64"].equality)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_first_and_second_derivatives_equal_finite_differences(function):
    torch.manual_seed(0)
    edge_index, vectors = random_edges(3, 6, torch.float64, longest=0.9 * CUTOFF)

    def features(x):
        return function(edge_index, x, 3, CUTOFF, 3)[2:]

    assert torch.autograd.gradcheck(features, (vectors,))
    assert torch.autograd.gradgradcheck(features, (vectors,))
    assert torch.autograd.gradcheck(lambda x: features(x)[0], (vectors,))
    assert torch.autograd.gradcheck(lambda x: features(x)[1], (vectors,))


@pytest.mark.skipif(not are_compiled(), reason="composed, all edges are kept")
def test_edges_from_the_cutoff_on_are_left_out_and_nan_is_not():
    vectors = torch.tensor([[3.9, 0, 0], [4.1, 0, 0], [0, float("nan"), 0], [0, 0, 1.0]])
    index = torch.tensor([[0, 0, 2, 2], [1, 2, 0, 1]])
    first_edge, neighbor, radial, _ = bessel_edges(index, vectors, 2, CUTOFF, 4)
    assert first_edge.tolist() == [0, 1, 1, 3, 3]
    assert neighbor.tolist() == [1, 0, 1]
    assert radial[1].isnan().all() and radial[[0, 2]].isfinite().all()


@pytest.mark.skipif(not are_compiled(), reason="torch's own operators check their arguments")
def test_arguments_that_do_not_fit_are_refused():
    index, vectors = torch.tensor([[0, 1], [1, 0]]), torch.rand(2, 3)
    with pytest.raises(RuntimeError, match="expected edge_index .2, E. and edge_vectors .E, 3."):
        bessel_edges(index, vectors[:1], 2, CUTOFF, 2)
    for unsorted, n_centres in ((index.flip(1), 2), (index, 1), (index - 1, 2)):
        with pytest.raises(IndexError, match="expected centres that do not decrease"):
            bessel_edges(unsorted, vectors, 2, CUTOFF, n_centres)
    with pytest.raises(RuntimeError, match="expected radial functions, a cutoff above 0"):
        bessel_edges(index, vectors, 0, CUTOFF, 2)
