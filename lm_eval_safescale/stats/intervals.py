"""Confidence intervals for shares."""

from __future__ import annotations

from math import sqrt


def wilson_interval(successes: int, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a share.

    Parameters
    ----------
    successes
        Number of successes, 0 <= successes <= n.
    n
        Number of trials, at least 1.
    z
        Standard normal quantile; 1.96 for 95 % (PROTOCOL §7).

    Returns
    -------
    Lower and upper bound, in [0, 1].

    Raises
    ------
    ValueError
        If `n` < 1 or `successes` is not in [0, n].

    References
    ----------
    Wilson EB (1927), J Am Stat Assoc 22:209-212.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1, not successes={successes}, n={n}")
    share = successes / n
    centre = share + z * z / (2 * n)
    half_width = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = (centre - half_width) / scale if successes else 0.0
    high = (centre + half_width) / scale if successes < n else 1.0
    return max(0.0, low), min(1.0, high)
