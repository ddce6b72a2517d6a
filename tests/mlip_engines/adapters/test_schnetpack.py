"""What of SchNetPack's adapter needs no SchNetPack; tests/adapters has the tests with the package."""

import importlib.util

import pytest
import torch
from torch import Tensor, nn

from mlip_engines import check_conformance
from mlip_engines.adapters.schnetpack.network import SchnetpackNetwork
from mlip_engines.commands.export import main


class Representation(nn.Module):
    """One sum over neighbours, in the dictionary of SchNetPack."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.tensor([[0.3, 1.0], [-0.2, 0.5]], dtype=torch.float64))

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        own = self.table[inputs["_atomic_numbers"]]
        x = torch.linalg.vector_norm(inputs["_Rij"], dim=1) / 4.0
        messages = own[inputs["_idx_j"]] * (torch.clamp(1.0 - x * x, min=0.0) ** 3)[:, None]
        summed = torch.zeros_like(own).index_add(0, inputs["_idx_i"], messages)
        return {"scalar_representation": own * summed}


class Energies(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features.sum(dim=1, keepdim=True)


def test_the_contract_holds():
    """The rows of the table are in the order that was asked for, not that of the atomic numbers."""
    network = SchnetpackNetwork(Representation(), Energies(), {8: 0, 1: 1}, 4.0, 1).eval()
    check_conformance(network, ["H", "O"])
    torch.jit.script(network)


def test_a_file_that_is_not_there_is_refused(capsys):
    assert main(["--from", "schnetpack", "nothing#eV", "-o", "model.pt"]) == 1
    assert "found nothing at nothing" in capsys.readouterr().err


@pytest.mark.skipif(
    importlib.util.find_spec("schnetpack") is not None, reason="schnetpack is installed"
)
@pytest.mark.filterwarnings("ignore:.*is a pickle:UserWarning")
def test_the_package_is_asked_for_by_its_pip_line(tmp_path, capsys):
    (tmp_path / "best_model").write_bytes(b"")
    command = ["--from", "schnetpack", str(tmp_path / "best_model"), "-o", str(tmp_path / "m.pt")]
    assert main(command) == 1
    assert "pip install 'mlip-engines[schnetpack]'" in capsys.readouterr().err
