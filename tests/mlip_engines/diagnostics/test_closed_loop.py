"""Work around loops of a head whose curl is known."""

import numpy as np

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.closed_loop import ClosedLoop
from tests.exact_models import CURL


def test_work_is_bounded_by_curl_times_area(linear_model, cluster):
    """Five atoms, all pairs: one of them feels the curl of four."""
    case = Case(load_model(linear_model), cluster, quick(loops=5))
    values = ClosedLoop().measure(case).values
    assert values["molecular"] is False
    bound = 1e3 * 4 * 2.0 * CURL * np.pi * 0.3**2  # meV, for a circle about the z axis
    assert 0.01 * bound < values["work_NC_rms_meV"] < bound
    assert values["work_C_rms_meV"] < 1e-6
