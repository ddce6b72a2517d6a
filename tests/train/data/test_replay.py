"""Old structures beside new labels of another method."""

import pytest
from ase import Atoms

from mlip_engines.readers.labelled import with_labels
from mlip_train.data.replay import replayed


def water(energy):
    return with_labels(Atoms("OH2", [[0, 0, 0], [1, 0, 0], [0, 1, 0]]), energy=energy)


def test_the_energy_beyond_the_references_stays_the_same():
    before, after = {"O": -10.0, "H": -1.0}, {"O": -400.0, "H": -13.0, "S": 5.0}
    (moved,) = replayed([water(-15.0)], before, after, "old.xyz")
    assert moved.get_potential_energy() - (-400.0 - 26.0) == pytest.approx(-15.0 - (-12.0))


def test_an_element_that_the_old_run_did_not_know_has_the_new_reference():
    (moved,) = replayed([water(-15.0)], {"O": -10.0}, {"O": -11.0, "H": -1.0}, "old.xyz")
    assert moved.get_potential_energy() == pytest.approx(-16.0)


def test_elements_that_nobody_knows_are_refused():
    with pytest.raises(ValueError, match=r"old.xyz: structure 0: .*\['H'\]"):
        replayed([water(-15.0)], {"O": 0.0}, {"O": 0.0}, "old.xyz")
