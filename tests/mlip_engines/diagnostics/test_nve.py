"""Which trajectories at constant energy are run, and what the report says of them."""

import numpy as np
import pytest

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, full, quick
from mlip_engines.diagnostics.nve import ConstantEnergy, summary
from mlip_engines.simulations.simulation import CONSERVATIVE
from mlip_train.potentials.analytic import LennardJones
from tests.exact_models import write_model
from tests.mlip_engines.simulations.trajectories import trajectory


def test_a_model_without_head_is_run_conservatively_only(tmp_path, argon):
    plain = LennardJones(6.0, with_non_conservative_head=False)
    model = load_model(write_model(tmp_path / "plain.pt", plain, ["Ar"]))
    for settings in (quick(), full()):
        wanted = ConstantEnergy().simulations(Case(model, argon, settings), ("nve", "rescaled"), {})
        assert {s.forces for s in wanted.values()} == {CONSERVATIVE}


def test_the_report_stores_rates_with_their_errors_where_there_are_any(argon):
    time = np.linspace(0.0, 1.0, 50)
    found = summary(argon, [trajectory(time, np.ones(50), 0.032 * time)])
    assert found["drift_meV_per_atom_per_ps"] == pytest.approx(1.0)
    assert found["heating_K_per_ps"] == pytest.approx(0.0, abs=1e-9)
    assert found["drift_meV_per_atom_per_ps_error"] < 1e-6
    assert set(found["final_temperature_K"]) == {"all", "Ar"}
    assert set(summary(argon, [trajectory(time[:2], [1, 1], [0, 0])])) == {"picoseconds", "stopped"}
