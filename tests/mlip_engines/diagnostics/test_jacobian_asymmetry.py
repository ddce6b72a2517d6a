"""The asymmetry of a field whose Jacobian is known, as the report has it."""

import pytest

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.jacobian_asymmetry import JacobianAsymmetry
from tests.mlip_engines.properties.test_jacobian import CUTOFF_ERROR, EXPECTED


def test_the_exact_value_and_the_words(linear_model, cluster):
    case = Case(load_model(linear_model), cluster, quick(probes=16))
    result = JacobianAsymmetry().measure(case)
    v = result.values
    assert v["lambda_NC_exact"] == pytest.approx(EXPECTED, rel=CUTOFF_ERROR)
    # all blocks are multiples of one matrix, and each probe gives almost the exact ratio
    assert v["lambda_NC"] == pytest.approx(EXPECTED, abs=5 * v["lambda_NC_error"] + 1e-3)
    assert v["lambda_C"] < 1e-8
    section = JacobianAsymmetry().render(result)
    assert f"λ = {v['lambda_NC']:.4f}" in section.paragraphs[0]
    assert section.warnings == []


def test_a_model_without_head_has_conservative_forces_only(tmp_path, cluster):
    from mlip_train.potentials.analytic import HarmonicPair
    from tests.exact_models import write_model

    network = HarmonicPair(20.0, with_non_conservative_head=False)
    model = load_model(write_model(tmp_path / "plain.pt", network, ["Ar"]))
    values = JacobianAsymmetry().measure(Case(model, cluster, quick())).values
    assert "lambda_NC" not in values and values["lambda_C"] < 1e-8
