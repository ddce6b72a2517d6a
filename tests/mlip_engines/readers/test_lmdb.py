"""LMDB files of trajectories by molecule: written here as their description has it, read back in eV and Å."""

import gzip
import pickle

import lmdb
import numpy as np
import pytest

from mlip_engines.readers import has_own_units, read_structures
from mlip_engines.units import EV_TO_KCAL_PER_MOL

HARTREE_IN_KCAL_PER_MOL = 627.5094740631
BOHR = 0.529177210903  # Å


def steps(n, rng):
    def one():
        gradient = rng.normal(scale=0.01, size=(3, 3))
        positions = np.array([[0, 0, 0], [0.96, 0, 0], [-0.2, 0.93, 0]]) + rng.normal(
            scale=0.02, size=(3, 3)
        )
        return {
            "coordinates": [
                {"atom": s, "charge": 0.0, **dict(zip("xyz", row.tolist(), strict=True))}
                for s, row in zip("OHH", positions, strict=True)
            ],
            "energy": -76.3 + float(rng.normal(scale=0.01)),
            "gradient": [
                {"atom": s, **dict(zip(("dx", "dy", "dz"), row.tolist(), strict=True))}
                for s, row in zip("OHH", gradient, strict=True)
            ],
        }

    return [one() for _ in range(n)]


def write(path, values):
    with (
        lmdb.open(str(path), subdir=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in values.items():
            transaction.put(key.encode(), value)
    return path


def packed(value):
    return gzip.compress(pickle.dumps(value))


@pytest.fixture
def molecules():
    rng = np.random.default_rng(3)
    return {
        "000000984": {"pm3": steps(2, rng), "DFT_1st": None, "DFT_2nd": steps(3, rng)},
        "000001001": {"pm3": steps(2, rng), "DFT_1st": steps(1, rng)},
        "000015111": {"DFT_2nd": steps(2, rng)},
    }


def test_steps_of_the_last_level_are_read_molecule_by_molecule(tmp_path, molecules):
    path = write(tmp_path / "set.lmdb", {key: packed(value) for key, value in molecules.items()})
    found = read_structures(path, progress=False)
    expected = molecules["000000984"]["DFT_2nd"] + molecules["000015111"]["DFT_2nd"]
    assert len(found) == 5 and has_own_units(path)
    assert found[3].info["origin"] == "molecule 000015111, step 0"
    keys = [atoms.info["molecule"] for atoms in found]  # for split_by
    assert keys == ["000000984"] * 3 + ["000015111"] * 2
    hartree = HARTREE_IN_KCAL_PER_MOL / EV_TO_KCAL_PER_MOL  # eV
    for atoms, step in zip(found, expected, strict=True):
        assert atoms.get_chemical_formula() == "H2O"
        positions = [[a[c] for c in "xyz"] for a in step["coordinates"]]
        np.testing.assert_array_equal(atoms.positions, positions)
        assert atoms.get_potential_energy() == pytest.approx(hartree * step["energy"], rel=1e-7)
        gradient = np.array([[a[c] for c in ("dx", "dy", "dz")] for a in step["gradient"]])
        np.testing.assert_allclose(atoms.get_forces(), -hartree / BOHR * gradient, rtol=1e-7)


@pytest.mark.parametrize("level", ["DFT_1st", "GFN2-xTB"])
def test_a_file_without_the_last_level_is_read_at_the_one_that_it_has(level, tmp_path):
    rng = np.random.default_rng(4)
    values = {"a": {"pm3": steps(2, rng)}, "b": {"pm3": steps(2, rng), level: steps(3, rng)}}
    path = write(tmp_path / "set.lmdb", {key: packed(value) for key, value in values.items()})
    found = read_structures(path, progress=False)
    assert [atoms.info["origin"] for atoms in found] == [f"molecule b, step {k}" for k in range(3)]


class Program:
    def __reduce__(self):
        return (open, ("/tmp/mlip-was-run", "w"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            packed({"DFT_2nd": [Program()]}),
            "expected dictionaries, lists, text and numbers, got .*open",
        ),
        (b"not compressed", "molecule 1: cannot be read"),
        (packed([1, 2]), "by level of theory"),
        (packed({"DFT_2nd": [{"coordinates": []}]}), "molecule 1, step 0: .*gradient"),
    ],
    # compressed bytes hold the time at which they were made, and are no name
    ids=["program", "not compressed", "no levels of theory", "no gradient"],
)
def test_what_is_wrong_is_named_with_its_molecule_and_no_program_is_run(value, message, tmp_path):
    path = write(tmp_path / "set.lmdb", {"1": value})
    with pytest.raises(ValueError, match=message):
        read_structures(path, progress=False)


def test_a_file_that_is_no_lmdb_is_refused(tmp_path):
    path = tmp_path / "set.lmdb"
    path.write_bytes(b"nothing" * 2000)
    with pytest.raises(ValueError, match="expected an LMDB file"):
        read_structures(path, progress=False)
