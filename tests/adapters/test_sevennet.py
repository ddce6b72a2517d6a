"""Models of SevenNet, trained ones: their numbers are those of its own ASE calculator, in every engine."""

import numpy as np
import pytest

from mlip_engines import check_conformance, read_metadata
from mlip_engines.adapters.sevennet import open as open_sevennet
from mlip_engines.commands.export import main
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

FEW = ["cell_smaller_than_cutoff", "molecules"]


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        ("7net-0", "float64"),
        ("7net-0", "float32"),
        ("7net-mf-0#PBE", "float64"),
        ("7net-mf-0#R2SCAN", "float32"),
        ("7net-l3i5", "float32"),
    ],
)
def test_energies_forces_and_stress_are_those_of_sevennet(model, dtype):
    opened = open_sevennet(model, None, dtype)
    names = NAMES if model == "7net-0" else FEW
    for atoms in [*(STRUCTURES[name]() for name in names), salt(), crowd()]:
        check_numbers(opened, atoms, dtype)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    command = ["--from", "sevennet", "7net-0", "-o", str(path), "--dtype", "float64"]
    more = ["--short-range", "none", "--species", "H", "O", "Cu"]
    assert main([*command, *more]) == 0
    return path, open_sevennet("7net-0", None, "float64").reference


def test_the_comparison_stands_in_the_file(exported):
    comparison = read_metadata(exported[0]).comparison
    assert comparison["calculator"].startswith("sevenn 0.")
    assert comparison["forces"] < 1e-6
    assert comparison["stress"] < 1e-6


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_sevennet_on_any_number_of_processes(
    processes, exported, plugin, tmp_path
):
    """More than one process: features are exchanged between the layers."""
    model, calculator = exported
    assert read_metadata(model).feature_exchange
    check_lammps(model, calculator, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_sevennet(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("sevenn", "e3nn", "opt_einsum_fx"), tmp_path)


def test_the_contract_holds():
    opened = open_sevennet("7net-0", ["H", "O"], "float64")
    check_conformance(opened.network, opened.species, rotation=True)


def test_fewer_elements_give_the_same_numbers():
    everything = open_sevennet("7net-0", None, "float64")
    two = open_sevennet("7net-0", ["O", "H"], "float64")
    assert two.species == ["H", "O"]
    two.reference.model = everything.reference.model
    check_numbers(two, STRUCTURES["triclinic"](), "float64")


def test_energy_is_conserved(exported, plugin):
    """Copper, a femtosecond per step; the cutoff's second derivative jumps, so not to rounding."""
    from ase.build import bulk

    atoms = bulk("Cu", cubic=True)
    assert drift_in_nve(exported[0], atoms, 0.2, 1.0) < 0.3


def test_what_cannot_be_opened_is_named(tmp_path, capsys):
    def refused(*arguments):
        assert main(["--from", "sevennet", *arguments, "-o", str(tmp_path / "m.pt")]) == 1
        assert not (tmp_path / "m.pt").exists()
        return capsys.readouterr().err

    assert "several levels of theory, R2SCAN, PBE; choose one: 7net-mf-0#R2SCAN" in refused(
        "7net-mf-0"
    )
    assert "expected one of R2SCAN, PBE, got 'SCAN'" in refused("7net-mf-0#SCAN")
    assert "got 'PBE'" in refused("7net-0#PBE")
    assert "expected a checkpoint of SevenNet or the name of a model" in refused("7net-x")
    assert "got Po; leave out what it does not know" in refused("7net-0", "--species", "Po", "O")
    np.savetxt(tmp_path / "text.pth", [1.0])
    assert "expected a checkpoint of SevenNet (.pth), which this is not" in refused(
        str(tmp_path / "text.pth")
    )
