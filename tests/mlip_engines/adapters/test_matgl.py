"""The networks that TensorNet and M3GNet become, of stand-ins; tests/adapters has the tests with matgl."""

import sys

import pytest
import torch

from mlip_engines import check_conformance
from mlip_engines.adapters.matgl.conversion import convert
from mlip_engines.adapters.matgl.m3gnet_conversion import convert as convert_m3gnet
from mlip_engines.adapters.matgl.tensornet import basis_of_matrices
from mlip_engines.commands.export import main
from mlip_engines.conformance.cells import in_a_cell
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES
from tests.mlip_engines.adapters import m3gnet_stand_in
from tests.mlip_engines.adapters.tensornet_stand_in import CUTOFF, LAYERS, TensorNet
from tolerances import EXACT


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=["O(3)", "SO(3)"])
def model(request, double):
    torch.manual_seed(2)
    model = TensorNet(["He", "H", "O"], request.param)
    return model.eval().requires_grad_(False)


def test_the_basis_of_matrices_is_orthonormal_and_divided_into_parts():
    basis = basis_of_matrices()
    assert torch.allclose(basis @ basis.T, torch.eye(9, dtype=basis.dtype), atol=EXACT)
    matrices = basis.view(9, 3, 3)
    assert torch.equal(matrices[1:4], -matrices[1:4].mT)
    assert torch.equal(matrices[4:], matrices[4:].mT)
    traces = matrices[4:].diagonal(dim1=1, dim2=2).sum(1)
    assert torch.allclose(traces, torch.zeros_like(traces), atol=EXACT)


@pytest.mark.parametrize("name", ["molecules", "cell_smaller_than_cutoff", "self_images"])
def test_energies_are_those_of_matrices_edge_by_edge(name, model):
    atoms = STRUCTURES[name]()
    network = convert(model, [1, 2], [1, 8])
    output = network(neighbor_graph(atoms, CUTOFF), False)["atomic_energies"]
    assert output.numpy() == pytest.approx(model.energies(atoms).numpy(), abs=EXACT)


@pytest.mark.parametrize("model", ["O(3)"], indirect=True)
def test_the_contract_holds_and_orientation_does_not_matter(model):
    network = convert(model, [1, 2], [1, 8])
    assert network.feature_exchange
    assert network.message_passing_layers == LAYERS + 1
    check_conformance(network, ["H", "O"], rotation=True)


@pytest.fixture
def m3gnet(double):
    torch.manual_seed(4)
    return m3gnet_stand_in.M3GNet(["He", "H", "O"]).eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["molecules", "cell_smaller_than_cutoff", "self_images"])
def test_energies_of_m3gnet_are_those_of_pairs_of_edges_one_by_one(name, m3gnet):
    atoms = STRUCTURES[name]()
    network = convert_m3gnet(m3gnet, [1, 2], [1, 8])
    output = network(neighbor_graph(atoms, m3gnet_stand_in.CUTOFF), False)["atomic_energies"]
    assert output.numpy() == pytest.approx(m3gnet.energies(atoms).numpy(), abs=EXACT)


def test_the_contract_holds_for_m3gnet(m3gnet):
    network = convert_m3gnet(m3gnet, [1, 2], [1, 8])
    assert network.feature_exchange
    assert network.message_passing_layers == m3gnet_stand_in.LAYERS
    check_conformance(network, ["H", "O"], rotation=True)


def test_m3gnet_with_a_second_angle_or_a_state_of_the_structure_is_refused(m3gnet):
    m3gnet.basis_expansion.use_phi = True
    with pytest.raises(ValueError, match="complex numbers"):
        convert_m3gnet(m3gnet, [1, 2], [1, 8])
    m3gnet.include_state = True
    with pytest.raises(ValueError, match="state of the structure as a whole"):
        convert_m3gnet(m3gnet, [1, 2], [1, 8])
    m3gnet.is_intensive = True
    with pytest.raises(ValueError, match="no energy that is a sum over atoms"):
        convert_m3gnet(m3gnet, [1, 2], [1, 8])


def test_properties_of_structures_and_layers_for_gpus_are_refused(model):
    model._use_warp = True
    with pytest.raises(ValueError, match="layers for NVIDIA GPUs"):
        convert(model, [1, 2], [1, 8])
    model.is_intensive = True
    with pytest.raises(ValueError, match="no energy that is a sum over atoms"):
        convert(model, [1, 2], [1, 8])


def test_a_structure_in_a_cell_keeps_its_distances_and_its_images_are_far():
    slab = STRUCTURES["slab"]()
    boxed = in_a_cell(slab, 5.0)
    assert boxed.pbc.all() and not slab.pbc.all()
    assert boxed.get_all_distances() == pytest.approx(slab.get_all_distances(), abs=EXACT)
    height = slab.positions[:, 2].max() - slab.positions[:, 2].min()
    assert boxed.cell[2, 2] == pytest.approx(height + 10.0)
    assert boxed.cell[:2] == pytest.approx(slab.cell[:2])


def refused(folder, capsys, file: str) -> str:
    assert main(["--from", "matgl", file, "-o", str(folder / "model.pt")]) == 1
    return capsys.readouterr().err


def test_without_the_package_the_command_that_installs_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matgl", None)
    assert "pip install 'mlip-engines[matgl]'" in refused(tmp_path, capsys, "TensorNet")
