"""The network that models of SevenNet become, with weights of ours; tests/adapters has the tests with the package."""

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from mlip_engines import check_conformance
from mlip_engines.adapters.sevennet.network import (
    Convolution,
    ConvolutionalNetwork,
    Gate,
    Layer,
    Linear,
    Nonlinearity,
)
from mlip_engines.commands.export import main
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES

CUTOFF = 3.0
SCALARS, VECTORS = 4, 3  # channels


class Harmonics(nn.Module):
    """A constant and the direction of the edge."""

    def forward(self, vectors: Tensor) -> Tensor:
        lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return torch.cat([torch.ones_like(lengths), vectors / lengths], dim=1)


class Radial(nn.Module):
    """Three functions that fade at the cutoff with two derivatives."""

    def forward(self, lengths: Tensor) -> Tensor:
        x = (lengths / 3.0)[:, None]
        fade = torch.clamp(1.0 - x**2, min=0.0) ** 3
        return torch.cat([fade, x * fade, x**2 * fade], dim=1)


def couplings() -> tuple[list[Tensor], list[Tensor], list[list[int]]]:
    """Scalar times scalar and direction; vector times scalar, and with the direction to a scalar: (B, K, A)."""
    of_scalars = torch.zeros(4, 4, 1, dtype=torch.float64)
    of_scalars[0, 0, 0] = 1.0
    for k in range(3):
        of_scalars[1 + k, 1 + k, 0] = 1.0
    of_vectors = torch.zeros(4, 4, 3, dtype=torch.float64)
    for k in range(3):
        of_vectors[1 + k, 0, k] = 1.0
        of_vectors[0, 1 + k, k] = 1.0
    paths = torch.tensor([0, 1, 1, 1])
    return [of_scalars, of_vectors], [paths, paths], [[1, 3], [1, 3]]


def matrix(*shape: int) -> Tensor:
    return 0.5 * torch.randn(*shape, dtype=torch.float64)


def layer(incoming: list[tuple[int, int, int]]) -> Layer:
    """Return a layer from blocks (index, components, channels) to scalars, gates and vectors."""
    tables, paths, pieces = couplings()
    n = len(incoming)
    channels = [block[2] for block in incoming]
    radial = nn.Linear(3, 2 * sum(channels), bias=False, dtype=torch.float64)
    messages = [(1, c) for c in channels] + [(3, c) for c in channels]  # reordered below
    order = [piece for k in range(n) for piece in ((1, channels[k]), (3, channels[k]))]
    assert sorted(messages) == sorted(order)
    of_degree = {size: [i for i, (s, _) in enumerate(order) if s == size] for size in (1, 3)}
    total = {size: sum(order[i][1] for i in of_degree[size]) for size in (1, 3)}
    outgoing = [(1, SCALARS), (1, VECTORS), (3, VECTORS)]
    none = torch.zeros(0, dtype=torch.float64)
    same = {1: [0], 3: [1] if n > 1 else []}
    size_of = {1: channels[0], 3: channels[1] if n > 1 else 0}
    return Layer(
        Linear(
            [[k] for k in range(n)],
            [matrix(c, c) for c in channels],
            [none] * n,
            [block[1] for block in incoming],
        ),
        Convolution(tables[:n], paths[:n], channels, pieces[:n], radial),
        Linear(
            [of_degree[size] for size, _ in outgoing],
            [matrix(total[size], c) for size, c in outgoing],
            [none] * 3,
            [size for size, _ in outgoing],
        ),
        Linear(
            [same[size] for size, _ in outgoing],
            [matrix(size_of[size], c) for size, c in outgoing],
            [matrix(SCALARS), none, none],
            [size for size, _ in outgoing],
        ),
        Gate(
            Nonlinearity(["silu", "tanh"], [1.6, 1.5], [2, 2]),
            Nonlinearity(["silu"], [1.6], [VECTORS]),
            [VECTORS],
        ),
    )


@pytest.fixture
def network() -> ConvolutionalNetwork:
    torch.manual_seed(4)
    return ConvolutionalNetwork(
        cutoff=CUTOFF,
        numbers=[8, 1],
        embedding=matrix(2, SCALARS),
        spherical_harmonics=Harmonics(),
        radial_functions=Radial(),
        layers=[layer([(0, 1, SCALARS)]), layer([(0, 1, SCALARS), (1, 3, VECTORS)])],
        readout=matrix(SCALARS),
        offset=0.1,
        scale=torch.tensor([1.0, 0.7], dtype=torch.float64),
    ).requires_grad_(False)


def test_the_contract_holds_and_orientation_does_not_matter(network):
    assert network.feature_exchange
    check_conformance(network, ["H", "O"], rotation=True)


def test_every_block_matters(network):
    """Without any of the matrices between embedding and readout the energy is another."""
    graph = neighbor_graph(STRUCTURES["triclinic"](), CUTOFF)

    def energy() -> float:
        return float(network(graph, False)["atomic_energies"].sum())

    whole = energy()
    first, last = network.layers
    for matrix in (
        *(*first.up.matrices, *first.down.matrices, first.around.matrices[0]),
        *(*last.up.matrices, last.down.matrices[0], last.around.matrices[0]),
    ):
        kept = matrix.clone()
        matrix.zero_()
        assert energy() != pytest.approx(whole, abs=1e-6)
        matrix.copy_(kept)
    assert energy() == whole


def refused(folder, capsys, *arguments: str) -> str:
    assert main(["--from", "sevennet", *arguments, "-o", str(folder / "model.pt")]) == 1
    return capsys.readouterr().err


def test_without_the_package_the_command_that_installs_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sevenn", None)
    assert "pip install 'mlip-engines[sevennet]'" in refused(tmp_path, capsys, "7net-0")


class Checkpoint:
    """A checkpoint of two levels of theory, as sevenn opens it."""

    config = {"_type_map": {8: 0, 1: 1}}
    model_state_dict: dict = {}

    def __init__(self, path):
        if "broken" in str(path):
            raise RuntimeError("Invalid magic number")

    def build_model(self):
        model = nn.Identity()
        model.modal_map = {"PBE": 0, "R2SCAN": 1}
        return model


@pytest.fixture
def package(monkeypatch):
    """Stand-ins for the two modules that a checkpoint is opened with."""

    def no_such_name(name):
        raise ValueError(f"Not a valid potential: {name}")

    for name, content in {
        "sevenn": {},
        "sevenn.checkpoint": {"SevenNetCheckpoint": Checkpoint},
        "sevenn.util": {"pretrained_name_to_path": no_such_name},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def test_what_cannot_be_opened_is_named(package, tmp_path, capsys):
    trained, broken = tmp_path / "trained.pth", tmp_path / "broken.pth"
    trained.write_bytes(b"")
    broken.write_bytes(b"")
    assert "the name of a model such as 7net-0" in refused(tmp_path, capsys, "7net-x")
    assert "Invalid magic number" in refused(tmp_path, capsys, str(broken))
    assert "several levels of theory, PBE, R2SCAN; choose one" in refused(
        tmp_path, capsys, str(trained)
    )
    assert "expected one of PBE, R2SCAN, got 'LDA'" in refused(tmp_path, capsys, f"{trained}#LDA")
    assert "got Po; leave out" in refused(tmp_path, capsys, str(trained), "--species", "Po")
