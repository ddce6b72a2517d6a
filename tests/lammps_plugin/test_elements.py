"""Which atom types are which element: symbols, masses, types in excess."""

import re

import numpy as np
import pytest

from structures import STRUCTURES
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import BASELINE, CUTOFF, SPECIES
from tests.lammps_plugin.runner import (
    LammpsError,
    read_thermo,
    run_script,
    run_structure,
    write_data,
)
from tolerances import TOLERANCE

CLOSED_FORM = ClosedForm(CUTOFF, epsilon=0.02, sigma=1.1, curl=0.01)


@pytest.fixture
def energy_of(models, tmp_path):
    """Run a script on water, whose atom types are H, O; returns the energy and what was printed."""
    atoms = STRUCTURES["orthogonal"]()
    write_data(tmp_path / "water.data", atoms, SPECIES)

    def run(elements, before="", read="", keywords="", model=models["exact"]):
        log = run_script(
            f"""
units metal
atom_style atomic
read_data water.data {read}
{before}
pair_style mlip {keywords}
pair_coeff * * {model} {elements}
thermo_style custom step pe
thermo_modify norm no format float %.17g
run 0
""",
            tmp_path,
        )
        return read_thermo(log)["PotEng"][-1], log

    return run


def expected_energy():
    atoms = STRUCTURES["orthogonal"]()
    return CLOSED_FORM.evaluate(atoms)[0] + sum(BASELINE[s] for s in atoms.symbols)


def test_two_types_of_one_element(energy_of):
    """Half of the oxygens are a type of their own."""
    before = "set type 2 type/fraction 3 0.5 77\nmass 3 15.999"
    energy, _ = energy_of("H O O", before, read="extra/atom/types 1")
    assert abs(energy - expected_energy()) < TOLERANCE["float64"].energy


def test_type_that_does_not_occur_needs_no_fitting_mass(energy_of):
    energy, log = energy_of("H O O", "mass 3 1.0", read="extra/atom/types 1")
    assert abs(energy - expected_energy()) < TOLERANCE["float64"].energy
    assert "has the mass" not in log


def test_elements_in_the_wrong_order_are_refused_by_their_masses(energy_of):
    with pytest.raises(LammpsError) as caught:
        energy_of("O H")
    assert "atom type 1 is given the element O and has the mass 1.008 of H" in caught.value.output
    assert "check_masses no" in caught.value.output


def test_masses_are_not_checked_on_request(energy_of):
    energy, log = energy_of("O H", keywords="check_masses no")
    swapped = STRUCTURES["orthogonal"]()
    baseline = sum(BASELINE["O" if s == "H" else "H"] for s in swapped.symbols)
    expected = CLOSED_FORM.evaluate(swapped)[0] + baseline
    assert abs(energy - expected) < TOLERANCE["float64"].energy
    assert "has the mass" not in log


def test_heavy_hydrogen_is_a_warning(energy_of):
    energy, log = energy_of("H O", "mass 1 2.014")
    assert re.search(r"WARNING: .*atom type 1 has the mass 2.014, its element H has 1.008", log)
    assert abs(energy - expected_energy()) < TOLERANCE["float64"].energy


def test_null_without_another_pair_style_is_refused(energy_of):
    with pytest.raises(LammpsError, match="atom type 1 is given NULL, so nothing acts on it"):
        energy_of("NULL O")


def test_model_file_with_a_space_in_its_path(models, tmp_path):
    folder = tmp_path / "two words"
    folder.mkdir()
    (folder / "model.pt").write_bytes(models["exact"].read_bytes())
    atoms = STRUCTURES["dimer"]()
    name = f'"{folder / "model.pt"}"'
    result = run_structure(atoms, name, tmp_path, species=SPECIES)
    assert np.abs(result.forces - CLOSED_FORM.evaluate(atoms)[1]).max() < TOLERANCE["float64"].force
