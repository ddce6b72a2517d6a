"""Forces in proportion to displacements: a cone is caught, smooth and merely steep models are not refused."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

from mlip_engines import ModelContractError, check_conformance, find_model
from mlip_engines.conformance import ConformanceWarning
from mlip_engines.conformance.crystals import crystals
from mlip_engines.model.graph import Graph

ONE_CONSTANT = "an atom of a crystal has one force constant"
PROPORTIONAL = "force constants change in proportion to displacements"


class LengthOfASum(nn.Module):
    """E_i = sqrt(|v_i|^2 + w^2), v_i the sum of a function of the edges, which is zero at a symmetric site.

    For w = 0 the energy is a cone; its force constants are 1/u times a number.
    """

    def __init__(self, width: float):
        super().__init__()
        self.cutoff, self.message_passing_layers, self.width = 5.0, 1, width
        self.heads = ["energy"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
        fade = (1.0 - (distance / self.cutoff) ** 2) ** 3
        zero = torch.zeros((graph.atomic_numbers.size(0), 3), dtype=fade.dtype, device=fade.device)
        v = zero.index_add(0, graph.edge_index[0], fade[:, None] * graph.edge_vectors)
        if self.width == 0.0:
            return {"atomic_energies": torch.linalg.vector_norm(v, dim=1)}
        return {"atomic_energies": torch.sqrt((v * v).sum(1) + self.width**2)}

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        raise RuntimeError("no head")


class LengthInTheHead(LengthOfASum):
    """The energy is smooth; the non-conservative force is the direction of v_i, which jumps at a symmetric site."""

    def __init__(self, width: float):
        super().__init__(1.0)
        self.head_width = width
        self.heads = ["energy", "non_conservative_forces"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
        fade = (1.0 - (distance / self.cutoff) ** 2) ** 3
        zero = torch.zeros_like(graph.atomic_numbers, dtype=fade.dtype)
        output = {"atomic_energies": zero.index_add(0, graph.edge_index[0], fade)}
        if with_non_conservative:
            output.update(self.non_conservative(graph))
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
        fade = (1.0 - (distance / self.cutoff) ** 2) ** 3
        zero = torch.zeros((graph.atomic_numbers.size(0), 3), dtype=fade.dtype, device=fade.device)
        v = zero.index_add(0, graph.edge_index[0], fade[:, None] * graph.edge_vectors)
        size = torch.sqrt((v * v).sum(1, keepdim=True) + self.head_width**2)
        return {"non_conservative_forces": v / size}


class SpringsBeyond(LengthOfASum):
    """E = 1/2 (r - r_0)^2 of a pair beyond r_0 and 0 below: its second derivative jumps at r_0."""

    def __init__(self, start: float):
        super().__init__(0.0)
        self.start = start

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
        fade = (1.0 - (distance / self.cutoff) ** 2) ** 3
        edges = (0.5 * (distance - self.start).clamp(min=0.0) ** 2 + 0.1 * distance**2) * fade
        zero = torch.zeros_like(graph.atomic_numbers, dtype=fade.dtype)
        return {"atomic_energies": zero.index_add(0, graph.edge_index[0], edges)}


def failures(network: nn.Module) -> str:
    with pytest.raises(ModelContractError) as caught:
        check_conformance(network, ["Cu"])
    return str(caught.value)


@pytest.mark.parametrize("width", [0.0, 1e-8, 1e-4, 1e-3])
def test_a_cone_in_the_energy_fails(width):
    found = failures(LengthOfASum(width))
    assert ONE_CONSTANT in found
    assert PROPORTIONAL in found
    assert "fcc Cu, conservative" in found


def test_a_cone_fails_in_single_precision(tmp_path):
    """Rounding is large next to the forces at 1e-4 Å, and no excuse."""
    from mlip_engines.model.exported import ExportedModel

    found = failures(ExportedModel(LengthOfASum(1e-4), {}, 1.0))
    assert ONE_CONSTANT in found
    assert PROPORTIONAL in found


def test_a_direction_in_the_head_fails():
    found = failures(LengthInTheHead(1e-4))
    assert "fcc Cu, non-conservative" in found
    assert "fcc Cu, conservative" not in found


@pytest.mark.parametrize("network", [LengthOfASum, LengthInTheHead])
def test_a_length_that_is_smooth_passes(network):
    assert {ONE_CONSTANT, PROPORTIONAL} <= set(check_conformance(network(1.0), ["Cu"]))


def test_a_second_derivative_that_jumps_near_a_site_is_a_doubt():
    """Once differentiable cutoffs are usual; the model runs, so it is not refused."""
    nearest = float(crystals(5.0, [29])["fcc Cu"].graph().edge_vectors.norm(dim=1).min())
    with pytest.warns(ConformanceWarning) as caught:
        passed = check_conformance(SpringsBeyond(nearest + 0.007), ["Cu"])
    doubts = [str(w.message) for w in caught if str(w.message).startswith(ONE_CONSTANT)]
    assert len(doubts) == 1
    assert "fcc Cu, conservative" in doubts[0]
    assert ONE_CONSTANT not in passed
    assert "forces are the negative energy gradient" in passed


@pytest.mark.parametrize("name", ["copper", "water"])
def test_shipped_models_pass(name):
    assert {ONE_CONSTANT, PROPORTIONAL} <= set(check_conformance(find_model(name)))


@pytest.mark.parametrize("cutoff", [3.0, 4.5, 6.0, 8.0])
def test_crystals_have_their_neighbours_within_the_cutoff_and_none_at_it(cutoff):
    """Coordination numbers of the lattices, from ASE's neighbour list."""
    expected = {"fcc": 12, "bcc": 8, "diamond": 4, "rocksalt": 6}
    found = crystals(cutoff, [11, 17])
    assert [name for name in found if name.startswith("rocksalt")] == ["rocksalt NaCl"]
    assert len(found) == 7
    for name, crystal in found.items():
        atoms = Atoms(
            crystal.numbers, crystal.positions.numpy(), cell=crystal.cell.numpy(), pbc=True
        )
        centre, distance = neighbor_list("id", atoms, cutoff + 0.5)
        nearest = distance.min()
        assert 0.45 * cutoff <= nearest < 0.95 * cutoff
        count = np.bincount(centre[distance < 1.01 * nearest], minlength=len(atoms))
        assert set(count) == {expected[name.split()[0]]}
        assert np.abs(distance - cutoff).min() > 0.05  # more than any displacement of the checks


def test_of_many_elements_a_few_are_tried():
    names = set(crystals(5.0, range(1, 90)))
    assert len(names) == 14
    assert {"fcc H", "fcc Ac"} <= names
