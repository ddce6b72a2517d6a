"""Results on disk."""

import numpy as np

from mlip_engines.diagnostics.result import Result


def test_results_survive_the_disk(tmp_path):
    result = Result(
        {"a_eV": np.float64(1.5), "b": [np.nan, 2], "c": {"d": None}}, {"x": np.arange(3)}
    )
    result.save(tmp_path / "part")
    read_back = Result.load(tmp_path / "part")
    assert read_back.values == {"a_eV": 1.5, "b": [None, 2], "c": {"d": None}}
    np.testing.assert_array_equal(read_back.arrays["x"], np.arange(3))
