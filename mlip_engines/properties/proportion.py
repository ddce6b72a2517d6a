"""How sure a fraction is that was counted in a few cases."""

from __future__ import annotations

import math

STANDARD_NORMAL_95 = 1.959963984540054  # two-sided quantile of 95 %


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion.

    Unlike count/total plus or minus a standard error, it is right for counts of zero and for few cases.

    Parameters
    ----------
    count : int
        Cases in which something happened.
    total : int
        All cases, at least one.

    Raises
    ------
    ValueError
        If there is no case, or the count is not between 0 and the total.

    References
    ----------
    Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    Examples
    --------
    >>> low, high = wilson_interval(0, 20)
    >>> f"{low:.2f} to {high:.2f}"
    '0.00 to 0.16'
    """
    if total < 1 or not 0 <= count <= total:
        raise ValueError(
            f"expected a count between 0 and at least one case, got {count} of {total}"
        )
    p, z2 = count / total, STANDARD_NORMAL_95**2
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = math.sqrt(p * (1 - p) / total + z2 / (4 * total**2)) * STANDARD_NORMAL_95
    half /= 1 + z2 / total
    low = 0.0 if count == 0 else max(0.0, centre - half)
    return low, 1.0 if count == total else min(1.0, centre + half)
