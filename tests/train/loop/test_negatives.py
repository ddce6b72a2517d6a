"""Negative samples: they find what a network gives too low an energy, and a training with them raises it."""

import copy

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.optimize import FIRE

from mlip_engines import MlipCalculator
from mlip_engines.model.short_range import WithShortRange
from mlip_train.command import main as train
from mlip_train.loop.negatives import Negatives, composition_of, lowest_energies
from mlip_train.networks import build_network
from tests.exact_models import write_model
from tests.labelled import RECIPE, argon_frames, write_argon, write_recipe
from tests.small_networks import NETWORKS

MARGIN = 0.02
SHORTEST = {"Ar-Ar": 3.2}


@pytest.mark.parametrize(
    "symbols, expected",
    [("OH2", ((1, 2), (8, 1))), ("O3H6", ((1, 2), (8, 1))), ("Cu5", ((29, 1),)), ("H", ((1, 1),))],
)
def test_a_composition_does_not_depend_on_the_number_of_units(symbols, expected):
    assert composition_of(Atoms(symbols).numbers) == expected


def test_the_lowest_energy_is_per_atom_and_without_reference_energies():
    frames, baseline = argon_frames(4), torch.zeros(119, dtype=torch.float64)
    baseline[18] = 0.7
    lowest = min(atoms.get_potential_energy() for atoms in frames) / 8 - 0.7
    assert lowest_energies(frames, baseline) == {((18, 1),): pytest.approx(lowest, abs=1e-12)}


def pool(seed=1):
    torch.manual_seed(0)
    network = build_network(
        {"name": "painn", "species": [18], "cutoff": 5.0, **NETWORKS["painn"]}
    ).double()
    baseline = torch.zeros(119, dtype=torch.float64)
    return Negatives(argon_frames(4), baseline, network, 1.0, SHORTEST, seed)


def energies(negatives):
    return np.array(negatives._energies_and_moves()[0])


def test_structures_move_down_the_energy_and_wait_where_it_is_too_low():
    negatives = pool()
    for walker in negatives.walkers:
        walker.bound, walker.steps_left = -1e9, 1000
    high = energies(negatives)
    for _ in range(5):
        negatives.descend(MARGIN)
    low = energies(negatives)
    assert np.all(low <= high + 1e-9) and np.any(low < high - 1e-3)
    places = [walker.atoms.positions.copy() for walker in negatives.walkers]
    for walker, energy in zip(negatives.walkers, low, strict=True):
        walker.bound = energy + 2.0 * MARGIN
    negatives.descend(MARGIN)
    for walker, place in zip(negatives.walkers, places, strict=True):
        np.testing.assert_array_equal(walker.atoms.positions, place)


def test_a_structure_deep_in_a_hole_goes_back_to_where_it_begins():
    negatives = pool()
    walker = negatives.walkers[0]
    walker.before, walker.steps_left = walker.atoms.positions + 1.0, 1000
    walker.bound = energies(negatives)[0] + 1e6
    before, here = walker.before.copy(), walker.atoms.positions.copy()
    negatives.descend(MARGIN)
    share = 2.0**-4  # four descents, each half of what is left
    np.testing.assert_allclose(walker.atoms.positions, before + share * (here - before), atol=1e-12)


def test_the_loss_is_what_structures_lie_below_and_has_the_right_gradient():
    negatives = pool()
    per_atom = energies(negatives)
    for walker, energy, below in zip(
        negatives.walkers, per_atom, np.linspace(-0.05, 0.3, 8), strict=True
    ):
        walker.bound = energy + below
    expected = np.mean(
        0.1 * np.arcsinh(np.clip(np.linspace(-0.05, 0.3, 8) - MARGIN, 0, None) / 0.1)
    )
    value = negatives.loss(MARGIN)
    assert float(value.detach()) == pytest.approx(expected, abs=1e-10)
    value.backward()
    parameter = next(p for p in negatives.wrapped.parameters() if p.grad is not None)
    index = tuple(np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape))
    slope, step = float(parameter.grad[index]), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter[index] += sign * step
            values.append(float(negatives.loss(MARGIN)))
            parameter[index] -= sign * step
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def lowest_end(network, path):
    """Return the lowest energy per atom where a minimiser of ASE ends that starts with atoms at random places."""
    write_model(path, WithShortRange(copy.deepcopy(network), SHORTEST), ["Ar"])
    model, ends = MlipCalculator(path), []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        atoms = Atoms("Ar8", 7.7 * rng.random((8, 3)), cell=[7.7] * 3, pbc=True, calculator=model)
        FIRE(atoms, logfile=None, maxstep=0.1).run(fmax=0.01, steps=60)
        ends.append(atoms.get_potential_energy() / 8)
    return min(ends)


@pytest.mark.training
def test_a_training_raises_what_a_minimiser_finds_too_low(tmp_path):
    """Against ASE's minimiser with starts of its own."""
    negatives = pool()
    network = negatives.wrapped.network
    bound = lowest_end(network, tmp_path / "argon.pt") + 0.1
    negatives.lowest = dict.fromkeys(negatives.lowest, bound)
    for walker in negatives.walkers:
        walker.bound = bound
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(80):
        negatives.descend(MARGIN)
        optimizer.zero_grad()
        negatives.loss(MARGIN).backward()
        optimizer.step()
    assert lowest_end(network, tmp_path / "argon.pt") > bound - 2.0 * MARGIN


@pytest.mark.training
def test_a_recipe_with_negative_steps_runs_and_resumes(tmp_path):
    text = RECIPE + "    negative_steps: 0.5\n"
    recipe, data = write_recipe(tmp_path / "recipe.yaml", text), write_argon(tmp_path / "argon.xyz")
    run = [str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]
    assert train(run) == 0
    assert train([*run, "--resume"]) == 0


@pytest.mark.parametrize(
    "setting", ["negative_steps: 1.5", "negative_weight: -1", "negative_margin: -0.1"]
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, capsys, setting):
    text = RECIPE + f"    {setting}\n"
    recipe, data = write_recipe(tmp_path / "recipe.yaml", text), write_argon(tmp_path / "argon.xyz")
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) != 0
    assert setting.split(":")[0] in capsys.readouterr().err
