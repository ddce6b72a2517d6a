"""Displaced copies and what they are copies of: the change of forces in between, against harmonic forces."""

import csv
from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.labels.reading import read_checked
from mlip_engines.labels.undisplaced import FORCES, keep_undisplaced, undisplaced
from mlip_engines.model.prediction import Prediction
from mlip_train.command import main as train
from mlip_train.data.augmentation import random_orthogonal, turned
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.losses import loss
from mlip_train.loop.presence import check_pairs
from mlip_train.loss_weights import LossWeights
from mlip_train.recipe import Recipe, Stage
from tests.labelled import RECIPE, argon_frames, write_recipe
from tolerances import EXACT

CUTOFF, LENGTH = 5.0, 0.01  # Å
WEIGHTS = LossWeights(
    energy=0.0, non_conservative_slope=1.0, functions={"non_conservative_slope": "mse"}
)


def stiffness(n_atoms, seed):
    """Return a symmetric matrix K (3 N, 3 N), eV/Å^2: forces are -K (r - r0)."""
    half = np.random.default_rng(seed).normal(size=(3 * n_atoms, 3 * n_atoms))
    return half + half.T


def harmonic(atoms, minimum, k):
    return -(k @ (atoms.positions - minimum).ravel()).reshape(-1, 3)


def labelled(atoms, forces):
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=forces)
    return atoms


@pytest.fixture
def copies():
    """Two frames and a copy of each with harmonic labels; the stiffness, the minimum and the displacements."""
    random, k = np.random.default_rng(1), stiffness(8, 2)
    frames, moves = [], []
    minimum = argon_frames(1)[0].positions
    for atoms in argon_frames(2, seed=4):
        moves.append(random.normal(scale=LENGTH, size=(8, 3)))
        copy = atoms.copy()
        copy.positions += moves[-1]
        keep_undisplaced(copy, atoms.positions, harmonic(atoms, minimum, k))
        frames += [
            labelled(atoms, harmonic(atoms, minimum, k)),
            labelled(copy, harmonic(copy, minimum, k)),
        ]
    return frames, k, minimum, moves


def batch_of(frames, **options):
    items = [prepare(atoms, CUTOFF) for atoms in frames]
    return collate(items, torch.zeros(119), CUTOFF, torch.float64, with_pairs=True, **options)


def predicted(frames, moves, minimum, k, offset):
    """Return harmonic forces of another stiffness and a constant, of the batch with what copies are copies of."""
    before = [frames[1].copy(), frames[3].copy()]
    for atoms, move in zip(before, moves, strict=True):
        atoms.positions -= move
    forces = np.concatenate([harmonic(a, minimum, k) + offset for a in [*frames, *before]])
    return Prediction(torch.zeros(6), None, torch.tensor(forces))


def test_the_slope_of_harmonic_forces_is_the_difference_of_stiffness_along_the_displacement(copies):
    """(K' - K) u / |u| whatever the constant between both forces, which an outer step adds back."""
    frames, k, minimum, moves = copies
    other = stiffness(8, 3)
    expected = np.mean(
        [
            ((other - k) @ m.ravel()) ** 2 / np.mean(m**2) for m in moves
        ]  # |u| is that of a component
    )
    batch = batch_of(frames)
    for offset in (0.0, 5.0):
        found = loss(predicted(frames, moves, minimum, other, offset), batch, WEIGHTS)
        # labels are float32: their rounding over the length of the displacement
        assert float(found["non_conservative_slope"]) == pytest.approx(expected, rel=1e-4)
    exact = loss(predicted(frames, moves, minimum, k, 5.0), batch, WEIGHTS)
    assert float(exact["total"]) < 1e-6 * expected


def test_pairs_count_by_the_weights_of_their_structures(copies):
    """Without the pairs of weight 0 the mean is that of the others."""
    frames, k, minimum, moves = copies
    other, batch = stiffness(8, 3), batch_of(copies[0])
    weights = batch.labels.weights.clone()
    atom = int(batch.pairs.displaced[0])
    first = int(batch.labels.structure_index[atom])
    prediction = predicted(frames, moves, minimum, other, 0.0)
    of_pairs = batch.labels.structure_index[batch.pairs.displaced]
    slopes = (
        prediction.non_conservative[batch.pairs.displaced]
        - prediction.non_conservative[batch.pairs.undisplaced]
        - batch.pairs.change
    ) / batch.pairs.length
    weights[first, 1] = 0.0
    changed = replace(batch, labels=replace(batch.labels, weights=weights))
    found = float(loss(prediction, changed, WEIGHTS)["non_conservative_slope"])
    kept = slopes[of_pairs != first].square()
    assert found * len(slopes) == pytest.approx(float(kept.mean()) * len(kept), rel=1e-4)
    assert (of_pairs == first).any() and len(kept)


def test_what_a_copy_is_a_copy_of_counts_by_the_change_alone(copies):
    batch = batch_of(copies[0])
    assert batch.labels.has_forces.tolist() == [True] * 4 + [False] * 2
    assert batch.labels.has_energy.tolist() == [True] * 4 + [False] * 2
    # edges of what was appended are those of the frames themselves
    vectors, index = batch.graph.edge_vectors, batch.graph.edge_index
    lengths = [
        torch.linalg.vector_norm(vectors[(index[0] >= n) & (index[0] < n + 8)], dim=1).sort().values
        for n in (0, 32)
    ]
    torch.testing.assert_close(lengths[1], lengths[0], rtol=0, atol=10 * EXACT)


def test_without_copies_and_under_turns(copies):
    frames = copies[0]
    assert batch_of([frames[0], frames[2]]).pairs is None
    item = prepare(frames[1], CUTOFF)
    turn = random_orthogonal(torch.Generator().manual_seed(3))
    pairs = [
        collate([x], torch.zeros(119), CUTOFF, torch.float64, with_pairs=True).pairs
        for x in (item, turned(item, turn))
    ]
    torch.testing.assert_close(pairs[1].change, pairs[0].change @ turn.T, rtol=0, atol=1e-5)
    torch.testing.assert_close(pairs[1].length, pairs[0].length, rtol=1e-12, atol=0)


def test_a_file_keeps_what_its_copies_are_copies_of(copies, tmp_path):
    ase.io.write(tmp_path / "copies.xyz", copies[0], format="extxyz")
    frames, warnings = read_checked(tmp_path / "copies.xyz")
    assert not any("undisplaced" in warning for warning in warnings)
    assert undisplaced(frames[0]) is None
    found = undisplaced(frames[1])
    np.testing.assert_allclose(found.positions, copies[0][0].positions, atol=1e-7)
    np.testing.assert_allclose(found.forces, copies[0][0].get_forces(), atol=1e-7)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda a: a.arrays.pop(FORCES), "got no undisplaced_forces"),
        (lambda a: a.arrays.update({FORCES: np.zeros((8, 2))}), "three numbers an atom"),
        (lambda a: a.arrays[FORCES].fill(np.nan), "not finite"),
    ],
)
def test_columns_that_cannot_be_right_are_refused(spoil, message, copies):
    spoil(copies[0][1])
    with pytest.raises(ValueError, match=message):
        prepare(copies[0][1], CUTOFF)


def test_a_term_without_copies_or_with_far_ones_is_refused(copies):
    frames = copies[0]
    recipe = Recipe("argon", [Stage("only", 1, 0.001, WEIGHTS)])
    check_pairs(recipe, frames, "data.xyz")
    with pytest.raises(ValueError, match=r"data.xyz: .*mlip-label --copies .*got none"):
        check_pairs(recipe, frames[::2], "data.xyz")
    frames[1].positions[0, 0] += 3.8  # wrapped
    with pytest.raises(ValueError, match="at most, got 3"):
        check_pairs(recipe, frames, "data.xyz")
    without = replace(recipe.stages[0], weights=LossWeights(non_conservative=1.0))
    check_pairs(replace(recipe, stages=[without]), frames, "data.xyz")


@pytest.mark.training
def test_a_run_learns_from_copies_and_refuses_files_without(tmp_path, capsys):
    random, frames = np.random.default_rng(5), argon_frames(6)
    for atoms in frames[:6]:
        copy = Atoms("Ar8", atoms.positions + random.normal(scale=LENGTH, size=(8, 3)))
        copy.set_cell(atoms.cell)
        copy.pbc = True
        keep_undisplaced(copy, atoms.positions, atoms.get_forces())
        copy.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=5.0, smooth=True)
        frames.append(labelled(copy, copy.get_forces()))
    stage = "weights: {energy: 0.0, non_conservative: 1.0, non_conservative_slope: 0.05}"
    text = RECIPE[: RECIPE.index("    learning_rate")] + f"    learning_rate: 0.005\n    {stage}\n"
    recipe = write_recipe(tmp_path / "recipe.yaml", text)

    def run(name, chosen):
        data = tmp_path / f"{name}.xyz"
        ase.io.write(data, chosen, format="extxyz")
        return train([str(recipe), "--data", str(data), "-o", str(tmp_path / name)])

    assert run("copies", frames) == 0
    with (tmp_path / "copies" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and all(0.0 < float(row["loss"]) < np.inf for row in rows)
    assert run("frames", frames[:6]) == 1
    assert "mlip-label --copies" in capsys.readouterr().err
