"""The composition baseline recovers exact totals; the scale is the root mean square of a force component."""

import torch

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
