"""What of ORB's adapter needs no ORB; tests/adapters has the tests with the package."""

import importlib.util

import pytest
import torch
from torch import Tensor, nn

from mlip_engines.adapters.orb.network import OrbNetwork
from mlip_engines.checkpoints import Exportable, export_network
from mlip_engines.commands.export import main
from mlip_engines.model.graph import Graph
from mlip_train.potentials.analytic import LennardJones

CUTOFF = 4.0


class Core(nn.Module):
    """A force of one on every atom, whatever its neighbours: what the network has to fade out."""

    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, numbers: Tensor, edge_index: Tensor, edge_vectors: Tensor) -> Tensor:
        return self.strength.expand(numbers.size(0), 3)


def pair(distance: float) -> Graph:
    """Return two atoms, and a third that has no neighbour."""
    vectors = torch.tensor([[distance, 0.0, 0.0], [-distance, 0.0, 0.0]], dtype=torch.float64)
    edges = torch.tensor([[0, 1], [1, 0]])
    near = torch.nonzero(vectors.norm(dim=1) < CUTOFF).flatten()
    return Graph(
        torch.tensor([8, 1, 1]),
        edges[:, near],
        vectors[near],
        torch.tensor([1, 0])[near],
        torch.ones(3, dtype=torch.bool),
    )


@pytest.mark.parametrize(
    ("distance", "expected"), [(1.0, 1.0), (3.0, 1.0), (3.5, 0.5), (3.9999, 0.0), (5.0, 0.0)]
)
def test_forces_fade_out_as_the_last_neighbour_leaves(distance, expected):
    network = torch.jit.script(OrbNetwork(Core(), CUTOFF, 2))
    forces = network.non_conservative(pair(distance))["non_conservative_forces"]
    assert forces[0].tolist() == pytest.approx([expected] * 3, abs=1e-6)
    assert forces[2].tolist() == [0.0] * 3


def test_a_model_without_an_energy_is_an_inner_force_and_nothing_else(tmp_path):
    inner = Exportable(OrbNetwork(Core(), CUTOFF, 2), ["H", "O"], name="direct")
    path = tmp_path / "model.pt"
    with pytest.raises(ValueError, match="no energy that is a sum over atoms.*--inner-from"):
        export_network(inner, path, "float64", short_range="none")
    assert not path.exists()
    outer = Exportable(
        LennardJones(CUTOFF, 0.02, 1.1, with_non_conservative_head=False), ["H", "O"], name="lj"
    )
    metadata = export_network(outer, path, "float64", inner=inner, short_range="none")
    assert metadata.heads == ["energy", "non_conservative_forces"]


def test_weights_that_are_not_there_are_refused(capsys):
    assert main(["--from", "orb", "nothing.ckpt#orb-v3-direct-inf-omat", "-o", "model.pt"]) == 1
    assert "found nothing at nothing.ckpt" in capsys.readouterr().err


def test_elements_that_orb_has_not_seen_are_refused(capsys):
    command = ["--from", "orb", "orb-v3-direct-inf-omat", "--species", "Ra", "-o", "model.pt"]
    assert main(command) == 1
    assert "without Po, At, Rn, Fr, Ra, got Ra" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("orb_models") is not None, reason="ORB is installed")
def test_the_package_is_asked_for_by_its_pip_line(tmp_path, capsys):
    (tmp_path / "weights.ckpt").write_bytes(b"")
    file = f"{tmp_path / 'weights.ckpt'}#orb-v3-direct-inf-omat"
    assert main(["--from", "orb", file, "-o", str(tmp_path / "m.pt")]) == 1
    assert "pip install 'mlip-engines[orb]'" in capsys.readouterr().err
