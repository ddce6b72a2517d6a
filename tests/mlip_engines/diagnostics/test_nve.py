"""Which trajectories at constant energy are run."""

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, full, quick
from mlip_engines.diagnostics.nve import ConstantEnergy
from mlip_engines.simulations.simulation import CONSERVATIVE
from mlip_train.potentials.analytic import LennardJones
from tests.exact_models import write_model


def test_a_model_without_head_is_run_conservatively_only(tmp_path, argon):
    plain = LennardJones(6.0, with_non_conservative_head=False)
    model = load_model(write_model(tmp_path / "plain.pt", plain, ["Ar"]))
    for settings in (quick(), full()):
        wanted = ConstantEnergy().simulations(Case(model, argon, settings), ("nve", "rescaled"), {})
        assert {s.forces for s in wanted.values()} == {CONSERVATIVE}
