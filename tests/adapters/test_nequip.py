"""Models of NequIP and Allegro: their numbers are those of its own ASE calculator, in every engine."""

import pytest

from mlip_engines import check_conformance, read_metadata
from mlip_engines.adapters import allegro
from mlip_engines.adapters import nequip as adapter
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.adapters.nequip_models import write_checkpoint, write_package
from tests.adapters.parity import (
    NAMES,
    check_lammps,
    check_numbers,
    check_openmm,
    check_stands_alone,
    crowd,
    drift_in_nve,
    evaluated,
)

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
LAYERS = {"nequip": 2, "everything": 3, "norms": 2, "allegro": 1}
OURS = ("nequip", "everything")  # evaluated by the network of ours


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Checkpoints by kind, each trained when it is first asked for."""

    class Checkpoints(dict):
        def __missing__(self, kind):
            self[kind] = write_checkpoint(kind, tmp_path_factory.mktemp(kind))
            return self[kind]

    return Checkpoints()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", LAYERS)
def test_energies_forces_and_stress_are_those_of_nequip(kind, dtype, checkpoints):
    opened = adapter.open(str(checkpoints[kind]), None, dtype)
    assert opened.network.message_passing_layers == LAYERS[kind]
    assert getattr(opened.network, "feature_exchange", False) == (kind in OURS)
    assert opened.species == ["H", "O"]
    assert opened.reference_energies == pytest.approx({"H": -13.0, "O": -113.0})
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), dtype)


def test_a_converted_model_gives_the_numbers_of_the_one_it_was_converted_from(checkpoints):
    """The float64 file of a float32 model, against NequIP's calculator in float32."""
    path = str(checkpoints["allegro"])
    wide, narrow = (adapter.open(path, None, dtype) for dtype in ("float64", "float32"))
    atoms = STRUCTURES["triclinic"]()
    found = evaluated(wide, atoms)["forces"].numpy()
    atoms.calc = narrow.reference
    assert found == pytest.approx(atoms.get_forces(), abs=1e-4)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_contract_holds(kind, checkpoints):
    opened = adapter.open(str(checkpoints[kind]), None, "float64")
    check_conformance(opened.network, opened.species, rotation=kind in OURS)


def test_parts_without_a_counterpart_are_named(checkpoints):
    with pytest.warns(UserWarning, match="convnet_nonlinearity_type: norm.* no counterpart"):
        adapter.open(str(checkpoints["norms"]), None, "float64")


def test_twenty_elements_at_once(tmp_path):
    symbols = tuple(crowd().symbols)
    opened = adapter.open(str(write_checkpoint("nequip", tmp_path, symbols)), None, "float64")
    check_numbers(opened, crowd(), "float64")
    some = adapter.open(str(tmp_path / "run/last.ckpt"), ["O", "H"], "float64")
    assert some.species == ["O", "H"]
    assert some.network.embedding.size(0) == 2
    check_numbers(some, STRUCTURES["triclinic"](), "float64")


def test_a_package_gives_the_numbers_of_its_checkpoint(checkpoints, tmp_path):
    package = write_package(checkpoints["nequip"], tmp_path / "small.nequip.zip")
    atoms = STRUCTURES["triclinic"]()
    of_package, of_checkpoint = (
        float(evaluated(adapter.open(str(path), None, "float64"), atoms)["energy"])
        for path in (package, checkpoints["nequip"])
    )
    assert of_package == pytest.approx(of_checkpoint, abs=1e-10)


@pytest.fixture(scope="module")
def exported(checkpoints, tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    source = str(checkpoints["everything"])
    command = ["--from", "nequip", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    metadata = read_metadata(path)
    assert metadata.comparison["forces"] < 1e-9
    assert metadata.comparison["stress"] < 1e-9
    assert "Batzner" in metadata.citation
    return path, adapter.open(source, None, "float64").reference


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_nequip(processes, exported, plugin, tmp_path):
    """More than one process: features are exchanged between the layers."""
    assert read_metadata(exported[0]).feature_exchange
    check_lammps(*exported, processes, tmp_path)


def test_lammps_gives_the_numbers_of_allegro(checkpoints, plugin, tmp_path):
    source, path = str(checkpoints["allegro"]), tmp_path / "allegro.pt"
    command = ["--from", "allegro", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    check_lammps(path, allegro.open(source, None, "float64").reference, 2, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_nequip(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("nequip", "allegro", "e3nn", "lightning"), tmp_path)


def test_energy_is_conserved_for_a_picosecond(checkpoints, plugin, tmp_path):
    """Without a repulsion, which an untrained network does not balance: bonds would fly apart."""
    path = tmp_path / "model.pt"
    command = ["--from", "nequip", str(checkpoints["nequip"]), "-o", str(path)]
    assert main([*command, "--dtype", "float64", "--short-range", "none"]) == 0
    assert drift_in_nve(path, STRUCTURES["triclinic"](), 1.0, 1.0) < 0.5


def test_a_name_that_the_file_does_not_have_is_refused(checkpoints):
    with pytest.raises(ValueError, match="one of the models sole_model, got 'other'"):
        adapter.open(f"{checkpoints['nequip']}#other", None, "float32")


def test_elements_that_the_model_lacks_are_refused(checkpoints):
    with pytest.raises(ValueError, match="trained for H, O, got Xe"):
        adapter.open(str(checkpoints["nequip"]), ["Xe"], "float32")


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "text.ckpt"
    path.write_text("no checkpoint")
    with pytest.raises(ValueError, match="expected a checkpoint of nequip-train"):
        adapter.open(str(path), None, "float32")
