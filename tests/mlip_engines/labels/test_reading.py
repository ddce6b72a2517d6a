"""Labelled structures are chosen from a file as ASE chooses them, and named by their place in the file."""

import ase.io
import numpy as np
import pytest

from mlip_engines.labels.reading import read_checked
from tests.dataset_files import write_extxyz
from tests.known_errors import labelled


@pytest.fixture
def data_file(tmp_path):
    path = tmp_path / "labelled.extxyz"
    ase.io.write(path, labelled()[0], format="extxyz")
    return path


@pytest.mark.parametrize("index", [":", "::2", "1:3", "-1", "-3:-1", "2"])
def test_an_index_chooses_what_ase_chooses(index, data_file):
    expected = ase.io.read(data_file, index=index)
    expected = expected if isinstance(expected, list) else [expected]
    frames, _ = read_checked(data_file, index)
    for atoms, other in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(atoms.positions, other.positions)


@pytest.mark.parametrize("index", [":", "1:", "-3:"])
def test_a_structure_has_the_same_number_in_messages_whatever_is_chosen(index, data_file, tmp_path):
    frames = ase.io.read(data_file, index=":")
    frames[2].calc.results["energy"] = np.nan
    path = write_extxyz(tmp_path / "broken.extxyz", frames)
    with pytest.raises(ValueError, match="structure 2: energy is not finite"):
        read_checked(path, index)
    read_checked(path, ":2")  # of what is not chosen nothing is asked


def test_structures_are_read_with_their_labels(data_file):
    frames, _ = read_checked(data_file, "::2")
    assert [len(atoms) for atoms in frames] == [3, 2]
    assert all("forces" in atoms.calc.results for atoms in frames)
