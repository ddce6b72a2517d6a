"""Every reader returns what was written, and says which line, frame or file it cannot read."""

import bz2
import gzip
import lzma
import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io.formats import ioformats

from mlip_engines.readers import has_own_units, read_structures
from mlip_engines.readers.registry import FORMATS, format_of
from tests.dataset_files import (
    random_structures,
    write_ase,
    write_database,
    write_deepmd,
    write_extxyz,
    write_n2p2,
    write_n2p2_atomic,
)

WRITERS = {
    "frames.extxyz": write_extxyz,
    "frames.xyz": write_extxyz,
    "frames@2.xyz": write_extxyz,  # ASE would take what follows the @ for an index
    "frames.traj": write_ase,
    "frames.db": write_database,
    "input.data": write_n2p2,
    "atomic.data": write_n2p2_atomic,
    "deepmd": write_deepmd,
}
# Formats that hold no stress and do not state their units.
BARE = {"input.data", "atomic.data"}
COMPRESSORS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read(path, **options):
    return read_structures(path, progress=False, **options)


def assert_same(structures, expected, *, with_stress=True):
    assert len(structures) == len(expected)
    for atoms, other in zip(structures, expected, strict=True):
        assert (atoms.numbers == other.numbers).all() and (atoms.pbc == other.pbc).all()
        np.testing.assert_allclose(atoms.positions, other.positions, atol=1e-10)
        np.testing.assert_allclose(atoms.cell.array, other.cell.array, atol=1e-10)
        names = {"energy", "forces", "stress"} if with_stress else {"energy", "forces"}
        assert set(atoms.calc.results) == names & set(other.calc.results)
        for name, value in atoms.calc.results.items():
            np.testing.assert_allclose(value, other.calc.results[name], atol=1e-10)


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_written_is_read(name, tmp_path):
    expected = random_structures(fixed=name == "deepmd")
    path = WRITERS[name](tmp_path / name, expected)
    units = "atomic" if name == "atomic.data" else "metal"
    assert_same(read(path, units=units), expected, with_stress=name not in BARE)
    assert has_own_units(path) == (name not in BARE)


def test_every_format_is_tried_and_named_in_the_help_of_the_commands(tmp_path):
    """One registry: what it lists is what is read above, and what users are told."""
    from mlip_engines.commands import eval as eval_command
    from mlip_train import command as train_command

    structures = random_structures(fixed=True)
    tried = {format_of(WRITERS[name](tmp_path / name, structures)).title for name in WRITERS}
    tried.add(format_of(tmp_path / "set.lmdb").title)  # has tests of its own
    assert tried == {each.title for each in FORMATS}
    for command in (eval_command, train_command):
        text = " ".join(command.argument_parser().format_help().split())
        assert all(each.title in text for each in FORMATS)


@pytest.mark.parametrize("suffix", COMPRESSORS)
@pytest.mark.parametrize("name", ["frames.xyz", "frames.traj", "frames.db", "input.data"])
def test_a_compressed_file_is_the_same_as_a_plain_one(name, suffix, tmp_path):
    expected = random_structures()
    plain = WRITERS[name](tmp_path / name, expected)
    path = tmp_path / (name + suffix)
    with COMPRESSORS[suffix](path, "wb") as file:
        file.write(plain.read_bytes())
    plain.unlink()
    assert_same(read(path), expected, with_stress=name != "input.data")
    assert has_own_units(path) == (name != "input.data")


def test_labels_are_dropped_on_request(tmp_path):
    path = write_extxyz(tmp_path / "frames.xyz", random_structures())
    assert all(atoms.calc is None for atoms in read(path, labels=False))


def test_a_structure_without_labels_has_no_calculator(tmp_path):
    path = tmp_path / "frames.xyz"
    ase.io.write(path, Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))
    assert read(path)[0].calc is None


def test_a_single_atom_needs_no_forces(tmp_path):
    path = tmp_path / "atom.xyz"
    path.write_text("1\nProperties=species:S:1:pos:R:3 energy=-13.5\nH 0 0 0\n")
    (atom,) = read(path)
    assert atom.get_potential_energy() == -13.5
    np.testing.assert_array_equal(atom.get_forces(), np.zeros((1, 3)))


def test_units_of_input_data_are_bohr_and_hartree(tmp_path):
    path = tmp_path / "input.data"
    path.write_text("begin\natom 0 0 1 H 0 0 0 0 1\natom 0 0 0 H 0 0 0 0 -1\nenergy 1\nend\n")
    (atoms,) = read(path, units="atomic")
    assert atoms.positions[0, 2] == pytest.approx(0.529177211, rel=1e-8)
    assert atoms.get_potential_energy() == pytest.approx(27.2113862, rel=1e-8)
    assert atoms.get_forces()[0, 2] == pytest.approx(51.4220675, rel=1e-8)


@pytest.mark.skipif("runnerdata" not in ioformats, reason="this ASE has no RuNNer format")
def test_input_data_written_by_ase_is_read_with_its_columns(tmp_path):
    expected = random_structures()
    for atoms in expected:
        atoms.set_initial_charges(np.arange(len(atoms)))  # a column before the forces
    path = tmp_path / "input.data"
    ase.io.write(path, expected, format="runnerdata", fmt="24.14f")
    assert " initial_charges" in path.read_text() or " charge" in path.read_text()
    assert_same(read(path, units="atomic"), expected, with_stress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("^end$", ""), "'end'"),
        (("^atom", "atom 1.0"), "10"),
        (("^comment", "remark"), "'remark'"),
        ((r"\bO\b", "Ox"), "Ox"),
        (("^energy", "energy 1.0\nenergy"), "one energy"),
        (("^lattice", "lattice 0.0 0.0 1.0\nlattice"), "three lattice vectors"),
        (("^energy ", "energy a"), "could not convert"),
        (("^begin", "begin element forces(3)"), "position"),
        (("^begin", "atoms"), "'begin'"),
    ],
)
@pytest.mark.parametrize("index", [1, 3])
def test_what_is_wrong_in_input_data_is_named_with_frame_and_line(change, message, index, tmp_path):
    path = write_n2p2(tmp_path / "input.data", random_structures(4))
    blocks = re.findall(r"begin\n.*?\nend\n", path.read_text(), re.DOTALL)
    blocks[index], count = re.subn(*change, blocks[index], flags=re.MULTILINE)
    assert count > 0
    path.write_text("".join(blocks))
    with pytest.raises(ValueError, match=rf"input.data: structure {index}: line \d+") as raised:
        read(path)
    assert message in str(raised.value)


def test_systems_of_deepmd_below_one_folder_are_read_with_and_without_periodicity(tmp_path):
    periodic = random_structures(5, fixed=True)
    open_ones = random_structures(3, fixed=True, periodic=False)
    write_deepmd(tmp_path / "data/a", periodic, n_sets=3)
    write_deepmd(tmp_path / "data/b", open_ones, n_sets=1)
    structures = read(tmp_path / "data")
    assert_same(structures, periodic + open_ones)
    assert structures[-1].info["origin"] == "b/set.000, frame 2"


def test_the_mixed_format_of_deepmd_has_types_of_its_own_in_every_frame(tmp_path):
    (expected,) = random_structures(1, fixed=True)
    path = write_deepmd(tmp_path / "data", [expected], n_sets=1)
    types = np.loadtxt(path / "type.raw", dtype=int)
    np.savetxt(path / "type.raw", np.zeros(6, dtype=int), fmt="%d")
    types[2] = -1  # a place that this frame does not use
    np.save(path / "set.000/real_atom_types.npy", types[None])
    (atoms,) = read(path)
    kept = [0, 1, 3, 4, 5]
    assert (atoms.numbers == expected.numbers[kept]).all()
    np.testing.assert_allclose(atoms.positions, expected.positions[kept], atol=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.get_forces()[kept], atol=1e-10)


def test_a_virial_of_deepmd_is_minus_the_strain_derivative_of_the_energy(tmp_path):
    atoms = Atoms("Ar2", [[0.1, 0.2, 0.3], [2.0, 2.4, 1.7]], cell=[5.5, 6.0, 6.5], pbc=True)
    atoms.calc = LennardJones(epsilon=0.5, sigma=3.0, rc=5.7, smooth=True)
    virial = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            energies = []
            for step in (1e-5, -1e-5):
                strain = np.eye(3)
                strain[a, b] += step
                strained = atoms.copy()
                strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                strained.calc = atoms.calc
                energies.append(strained.get_potential_energy())
            virial[a, b] = -(energies[0] - energies[1]) / 2e-5
    path = write_deepmd(tmp_path / "data", [atoms], n_sets=1)
    np.save(path / "set.000/virial.npy", virial.reshape(1, 9))
    (read_back,) = read(path)
    assert np.abs(atoms.get_stress()).min() > 1e-4  # every component, or their order is not tested
    np.testing.assert_allclose(read_back.get_stress(), atoms.get_stress(), atol=1e-8)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("type_map.raw", "type_map.raw"),
        ("set.000/coord.npy", "coord.npy"),
        ("set.000/box.npy", "nopbc"),
    ],
)
def test_a_missing_file_of_deepmd_is_named(file, message, tmp_path):
    path = write_deepmd(tmp_path / "data", random_structures(2, fixed=True))
    (path / file).unlink()
    with pytest.raises(ValueError, match=message):
        read(path)


def test_arrays_of_deepmd_that_do_not_fit_are_named(tmp_path):
    path = write_deepmd(tmp_path / "data", random_structures(4, fixed=True))
    np.save(path / "set.001/energy.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"structure 2: .*energy\.npy: expected 2 frames.*\(3,\)"):
        read(path)


def test_a_type_of_deepmd_without_a_name_is_refused(tmp_path):
    path = write_deepmd(tmp_path / "data", random_structures(2, fixed=True))
    (path / "type_map.raw").write_text("H O")
    with pytest.raises(ValueError, match="type_map.raw"):
        read(path)
    (path / "type_map.raw").write_text("H O water")
    with pytest.raises(ValueError, match="water"):
        read(path)


def test_a_frame_that_ase_cannot_read_is_named(tmp_path):
    path = write_extxyz(tmp_path / "frames.xyz", random_structures(4))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"frames\.xyz: structure \d+: "):
        read(path)


def test_paths_that_cannot_be_read_are_refused_with_a_reason(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.xyz"):
        read(tmp_path / "nowhere.xyz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="type.raw"):
        read(tmp_path / "empty")
    (tmp_path / "notes.what").write_text("nothing that anybody would recognise\n" * 5)
    with pytest.raises(ValueError, match="not recognised; expected extended XYZ"):
        read(tmp_path / "notes.what")
    (tmp_path / "frames.xyz.gz").write_bytes(b"not compressed")
    with pytest.raises(ValueError, match=r"frames\.xyz\.gz: expected a file compressed"):
        read(tmp_path / "frames.xyz.gz")
    assert not has_own_units(tmp_path / "frames.xyz.gz")
    (tmp_path / "frames.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ValueError, match=r"frames\.db: .*database"):
        read(tmp_path / "frames.db")
    write_database(tmp_path / "none.db", [])
    with pytest.raises(ValueError, match="at least one structure"):
        read(tmp_path / "none.db")
    path = write_extxyz(tmp_path / "frames.xyz", random_structures(1))
    with pytest.raises(ValueError, match="atomic.*metal.*real"):
        read(path, units="real")
