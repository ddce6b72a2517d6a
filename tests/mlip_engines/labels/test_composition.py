"""The composition baseline recovers exact totals; the scale is the root mean square of a force component."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.labels.composition import fit_composition, force_scale
from tests.labelled import argon_frames


def test_composition_is_recovered_from_exact_totals():
    frames = argon_frames(4)
    for k, atoms in enumerate(frames):
        atoms.numbers[: k + 1] = 10
        energy = -2.5 * (8 - k - 1) - 1.25 * (k + 1)
        atoms.calc.results["energy"] = energy
        atoms.calc.atoms = atoms.copy()
    fitted = fit_composition(frames)
    assert abs(fitted["Ar"] + 2.5) < 1e-10 and abs(fitted["Ne"] + 1.25) < 1e-10


def test_force_scale_is_the_rms_component():
    frames = argon_frames(3)
    components = torch.cat([torch.tensor(a.get_forces()).flatten() for a in frames])
    assert abs(force_scale(frames) - float(components.pow(2).mean().sqrt())) < 1e-12


def binary_set(n=60, noise=0.05, seed=2):
    """Return random mixtures whose energies are sums over elements, and noise for each atom."""
    rng = np.random.default_rng(seed)
    energies = {"Al": -3.7, "Si": -5.4, "O": -4.9}
    structures = []
    for _ in range(n):
        symbols = rng.choice(list(energies), size=rng.integers(4, 40))
        atoms = Atoms(symbols, positions=rng.normal(size=(len(symbols), 3)))
        energy = sum(energies[s] for s in symbols) + noise * rng.normal() * len(symbols)
        forces = rng.normal(size=(len(symbols), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        structures.append(atoms)
    return structures, energies


def test_one_wrong_energy_moves_nothing():
    structures, expected = binary_set()
    before = fit_composition(structures)
    structures[5].calc.results["energy"] += 5000.0
    after = fit_composition(structures)
    for symbol, energy in expected.items():
        assert abs(before[symbol] - energy) < 0.1  # two of its standard errors
        assert abs(after[symbol] - before[symbol]) < 0.02


def test_an_element_that_is_seen_once_is_not_given_what_is_unexplained():
    structures, expected = binary_set()
    rare = structures[0]
    rare.symbols[0] = "Ce"
    rare.calc.results["energy"] += 0.5 * len(rare)  # of its bonds, not of one atom
    n = len(rare)
    counts = np.array([[a.symbols.count(s) for s in ("Al", "Si", "O", "Ce")] for a in structures])
    values = [a.calc.results["energy"] for a in structures]
    plain = np.linalg.lstsq(counts, values, rcond=None)[0][3]
    assert plain > -5.0 + 0.25 * n  # least squares put all of it on the one atom
    assert abs(fit_composition(structures)["Ce"] + 4.7) < 3.0


def test_elements_that_always_come_together_share_the_energy():
    structures, _ = binary_set(6)
    for atoms in structures:
        atoms.symbols[:] = "Al"
        atoms.symbols[: len(atoms) // 2] = "O"
    same = [structures[0]] * 4
    fitted = fit_composition(same)
    symbols = same[0].get_chemical_symbols()
    total = sum(fitted[symbol] for symbol in symbols)
    assert abs(total - same[0].calc.results["energy"]) < 1e-8


def test_a_frame_on_fire_does_not_set_the_scale():
    structures, _ = binary_set()
    before = force_scale(structures)
    structures[3].calc.results["forces"] *= 1000.0
    assert force_scale(structures) < 1.3 * before


def test_structures_without_labels_are_passed_over():
    structures, _ = binary_set()
    expected = fit_composition(structures[1:]), force_scale(structures[1:])
    structures[0].calc = None
    assert (fit_composition(structures), force_scale(structures)) == expected
    with pytest.raises(ValueError, match="with an energy"):
        fit_composition([Atoms("H")])
    with pytest.raises(ValueError, match="with forces"):
        force_scale([Atoms("H")])


def test_known_energies_are_kept_and_only_the_others_are_fitted():
    frames = [Atoms(name) for name in ("H2O", "OH", "H2")]
    for atoms, energy in zip(frames, (-9.0, -8.0, 99.0), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    found = fit_composition(frames, {"H": -1.0})
    assert found == pytest.approx({"O": -7.0})
    assert fit_composition(frames, {"H": -1.0, "O": 3.0}) == {}
