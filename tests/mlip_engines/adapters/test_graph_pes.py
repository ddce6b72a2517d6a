"""The adapter for graph-pes with a stand-in for its package; tests/adapters has the tests with the real one."""

import sys

import pytest
import torch
from ase.calculators.fd import calculate_numerical_forces

from mlip_engines import MlipCalculator, read_metadata
from mlip_engines.adapters import graph_pes as adapter
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.mlip_engines.adapters import graph_pes_stand_in as stand_in

pytestmark = pytest.mark.filterwarnings("ignore:.*is a pickle, and a pickle is a program")


@pytest.fixture(autouse=True)
def package(monkeypatch):
    stand_in.installed(monkeypatch)
    yield
    sys.modules.pop("mlip_engines.adapters.graph_pes.functions", None)


def test_a_sum_of_parts_with_cutoffs_of_their_own(tmp_path):
    source, model = tmp_path / "trained.pt", tmp_path / "model.pt"
    parts = {
        "offset": stand_in.EnergyOffset(H=-13.0, O=-400.0),
        "near": stand_in.Pairs(1.5, 2.0),
        "far": stand_in.Pairs(3.0, 0.7, layers=2),
        "angles": stand_in.Angles(2.0),
    }
    torch.save(stand_in.AdditionModel(**parts), source)
    command = ["--from", "graph_pes", str(source), "-o", str(model), "--dtype", "float64"]
    assert main([*command, "--short-range", "none", "--no-compare"]) == 0
    metadata = read_metadata(model)
    assert (metadata.name, metadata.species) == ("trained", ["H", "O"])
    assert (metadata.cutoff, metadata.message_passing_layers) == (3.0, 2)
    assert metadata.reference_energies == {"H": -13.0, "O": -400.0}
    calculator = adapter.open(str(source), None, "float64").reference
    for name in ("molecule", "cell_smaller_than_cutoff", "single_atom"):
        atoms = STRUCTURES[name]()
        atoms.calc = calculator
        found = atoms.copy()
        found.calc = MlipCalculator(model)
        energy = atoms.get_potential_energy()
        assert found.get_potential_energy() == pytest.approx(energy, abs=1e-5)
        slopes = calculate_numerical_forces(atoms, 1e-4)
        assert found.get_forces() == pytest.approx(slopes, abs=1e-5)


def test_whoever_opens_a_pickle_is_told(tmp_path):
    path = tmp_path / "trained.pt"
    torch.save(stand_in.Pairs(2.0, 1.0), path)
    with pytest.warns(UserWarning, match="is a pickle, and a pickle is a program"):
        adapter.open(str(path), None, "float32")


class Direct(stand_in.Pairs):
    def __init__(self):
        super().__init__(2.0, 1.0)
        self.implemented_properties = ["local_energies", "forces"]


class Unseen(stand_in.Pairs):
    seen = ()


@pytest.mark.parametrize(
    ("build", "species", "message"),
    [
        (lambda: stand_in.Mean(2.0), None, "more than 12 edges away, as by a mean over"),
        (Direct, None, "predicts forces beside its energy"),
        (lambda: stand_in.EnergyOffset(H=-1.0), ["H"], "offsets of the elements and nothing else"),
        (lambda: Unseen(2.0, 1.0), None, "name them with --species"),
        (lambda: stand_in.Pairs(2.0, 1.0), ["Xe"], "was trained for H, O, got Xe"),
        (lambda: torch.nn.Linear(1, 1), None, "expected a model of graph-pes, got torch"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(build, species, message, tmp_path, monkeypatch):
    path = tmp_path / "file.pt"
    monkeypatch.setattr(stand_in.EnergyOffset, "seen", (1,), False)
    torch.save(build(), path)
    with pytest.raises(ValueError, match=message):
        adapter.open(str(path), species, "float32")


def test_files_of_other_formats_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing at .*no.pt"):
        adapter.open(str(tmp_path / "no.pt"), None, "float32")
    path = tmp_path / "text.pt"
    path.write_text("hello")
    with pytest.raises(ValueError, match="torch cannot read it"):
        adapter.open(str(path), None, "float32")
    torch.jit.script(torch.nn.Linear(1, 1)).save(path)
    with pytest.raises(ValueError, match="lammps_model.pt"):
        adapter.open(str(path), None, "float32")


def test_without_the_package_the_command_that_installs_it_is_named(tmp_path, monkeypatch, capsys):
    path = tmp_path / "model.pt"
    path.touch()
    monkeypatch.setitem(sys.modules, "graph_pes", None)
    monkeypatch.setitem(sys.modules, "graph_pes.models", None)
    assert main(["--from", "graph_pes", str(path), "-o", str(tmp_path / "out.pt")]) == 1
    assert "run: pip install 'mlip-engines[graph-pes]'" in capsys.readouterr().err
