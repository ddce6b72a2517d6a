"""What a file says and nothing reads is named where it matters; equal geometries must have equal energies."""

import ase.io
import pytest

from mlip_engines.labels.reading import read_checked
from tests.labelled import argon_frames


def warnings_of(frames, path) -> list[str]:
    """Write frames to extended XYZ, read them, and return the warnings."""
    ase.io.write(path, frames, format="extxyz")
    return read_checked(path)[1]


@pytest.fixture
def frames():
    return argon_frames(8)


def test_frames_with_nothing_beside_their_labels_pass_in_silence(frames, tmp_path):
    assert warnings_of(frames, tmp_path / "a.xyz") == []


@pytest.mark.parametrize("key", ["REF_energy", "dft_energy", "energy_pbe"])
def test_another_energy_beside_the_one_that_is_read_is_named(key, frames, tmp_path):
    for atoms in frames:
        atoms.info[key] = atoms.get_potential_energy() + 8.0
    (warning,) = warnings_of(frames, tmp_path / "a.xyz")
    assert f"a.xyz: {key} is not read" in warning and "up to 1 eV per atom" in warning


def test_an_energy_that_says_the_same_or_is_no_total_energy_is_passed_over(frames, tmp_path):
    for atoms in frames:
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.info["formation_energy"] = 0.3
        atoms.info["energy_weight"] = 7.0
    assert warnings_of(frames, tmp_path / "a.xyz") == []


def test_a_free_energy_that_is_another_is_named(frames, tmp_path):
    for atoms in frames:
        atoms.calc.results["free_energy"] = atoms.get_potential_energy() - 0.8
    (warning,) = warnings_of(frames, tmp_path / "a.xyz")
    assert "free_energy is not read" in warning and "0.1 eV per atom" in warning


def test_other_forces_beside_those_that_are_read_are_named(frames, tmp_path):
    for atoms in frames:
        atoms.arrays["REF_forces"] = atoms.get_forces() + 0.5
    (warning,) = warnings_of(frames, tmp_path / "a.xyz")
    assert "REF_forces is not read" in warning and "0.5 eV/Å" in warning


@pytest.mark.parametrize(("key", "usual"), [("charge", 0), ("total_charge", -1), ("spin", 1)])
def test_structures_of_another_charge_than_the_rest_are_named(key, usual, frames, tmp_path):
    for atoms in frames:
        atoms.info[key] = usual
    assert warnings_of(frames, tmp_path / "a.xyz") == []
    frames[2].info[key] = frames[5].info[key] = usual + 1
    (warning,) = warnings_of(frames, tmp_path / "a.xyz")
    assert f"structures 2, 5 have a {'spin' if key == 'spin' else 'charge'}" in warning


def test_equal_geometries_with_different_energies_are_named(frames, tmp_path):
    repeated = [*frames, *argon_frames(3)]
    assert warnings_of(repeated, tmp_path / "a.xyz") == []
    repeated[9].calc.results["energy"] += 0.4
    repeated[10].calc.results["energy"] += 0.2
    (warning,) = (w for w in warnings_of(repeated, tmp_path / "a.xyz") if "geometry" in w)
    assert "structures 1 and 9 have the same geometry" in warning
    assert "differ by 0.4 eV" in warning and "1 more" in warning


def test_the_same_positions_with_other_periodicity_are_no_repeat(frames, tmp_path):
    other = argon_frames(1)
    other[0].pbc = other[0].calc.atoms.pbc = False
    del other[0].calc.results["stress"]
    other[0].calc.results["energy"] += 0.05
    assert not any("same geometry" in w for w in warnings_of(frames + other, tmp_path / "a.xyz"))
