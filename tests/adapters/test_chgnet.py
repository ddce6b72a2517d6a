"""Models of CHGNet, trained ones: their numbers are those of its own ASE calculator, in every engine."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from mlip_engines import check_conformance, load_model, read_metadata
from mlip_engines.adapters.chgnet import open as open_chgnet
from mlip_engines.commands.export import main
from mlip_engines.model.evaluation import evaluate
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES
from tests.adapters.parity import (
    NAMES,
    check_lammps,
    check_numbers,
    check_openmm,
    check_stands_alone,
    crowd,
    drift_in_nve,
    salt,
)

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def iron_oxide():
    """Return FeO with atoms off their sites: CHGNet gives iron a moment."""
    atoms = bulk("FeO", "rocksalt", 4.3) * (2, 1, 1)
    atoms.rattle(0.05, seed=2)
    return atoms


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", ["0.3.0", "r2scan"])
def test_energies_forces_and_stress_are_those_of_chgnet(model, dtype):
    opened = open_chgnet(model, None, dtype)
    names = [*NAMES, "slab", "self_images", "no_neighbours"]
    structures = [*(STRUCTURES[name]() for name in names), salt(), iron_oxide()]
    if dtype == "float64":  # its forces are 40 eV/Å, of which float32 has 5 digits
        structures.append(crowd())
    for atoms in structures:
        check_numbers(opened, atoms, dtype)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    command = ["--from", "chgnet", "0.3.0", "-o", str(path), "--dtype", "float64"]
    more = ["--short-range", "none", "--species", "H", "O", "Cu", "Fe"]
    assert main([*command, *more]) == 0
    return path, open_chgnet("0.3.0", None, "float64").reference


def test_the_file_says_where_it_comes_from(exported):
    metadata = read_metadata(exported[0])
    assert metadata.comparison["calculator"] == "chgnet 0.4.2, CHGNetCalculator"
    assert metadata.comparison["forces"] < 1e-9
    assert metadata.comparison["stress"] < 1e-9
    assert metadata.reference_energies["O"] == pytest.approx(-8.386, abs=1e-3)
    assert "Deng" in metadata.citation and "BSD" in metadata.licence
    assert metadata.interaction_range == pytest.approx(24.0)


def test_magnetic_moments_are_those_of_chgnet(exported):
    path, calculator = exported
    atoms = iron_oxide()
    loaded = load_model(path)
    output = evaluate(loaded.module, neighbor_graph(atoms, loaded.metadata.cutoff))
    atoms.calc = calculator
    expected = atoms.get_magnetic_moments()
    assert expected.max() > 1.0
    np.testing.assert_allclose(output["magnetic_moments"], expected, atol=1e-9)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_chgnet_on_any_number_of_processes(
    processes, exported, plugin, tmp_path
):
    """More than one process: features of atoms and of bonds are exchanged between the layers."""
    metadata = read_metadata(exported[0])
    assert metadata.feature_exchange and metadata.edge_exchange
    check_lammps(*exported, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_chgnet(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("chgnet", "pymatgen", "monty"), tmp_path)


def test_the_contract_holds():
    opened = open_chgnet("0.3.0", ["H", "O"], "float64")
    check_conformance(opened.network, opened.species, rotation=True)


def test_fewer_elements_give_the_same_numbers():
    everything = open_chgnet("0.3.0", None, "float64")
    two = open_chgnet("0.3.0", ["O", "H"], "float64")
    assert two.species == ["H", "O"]
    assert two.network.embedding.shape[0] == 2 < everything.network.embedding.shape[0]
    check_numbers(two, STRUCTURES["triclinic"](), "float64")


def test_energy_is_conserved_for_a_picosecond(exported, plugin):
    """Copper, two femtoseconds per step."""
    atoms = bulk("Cu", cubic=True)
    assert drift_in_nve(exported[0], atoms, 1.0, 2.0) < 0.5


def test_a_file_of_the_trainer_gives_the_numbers_of_its_model(tmp_path):
    from chgnet.model import CHGNet

    torch.manual_seed(5)
    sizes = {"atom_fea_dim": 12, "bond_fea_dim": 10, "angle_fea_dim": 8, "n_conv": 3}
    more = {"num_radial": 9, "num_angular": 7, "atom_conv_hidden_dim": 14, "non_linearity": "tanh"}
    cutoffs = {"atom_graph_cutoff": 4.5, "bond_graph_cutoff": 2.5, "gMLP_norm": None}
    model = CHGNet(**sizes, **more, **cutoffs, conv_norm=None)
    path = tmp_path / "epoch9_e1_f2_s3_mNA.pth.tar"
    torch.save({"model": model.as_dict()}, path)
    opened = open_chgnet(str(path), ["H", "O"], "float64")
    assert opened.name == "epoch9_e1_f2_s3_mNA"
    assert opened.network.message_passing_layers == 3
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), "float64")


def test_what_cannot_be_opened_is_named(tmp_path, capsys):
    def refused(*arguments):
        assert main(["--from", "chgnet", *arguments, "-o", str(tmp_path / "m.pt")]) == 1
        assert not (tmp_path / "m.pt").exists()
        return capsys.readouterr().err

    text = tmp_path / "text.pth.tar"
    text.write_text("no model")
    assert "one of 0.3.0, r2scan, 0.2.0, found nothing at '0.4.0'" in refused("0.4.0")
    assert "expected a file of CHGNet's trainer" in refused(str(text))
    assert "as soon as there is an angle anywhere" in refused("0.2.0")
    assert "got Lr; leave out what it does not know" in refused("0.3.0", "--species", "Lr", "O")
    assert "got Po; leave out what it does not know" in refused("r2scan", "--species", "Po", "O")
