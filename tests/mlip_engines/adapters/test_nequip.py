"""What of NequIP's adapter needs no NequIP; tests/adapters has the tests with the package."""

import importlib.util

import pytest
import torch
from torch import Tensor, nn

from mlip_engines import check_conformance
from mlip_engines.adapters.nequip.network import NequipNetwork
from mlip_engines.commands.export import main

CUTOFF = 4.0


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
