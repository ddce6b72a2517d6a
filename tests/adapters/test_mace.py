"""Models of mace-torch: their numbers are those of its own ASE calculator, in every engine."""

from dataclasses import replace

import pytest

from mlip_engines import MlipCalculator, check_conformance, read_metadata
from mlip_engines.adapters.mace import open as open_mace
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.adapters.mace_models import KINDS, written
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
    pytest.mark.filterwarnings("ignore:.*is a pickle, and a pickle is a program"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"),
]


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """Write a model of a kind, once; return its path."""
    folder, done = tmp_path_factory.mktemp("mace"), {}

    def of(kind):
        if kind not in done:
            done[kind] = written(kind, folder)
        return done[kind]

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_energies_forces_and_stress_are_those_of_mace(kind, model_of):
    head = "#r2scan" if kind == "heads" else ""
    names = NAMES if kind == "vectors" else ["triclinic", "molecules"]
    opened = open_mace(f"{model_of(kind)}{head}", None, "float64")
    for atoms in [STRUCTURES[name]() for name in names] + [crowd()] * (kind == "density"):
        check_numbers(opened, atoms, "float64")


@pytest.mark.parametrize("kind", ["vectors", "density"])
def test_the_same_in_float32(kind, model_of):
    opened = open_mace(str(model_of(kind)), None, "float32")
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), "float32")


@pytest.fixture(scope="module")
def exported(model_of, tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    source = str(model_of("vectors"))
    command = ["--from", "mace", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    return path, open_mace(source, None, "float64").reference


def test_the_comparison_stands_in_the_file(exported):
    comparison = read_metadata(exported[0]).comparison
    assert comparison["calculator"].startswith("mace-torch 0.")
    assert comparison["forces"] < 1e-6
    assert comparison["stress"] < 1e-6


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_mace_on_any_number_of_processes(
    processes, exported, plugin, tmp_path
):
    """More than one process: features are exchanged between the layers."""
    model, calculator = exported
    assert read_metadata(model).feature_exchange
    check_lammps(model, calculator, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_mace(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("mace", "e3nn", "opt_einsum_fx"), tmp_path)


def test_energy_is_conserved(exported, plugin):
    """0.1 ps of four molecules of water from 300 K, by steps of 0.5 fs."""
    assert drift_in_nve(exported[0], STRUCTURES["triclinic"](), 0.1, 0.5) < 0.5


@pytest.mark.parametrize("kind", ["tensors", "density", "heads"])
def test_the_contract_holds(kind, model_of):
    head = "#pbe" if kind == "heads" else ""
    species = ["H", "O", "Ca"] if kind == "density" else ["H", "O"]
    opened = open_mace(f"{model_of(kind)}{head}", species, "float64")
    check_conformance(opened.network, opened.species, rotation=True)


def test_fewer_elements_make_a_smaller_file_with_the_same_numbers(model_of, tmp_path):
    paths = tmp_path / "all.pt", tmp_path / "two.pt"
    for path, species in zip(paths, ([], ["--species", "O", "H"]), strict=True):
        command = ["--from", "mace", str(model_of("density")), "-o", str(path)]
        assert main([*command, *species, "--dtype", "float64", "--short-range", "none"]) == 0
    assert read_metadata(paths[1]).species == ["H", "O"]
    assert paths[1].stat().st_size < paths[0].stat().st_size / 2
    atoms = STRUCTURES["triclinic"]()
    energies = []
    for path in paths:
        atoms.calc = MlipCalculator(path)
        energies.append(atoms.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)


def test_a_head_is_chosen_by_name(model_of, tmp_path, capsys):
    model = str(tmp_path / "model.pt")
    assert main(["--from", "mace", str(model_of("heads")), "-o", model]) == 1
    assert "several heads, one for each level of theory: pbe, r2scan" in capsys.readouterr().err
    assert main(["--from", "mace", f"{model_of('heads')}#scan", "-o", model]) == 1
    assert "expected a head of pbe, r2scan, got 'scan'" in capsys.readouterr().err


def test_energies_of_free_atoms_do_not_cost_digits_of_float32(model_of):
    opened = open_mace(str(model_of("vectors")), None, "float32")
    assert min(opened.reference_energies.values()) < -50.0
    opened = replace(opened, reference_energies={})
    assert abs(float(evaluated(opened, STRUCTURES["triclinic"]())["energy"])) < 10.0
