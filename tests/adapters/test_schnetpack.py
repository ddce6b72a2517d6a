"""Models of SchNetPack: their numbers are those of its own ASE calculator, in every engine."""

import pytest
import torch

from mlip_engines import check_conformance, read_metadata
from mlip_engines.adapters import schnetpack as adapter
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
)
from tests.adapters.schnetpack_models import OFFSETS, write_model

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
KINDS = ["schnet", "painn", "so3net"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schnetpack")
    with adapter._imported():
        return {kind: str(write_model(kind, folder / f"{kind}.model")) for kind in KINDS}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_energies_forces_and_stress_are_those_of_schnetpack(kind, dtype, files):
    opened = adapter.open(files[kind], None, dtype)
    assert opened.network.message_passing_layers == 2
    assert opened.reference_energies == pytest.approx({"H": OFFSETS[1], "O": OFFSETS[8]})
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), dtype)


def test_the_unit_of_the_energy_is_what_the_user_says(files):
    """Against SchNetPack's calculator with the same unit, and the definition of the calorie."""
    opened = adapter.open(files["painn"] + "#kcal/mol", None, "float64")
    assert opened.scale == pytest.approx(0.0433641, rel=1e-5)
    check_numbers(opened, STRUCTURES["triclinic"](), "float64")


def test_twenty_elements_at_once(files):
    """The offsets name two elements; a model without them takes those that are asked for."""
    with pytest.raises(ValueError, match="was trained for H, O, got"):
        adapter.open(files["schnet"], list(crowd().symbols), "float64")


def test_a_model_without_offsets_needs_the_elements(tmp_path):
    with adapter._imported():
        path = str(write_model("schnet", tmp_path / "plain.model", offsets=False))
    with pytest.raises(ValueError, match="name them with --species"):
        adapter.open(path, None, "float64")
    opened = adapter.open(path, list(crowd().symbols), "float64")
    assert opened.network.representation.embedding.weight.shape[0] == 20
    check_numbers(opened, crowd(), "float64")


@pytest.mark.parametrize("kind", ["schnet", "so3net"])
def test_the_contract_holds(kind, files):
    """Not for its PaiNN, whose energy is a cone at symmetric sites."""
    opened = adapter.open(files[kind], None, "float64")
    check_conformance(opened.network, opened.species)


@pytest.fixture(scope="module")
def exported(files, tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    command = ["--from", "schnetpack", files["schnet"], "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    metadata = read_metadata(path)
    assert metadata.comparison["forces"] < 1e-9
    assert metadata.comparison["stress"] < 1e-9
    return path, adapter.open(files["schnet"], None, "float64").reference


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_schnetpack(processes, exported, plugin, tmp_path):
    check_lammps(*exported, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_schnetpack(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("schnetpack", "pytorch_lightning", "torchmetrics"), tmp_path)


def test_energy_is_conserved_for_a_picosecond(exported, plugin):
    assert drift_in_nve(exported[0], STRUCTURES["triclinic"](), 1.0, 1.0) < 0.5


def test_a_mean_over_atoms_is_refused(tmp_path):
    with adapter._imported():
        path = str(write_model("schnet", tmp_path / "mean.model", mode="avg"))
    with pytest.raises(ValueError, match="a mean over atoms"):
        adapter.open(path, None, "float32")


def test_electrostatics_are_refused(tmp_path):
    with adapter._imported():
        from schnetpack.atomistic import DipoleMoment

        more = [DipoleMoment(16)]
        path = str(write_model("schnet", tmp_path / "charges.model", more=more))
    with pytest.raises(ValueError, match="got Atomwise, DipoleMoment; electrostatics"):
        adapter.open(path, None, "float32")


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "linear.model"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match="expected a NeuralNetworkPotential of SchNetPack"):
        adapter.open(str(path), None, "float32")


def test_a_unit_that_is_none_is_refused(files):
    with pytest.raises(ValueError, match="unit of energy that SchNetPack knows"):
        adapter.open(files["schnet"] + "#furlong", None, "float32")
