"""The sum over neighbours against the sum written out, its derivatives against finite differences."""

import os
import subprocess
import sys
import time

import pytest
import torch
from ase.build import molecule
from random_graph import random_graph

from mlip_engines import MlipCalculator, ModelMetadata, export_model
from mlip_engines.operators import (
    are_compiled,
    composed_neighbor_sum,
    evaluated_atoms,
    exchange,
    keep_edges,
    neighbor_sum,
    pad_to_all,
    reverse_features,
)
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from tolerances import TOLERANCE

COMPOSED = """
import sys
import warnings
from mlip_engines.compiled import target
target.find = lambda target: None
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from mlip_engines import operators
assert "several times slower without them; run: mlip-operators build" in str(said[0].message)
from mlip_engines import MlipCalculator
from ase.build import molecule
assert not operators.are_compiled()
atoms = molecule("H2O")
atoms.calc = MlipCalculator(sys.argv[1])
print(atoms.get_potential_energy(), *atoms.get_forces().ravel())
"""


def written_out(weights, features, centre, neighbor):
    """Return the definition, edge by edge."""
    products = weights[:, :, None] * features[neighbor][:, None, :]  # (E, K, C)
    return torch.zeros(features.size(0), *products.shape[1:], dtype=weights.dtype).index_add(
        0, centre, products
    )


def test_the_operators_that_make_env_compiles_are_in_use():
    assert are_compiled()


# 1, 12 and 13 radial functions: one row, a full tile, two tiles; columns with and without a remainder
@pytest.mark.parametrize("n_weights", [1, 5, 12, 13, 30])
@pytest.mark.parametrize("n_features", [1, 7, 32, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [neighbor_sum, composed_neighbor_sum])
def test_equals_the_sum_over_edges_and_so_do_its_derivatives(
    function, dtype, n_features, n_weights
):
    torch.manual_seed(n_weights)
    kind = getattr(torch, dtype)
    centre, first_edge, neighbor = random_graph(9, 60)
    weights = torch.rand(60, n_weights, dtype=kind, requires_grad=True)
    features = torch.rand(9, n_features, dtype=kind, requires_grad=True)
    found = function(weights, features, first_edge, neighbor)
    expected = written_out(weights, features, centre, neighbor)
    gradient = torch.rand_like(expected)
    for a, b in zip(
        (found, *torch.autograd.grad(found, (weights, features), gradient)),
        (expected, *torch.autograd.grad(expected, (weights, features), gradient)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=TOLERANCE[dtype].equality, atol=0.0)


@pytest.mark.parametrize("function", [neighbor_sum, composed_neighbor_sum])
def test_some_atoms_may_be_neighbours_only(function):
    """As where an engine evaluates the others elsewhere: the rows of the first atoms stay what they are."""
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(9, 60)
    n_edges = int(first_edge[4])
    weights = torch.rand(60, 3, dtype=torch.float64, requires_grad=True)
    features = torch.rand(9, 5, dtype=torch.float64, requires_grad=True)
    whole = function(weights, features, first_edge, neighbor)[:4]
    part = function(weights[:n_edges], features, first_edge[:5], neighbor[:n_edges])
    gradient = torch.rand_like(part)
    for a, b in zip(
        (part, *torch.autograd.grad(part, (weights, features), gradient)),
        (whole, *torch.autograd.grad(whole, (weights, features), gradient)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=TOLERANCE["float64"].equality, atol=0.0)


def test_without_an_engine_every_atom_is_evaluated_and_nothing_is_exchanged():
    features = torch.rand(3, 2)
    assert evaluated_atoms(3) == 3
    assert exchange([features], 3)[0] is features
    assert pad_to_all(features, 3) is features
    assert torch.equal(pad_to_all(features, 5)[3:], torch.zeros(2, 2))


def test_without_an_engine_the_reverse_of_every_edge_is_here():
    features = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    reverse_edge = torch.tensor([2, 3, 0, 1])
    assert torch.equal(reverse_features(features, reverse_edge), features[reverse_edge])
    assert torch.autograd.gradcheck(lambda x: reverse_features(x, reverse_edge), (features,))
    assert reverse_features(features[:0], reverse_edge[:0]).shape == (0, 3)


def test_edges_that_are_kept_find_their_reverses_here_and_elsewhere():
    """Pairs 0-2 and 1-4; 3 stands for a reverse that nobody asks for, those of 5 and 6 are elsewhere."""
    reverse_edge = torch.tensor([2, 4, 0, 3, 1, 7 + 8, 7 + 2])
    everything = torch.ones(7, dtype=torch.bool)
    kept, moved = keep_edges(reverse_edge, everything)
    assert torch.equal(kept, torch.arange(7))
    assert torch.equal(moved, reverse_edge)
    # one direction of the pair 1-4 is too long by a rounding error: both go
    kept, moved = keep_edges(reverse_edge, torch.tensor([1, 1, 1, 1, 0, 0, 1], dtype=torch.bool))
    assert kept.tolist() == [0, 2, 3, 6]
    assert moved.tolist() == [1, 0, 2, 4 + 2]
    kept, moved = keep_edges(reverse_edge, ~everything)
    assert kept.shape == moved.shape == (0,)
    kept, moved = keep_edges(reverse_edge[:0], everything[:0])
    assert kept.shape == moved.shape == (0,)


@pytest.mark.parametrize("n_atoms, n_edges", [(0, 0), (1, 0), (5, 0)])
@pytest.mark.parametrize("function", [neighbor_sum, composed_neighbor_sum])
def test_without_edges_there_is_nothing_to_collect(function, n_atoms, n_edges):
    _, first_edge, neighbor = random_graph(n_atoms, n_edges)
    found = function(torch.rand(0, 4), torch.rand(n_atoms, 6), first_edge, neighbor)
    assert torch.equal(found, torch.zeros(n_atoms, 4, 6))


def test_first_and_second_derivatives_equal_finite_differences():
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(4, 9)
    weights = torch.rand(9, 3, dtype=torch.float64, requires_grad=True)
    features = torch.rand(4, 5, dtype=torch.float64, requires_grad=True)

    def collect(w, x):
        return neighbor_sum(w, x, first_edge, neighbor)

    assert torch.autograd.gradcheck(collect, (weights, features))
    assert torch.autograd.gradgradcheck(collect, (weights, features))


def test_threads_do_not_change_the_result():
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(500, 20000)
    weights = torch.rand(20000, 10, requires_grad=True)
    features = torch.rand(500, 96, requires_grad=True)
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found = neighbor_sum(weights, features, first_edge, neighbor)
            results.append((found, *torch.autograd.grad(found.square().sum(), (weights, features))))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)  # each number is added up by one thread, in one order


@pytest.mark.skipif(not are_compiled(), reason="composed operators share work as torch does")
@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("name", ["neighbor_sum", "equivariant_message"])
def test_threads_share_the_work(name, derivative):
    torch.manual_seed(0)
    _, first_edge, neighbor = random_graph(2000, 100_000)
    radial, sources = torch.rand(100_000, 10), torch.rand(2000, 160)
    if name == "neighbor_sum":
        inputs, last = (radial, sources), ()
    else:
        inputs, last = (radial, torch.rand(100_000, 3), sources), (torch.rand(3, 10, 32),)
    inputs = tuple(x.requires_grad_(derivative) for x in inputs)
    operator = getattr(torch.ops.mlip, name)

    def work():
        found = operator(*inputs, *last, first_edge, neighbor)
        if derivative:
            torch.autograd.grad(found, inputs, torch.ones_like(found))

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        work()
        started = time.process_time(), time.thread_time()
        for _ in range(5):
            work()
        everyone, this_one = time.process_time() - started[0], time.thread_time() - started[1]
    finally:
        torch.set_num_threads(before)
    assert everyone - this_one > 0.25 * everyone  # of two threads the other does about half


def test_arguments_that_do_not_fit_are_refused():
    _, first_edge, neighbor = random_graph(5, 20)
    with pytest.raises(RuntimeError, match="expected weights .E, K. and features"):
        neighbor_sum(torch.rand(19, 3), torch.rand(5, 4), first_edge, neighbor)
    with pytest.raises(RuntimeError, match="of one type, got Float and Double"):
        neighbor_sum(torch.rand(20, 3), torch.rand(5, 4).double(), first_edge, neighbor)
    with pytest.raises(IndexError, match="neighbor 5 of edge 3 is not among the 5 atoms"):
        neighbor[3] = 5
        neighbor_sum(torch.rand(20, 3), torch.rand(5, 4), first_edge, neighbor)
    with pytest.raises(RuntimeError, match="first_edge to rise from 0 to the number of edges, 20"):
        neighbor_sum(torch.rand(20, 3), torch.rand(5, 4), first_edge + 1, neighbor)


@pytest.fixture(scope="module")
def random_files(tmp_path_factory):
    """Random networks that call every operator between them."""
    torch.manual_seed(3)
    networks = {
        "painn": PaiNN([1, 8], 4.0, n_features=8, n_basis=5, non_conservative_stress=True),
        "pet": PET([1, 8], 4.0, n_edge_features=8, n_heads=2),
    }
    folder = tmp_path_factory.mktemp("random")
    for name, network in networks.items():
        metadata = ModelMetadata(
            name=name,
            species=["H", "O"],
            cutoff=network.cutoff,
            message_passing_layers=network.message_passing_layers,
            heads=network.heads,
            dtype="float32",
            interaction_range=network.cutoff * network.message_passing_layers,
        )
        written = export_model(network, metadata, folder / f"{name}.pt")
        assert written.feature_exchange
        assert written.edge_exchange == (name == "pet")
    return folder


@pytest.mark.parametrize("model", ["water", "painn", "pet"])
def test_a_model_gives_the_same_without_the_compiled_operators(model, random_files):
    model = model if model == "water" else random_files / f"{model}.pt"
    atoms = molecule("H2O")
    atoms.calc = MlipCalculator(model)
    done = subprocess.run(
        [sys.executable, "-c", COMPOSED, str(model)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    energy, *forces = map(float, done.stdout.split())
    limit = TOLERANCE["float32"]
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=limit.energy)
    assert forces == pytest.approx(list(atoms.get_forces().ravel()), abs=limit.force)
