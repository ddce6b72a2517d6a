"""The exact networks against numpy: the other tests stand on them."""

import numpy as np
import pytest
import torch

from mlip_engines.model.graph import Graph
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.potentials.analytic import HarmonicPair, LennardJones
from pair_oracle import pair_sums
from structures import STRUCTURES
from tolerances import EXACT


@pytest.mark.parametrize("name", STRUCTURES)
def test_lennard_jones_and_its_curl_equal_numpy_sums(name):
    parameters = {"cutoff": 4.0, "epsilon": 0.02, "sigma": 1.1}
    network = LennardJones(**parameters, curl=0.07).double()
    atoms = STRUCTURES[name]()
    output = network(neighbor_graph(atoms, 4.0), True)
    energy, _, head = pair_sums(atoms, curl=0.07, **parameters)
    assert float(output["atomic_energies"].sum()) == pytest.approx(energy, abs=EXACT)
    np.testing.assert_allclose(output["non_conservative_forces"].numpy(), head, atol=EXACT)


def test_harmonic_pair_at_a_known_distance():
    network = HarmonicPair(4.0, k=3.0, r0=1.0).double()
    vectors = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0]], dtype=torch.float64)
    pair = torch.tensor([[0, 1], [1, 0]])
    two = Graph(torch.tensor([1, 1]), pair, vectors, torch.tensor([1, 0]), torch.ones(2) > 0)
    output = network(two, True)
    # u = 3/2 (2 - 1)^2 = 1.5, f = (1 - 1/4)^3 = 27/64; u' = 3, f' = -6 (1/2) (3/4)^2 / 4 = -27/64
    assert float(output["atomic_energies"].sum()) == pytest.approx(1.5 * 27 / 64, abs=EXACT)
    slope = 3.0 * 27 / 64 - 1.5 * 27 / 64
    expected = [[slope, 0, 0], [-slope, 0, 0]]
    np.testing.assert_allclose(output["non_conservative_forces"].numpy(), expected, atol=EXACT)


def test_a_curl_makes_work_on_a_closed_path():
    """One atom carried around another: the work of C is zero, that of the head is not."""
    network = LennardJones(4.0, epsilon=0.02, sigma=1.1, curl=0.07).double()
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    pair = torch.tensor([[0, 1], [1, 0]])
    work = 0.0
    for angle in angles:
        position = torch.tensor([np.cos(angle), np.sin(angle), 0.0], dtype=torch.float64)
        vectors = torch.stack([position, -position])
        graph = Graph(
            torch.tensor([18, 18]), pair, vectors, torch.tensor([1, 0]), torch.ones(2) > 0
        )
        force = network.non_conservative(graph)["non_conservative_forces"][1].numpy()
        work += force @ [-np.sin(angle), np.cos(angle), 0.0] * 2 * np.pi / len(angles)
    factor = (1 - 1 / 16) ** 3
    # The edge of the moving atom points inwards, so the force runs against the path.
    assert work == pytest.approx(-0.07 * factor * 2 * np.pi, abs=EXACT)
