"""The ASE calculator against numpy sums, ASE's Lennard-Jones, and differences of its own energy."""

import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.lj import LennardJones as AseLennardJones

from mlip_engines import MlipCalculator
from mlip_engines.calculator import NonFiniteResultError
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.export import export_model
from mlip_engines.model.load import LoadedModel, load_model
from mlip_train.potentials.analytic import PairNetwork, smooth_cutoff
from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.mlip_engines.conftest import CURL, PARAMETERS, REFERENCE_ENERGIES, metadata_of
from tolerances import (
    EXACT,
    FINITE_DIFFERENCE_FORCE,
    FINITE_DIFFERENCE_STEP,
    FINITE_DIFFERENCE_STRESS,
    TOLERANCE,
)

PERIODIC = ["orthogonal", "triclinic", "cell_smaller_than_cutoff", "self_images", "slab"]


def with_calculator(name: str, model, **options) -> Atoms:
    atoms = STRUCTURES[name]()
    atoms.calc = MlipCalculator(model, **options)
    return atoms


class TruncatedLennardJones(PairNetwork):
    """ASE's own Lennard-Jones: cut at the cutoff and shifted to zero there."""

    def __init__(self, cutoff: float, epsilon: float, sigma: float):
        super().__init__(cutoff, 0.0, False)
        self.epsilon, self.sigma = epsilon, sigma
        self.shift = 4 * epsilon * ((sigma / cutoff) ** 12 - (sigma / cutoff) ** 6)

    def pair_energy(self, distance: torch.Tensor) -> torch.Tensor:
        sixth = (self.sigma / distance) ** 6
        energy = 4.0 * self.epsilon * (sixth * sixth - sixth) - self.shift
        return energy / smooth_cutoff(distance, self.cutoff)  # takes back the smooth cutoff


@pytest.mark.parametrize("name", STRUCTURES)
def test_everything_equals_ase_lennard_jones(name, tmp_path):
    network = TruncatedLennardJones(**PARAMETERS).double()
    export_model(network, metadata_of(network, "lj", "float64"), tmp_path / "lj.pt")
    atoms = with_calculator(name, tmp_path / "lj.pt")
    reference = STRUCTURES[name]()
    reference.calc = AseLennardJones(
        rc=PARAMETERS["cutoff"], epsilon=PARAMETERS["epsilon"], sigma=PARAMETERS["sigma"]
    )
    limit = TOLERANCE["float64"]
    assert atoms.get_potential_energy() == pytest.approx(
        reference.get_potential_energy(), abs=limit.energy
    )
    np.testing.assert_allclose(
        atoms.get_potential_energies(), reference.get_potential_energies(), atol=limit.energy
    )
    np.testing.assert_allclose(atoms.get_forces(), reference.get_forces(), atol=limit.force)
    if name in PERIODIC:
        np.testing.assert_allclose(atoms.get_stress(), reference.get_stress(), atol=limit.stress)
        found, expected = atoms.get_stresses(), reference.get_stresses()
        np.testing.assert_allclose(found, expected, atol=limit.stress)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_energy_and_both_forces_equal_numpy_sums(name, dtype, model_files):
    atoms = with_calculator(name, model_files[dtype])
    energy, forces, head = pair_sums(STRUCTURES[name](), curl=CURL, **PARAMETERS)
    baseline = sum(REFERENCE_ENERGIES[symbol] for symbol in atoms.symbols)
    limit = TOLERANCE[dtype]
    assert atoms.get_potential_energy() == pytest.approx(baseline + energy, abs=limit.energy)
    summed = atoms.get_potential_energies().sum()
    assert summed == pytest.approx(baseline + energy, abs=limit.energy)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=limit.force)
    head = head - head.mean(axis=0)
    found = atoms.calc.get_property("non_conservative_forces", atoms)
    np.testing.assert_allclose(found, head, atol=limit.force)
    atoms = with_calculator(name, model_files[dtype], forces="non_conservative")
    np.testing.assert_allclose(atoms.get_forces(), head, atol=limit.force)
    assert atoms.get_potential_energy() == pytest.approx(baseline + energy, abs=limit.energy)
    np.testing.assert_allclose(atoms.get_forces(), head, atol=limit.force)


@pytest.mark.parametrize("name", ["molecules", "triclinic", "cell_smaller_than_cutoff", "wire"])
def test_forces_equal_negative_energy_gradient(name, model_files):
    atoms = with_calculator(name, model_files["float64"])
    expected = calculate_numerical_forces(atoms, eps=FINITE_DIFFERENCE_STEP)
    largest = max(1.0, np.abs(expected).max())  # short O-H distances are steep
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=largest * FINITE_DIFFERENCE_FORCE)


@pytest.mark.parametrize("name", ["orthogonal", "triclinic", "cell_smaller_than_cutoff"])
def test_stress_equals_finite_strain(name, model_files):
    atoms = with_calculator(name, model_files["float64"])
    expected = calculate_numerical_stress(atoms, eps=FINITE_DIFFERENCE_STEP)
    assert np.abs(expected).min() > 100 * FINITE_DIFFERENCE_STRESS, "a component is not tested"
    np.testing.assert_allclose(atoms.get_stress(), expected, atol=FINITE_DIFFERENCE_STRESS)
    total = atoms.get_stresses().sum(axis=0)
    np.testing.assert_allclose(total, expected, atol=FINITE_DIFFERENCE_STRESS)


def test_free_energy_is_the_energy(model_files):
    atoms = with_calculator("molecule", model_files["float64"])
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


class Spy(torch.nn.Module):
    """Passes calls on to a model and writes them down."""

    def __init__(self, module):
        super().__init__()
        self.module, self.calls = module, []

    def evaluate(self, *arguments):
        self.calls.append(("evaluate", arguments[-2]))
        return self.module.evaluate(*arguments)

    def non_conservative(self, *arguments):
        self.calls.append(("non_conservative",))
        return self.module.non_conservative(*arguments)


def test_only_what_is_asked_for_is_evaluated(model_files):
    model = load_model(model_files["float64"])
    spy = Spy(model.module)
    spied = LoadedModel(spy, model.metadata, model.path)
    atoms = with_calculator("molecule", spied)
    atoms.get_forces()
    atoms.get_potential_energy()
    assert spy.calls == [("evaluate", False)]  # no head, and nothing twice
    atoms.calc.get_property("non_conservative_forces", atoms)
    assert spy.calls == [("evaluate", False), ("non_conservative",)]
    atoms.get_potential_energy()
    assert len(spy.calls) == 2  # the energy is still there

    spy.calls.clear()
    atoms = with_calculator("molecule", spied, forces="non_conservative")
    atoms.get_forces()
    assert spy.calls == [("non_conservative",)]  # no energy
    atoms.get_potential_energy()
    assert spy.calls == [("non_conservative",), ("evaluate", False)]
    atoms.positions += 0.1 * np.arange(9).reshape(3, 3)
    atoms.get_forces()
    assert spy.calls[2:] == [("non_conservative",)]


def test_moving_an_atom_changes_the_results(model_files):
    atoms = with_calculator("molecule", model_files["float64"])
    before = atoms.get_potential_energy()
    atoms.positions[1, 0] += 0.1
    moved = atoms.copy()
    moved.calc = MlipCalculator(model_files["float64"])
    assert atoms.get_potential_energy() == moved.get_potential_energy() != before


def test_atoms_moved_by_lattice_vectors_feel_the_same(model_files):
    inside = with_calculator("triclinic", model_files["float64"])
    outside = with_calculator("unwrapped", model_files["float64"])
    np.testing.assert_allclose(outside.get_forces(), inside.get_forces(), atol=EXACT)
    np.testing.assert_allclose(outside.get_stress(), inside.get_stress(), atol=EXACT)


def test_unknown_element_is_refused_by_name(model_files):
    atoms = Atoms("OAr", [[0, 0, 0], [3, 0, 0]], calculator=MlipCalculator(model_files["float64"]))
    with pytest.raises(ValueError, match="knows H, O, got Ar"):
        atoms.get_forces()


def test_not_a_number_is_refused(model_files):
    atoms = with_calculator("molecule", model_files["float64"])
    atoms.positions[2, 1] = np.nan
    with pytest.raises(ValueError, match="positions must be finite.*atom 2"):
        atoms.get_forces()


def test_non_conservative_forces_need_the_head(model_files):
    with pytest.raises(ValueError, match="need a model with this head, got energy"):
        MlipCalculator(model_files["no_head"], forces="non_conservative")
    atoms = with_calculator("molecule", model_files["no_head"])
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError):
        atoms.calc.get_property("non_conservative_forces", atoms)


def test_unknown_kind_of_forces_is_refused(model_files):
    with pytest.raises(ValueError, match="conservative, non_conservative, got 'direct'"):
        MlipCalculator(model_files["float64"], forces="direct")


def test_stress_without_a_cell_is_refused(model_files):
    with pytest.raises(PropertyNotImplementedError, match="three lattice vectors"):
        with_calculator("molecule", model_files["float64"]).get_stress()
    with pytest.raises(PropertyNotImplementedError, match="three lattice vectors"):
        with_calculator("molecule", model_files["float64"]).get_stresses()


def test_missing_model_is_named():
    with pytest.raises(FileNotFoundError, match="'nowhere.pt'"):
        MlipCalculator("nowhere.pt")


@pytest.mark.parametrize(
    ("keyword", "nearest"),
    [("force", "forces"), ("Device", "device"), ("charge", "total_charge"), ("models", "model")],
)
def test_unknown_keywords_are_refused_with_the_nearest(model_files, keyword, nearest):
    with pytest.raises(TypeError, match=f"unknown keyword '{keyword}'; did you mean '{nearest}'"):
        MlipCalculator(model_files["float64"], **{keyword: "non_conservative"})
    with pytest.raises(TypeError, match=f"unknown keyword '{keyword}'; did you mean '{nearest}'"):
        MlipCalculator(model_files["float64"]).set(**{keyword: "non_conservative"})


def test_a_device_other_than_that_of_a_loaded_model_is_refused(model_files):
    loaded = load_model(model_files["float64"])
    assert MlipCalculator(loaded, device="cpu").model is loaded
    with pytest.raises(ValueError, match="expected device 'cpu', where .* got 'cuda:1'"):
        MlipCalculator(loaded, device="cuda:1")


def test_keywords_of_ase_are_kept_and_nothing_is_changed_later(model_files):
    atoms = STRUCTURES["molecule"]()
    calculator = MlipCalculator(
        model_files["float64"], atoms=atoms, directory="here", label="water"
    )
    assert atoms.calc is calculator and calculator.label == "here/water"
    with pytest.raises(TypeError, match="cannot be changed, got forces; make another"):
        calculator.set(forces="non_conservative")


def test_atoms_at_one_place_are_named(model_files):
    atoms = with_calculator("molecules", model_files["float64"])
    atoms.positions[7] = atoms.positions[4]
    with pytest.raises(ValueError, match="got atoms 4 and 7 both at"):
        atoms.get_potential_energy()
    atoms = with_calculator("triclinic", model_files["float64"])
    atoms.positions[2], atoms.positions[5] = 0.0, atoms.cell[1]
    with pytest.raises(ValueError, match="got atoms 2 and 5 both at"):
        atoms.get_forces()


@pytest.mark.parametrize("forces", ["conservative", "non_conservative"])
def test_no_result_that_is_not_finite_is_returned(model_files, forces):
    atoms = Atoms("OHH", [[0, 0, 0], [0, 0, 1], [0, 0, 1 + 1e-15]])
    atoms.positions *= 1e-40  # (sigma / r)^12 overflows
    atoms.calc = MlipCalculator(model_files["float64"], forces=forces)
    with pytest.raises(NonFiniteResultError, match=r"energy.* not finite; the closest atoms are"):
        atoms.get_potential_energy()
    assert "energy" not in atoms.calc.results


def test_a_new_process_unpickles_a_calculator(model_files, tmp_path):
    atoms = with_calculator("triclinic", model_files["float64"], forces="non_conservative")
    (tmp_path / "atoms.pickle").write_bytes(pickle.dumps([atoms, MlipCalculator("water")]))
    expected = atoms.get_forces()
    code = """
import pickle, sys
atoms, water = pickle.load(open("atoms.pickle", "rb"))
assert water.model.metadata.name == "water"
sys.stdout.write(repr(atoms.get_forces().tolist()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(eval(done.stdout), expected)


def test_a_pickle_does_not_take_another_model(model_files, tmp_path):
    path = tmp_path / "model.pt"
    shutil.copy(model_files["float64"], path)
    pickled = pickle.dumps(MlipCalculator(path))
    shutil.copy(model_files["no_head"], path)
    with pytest.raises(ModelContractError, match="holds another model than when"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="expected a model file"):
        pickle.loads(pickled)


FORK = """
import os, sys
import torch
from ase.build import bulk
from mlip_engines import MlipCalculator

torch.set_num_threads(2)
atoms = bulk("O", "fcc", a=2.0, cubic=True).repeat(4)  # enough edges for torch to use both
atoms.rattle(0.05, seed=1)
atoms.calc = MlipCalculator(sys.argv[1])
expected = atoms.get_potential_energy()
child = os.fork()
if child == 0:
    atoms = atoms.copy()
    atoms.calc = MlipCalculator(sys.argv[1])
    difference = abs(atoms.get_potential_energy() - expected)
    os._exit(0 if difference < 1e-9 * abs(expected) and torch.get_num_threads() == 1 else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_evaluates_and_says_that_it_lost_threads(model_files):
    command = [sys.executable, "-c", FORK, str(model_files["float64"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "forked from one in which torch had 2 threads" in done.stderr
