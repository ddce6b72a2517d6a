"""Tensor products summed over neighbours, against their definition written out edge by edge."""

import pytest
import torch
from random_graph import random_graph

from mlip_engines.operators import composed_tensor_product_sum, tensor_product_sum
from tolerances import TOLERANCE

FUNCTIONS = [tensor_product_sum, composed_tensor_product_sum]
PATH = torch.tensor([0, 1, 1, 1, 2])  # of K = 5 components, of P = 3 paths


def arguments(n_atoms, n_edges, n_channels, dtype):
    """Sources of A = 4 components, B = 9 harmonics, weights; and a coupling of which most is zero."""
    shapes = [(n_atoms, 4, n_channels), (n_edges, 9), (n_edges, 3, n_channels)]
    inputs = [torch.randn(*s, dtype=dtype).requires_grad_(True) for s in shapes]
    coupling = torch.randn(9, 5, 4, dtype=dtype)
    return inputs, coupling * (torch.rand(9, 5, 4) < 0.3)


def written_out(sources, harmonics, weights, coupling, centre, neighbor, n_centres):
    rows = [torch.zeros(5, sources.size(2), dtype=sources.dtype) for _ in range(n_centres)]
    for e in range(len(neighbor)):
        coupled = torch.einsum("b,bka,ac->kc", harmonics[e], coupling, sources[neighbor[e]])
        rows[centre[e]] = rows[centre[e]] + coupled * weights[e, PATH]
    return torch.stack(rows)


# one vector of channels, several, and a remainder, in every instruction set
@pytest.mark.parametrize("n_channels", [1, 7, 16, 37, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_equals_the_sum_over_edges_and_so_do_its_derivatives(function, dtype, n_channels):
    torch.manual_seed(n_channels)
    centre, first_edge, neighbor = random_graph(9, 40)
    inputs, coupling = arguments(9, 40, n_channels, getattr(torch, dtype))
    found = function(*inputs, coupling, PATH, first_edge, neighbor)
    expected = written_out(*inputs, coupling, centre, neighbor, 9)
    gradient = torch.rand_like(expected)
    limit = TOLERANCE[dtype].equality
    for a, b in zip(
        (found, *torch.autograd.grad(found, inputs, gradient)),
        (expected, *torch.autograd.grad(expected, inputs, gradient)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=limit, atol=limit * b.detach().abs().max().item())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_first_and_second_derivatives_equal_finite_differences(function):
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(3, 5)
    inputs, coupling = arguments(3, 5, 3, torch.float64)

    def of_inputs(*inputs):
        return function(*inputs, coupling, PATH, first_edge, neighbor)

    assert torch.autograd.gradcheck(of_inputs, inputs)
    assert torch.autograd.gradgradcheck(of_inputs, inputs)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_fewer_centres_than_atoms_and_no_edges(function):
    """A process evaluates its own atoms only; a lonely atom collects nothing."""
    torch.manual_seed(0)
    inputs, coupling = arguments(4, 3, 5, torch.float64)
    first_edge, neighbor = torch.tensor([0, 3, 3]), torch.tensor([3, 1, 2])
    found = function(*inputs, coupling, PATH, first_edge, neighbor)
    expected = written_out(*inputs, coupling, torch.zeros(3, dtype=torch.int64), neighbor, 2)
    torch.testing.assert_close(found, expected)
    assert not found[1].any()
    inputs, _ = arguments(4, 0, 5, torch.float64)
    none = torch.zeros(0, dtype=torch.int64)
    assert not function(*inputs, coupling, PATH, torch.zeros(5, dtype=torch.int64), none).any()
