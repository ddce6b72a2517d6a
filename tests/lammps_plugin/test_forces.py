"""Energy, forces and virial of pair style mlip against closed forms and finite differences."""

import numpy as np
import pytest

from structures import STRUCTURES
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import BASELINE, CUTOFF, SPECIES
from tests.lammps_plugin.runner import run_structure, run_structures
from tolerances import (
    FINITE_DIFFERENCE_FORCE,
    FINITE_DIFFERENCE_STEP,
    FINITE_DIFFERENCE_VIRIAL,
    TOLERANCE,
)

CLOSED_FORM = ClosedForm(CUTOFF, epsilon=0.02, sigma=1.1, curl=0.01)

STENCIL = {1: 8.0, -1: -8.0, 2: -1.0, -2: 1.0}  # over 12 h: central differences of fourth order


def derivative(energies, h):
    """Derivatives from one energy per step of the stencil."""
    return np.array(energies).reshape(-1, len(STENCIL)) @ list(STENCIL.values()) / (12.0 * h)


def baseline(atoms):
    return sum(BASELINE[symbol] for symbol in atoms.symbols)


@pytest.fixture(scope="module", params=["metal", "real"])
def all_results(request, models, tmp_path_factory):
    """Every structure, in one LAMMPS process per unit style."""
    structures = [build() for build in STRUCTURES.values()]
    folder = tmp_path_factory.mktemp(request.param)
    results = run_structures(
        structures, models["curl"], folder, species=SPECIES, units=request.param
    )
    return dict(zip(STRUCTURES, zip(structures, results, strict=True), strict=True))


@pytest.mark.parametrize("name", STRUCTURES)
def test_energy_forces_and_virial_equal_a_dense_sum_over_images(all_results, name):
    atoms, result = all_results[name]
    energy, forces, virial, _ = CLOSED_FORM.evaluate(atoms)
    assert abs(result.energy - baseline(atoms) - energy) < TOLERANCE["float64"].energy
    assert np.abs(result.forces - forces).max() < TOLERANCE["float64"].force
    assert np.abs(result.virial - virial).max() < TOLERANCE["float64"].virial


@pytest.mark.parametrize("name", STRUCTURES)
def test_atomic_energies_and_virials_sum_to_the_totals(all_results, name):
    atoms, result = all_results[name]
    assert abs(result.atomic_energies.sum() - result.energy) < TOLERANCE["float64"].energy
    total = result.atomic_virials.sum(axis=0)
    assert np.abs(total - result.virial).max() < TOLERANCE["float64"].virial


@pytest.mark.parametrize("name", ["triclinic", "self_images", "molecules"])
def test_non_conservative_forces_equal_the_closed_form(models, tmp_path, name):
    atoms = STRUCTURES[name]()
    result = run_structure(
        atoms, models["curl"], tmp_path, species=SPECIES, pair_style="mlip forces non_conservative"
    )
    energy, forces, _, direct = CLOSED_FORM.evaluate(atoms)
    assert np.abs(result.forces - direct).max() < TOLERANCE["float64"].force
    assert name == "self_images" or np.abs(direct - forces).max() > 1e-3  # they differ
    # where energy is asked for, it is that of the energy head
    assert abs(result.energy - baseline(atoms) - energy) < TOLERANCE["float64"].energy


@pytest.mark.parametrize("settings", ["newton on", "newton off"])
def test_newton_setting_does_not_matter(models, tmp_path, settings):
    atoms = STRUCTURES["cell_smaller_than_cutoff"]()
    result = run_structure(atoms, models["exact"], tmp_path, species=SPECIES, settings=settings)
    energy, forces, virial, _ = CLOSED_FORM.evaluate(atoms)
    assert abs(result.energy - baseline(atoms) - energy) < TOLERANCE["float64"].energy
    assert np.abs(result.forces - forces).max() < TOLERANCE["float64"].force
    assert np.abs(result.virial - virial).max() < TOLERANCE["float64"].virial


def test_single_precision_network_is_close_to_the_closed_form(models, tmp_path):
    atoms = STRUCTURES["triclinic"]()
    result = run_structure(atoms, models["float32"], tmp_path, species=SPECIES)
    energy, forces, virial, _ = CLOSED_FORM.evaluate(atoms)
    assert abs(result.energy - baseline(atoms) - energy) < TOLERANCE["float32"].energy
    assert np.abs(result.forces - forces).max() < TOLERANCE["float32"].force
    assert np.abs(result.virial - virial).max() < TOLERANCE["float32"].virial


@pytest.mark.parametrize("name", ["triclinic", "cell_smaller_than_cutoff", "molecule"])
def test_forces_equal_negative_energy_gradient(models, tmp_path, name):
    atoms, h = STRUCTURES[name](), FINITE_DIFFERENCE_STEP
    moved = []
    for k in range(min(len(atoms), 6)):
        for axis in range(3):
            for steps in STENCIL:
                displaced = atoms.copy()
                displaced.positions[k, axis] += steps * h
                moved.append(displaced)
    reference, *rest = run_structures([atoms, *moved], models["exact"], tmp_path, species=SPECIES)
    numerical = -derivative([result.energy for result in rest], h).reshape(-1, 3)
    forces = reference.forces[: len(numerical)]
    assert np.abs(forces).max() > 0.1
    assert np.abs(forces - numerical).max() < FINITE_DIFFERENCE_FORCE


@pytest.mark.parametrize("name", ["triclinic", "cell_smaller_than_cutoff"])
def test_virial_matches_finite_strain(models, tmp_path, name):
    atoms, h = STRUCTURES[name](), FINITE_DIFFERENCE_STEP
    strained = []
    for a in range(3):
        for b in range(3):
            for steps in STENCIL:
                strain = np.eye(3)
                strain[a, b] += 0.5 * steps * h
                strain[b, a] += 0.5 * steps * h
                deformed = atoms.copy()
                deformed.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                strained.append(deformed)
    reference, *rest = run_structures(
        [atoms, *strained], models["exact"], tmp_path, species=SPECIES
    )
    numerical = -derivative([result.energy for result in rest], h).reshape(3, 3)
    assert np.abs(reference.virial).min() > 1e-3  # all six components are there
    assert np.abs(reference.virial - numerical).max() < FINITE_DIFFERENCE_VIRIAL
