"""What of NequIP's adapter needs no NequIP; tests/adapters has the tests with the package."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mlip_engines import check_conformance
from mlip_engines.adapters import nequip
from mlip_engines.adapters.nequip.conversion import why_not
from mlip_engines.adapters.nequip.convolutional import (
    ElementConvolutions,
    ElementLayer,
    LinearOfElements,
    NoPairs,
    RadialFunctions,
)
from mlip_engines.adapters.nequip.network import NequipNetwork
from mlip_engines.adapters.sevennet.network import Convolution, Gate, Linear, Nonlinearity
from mlip_engines.commands.export import main
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES

CUTOFF = 4.0
REACH = torch.tensor([[4.0, 3.5], [3.5, 2.5]], dtype=torch.float64)  # Å, of O and H
SCALARS, VECTORS = 4, 3  # channels


class Core(nn.Module):
    """A pair energy between two types, in the dictionary of NequIP."""

    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.tensor([[0.3, -0.2], [-0.2, 0.1]], dtype=torch.float64))

    def forward(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        centre, neighbour = data["edge_index"].unbind(0)
        x = torch.linalg.vector_norm(data["edge_vectors"], dim=1) / 4.0
        types = data["atom_types"]
        pairs = (
            self.strength[types[centre], types[neighbour]] * torch.clamp(1.0 - x * x, min=0.0) ** 3
        )
        energies = torch.zeros(data["pos"].size(0), dtype=torch.float64).index_add(0, centre, pairs)
        return {"atomic_energy": energies[:, None]}


def test_the_contract_holds():
    """The order of the types is the core's, not that of the atomic numbers."""
    network = NequipNetwork(Core(), [8, 1], CUTOFF, 1, "float64").eval()
    check_conformance(network, ["H", "O"])
    torch.jit.script(network)


class Harmonics(nn.Module):
    """A constant and the direction of the edge."""

    def forward(self, vectors: Tensor) -> Tensor:
        lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return torch.cat([torch.ones_like(lengths), vectors / lengths], dim=1)


class Readout(nn.Module):
    """The mean of the scalars."""

    def forward(self, scalars: Tensor) -> Tensor:
        return scalars.mean(dim=1, keepdim=True)


class Pairs(nn.Module):
    """A repulsion that fades where the relative length is one, in the dictionary of NequIP."""

    def forward(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        fade = torch.clamp(1.0 - data["normed_edge_lengths"] ** 2, min=0.0) ** 3
        energies = torch.zeros((data["pos"].size(0), 1), dtype=torch.float64)
        return {"atomic_energy": energies.index_add(0, data["edge_index"][0], fade)}


def matrix(*shape: int) -> Tensor:
    return 0.5 * torch.randn(*shape, dtype=torch.float64)


def layer(first: bool) -> ElementLayer:
    """Return a layer from scalars, and vectors after the first one, to scalars and vectors."""
    of_scalars, of_vectors = (torch.zeros(4, 4, n, dtype=torch.float64) for n in (1, 3))
    for k in range(4):  # scalars times a scalar and a direction
        of_scalars[k, k, 0] = 1.0
    for k in range(3):  # vectors along a direction, and times a scalar
        of_vectors[1 + k, 0, k] = 1.0
        of_vectors[0, 1 + k, k] = 1.0
    incoming = [(1, SCALARS)] if first else [(1, SCALARS), (3, VECTORS)]
    channels = [size for _, size in incoming]
    empty = torch.zeros(0, dtype=torch.float64)
    messages = {1: [0], 3: [1]} if first else {1: [0, 2], 3: [1, 3]}
    outgoing = [(1, SCALARS), (1, VECTORS), (3, VECTORS)]
    components = [size for size, _ in outgoing]
    return ElementLayer(
        Linear(
            [[k] for k in range(len(incoming))],
            [matrix(c, c) for c in channels],
            [empty] * len(incoming),
            [size for size, _ in incoming],
        ),
        torch.tensor([0.4, 0.3], dtype=torch.float64) if first else empty,
        Convolution(
            [of_scalars, of_vectors][: len(incoming)],
            [torch.tensor([0, 1, 1, 1])] * len(incoming),
            channels,
            [[1, 3]] * len(incoming),
            nn.Linear(3, 2 * sum(channels), bias=False, dtype=torch.float64),
        ),
        Linear(
            [messages[size] for size in components],
            [matrix(sum(channels), c) for _, c in outgoing],
            [empty] * 3,
            components,
        ),
        LinearOfElements(
            [[0], [0], [] if first else [1]],
            [
                matrix(2, 0 if first and size == 3 else {1: SCALARS, 3: VECTORS}[size], c)
                for size, c in outgoing
            ],
            components,
        ),
        Gate(
            Nonlinearity(["silu"], [1.6], [SCALARS]),
            Nonlinearity(["silu"], [1.6], [VECTORS]),
            [VECTORS],
        ),
        has_around=not first,
    )


def network(pairs: nn.Module | None) -> ElementConvolutions:
    torch.manual_seed(4)
    roots = torch.arange(1, 4, dtype=torch.float64)
    return ElementConvolutions(
        cutoff=CUTOFF,
        numbers=[8, 1],
        embedding=matrix(2, SCALARS),
        spherical_harmonics=Harmonics(),
        radial_functions=RadialFunctions(roots, REACH, 6.0, 0.4),
        layers=[layer(first=True), layer(first=False)],
        readout=Readout(),
        scale=torch.tensor([1.0, 0.7], dtype=torch.float64),
        pairs=pairs or NoPairs(),
        pair_types=[1, 0],
        has_pairs=pairs is not None,
    ).requires_grad_(False)


def test_the_contract_holds_and_orientation_does_not_matter():
    made = network(Pairs())
    assert made.feature_exchange
    check_conformance(made, ["H", "O"], rotation=True)


def test_atoms_between_the_cutoff_of_their_elements_and_the_longest_do_not_matter():
    """Two hydrogens 3 Å apart, whose cutoff is 2.5 Å; two oxygens are within theirs."""
    atoms = STRUCTURES["dimer"]()
    atoms.positions[1] = atoms.positions[0] + [0.0, 0.0, 3.0]
    made = network(None)
    energies = {}
    for symbols in ("HH", "OO"):
        atoms.symbols = symbols
        near = float(made(neighbor_graph(atoms, CUTOFF), False)["atomic_energies"].sum())
        far = float(made(neighbor_graph(atoms, 2.0), False)["atomic_energies"].sum())
        energies[symbols] = near - far
    assert energies["HH"] == 0.0
    assert abs(energies["OO"]) > 1e-4


@pytest.mark.parametrize("x", [0.2, 0.7, 0.99])
def test_radial_functions_are_bessel_functions_times_a_polynomial(x):
    """With the polynomial of exponent 6 in its factors, (1 - x)^3 (1 + 3 x + 6 x^2 + ... + 21 x^5)."""
    functions = RadialFunctions(torch.tensor([1.0, 2.0]).double(), REACH, 6.0, 0.4)
    found = functions(torch.tensor([x], dtype=torch.float64))[0].numpy()
    fade = (1 - x) ** 3 * sum((n + 1) * (n + 2) / 2 * x**n for n in range(6))
    expected = [0.4 * fade * np.sin(n * np.pi * x) / (np.pi * x) for n in (1, 2)]
    # NequIP writes the polynomial as a small difference of large numbers
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15)
    beyond = functions(torch.tensor([1.0, 1.3], dtype=torch.float64))
    assert bool((beyond == 0.0).all())


def test_matrices_of_elements_are_those_of_each_atom():
    torch.manual_seed(1)
    species = torch.tensor([2, 0, 2, 2, 0])  # of three elements, one is missing
    scalars, vectors = matrix(5, 1, SCALARS), matrix(5, 3, VECTORS)
    linear = LinearOfElements([[0], [1], []], [matrix(3, SCALARS, 2), matrix(3, VECTORS, 5),
                                               matrix(3, 0, 4)], [1, 3, 5])  # fmt: skip
    order, counts = torch.argsort(species), [2, 0, 3]
    found = torch.jit.script(linear)([scalars, vectors], order, counts)
    for atom, z in enumerate(species):
        torch.testing.assert_close(found[0][atom], scalars[atom] @ linear.matrices[0][z])
        torch.testing.assert_close(found[1][atom], vectors[atom] @ linear.matrices[1][z])
    assert found[2].shape == (5, 5, 4)
    assert not found[2].any()


def test_a_pair_potential_other_than_zbl_has_no_counterpart():
    names = ["type_embed", "spharm", "edge_norm", "bessel_encode", "factor", "layer0_convnet"]
    names += ["per_atom_energy_readout", "per_type_energy_scale_shift", "pair_potential"]
    model = nn.ModuleDict({name: nn.Identity() for name in names})
    model["pair_potential"] = Pairs()
    assert why_not(model) == "pair potentials Pairs"
    del model["factor"]
    assert why_not(model) == "no factor"


def test_models_that_are_told_more_than_atoms_are_refused():
    told = nn.Module()
    told.categorical_graph_field_embed_shifts = {"charge": -1}
    with pytest.raises(ValueError, match="expected a model of atoms alone, got one that is told"):
        nequip._refuse_inputs(nn.ModuleList([told]), "model.ckpt")


def test_a_file_that_is_not_there_is_refused(capsys):
    assert main(["--from", "nequip", "nothing.ckpt", "-o", "model.pt"]) == 1
    assert "found nothing at nothing.ckpt" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.nequip.pt2", "model.nequip.pth"])
def test_a_compiled_model_is_refused(name, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"")
    assert main(["--from", "nequip", str(tmp_path / name), "-o", str(tmp_path / "model.pt")]) == 1
    assert "give the file that it was compiled from" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("nequip") is not None, reason="nequip is installed")
@pytest.mark.filterwarnings("ignore:.*is a program:UserWarning")
def test_the_package_is_asked_for_by_its_pip_line(tmp_path, capsys):
    (tmp_path / "last.ckpt").write_bytes(b"")
    for name in ("nequip", "allegro"):
        command = ["--from", name, str(tmp_path / "last.ckpt"), "-o", str(tmp_path / "model.pt")]
        assert main(command) == 1
        assert "pip install 'mlip-engines[nequip]'" in capsys.readouterr().err
