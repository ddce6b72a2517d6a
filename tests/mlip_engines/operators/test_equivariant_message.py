"""Messages against their definition written out edge by edge, their derivatives against finite differences."""

import pytest
import torch
from random_graph import random_graph

from mlip_engines.operators import composed_equivariant_message, equivariant_message
from tolerances import TOLERANCE

FUNCTIONS = [equivariant_message, composed_equivariant_message]


def arguments(n_atoms, n_edges, n_basis, n_features, dtype, has_vectors=True):
    """Radial functions, directions, sources and filters; the filters are not differentiated."""
    n_columns = (5 if has_vectors else 2) * n_features
    shapes = [(n_edges, n_basis), (n_edges, 3), (n_atoms, n_columns), (3, n_basis, n_features)]
    radial, unit, sources, filters = (torch.rand(*s, dtype=dtype) for s in shapes)
    return [x.requires_grad_(True) for x in (radial, unit - 0.5, sources)], filters


def written_out(radial, unit, sources, filters, centre, neighbor, n_atoms):
    """Return the definition, with a filter for each edge."""
    f = filters.size(2)
    w_s, w_v, w_a = (radial @ w for w in filters)  # (E, F) each
    s, a, v = sources[neighbor].split([f, f, sources.size(1) - 2 * f], dim=1)
    vectors = (w_a * a)[:, None, :] * unit[:, :, None]  # (E, 3, F)
    if v.size(1):
        vectors = vectors + w_v[:, None, :] * v.view(-1, 3, f)
    messages = torch.cat(((w_s * s)[:, None, :], vectors), dim=1)  # (E, 4, F)
    return torch.zeros(n_atoms, 4, f, dtype=radial.dtype).index_add(0, centre, messages)


# one vector of columns, two, and a remainder, in every instruction set; more radial functions than the loops know
@pytest.mark.parametrize("n_features", [1, 7, 16, 32, 100])
@pytest.mark.parametrize("n_basis", [1, 10, 13, 16, 17])
@pytest.mark.parametrize("has_vectors", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_equals_the_sum_over_edges_and_so_do_its_derivatives(
    function, dtype, has_vectors, n_basis, n_features
):
    torch.manual_seed(n_basis)
    centre, first_edge, neighbor = random_graph(9, 60)
    inputs, filters = arguments(9, 60, n_basis, n_features, getattr(torch, dtype), has_vectors)
    found = function(*inputs, filters, first_edge, neighbor)
    expected = written_out(*inputs, filters, centre, neighbor, 9)
    gradient = torch.rand_like(expected)
    limit = TOLERANCE[dtype].equality
    for a, b in zip(
        (found, *torch.autograd.grad(found, inputs, gradient)),
        (expected, *torch.autograd.grad(expected, inputs, gradient)),
        strict=True,
    ):
        # terms of both signs: what cancels is as uncertain as what it is made of
        torch.testing.assert_close(a, b, rtol=limit, atol=limit * b.detach().abs().max().item())


@pytest.mark.parametrize("has_vectors", [True, False])
def test_first_and_second_derivatives_equal_finite_differences(has_vectors):
    """By the filters too, which training needs."""
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(4, 9)
    inputs, filters = arguments(4, 9, 3, 5, torch.float64, has_vectors)
    filters.requires_grad_(True)

    def compiled(*inputs):
        return torch.ops.mlip.equivariant_message(*inputs, first_edge, neighbor)

    assert torch.autograd.gradcheck(compiled, (*inputs, filters))
    assert torch.autograd.gradgradcheck(compiled, (*inputs, filters))
    filters = filters.detach()
    assert torch.autograd.gradcheck(lambda *x: compiled(*x, filters), inputs)
    assert torch.autograd.gradgradcheck(lambda *x: compiled(*x, filters), inputs)


def test_an_argument_that_depends_on_another_is_differentiated_once():
    """As in a network, where the features of the atoms come from the edges too."""
    torch.manual_seed(0)
    centre, first_edge, neighbor = random_graph(4, 9)
    (radial, unit, sources), filters = arguments(4, 9, 3, 5, torch.float64)

    def curvature(function):
        mixed = sources * radial.sum() + unit.square().sum()
        value = function(radial, unit, mixed).square().sum()
        (slope,) = torch.autograd.grad(value, radial, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), (radial, unit))

    found = curvature(lambda *x: equivariant_message(*x, filters, first_edge, neighbor))
    expected = curvature(lambda *x: written_out(*x, filters, centre, neighbor, 4))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=TOLERANCE["float64"].equality, atol=0.0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_some_atoms_may_be_neighbours_only(function):
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(9, 60)
    n_edges = int(first_edge[4])
    inputs, filters = arguments(9, 60, 3, 5, torch.float64)
    whole = function(*inputs, filters, first_edge, neighbor)[:4]
    radial, unit, sources = inputs
    part = function(
        radial[:n_edges], unit[:n_edges], sources, filters, first_edge[:5], neighbor[:n_edges]
    )
    gradient = torch.rand_like(part)
    for a, b in zip(
        (part, *torch.autograd.grad(part, inputs, gradient)),
        (whole, *torch.autograd.grad(whole, inputs, gradient)),
        strict=True,
    ):
        limit = TOLERANCE["float64"].equality
        torch.testing.assert_close(a, b, rtol=limit, atol=limit)


@pytest.mark.parametrize("n_atoms", [0, 1, 5])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_without_edges_there_is_no_message(function, n_atoms):
    _, first_edge, neighbor = random_graph(n_atoms, 0)
    inputs, filters = arguments(n_atoms, 0, 3, 6, torch.float32)
    found = function(*inputs, filters, first_edge, neighbor)
    assert torch.equal(found, torch.zeros(n_atoms, 4, 6))


def test_threads_do_not_change_the_result():
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(500, 20000)
    inputs, filters = arguments(500, 20000, 10, 96, torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found = equivariant_message(*inputs, filters, first_edge, neighbor)
            results.append((found, *torch.autograd.grad(found.square().sum(), inputs)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)  # each number is added up by one thread, in one order


def test_arguments_that_do_not_fit_are_refused():
    _, first_edge, neighbor = random_graph(5, 20)
    (radial, unit, sources), filters = arguments(5, 20, 3, 4, torch.float32)
    with pytest.raises(RuntimeError, match="expected radial .E, K., unit .E, 3., sources"):
        equivariant_message(radial, unit, sources[:, 1:], filters, first_edge, neighbor)
    with pytest.raises(RuntimeError, match="of one type, got Float, Double"):
        equivariant_message(radial, unit.double(), sources, filters, first_edge, neighbor)
    neighbor[3] = 5
    with pytest.raises(IndexError, match="neighbor 5 of edge 3 is not among the 5 atoms"):
        equivariant_message(radial, unit, sources, filters, first_edge, neighbor)
