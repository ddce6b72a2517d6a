"""Models of mace-torch: their numbers are those of its own ASE calculator, in every engine."""

import subprocess
import sys
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers

from mlip_engines import MlipCalculator, check_conformance, read_metadata
from mlip_engines.adapters.mace import open as open_mace
from mlip_engines.commands.export import main
from mlip_engines.model.evaluation import evaluate
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.neighbors import neighbor_graph
from structures import STRUCTURES
from tests.adapters.mace_models import KINDS, written
from tests.lammps_plugin.runner import run_structures
from tests.openmm_forces.runner import single_point
from tolerances import TOLERANCE

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


def crowd():
    """Twenty elements in a triclinic cell."""
    atoms = bulk("Al", cubic=True).repeat((2, 2, 2))[:20]
    atoms.numbers = np.arange(1, 21)
    atoms.set_cell([[8.0, 0.0, 0.0], [1.5, 7.5, 0.0], [-1.0, 1.2, 8.2]])
    atoms.rattle(0.2, seed=3)
    return atoms


def structures_for(kind) -> list[Atoms]:
    names = ("triclinic", "cell_smaller_than_cutoff", "molecules", "single_atom", "orthogonal")
    return [STRUCTURES[name]() for name in names] + ([crowd()] if kind == "density" else [])


def evaluated(opened, atoms) -> dict:
    """Evaluate the network as it is put into a file, without writing one."""
    energies = {atomic_numbers[s]: e for s, e in opened.reference_energies.items()}
    graph = neighbor_graph(atoms, opened.network.cutoff)
    return evaluate(ExportedModel(opened.network, energies, opened.scale).eval(), graph)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_energies_forces_and_stress_are_those_of_mace(kind, dtype, model_of):
    head = "#r2scan" if kind == "heads" else ""
    opened = open_mace(f"{model_of(kind)}{head}", None, dtype)
    for atoms in structures_for(kind):
        found = evaluated(opened, atoms)
        atoms.calc = opened.reference
        per_atom = (atoms.get_potential_energy() - float(found["energy"])) / len(atoms)
        # float32: mace-torch adds energies of hundreds of eV in float32, we do not
        assert abs(per_atom) < (1e-6 if dtype == "float64" else 2e-4)
        force = 1e-6 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(found["forces"], atoms.get_forces(), atol=force, rtol=0)
        if atoms.pbc.all():
            stress = -found["virial"] / atoms.get_volume()
            limit = TOLERANCE[dtype].stress
            expected = atoms.get_stress(voigt=False)
            np.testing.assert_allclose(0.5 * (stress + stress.T), expected, atol=limit, rtol=0)


@pytest.fixture(scope="module")
def exported(model_of, tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    source = str(model_of("vectors"))
    command = ["--from", "mace", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    return path, open_mace(source, None, "float64").reference


NAMES = ["triclinic", "cell_smaller_than_cutoff", "molecules", "single_atom", "orthogonal"]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_mace_on_any_number_of_processes(
    processes, exported, plugin, tmp_path
):
    """More than one process: features are exchanged between the layers."""
    model, calculator = exported
    assert read_metadata(model).feature_exchange
    results = run_structures(
        [STRUCTURES[name]() for name in NAMES], model, tmp_path, processes=processes
    )
    for name, result in zip(NAMES, results, strict=True):
        atoms = STRUCTURES[name]()
        atoms.calc = calculator
        assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(result.forces, atoms.get_forces(), atol=1e-6)
        if atoms.pbc.all():
            virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
            np.testing.assert_allclose(result.virial, virial, atol=TOLERANCE["float64"].virial)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_mace(name, exported):
    model, calculator = exported
    atoms = STRUCTURES[name]()
    energy, forces = single_point(atoms, model)
    atoms.calc = calculator
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-6)


def test_the_file_stands_alone(exported, tmp_path):
    """Neither mace-torch nor e3nn can be imported, and the file gives the same energy."""
    model, calculator = exported
    atoms = STRUCTURES["triclinic"]()
    atoms.write(tmp_path / "frame.xyz")
    code = f"""
import sys
for name in ("mace", "e3nn", "opt_einsum_fx"):
    sys.modules[name] = None  # an import of it fails
from ase.io import read
from mlip_engines import MlipCalculator
atoms = read({str(tmp_path / "frame.xyz")!r})
atoms.calc = MlipCalculator({str(model)!r})
print(repr(atoms.get_potential_energy()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    atoms = ase.io.read(tmp_path / "frame.xyz")
    atoms.calc = calculator
    assert float(done.stdout) == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


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
