"""What the report says follows from the numbers."""

import pytest
from ase.build import bulk

from mlip_engines.model.load import load_model
from mlip_engines.simulations import CONSERVATIVE, Estimate, Forces
from mlip_engines.simulations.pace import Pace
from mlip_train.acceleration.disagreement import Disagreement
from mlip_train.acceleration.report import Summary, limited_by, warnings_of, words, write_report
from mlip_train.acceleration.request import Request
from mlip_train.acceleration.round import Outcome
from mlip_train.acceleration.sizes import Price

QUIET = Estimate(0.0, 0.01)


def summary(tmp_path, by_start=None, c_ms=100.0, last_drift=0.5):
    request = Request(load_model("copper"), [bulk("Cu", cubic=True)])
    c = [Pace(CONSERVATIVE, h, c_ms, QUIET, 0.003 * h * h) for h in (2.0, 4.0)]
    paces = [
        Pace(Forces("respa", 8), 2.0, 120.0, QUIET, 0.05),
        Pace(Forces("respa", 10), 2.0, 130.0, Estimate(last_drift, 0.01), 0.06),
    ]
    off = Disagreement(9.0, {"Cu": 9.0}, by_start or {"0": 9.0}, 0.1, 400.0)
    outcome = Outcome(1, Price("small", c_ms, 3.0), 8, off, paces, tmp_path, tmp_path, 50)
    return Summary(request, [outcome.price], c, [outcome], outcome, {}, 1.0)


def test_the_fair_gain_and_what_limits_it(tmp_path):
    found = summary(tmp_path)
    assert found.gain == pytest.approx((100.0 / 4.0) / (120.0 / 16.0), rel=1e-12)
    assert "M = 8" in words(found)[0] and "3.33 times" in words(found)[1]
    assert "+0.500 ± 0.010" in limited_by(found)
    assert warnings_of(found) == []
    page = write_report(found, tmp_path).read_text()
    assert "run_style     respa 2 8 inner" in page and "limit in the file, 0.15 eV/Å" in page


def test_two_phases_that_one_network_does_not_serve_are_named(tmp_path):
    (warning,) = warnings_of(summary(tmp_path, {"0": 9.0, "1": 60.0}))
    assert "60 meV/Å" in warning and "structure 1" in warning


def test_an_inner_force_that_does_not_pay_is_not_recommended_silently(tmp_path):
    slow = summary(tmp_path, c_ms=20.0)
    (warning,) = warnings_of(slow)
    assert "C alone" in warning
    assert words(slow)[0].startswith("Use C alone, with ")
    assert words(summary(tmp_path))[0].startswith("Use r-RESPA with ")
