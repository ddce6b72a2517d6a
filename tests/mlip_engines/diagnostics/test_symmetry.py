"""A model that is equivariant, with a head that prefers the z axis."""

import numpy as np

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.symmetry import Symmetry


def test_energy_is_equivariant_and_a_swirl_is_not(argon_model, argon):
    argon = argon.copy()
    argon.positions += 0.1 * np.random.default_rng(4).normal(size=argon.positions.shape)
    result = Symmetry().measure(Case(load_model(argon_model), argon, quick()))
    v = result.values
    assert v["energy_spread_meV_per_atom"] < 1e-9
    assert v["force_C_spread_meV_per_angstrom"] < 1e-9
    assert v["force_NC_spread_meV_per_angstrom"] > 0.1
    assert "rotate yes" in Symmetry().render(result).paragraphs[0]
