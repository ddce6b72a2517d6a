"""Structures whose labels are off an exact model by known amounts."""

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.mlip_engines.conftest import CURL, PARAMETERS, REFERENCE_ENERGIES

ENERGY_OFFSETS = [0.3, -0.1, 0.2, 0.0]  # eV
NAMES = ["molecule", "triclinic", "dimer", "slab"]


def labelled():
    """Structures with labels off the model by known amounts, and the errors that follow."""
    rng = np.random.default_rng(4)
    frames, energy, conservative, head_errors, disagreement = [], [], [], [], []
    for name, offset in zip(NAMES, ENERGY_OFFSETS, strict=True):
        atoms = STRUCTURES[name]()
        pair, forces, head = pair_sums(atoms, curl=CURL, **PARAMETERS)
        head = head - head.mean(axis=0)
        noise = rng.normal(scale=0.05, size=forces.shape)
        baseline = sum(REFERENCE_ENERGIES[symbol] for symbol in atoms.symbols)
        labels = {"energy": baseline + pair + offset, "forces": forces + noise}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
        energy.append(offset / len(atoms))
        conservative.append(noise.ravel())
        head_errors.append((head - forces - noise).ravel())
        disagreement.append((forces - head).ravel())
    expected = {}
    for key, values in [
        ("energy", energy),
        ("conservative", np.concatenate(conservative)),
        ("non_conservative", np.concatenate(head_errors)),
    ]:
        expected[f"{key}_mae"] = np.mean(np.abs(values))
        expected[f"{key}_rmse"] = np.sqrt(np.mean(np.square(values)))
    expected["rms_c_minus_nc"] = np.sqrt(np.mean(np.concatenate(disagreement) ** 2))
    return frames, expected
