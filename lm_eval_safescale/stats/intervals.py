"""Confidence intervals for shares; it knows counts and nothing of what was counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, between


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile: 1.959964 for level 0.95. ValueError unless 0 <
    level < 1."""
    from scipy.special import ndtri  # scipy takes long to import

    return float(ndtri(0.5 + between("level", level) / 2))


def wilson(
    successes: ArrayLike, n: ArrayLike, *, level: float = 0.95, z: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Wilson score interval of shares.

    Parameters
    ----------
    successes, n
        Numbers of successes and trials, 0 <= successes <= n, of any shapes that broadcast. Need not
        be whole numbers.
    level
        Confidence level, in (0, 1).
    z
        Standard normal quantile; overrides `level`. PROTOCOL §7 fixes 1.96, §9 1.959964.

    Returns
    -------
    Lower and upper bounds in [0, 1]; nan where n = 0 or an input is nan.

    Raises
    ------
    ValueError
        For counts outside their range.

    References
    ----------
    Wilson EB (1927), J Am Stat Assoc 22:209-212.
    """
    k, trials = _counts(successes, n)
    z = np.asarray(normal_quantile(level) if z is None else z)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = k / trials
        centre = share + z * z / (2 * trials)
        half_width = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
        scale = 1 + z * z / trials
        low = np.where(k == 0, 0.0, np.maximum(0.0, (centre - half_width) / scale))
        high = np.where(k == trials, 1.0, np.minimum(1.0, (centre + half_width) / scale))
    return _known(k, trials, low, high)


def wilson_interval(successes: int, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """`wilson` of one share with PROTOCOL §7's quantile; ValueError also for n = 0."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(
            f"expected 0 <= successes <= n and n >= 1, not successes={successes}, n={n}"
        )
    low, high = wilson(successes, n, z=z)
    return float(low), float(high)


def clopper_pearson(
    successes: ArrayLike, n: ArrayLike, *, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Clopper-Pearson ("exact") interval of shares: covers at least `level` whatever the share, at
    the price of width.

    Parameters, returns and errors are those of `wilson`.

    References
    ----------
    Clopper CJ, Pearson ES (1934), Biometrika 26:404-413; by quantiles of the beta distribution.
    """
    from scipy.special import betaincinv

    k, trials = _counts(successes, n)
    tail = (1 - between("level", level)) / 2
    with np.errstate(invalid="ignore"):
        inside = np.where(k > 0, k, 1.0), np.where(k < trials, trials - k, 1.0)
        low = np.where(k == 0, 0.0, betaincinv(inside[0], trials - inside[0] + 1, tail))
        high = np.where(k == trials, 1.0, betaincinv(trials - inside[1] + 1, inside[1], 1 - tail))
    return _known(k, trials, low, high)


def _counts(successes: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats]:
    k, trials = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    )
    wrong = (k < 0) | (k > trials) | np.isinf(trials)
    if wrong.any():
        first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        raise ValueError(
            f"expected 0 <= successes <= n, not successes={k[first]:g}, n={trials[first]:g}"
        )
    return k, trials


def _known(k: Floats, trials: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    known = (trials > 0) & ~np.isnan(k)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)
