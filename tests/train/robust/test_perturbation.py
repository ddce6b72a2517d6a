"""Pulled pairs and displaced sites: algorithm 1, its schedule, room for atoms, and the file that comes out."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii

from mlip_train.robust.command import main
from mlip_train.robust.perturbation import LEAST, Perturbation, closest_pairs, perturbed
from mlip_train.robust.stream import perturb, shortest_distance


def quartz(seed=0):
    """Twenty-four atoms in an oblique cell, two of which are neighbours across its boundary only."""
    atoms = bulk("SiO", "rocksalt", 4.4, cubic=True).repeat((1, 1, 3))
    atoms.set_cell(atoms.cell.array + [[0, 0, 0], [1.1, 0, 0], [0.5, 0.3, 0]], scale_atoms=True)
    atoms.rattle(0.15, seed=seed)
    return atoms


def test_strengths_fall_linearly_and_do_not_reach_the_end():
    """The sequence that table A.1 gives as an example."""
    pulls = [pull for pull, _ in Perturbation(rounds=5).strengths()]
    np.testing.assert_allclose(pulls, [1.0, 0.8, 0.6, 0.4, 0.2])


def test_close_pairs_are_the_shortest_and_share_no_atom():
    """Against ASE's minimum images."""
    atoms = quartz()
    pairs = closest_pairs(atoms, 4)
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    for i, j, vector in pairs:
        assert (i, j) in {tuple(k) for k in np.argwhere(distances == distances.min()).tolist()}
        np.testing.assert_allclose(vector, atoms.get_distance(i, j, mic=True, vector=True))
        distances[[i, j]] = distances[:, [i, j]] = np.inf
    assert len({atom for i, j, _ in pairs for atom in (i, j)}) == 8


def test_there_are_no_more_pairs_than_half_the_atoms():
    assert len(closest_pairs(Atoms("OSiO", [[0, 0, 0], [1.6, 0, 0], [3.2, 0, 0]]), 5)) == 1


def test_a_pull_moves_both_atoms_of_a_pair_by_the_same_way_across_the_boundary():
    atoms = Atoms("SiO", [[0.3, 1, 1], [9.2, 1, 1]], cell=[10, 8, 8], pbc=True)  # 1.1 Å apart
    settings = Perturbation(rounds=3, pairs=1, pull=(0.15, 0.15), sites=0)
    for copy in perturbed(atoms, settings, 0):
        moved = copy.positions - atoms.positions
        assert -0.15 <= moved[0, 0] < 0.0
        np.testing.assert_allclose(moved[0], -moved[1], atol=1e-12)
        assert copy.get_distance(0, 1, mic=True) == pytest.approx(1.1 + 2 * moved[0, 0])


@pytest.mark.parametrize("index", range(3))
def test_atoms_keep_their_distance_and_nothing_else_moves(index):
    atoms = quartz(index)
    settings = Perturbation(rounds=4, pairs=3, sites=2, pull=(1.5, 0.5), displacement=(1.0, 0.5))
    for copy in perturbed(atoms, settings, index):
        distances = copy.get_all_distances(mic=True)
        radii = covalent_radii[copy.numbers]
        least = np.maximum(settings.closest * (radii[:, None] + radii), LEAST)
        np.fill_diagonal(distances, np.inf)
        assert (distances >= least).all()
        assert (np.abs(copy.positions - atoms.positions).max(axis=1) > 0).sum() <= 8
        assert (copy.cell == atoms.cell).all() and copy.calc is None


def test_a_copy_depends_on_seed_index_and_round_alone(tmp_path):
    structures = [quartz(k) for k in range(3)]
    settings = Perturbation(rounds=2)
    before, after = perturb(structures, settings, tmp_path / "one.xyz")
    perturb(structures, settings, tmp_path / "two.xyz", workers=2)
    assert (tmp_path / "one.xyz").read_text() == (tmp_path / "two.xyz").read_text()
    frames = ase.io.read(tmp_path / "one.xyz", ":")
    assert [a.info["perturbed_from"] for a in frames] == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(after, [shortest_distance(a) for a in frames], atol=1e-6)
    assert len(before) == 3 and np.median(after) < np.median(before)


def test_the_command_writes_structures_and_a_page(tmp_path, capsys):
    ase.io.write(tmp_path / "in.xyz", [quartz(), quartz(1)])
    arguments = [str(tmp_path / "in.xyz"), "-o", str(tmp_path / "out.xyz"), "--rounds", "2"]
    assert main([*arguments, "--pull", "0.5", "0.1"]) == 0
    assert len(ase.io.read(tmp_path / "out.xyz", ":")) == 4
    assert "<img" in (tmp_path / "out.html").read_text()
    assert "after" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (Atoms("O", cell=[9, 9, 9], pbc=True), "structure 1: expected at least two atoms"),
        (bulk("SiO", "rocksalt", 2.3, cubic=False), "structure 1: expected a cell at least 2.00 Å"),
    ],
)
def test_structures_without_a_pair_or_without_room_are_named(structure, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        perturb([quartz(), structure], Perturbation(), tmp_path / "out.xyz")
    assert not list(tmp_path.iterdir())


def test_an_atom_without_a_place_is_named():
    atoms = Atoms("Cs2", [[0, 0, 0], [0.9, 0, 0]])
    with pytest.raises(ValueError, match="found no place for atom"):
        list(perturbed(atoms, Perturbation(displacement=(0.01, 0.01)), 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 0}, "rounds must be positive, got 0"),
        ({"pairs": -1}, "pairs must not be negative"),
        ({"pull": (-1.0, 0.0)}, "pull must be two lengths"),
        ({"displacement": (float("nan"), 0.0)}, "displacement must be two lengths"),
        ({"closest": 1.5}, "closest is a fraction"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Perturbation(**change)
