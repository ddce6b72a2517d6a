"""Space groups of crystals that everybody knows, with and without noise."""

import pytest
from ase.build import bulk, molecule

from mlip_engines.relaxation.space_group import space_group


@pytest.mark.parametrize(
    ("crystal", "symbol", "number", "n_operations"),
    [
        (bulk("Cu"), "Fm-3m", 225, 48),
        (bulk("Cu", cubic=True), "Fm-3m", 225, 192),
        (bulk("Ti", "hcp", a=2.95, c=4.68), "P6_3/mmc", 194, 24),
        (bulk("Si", "diamond", a=5.43), "Fd-3m", 227, 48),
    ],
)
def test_crystals_have_their_groups(crystal, symbol, number, n_operations):
    assert space_group(crystal, 0.01) == (symbol, number, n_operations)


def test_noise_is_seen_within_its_size_only():
    crystal = bulk("Si", "diamond", a=5.43, cubic=True)
    crystal.rattle(0.01, seed=1)
    assert space_group(crystal, 0.01).number < 227
    assert space_group(crystal, 0.1).number == 227


def test_a_molecule_has_none():
    assert space_group(molecule("H2O"), 0.1) is None
