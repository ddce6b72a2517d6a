"""The energy of one network with the non-conservative forces of another: each part is its own network's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from mlip_engines import (
    MlipCalculator,
    ModelContractError,
    check_conformance,
    checkpoints,
    read_metadata,
)
from mlip_engines.checkpoints import Exportable
from mlip_engines.commands.export import main
from mlip_engines.model.inner_force import WithInnerForce
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.networks import build_network
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.mlip_engines.conftest import CURL, PARAMETERS, REFERENCE_ENERGIES
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"]
# Another potential, that sees less far, so that nothing of one can be taken for the other's.
SHORTER = {"cutoff": 3.1, "epsilon": 0.05, "sigma": 0.9, "curl": 0.1}
OUTER_SCALE, INNER_SCALE = 2.0, 0.7


def painn(n_features, cutoff, seed):
    torch.manual_seed(seed)
    settings = {"name": "painn", "species": [1, 8], "cutoff": cutoff, "n_features": n_features}
    return build_network({**settings, "n_layers": 2, "non_conservative_layer": 1}).double().eval()


@pytest.mark.parametrize("cutoff", [4.0, 3.0])
def test_two_networks_together_keep_the_contract(cutoff):
    check_conformance(
        WithInnerForce(painn(8, 4.0, 1), painn(4, cutoff, 2), 0.7),
        species=["H", "O"],
        rotation=True,
    )


def test_no_atom_is_felt_over_more_edges_than_the_file_says():
    """A chain in which every edge of the outer network is one of the inner: hops count, not distances."""
    both = WithInnerForce(painn(8, 4.5, 1), painn(4, 3.0, 2), 0.7)
    chain = Atoms("O7", positions=[[2.5 * k, 0.1 * (k % 2), 0.0] for k in range(7)])
    graph = neighbor_graph(chain, both.cutoff)

    def force_of_first(vectors):
        graph_of = graph._replace(edge_vectors=vectors)
        return both.non_conservative(graph_of)["non_conservative_forces"][0]

    by_edges = torch.autograd.functional.jacobian(force_of_first, graph.edge_vectors)  # (3, E, 3)
    felt = graph.edge_index[1, by_edges.abs().amax(dim=(0, 2)) > 0.0]
    assert int(felt.max()) == both.non_conservative_layers


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Checkpoints of two exact networks, as mlip-train returns them."""
    errors = {"energy_mae": 0.001, "non_conservative_mae": 0.01, "rms_c_minus_nc": 0.01}

    def read(path):
        name = Path(path).name
        if name == "outer":
            fields = {
                "name": "argon",
                "species": ["H", "O"],
                "errors": errors,
                "training": {"recipe": "large"},
            }
            network = LennardJones(**PARAMETERS, curl=CURL)
            return Exportable(
                network, reference_energies=REFERENCE_ENERGIES, scale=OUTER_SCALE, **fields
            )
        species = ["H", "O"] if name == "inner" else ["H"]
        fields = {"name": "small", "species": species, "training": {"recipe": "small"}}
        return Exportable(LennardJones(**SHORTER), scale=INNER_SCALE, **fields)

    monkeypatch.setattr(checkpoints, "checkpoint_readers", lambda: {"test": read})
    for name in ("outer", "inner", "hydrogen"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    "name", ["orthogonal", "triclinic", "molecules", "cell_smaller_than_cutoff", "single_atom"]
)
def test_a_file_of_two_has_the_energy_of_the_first_and_the_head_of_the_second(
    name, folder, monkeypatch
):
    arguments = ["--dtype", "float64"]
    assert main([str(folder / "outer"), "-o", str(folder / "first.pt"), *arguments]) == 0
    assert main([str(folder / "inner"), "-o", str(folder / "second.pt"), *arguments]) == 0
    both = ["--inner", str(folder / "inner"), "--name", "pair", "-o", str(folder / "both.pt")]
    assert main([str(folder / "outer"), *both, *arguments]) == 0
    first, second, found = STRUCTURES[name](), STRUCTURES[name](), STRUCTURES[name]()
    first.calc = MlipCalculator(folder / "first.pt")
    second.calc = MlipCalculator(folder / "second.pt", forces="non_conservative")
    found.calc = MlipCalculator(folder / "both.pt")
    assert found.get_potential_energy() == pytest.approx(
        first.get_potential_energy(), abs=LIMIT.energy
    )
    np.testing.assert_allclose(found.get_forces(), first.get_forces(), atol=LIMIT.force)
    head = found.calc.get_property("non_conservative_forces", found)
    np.testing.assert_allclose(head, second.get_forces(), atol=LIMIT.force)
    if len(found) > 2:  # the two differ, or this would show nothing
        assert np.abs(head - first.calc.get_property("non_conservative_forces", first)).max() > 0.01
    # Alone and beside the energy the head gives the same.
    alone = STRUCTURES[name]()
    alone.calc = MlipCalculator(folder / "both.pt", forces="non_conservative")
    np.testing.assert_allclose(alone.get_forces(), head, atol=LIMIT.force)


def test_metadata_name_both_trainings_and_drop_errors_of_the_replaced_head(folder, capsys):
    arguments = ["--inner", str(folder / "inner"), "-o", str(folder / "both.pt")]
    assert main([str(folder / "outer"), *arguments]) == 0
    metadata = read_metadata(folder / "both.pt")
    assert metadata.name == "argon"
    assert metadata.training == {"recipe": "large", "inner": {"recipe": "small"}}
    assert metadata.errors == {"energy_mae": 0.001}
    assert metadata.interaction_range == PARAMETERS["cutoff"]
    capsys.readouterr()
    assert main(["--info", str(folder / "both.pt")]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["inner"] == {"recipe": "small"}


def test_an_inner_network_that_lacks_an_element_is_refused(folder, capsys):
    arguments = ["--inner", str(folder / "hydrogen"), "-o", str(folder / "both.pt")]
    assert main([str(folder / "outer"), *arguments]) == 1
    assert "does not know O" in capsys.readouterr().err
    assert not (folder / "both.pt").exists()


@pytest.mark.parametrize(
    "inner, message",
    [
        (LennardJones(cutoff=6.0), "farther than the outer"),
        (LennardJones(**SHORTER, with_non_conservative_head=False), "needs a head"),
    ],
)
def test_networks_that_do_not_fit_are_refused(inner, message):
    with pytest.raises(ModelContractError, match=message):
        WithInnerForce(LennardJones(**PARAMETERS), inner)


def test_two_dtypes_are_refused():
    with pytest.raises(ModelContractError, match="one dtype"):
        WithInnerForce(painn(8, 4.0, 1), painn(4, 4.0, 1).float())


def test_parameters_that_count_are_of_no_precision():
    """Networks of other packages have numbers of neighbours and the like among their parameters."""
    outer = painn(8, 4.0, 1)
    outer.neighbours = torch.nn.Parameter(torch.tensor([18]), requires_grad=False)
    both = WithInnerForce(outer, painn(4, 4.0, 2))
    assert both.inner_cutoff == 4.0
