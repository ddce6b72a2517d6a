"""Polynomials of features, against their definition written out term by term."""

import pytest
import torch

from mlip_engines.operators import composed_polynomial, polynomial
from tolerances import TOLERANCE

FUNCTIONS = [polynomial, composed_polynomial]

# Of A = 4 features: a term of one factor, of two, of three, with squares; 4 stands for 1.
FACTORS = torch.tensor(
    [[0, 4, 4], [1, 2, 4], [3, 3, 4], [0, 1, 2], [2, 2, 2], [0, 0, 3], [1, 1, 4]]
)
OUTPUT = torch.tensor([0, 0, 0, 1, 1, 1, 2])


def arguments(n_atoms, n_channels, dtype):
    features = torch.randn(n_atoms, 4, n_channels, dtype=dtype).requires_grad_(True)
    coefficients = torch.randn(3, len(FACTORS), n_channels, dtype=dtype)
    species = torch.tensor([0, 2, 2, 0, 2, 1, 0])[:n_atoms]
    return features, species, coefficients


def written_out(features, species, coefficients):
    one = torch.ones_like(features[:, :1])
    x = torch.cat((features, one), dim=1)  # (n, A + 1, C)
    sums = [torch.zeros_like(features[:, 0]) for _ in range(3)]
    for t, ((i, j, k), o) in enumerate(zip(FACTORS, OUTPUT, strict=True)):
        sums[o] = sums[o] + coefficients[species, t] * x[:, i] * x[:, j] * x[:, k]
    return torch.stack(sums, dim=1)


@pytest.mark.parametrize("n_channels", [1, 7, 16, 37, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_equals_the_sum_of_terms_and_so_does_its_derivative(function, dtype, n_channels):
    torch.manual_seed(n_channels)
    features, species, coefficients = arguments(7, n_channels, getattr(torch, dtype))
    found = function(features, species, coefficients, FACTORS, OUTPUT, 3)
    expected = written_out(features, species, coefficients)
    gradient = torch.rand_like(expected)
    limit = TOLERANCE[dtype].equality
    for a, b in zip(
        (found, *torch.autograd.grad(found, features, gradient)),
        (expected, *torch.autograd.grad(expected, features, gradient)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=limit, atol=limit * b.detach().abs().max().item())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_first_and_second_derivatives_equal_finite_differences(function):
    torch.manual_seed(0)
    features, species, coefficients = arguments(4, 3, torch.float64)

    def of_features(features):
        return function(features, species, coefficients, FACTORS, OUTPUT, 3)

    assert torch.autograd.gradcheck(of_features, features)
    assert torch.autograd.gradgradcheck(of_features, features)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_atoms(function):
    features, species, coefficients = arguments(0, 5, torch.float64)
    found = function(features, species, coefficients, FACTORS, OUTPUT, 3)
    assert found.shape == (0, 3, 5)
