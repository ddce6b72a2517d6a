"""Labels that cannot be right are refused, those that may be wrong are named, and correct ones pass in silence."""

import copy

import ase.io
import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.labels.checks import check_labels, checked
from mlip_engines.labels.geometry import implausible_lengths
from mlip_engines.labels.reading import read_checked
from mlip_engines.units import EV_TO_KCAL_PER_MOL

SIZES = [(2, 2, 2), (2, 2, 3), (2, 3, 3), (3, 3, 3)]


def labelled(atoms: Atoms) -> Atoms:
    atoms.calc = LennardJones(epsilon=0.4, sigma=2.3, rc=4.5, smooth=True)
    labels = {"energy": atoms.get_potential_energy() - 3.5 * len(atoms)}
    labels |= {"forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def make_crystals() -> list[Atoms]:
    rng = np.random.default_rng(3)
    structures = []
    for k in range(24):
        atoms = bulk("Cu", "fcc", a=3.6 + rng.normal(scale=0.03)) * SIZES[k % 4]
        atoms.positions += rng.normal(scale=0.08, size=(len(atoms), 3))
        structures.append(labelled(atoms))
    return structures


def make_trajectory() -> list[Atoms]:
    rng = np.random.default_rng(4)
    atoms = bulk("Cu", "fcc", a=3.6) * (2, 2, 2)
    atoms.positions += rng.normal(scale=0.1, size=(8, 3))
    structures = []
    for _ in range(20):
        atoms = atoms.copy()
        atoms.positions += rng.normal(scale=0.02, size=(8, 3))
        structures.append(labelled(atoms))
    return structures


CRYSTALS, TRAJECTORY = make_crystals(), make_trajectory()


@pytest.fixture
def crystals() -> list[Atoms]:
    """Copper-like crystals of four sizes, correctly labelled."""
    return copy.deepcopy(CRYSTALS)


@pytest.fixture
def trajectory() -> list[Atoms]:
    """Frames that follow closely on each other."""
    return copy.deepcopy(TRAJECTORY)


def test_correct_labels_pass_in_silence(crystals, trajectory):
    for structures in (crystals, trajectory):
        list(checked(structures, "cu.xyz", labels=False))
        assert check_labels(structures, "cu.xyz") == []
        assert implausible_lengths(structures) is None


def test_a_structure_without_labels_is_named_with_file_frame_and_what_is_there(crystals):
    crystals[7].calc.results = {"stress": np.zeros(6)}
    crystals[7].info["dft_energy"] = -1.0
    crystals[7].info["origin"] = "row 8"
    with pytest.raises(ValueError, match=r"cu\.xyz: structure 7 \(row 8\): ") as raised:
        check_labels(crystals, "cu.xyz")
    for word in ("'energy'", "'forces'", "dft_energy", "--energy-key"):
        assert word in str(raised.value)


@pytest.mark.parametrize("name", ["energy", "forces"])
def test_labels_that_some_structures_lack_are_a_warning(name, crystals):
    for k in (7, 9):
        del crystals[k].calc.results[name]
        crystals[k].info["dft_" + name] = -1.0
    warning = one_warning(crystals)
    assert f"structures 7, 9 of 24 have no label of {name}" in warning
    assert f"dft_{name}" in warning and f"--{name}-key" in warning
    for atoms in crystals:
        atoms.calc.results.pop(name, None)
    assert any(
        f"none of 24 structures has a label of {name}" in w for w in check_labels(crystals, "cu")
    )


def test_a_weight_that_cannot_be_meant_is_named(crystals):
    crystals[4].info["config_weight"] = -1.0
    with pytest.raises(
        ValueError, match=r"structure 4: expected config_weight of at least 0, got -1"
    ):
        list(checked(crystals, "cu.xyz"))


@pytest.mark.parametrize(("end", "is_said"), [("", True), ("\n", False)])
def test_a_file_that_ends_within_a_line_may_be_cut_off(end, is_said, crystals, tmp_path):
    path = tmp_path / "cu.xyz"
    ase.io.write(path, crystals, format="extxyz")
    path.write_text(path.read_text().rstrip("\n") + end)
    assert ["cut off" in w for w in read_checked(path)[1]] == [True] * is_said


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_a_label_that_is_not_finite_is_named(name, value, crystals):
    results = crystals[5].calc.results
    label = np.array(results[name], dtype=float)
    label.flat[-1] = value
    results[name] = label
    with pytest.raises(ValueError, match=rf"cu\.xyz: structure 5: {name} is not finite"):
        check_labels(crystals, "cu.xyz")


def change_positions(atoms):
    atoms.positions[3] = atoms.positions[1] + [0.1, 0.1, 0.1]


def change_image(atoms):
    atoms.positions[3] = atoms.positions[1] + atoms.cell[0] - [0.1, 0.0, 0.0]


def change_to_nan(atoms):
    atoms.positions[2, 1] = np.nan


def change_cell(atoms):
    atoms.cell *= 0.2


def change_to_flat_cell(atoms):
    atoms.cell[2] = atoms.cell[0] + atoms.cell[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_positions, "atoms 1 and 3|atoms 3 and 1"),
        (change_image, "0.100 Å between atoms 1 and 3|0.100 Å between atoms 3 and 1"),
        (change_to_nan, "finite"),
        (change_cell, "per atom"),
        (change_to_flat_cell, "linearly independent"),
    ],
)
def test_a_structure_that_cannot_be_is_named(change, message, crystals):
    change(crystals[9])
    with pytest.raises(ValueError, match=rf"cu\.xyz: structure 9: .*({message})"):
        list(checked(crystals, "cu.xyz", labels=False))


def test_atoms_of_no_element_and_frames_without_atoms_are_named():
    with pytest.raises(ValueError, match="structure 1: expected at least one atom"):
        list(checked([Atoms("H"), Atoms()], "a.xyz", labels=False))
    with pytest.raises(ValueError, match="structure 0: expected elements"):
        list(checked([Atoms("X")], "a.xyz", labels=False))


@pytest.mark.parametrize("pbc", [True, [True, False, False]])
def test_periodicity_without_a_cell_is_named(pbc):
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], pbc=pbc)
    with pytest.raises(ValueError, match=r"a\.xyz: structure 0: expected a lattice vector"):
        list(checked([atoms], "a.xyz", labels=False))


def one_warning(structures) -> str:
    (warning,) = check_labels(structures, "cu.xyz")
    assert warning.startswith("cu.xyz: ")
    return warning


def test_structures_without_the_stress_of_others_are_named(crystals):
    for k in (2, 4):
        del crystals[k].calc.results["stress"]
    assert "structures 2, 4 of 24 lack a label of stress" in one_warning(crystals)


def test_a_molecule_need_not_have_the_stress_of_crystals(crystals):
    molecule = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]])
    energy = float(np.mean([a.get_potential_energy() / len(a) for a in crystals])) * 2
    molecule.calc = SinglePointCalculator(molecule, energy=energy, forces=np.zeros((2, 3)))
    crystals[2] = molecule
    assert check_labels(crystals, "cu.xyz") == []


def test_the_sign_in_which_a_virial_is_read_is_said(crystals):
    for atoms in crystals:
        atoms.info["virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
    assert "-dE/d(strain)" in one_warning(crystals)


def test_stress_of_the_other_sign_is_recognised_by_how_it_goes_with_the_volume(crystals):
    for atoms in crystals:
        atoms.calc.results["stress"] *= -1.0
    assert "other sign" in one_warning(crystals)


@pytest.mark.parametrize("unit", ["GPa", "kbar"])
def test_stress_in_another_unit_is_recognised_by_the_bulk_modulus_without_forces(unit, crystals):
    for atoms in crystals:
        atoms.calc.results["stress"] *= {"GPa": 160.2177, "kbar": 1602.177}[unit]
        atoms.calc.results["forces"] *= 0.0
    assert any("bulk modulus" in w for w in check_labels(crystals, "cu.xyz"))


def test_stress_of_a_slab_is_not_used_and_said(crystals):
    crystals[3].pbc = crystals[3].calc.atoms.pbc = [True, True, False]
    assert "structures 3 have a label of stress" in one_warning(crystals)


def test_large_forces_are_named_the_largest_first(crystals):
    crystals[3].calc.results["forces"][0, 1] = 35.0
    crystals[8].calc.results["forces"][1, 2] = -60.0
    assert "structures 8, 3 have a force component" in one_warning(crystals)


def test_structures_of_a_sample_have_the_names_they_have_in_the_file(crystals):
    crystals[5].calc.results["forces"][0, 0] = 40.0
    del crystals[7].calc.results["stress"]
    warnings = check_labels(crystals, "cu.xyz", [10 * k for k in range(24)])
    assert len(warnings) == 2 and "structures 70 of 24" in warnings[0]
    assert "structures 50 have a force" in warnings[1]
    del crystals[7].calc.results["energy"], crystals[7].calc.results["forces"]
    with pytest.raises(ValueError, match="structure 70: "):
        check_labels(crystals, "cu.xyz", [10 * k for k in range(24)])


def test_an_energy_off_its_composition_is_named(crystals):
    crystals[11].calc.results["energy"] += 2.0 * len(crystals[11])
    assert "structures 11 have an energy per atom" in one_warning(crystals)


def test_free_atoms_and_tails_are_no_outliers(crystals):
    atom = Atoms("Cu", cell=[9, 9, 9], pbc=True)
    atom.calc = SinglePointCalculator(atom, energy=0.0, forces=np.zeros((1, 3)), stress=np.zeros(6))
    for k, atoms in enumerate(crystals):
        atoms.calc.results["energy"] += 0.002 * 1.35**k * len(atoms)  # 0.002 to 2 eV
    assert not any("have an energy per atom" in w for w in check_labels([*crystals, atom], "cu"))


def test_energies_per_atom_are_recognised(crystals):
    for atoms in crystals:
        atoms.calc.results["energy"] /= len(atoms)
    assert any("got energies per atom?" in w for w in check_labels(crystals, "cu.xyz"))


def test_an_offset_of_every_structure_is_recognised(crystals):
    for atoms in crystals:
        atoms.calc.results["energy"] += 40.0
    assert any("once per structure" in w for w in check_labels(crystals, "cu.xyz"))


def test_a_residual_that_grows_with_the_number_of_atoms_is_recognised(crystals):
    rng = np.random.default_rng(5)
    for atoms in crystals:
        atoms.calc.results["energy"] += 1e-5 * rng.normal() * len(atoms) ** 4.5
    assert any("grows with the number of atoms" in w for w in check_labels(crystals, "cu.xyz"))


def test_energies_quadratic_in_the_number_of_atoms_are_recognised(crystals):
    for atoms in crystals:
        atoms.calc.results["energy"] += 0.2 * len(atoms) ** 2
    assert any("not extensive" in w for w in check_labels(crystals, "cu.xyz"))


@pytest.mark.parametrize(
    ("factor", "name"),
    [
        (ase.units.Bohr / ase.units.Hartree, "hartree/bohr"),
        (EV_TO_KCAL_PER_MOL, "kcal/mol/Å"),
        (-1.0, "gradient"),
        (3.0, "different units"),
    ],
)
def test_forces_in_other_units_than_the_energy_are_recognised(factor, name, trajectory):
    for atoms in trajectory:
        atoms.calc.results["forces"] *= factor
    warnings = check_labels(trajectory, "cu.xyz")
    assert any("slope of the energy" in w and name in w for w in warnings)


@pytest.mark.parametrize(
    ("factor", "name"), [(ase.units.Bohr / ase.units.Hartree, "hartree/bohr"), (50.0, "kcal")]
)
def test_forces_of_an_unlikely_size_are_questioned(factor, name, crystals):
    for atoms in crystals:
        forces = atoms.calc.results["forces"]
        forces *= 0.7 * factor / np.sqrt(np.mean(forces**2))
    assert any("typical RMS force" in w and name in w for w in check_labels(crystals, "cu.xyz"))


@pytest.mark.parametrize(("factor", "name"), [(1 / ase.units.Bohr, "bohr"), (0.1, "nm")])
def test_lengths_in_other_units_are_recognised(factor, name, crystals):
    for atoms in crystals:
        atoms.set_cell(atoms.cell * factor, scale_atoms=True)
    assert name in implausible_lengths(crystals)


def test_lengths_of_noble_gases_are_not_judged():
    argon = bulk("Ar", "fcc", a=5.3) * (2, 2, 2)
    assert implausible_lengths([argon, Atoms("H")]) is None


def test_forces_that_do_not_sum_to_zero_are_named(crystals):
    """The forces of held atoms are missing: half of each of three crystals."""
    for k in (3, 8, 12):
        crystals[k].calc.results["forces"][: len(crystals[k]) // 2] = 0.0
    (warning,) = (w for w in check_labels(crystals, "cu.xyz") if "sum to zero" in w)
    named = warning.split("the forces of structures ")[1].split(" do not")[0]
    assert set(named.split(", ")) == {"3", "8", "12"}
