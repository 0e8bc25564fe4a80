"""Whether two measures put the same things in the same order."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, between, same_shape

DIGITS = 12
"""Values that are equal to so many decimals tie: sums of the same numbers in another order differ
behind them."""


def rank_correlation(left: ArrayLike, right: ArrayLike) -> Floats:
    """Spearman's rank correlation: Pearson's of the ranks, ties at their mean rank.

    Parameters
    ----------
    left, right
        Both measures, shape (n,), or (n, b) of b resamples.

    Returns
    -------
    In [-1, 1], shape () or (b,); nan where either measure ranks nothing (all alike, or fewer than
    two values), or holds nan.

    Raises
    ------
    ValueError
        For unequal shapes.

    References
    ----------
    Spearman C (1904), Am J Psychol 15:72-101.
    """
    from scipy.stats import rankdata

    given = same_shape("left and right", left, right)
    one, other = (rankdata(np.round(each, DIGITS), axis=0) for each in given)
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = (ranks - (len(ranks) + 1) / 2 for ranks in (one, other))
        spread = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
        return np.asarray((one * other).sum(axis=0) / spread)


def rank_correlation_interval(
    correlation: float, n: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of Spearman's rank correlation of n independent pairs, by Fisher's z with the
    variance (1 + r^2 / 2) / (n - 3).

    Returns
    -------
    Bounds in (-1, 1); nan for fewer than four pairs, and at -1 and 1, where z is infinite.

    References
    ----------
    Bonett DG, Wright TA (2000), Psychometrika 65:23-28.
    """
    from scipy.special import ndtri

    reach = ndtri((1 + between("level", level)) / 2)
    if n < 4 or not abs(correlation) < 1:
        return np.nan, np.nan
    half = reach * np.sqrt((1 + correlation**2 / 2) / (n - 3))
    middle = np.arctanh(correlation)
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))
