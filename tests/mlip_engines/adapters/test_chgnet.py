"""The network that models of CHGNet become, of a stand-in; tests/adapters has the tests with the package."""

import sys

import pytest
import torch
from torch import nn

from mlip_engines import check_conformance
from mlip_engines.adapters.chgnet.conversion import convert
from mlip_engines.commands.export import main
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES
from tests.mlip_engines.adapters.chgnet_stand_in import CUTOFF, LAYERS, Chgnet
from tolerances import EXACT


@pytest.fixture
def model():
    torch.manual_seed(7)
    return Chgnet().double().eval().requires_grad_(False)


def test_the_contract_holds_and_orientation_does_not_matter(model):
    network = convert(model, [8, 1])
    assert network.feature_exchange and network.edge_exchange
    assert network.message_passing_layers == LAYERS
    check_conformance(network, ["H", "O"], rotation=True)


@pytest.mark.parametrize("name", ["molecules", "cell_smaller_than_cutoff", "self_images"])
def test_energies_and_magnetic_moments_are_those_of_bonds_and_angles_one_by_one(name, model):
    """Cells with several bonds between the same two atoms, and from an atom to itself."""
    atoms = STRUCTURES[name]()
    output = convert(model, [8, 1])(neighbor_graph(atoms, CUTOFF), False)
    energies, moments = model.evaluate(atoms)
    assert output["atomic_energies"].numpy() == pytest.approx(energies.numpy(), abs=EXACT)
    assert output["magnetic_moments"].numpy() == pytest.approx(moments.numpy(), abs=EXACT)


def test_without_bonds_in_angles_the_angles_count_for_nothing(model):
    del model.bond_conv_layers, model.angle_layers  # CHGNet has lists there, of None
    model.bond_conv_layers = model.angle_layers = [None] * (LAYERS - 1)
    network = convert(model, [8, 1])
    assert all(layer.of_bonds is None and layer.of_angles is None for layer in network.layers)


def spoil_readout(model):
    model.mlp_first = False


def spoil_bonds(model):
    model.bond_conv_layers[0].mlp_out.layers[-1].bias = nn.Parameter(torch.ones(4))


def spoil_fading(model):
    model.bond_basis_expansion.rbf_expansion_bg.smooth_cutoff.p = 0


def spoil_cutoffs(model):
    model.bond_basis_expansion.rbf_expansion_bg.inv_cutoff = 0.1


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoil_readout, "no sum of energies of atoms"),
        (spoil_bonds, "as soon as there is an angle anywhere"),
        (spoil_fading, "jumps there"),
        (spoil_cutoffs, "expected a cutoff of bonds in angles that is at most"),
    ],
)
def test_models_that_do_not_depend_smoothly_on_neighbours_are_refused(spoil, why, model):
    spoil(model)
    with pytest.raises(ValueError, match=why):
        convert(model, [8, 1])


def test_without_the_package_the_command_that_installs_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "chgnet", None)
    monkeypatch.setitem(sys.modules, "chgnet.model", None)
    assert main(["--from", "chgnet", "0.3.0", "-o", str(tmp_path / "model.pt")]) == 1
    assert "pip install 'mlip-engines[chgnet]'" in capsys.readouterr().err
