"""Which stride is the largest that conserves energy."""

import numpy as np

from mlip_engines.diagnostics.stride import largest_stride


def test_the_largest_stride_is_the_end_of_an_unbroken_row():
    strides = {2: (0.01, 0.01), 4: (-0.1, 0.05), 6: (0.9, 0.1), 8: (0.05, 0.01)}
    assert largest_stride(strides, 0.3) == (4, [])  # 8 passes only beyond a resonance
    assert largest_stride({2: (0.01, 0.5)}, 0.3) == (1, [2])  # not known well enough
    # what comes after a clear failure is no question any more
    assert largest_stride({2: (0.1, 0.1), 3: (0.4, 0.2), 4: (9.0, 0.1), 8: (0.1, 0.9)}, 0.3) == (
        2,
        [3],
    )
    assert largest_stride({2: (0.0, np.nan)}, 0.3) == (2, [])
    assert largest_stride({2: (np.nan, 0.1), 4: (0.0, 0.0)}, 0.3) == (1, [])
    assert largest_stride({}, 0.3) == (1, [])
