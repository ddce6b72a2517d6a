"""Models of PET from metatrain: their numbers are those of metatomic's ASE calculator, in every engine."""

import numpy as np
import pytest
from metatomic_ase import MetatomicCalculator

from mlip_engines import check_conformance, read_metadata
from mlip_engines.adapters.pet import _model
from mlip_engines.adapters.pet import open as open_pet
from mlip_engines.commands.export import main
from mlip_engines.model.evaluation import evaluate
from mlip_engines.model.exported import ExportedModel
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
from tests.adapters.pet_models import KINDS, written
from tolerances import TOLERANCE

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_energies_forces_and_stress_are_those_of_metatrain(kind, dtype, tmp_path):
    opened = open_pet(str(written(kind, tmp_path)), None, dtype)
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), dtype)


def test_twenty_elements_and_a_crystal_below_twice_the_cutoff(tmp_path):
    opened = open_pet(str(written("feedforward", tmp_path, tuple(range(1, 21)))), None, "float64")
    check_numbers(opened, crowd(), "float64")
    check_numbers(opened, salt(), "float64")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model file that the command has written, and the checkpoint."""
    folder = tmp_path_factory.mktemp("pet")
    checkpoint = written("feedforward", folder)
    path = folder / "model.pt"
    command = ["--from", "pet", str(checkpoint), "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    return path, checkpoint


@pytest.fixture(scope="module")
def calculator(exported):
    return open_pet(str(exported[1]), None, "float64").reference


def test_the_heads_are_those_of_metatrain(exported):
    """Forces without their mean, which LAMMPS and OpenMM do not get either; stress."""
    metadata = read_metadata(exported[0])
    assert metadata.heads == ["energy", "non_conservative_forces", "non_conservative_stress"]
    assert metadata.message_passing_layers == 3
    opened = open_pet(str(exported[1]), None, "float64")
    direct = MetatomicCalculator(
        _model(str(exported[1])).double().eval().export(), device="cpu", non_conservative=True
    )
    for name in ("triclinic", "cell_smaller_than_cutoff"):
        atoms = STRUCTURES[name]()
        graph = neighbor_graph(atoms, opened.network.cutoff)
        found = evaluate(
            ExportedModel(opened.network, {}, 1.0).eval(), graph, with_non_conservative=True
        )
        atoms.calc = direct
        expected = atoms.get_forces()
        np.testing.assert_allclose(
            found["non_conservative_forces"], expected - expected.mean(axis=0), atol=1e-9
        )
        stress = -found["non_conservative_virial"] / atoms.get_volume()
        np.testing.assert_allclose(stress, atoms.get_stress(voigt=False), atol=1e-9)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_metatrain_on_any_number_of_processes(
    processes, exported, calculator, plugin, tmp_path
):
    check_lammps(exported[0], calculator, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_metatrain(name, exported, calculator):
    check_openmm(exported[0], calculator, name)


def test_the_file_stands_alone(exported, calculator, tmp_path):
    hidden = ("metatrain", "metatomic", "metatensor")
    check_stands_alone(exported[0], calculator, hidden, tmp_path)


@pytest.mark.parametrize("kind", ["feedforward", "adaptive"])
def test_the_contract_holds(kind, tmp_path):
    opened = open_pet(str(written(kind, tmp_path)), None, "float64")
    check_conformance(opened.network, opened.species)


def test_an_atom_alone_has_no_direct_force(exported):
    """Metatrain's head gives it one."""
    opened = open_pet(str(exported[1]), None, "float64")
    graph = neighbor_graph(STRUCTURES["single_atom"](), opened.network.cutoff)
    direct = opened.network.non_conservative(graph)["non_conservative_forces"]
    assert float(direct.abs().max()) == 0.0


def test_energy_is_conserved(exported, plugin):
    """What is left is the error of the time step, which falls with its square."""
    atoms = STRUCTURES["orthogonal"]()
    coarse, fine = (drift_in_nve(exported[0], atoms, 0.05, step) for step in (0.25, 0.125))
    assert fine < coarse / 3.0
    assert fine < 0.1  # meV/atom


def test_fewer_elements_are_kept(exported, tmp_path):
    path = tmp_path / "one.pt"
    command = ["--from", "pet", str(exported[1]), "-o", str(path), "--species", "O"]
    assert main([*command, "--dtype", "float64", "--short-range", "none"]) == 0
    metadata = read_metadata(path)
    assert metadata.species == ["O"]
    assert metadata.reference_energies == pytest.approx(
        {"O": -27.2}, abs=TOLERANCE["float64"].energy
    )


def test_what_cannot_be_opened_is_named(exported, tmp_path, capsys):
    def refused(*arguments):
        assert main(["--from", "pet", *arguments, "-o", str(tmp_path / "m.pt")]) == 1
        assert not (tmp_path / "m.pt").exists()
        return capsys.readouterr().err

    checkpoint = str(exported[1])
    assert "expected an output 'energy/pbe', found energy" in refused(f"{checkpoint}#pbe")
    assert "got Po; leave out what it does not know" in refused(checkpoint, "--species", "Po")
    assert "found nothing at" in refused(str(tmp_path / "none.ckpt"))
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    assert "expected a checkpoint of metatrain" in refused(str(tmp_path / "text.ckpt"))
    repulsive = written("feedforward", tmp_path, zbl=True)
    assert "metatrain's ZBL repulsion; export has one of its own" in refused(str(repulsive))
