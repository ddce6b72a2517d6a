"""What of TorchMD-Net's adapter needs no TorchMD-Net; tests/adapters has the tests with the package."""

import importlib.util

import pytest
import torch
from torch import Tensor, nn

from mlip_engines import check_conformance
from mlip_engines.adapters.torchmdnet.network import (
    GivenEdges,
    NoRepulsion,
    ScalarOutput,
    TorchmdNetwork,
)
from mlip_engines.commands.export import main

CUTOFF = 4.0


class Representation(nn.Module):
    """One sum over neighbours with the charge, in the interface of TorchMD-Net: messages go from row 1 - r to row r."""

    def __init__(self, receiver: int):
        super().__init__()
        self.distance = GivenEdges(CUTOFF, loops=True)
        self.table = nn.Parameter(torch.tensor([[0.3, 1.0], [-0.2, 0.5]], dtype=torch.float64))
        self.receiver = receiver

    def forward(
        self,
        z: Tensor,
        pos: Tensor,
        batch: Tensor,
        box: Tensor | None = None,
        q: Tensor | None = None,
        s: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor, Tensor]:
        edges, lengths, vectors = self.distance(pos, batch, box)
        x = lengths / 4.0
        own = self.table[z]
        fade = torch.clamp(1.0 - x * x, min=0.0) ** 3
        messages = own.index_select(0, edges[1 - self.receiver]) * fade[:, None]
        summed = torch.zeros_like(own).index_add(0, edges[self.receiver], messages)
        if q is not None:
            summed = summed * (1.0 + 0.1 * q.index_select(0, batch))[:, None]
        return own * summed, None, z, pos, batch


class Sum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=1, keepdim=True)


def network(receiver: int, *, charged: bool) -> TorchmdNetwork:
    parts = Representation(receiver), ScalarOutput(Sum()), NoRepulsion()
    rows = {8: 0, 1: 1}
    return TorchmdNetwork(*parts, receiver, 1.7, rows, CUTOFF, 1, charged=charged).eval()


@pytest.mark.parametrize("receiver", [0, 1])
def test_the_contract_holds(receiver):
    """The rows of the table are in the order that was asked for; messages go to the centre, in either convention."""
    built = network(receiver, charged=False)
    check_conformance(built, ["H", "O"])
    torch.jit.script(built)


def test_the_contract_holds_with_a_charge():
    check_conformance(network(0, charged=True), ["H", "O"])


def test_edges_become_what_torchmdnet_makes_of_positions():
    """An edge to an image of the atom is a unit vector, a loop zero, and what is too long is not there."""
    vectors = torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 2.0], [9.0, 0.0, 0.0]])
    edges = torch.tensor([[0, 1, 0], [1, 1, 1]])
    found = GivenEdges(6.0, loops=True)(vectors, torch.zeros(2, dtype=torch.int64), edges)
    assert found[0].tolist() == [[0, 1, 0, 1], [1, 1, 0, 1]]
    assert found[1].tolist() == [5.0, 2.0, 0.0, 0.0]
    assert found[2].tolist() == [[0.0, 3.0, 4.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0] * 3]


def test_a_file_that_is_not_there_is_refused(capsys):
    assert main(["--from", "torchmdnet", "nothing.ckpt", "-o", "model.pt"]) == 1
    assert "found nothing at nothing.ckpt" in capsys.readouterr().err


def test_a_unit_that_is_none_is_refused(capsys):
    assert main(["--from", "torchmdnet", "nothing.ckpt#furlong", "-o", "model.pt"]) == 1
    assert "the unit one of eV, kcal/mol" in capsys.readouterr().err


@pytest.mark.skipif(
    importlib.util.find_spec("torchmdnet") is not None, reason="torchmdnet is installed"
)
@pytest.mark.filterwarnings("ignore:.*is a pickle:UserWarning")
def test_the_package_is_asked_for_by_its_pip_line(tmp_path, capsys):
    (tmp_path / "epoch.ckpt").write_bytes(b"")
    command = ["--from", "torchmdnet", str(tmp_path / "epoch.ckpt"), "-o", str(tmp_path / "m.pt")]
    assert main(command) == 1
    assert "pip install 'mlip-engines[torchmdnet]'" in capsys.readouterr().err
