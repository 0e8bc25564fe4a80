"""Figures of two samples of items that share none: their difference, and whether it is more than
chance, and than that of others. It knows numbers, and no models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lm_eval_safescale.stats.arrays import Floats
from lm_eval_safescale.stats.intervals import normal_quantile


@dataclass(frozen=True, eq=False)
class Gaps:
    """Differences of p figures, first less second sample; arrays of shape (p,), nan where nothing
    can be said."""

    gap: Floats
    lo: Floats
    hi: Floats
    excess: Floats
    """The gap less the mean gap of all others."""
    excess_lo: Floats
    excess_hi: Floats
    p: Floats
    """One-sided: of a gap, and an excess, that are 0 or less."""


def gaps(
    first: tuple[Floats, Floats, Floats],
    second: tuple[Floats, Floats, Floats],
    resampled: tuple[Floats, Floats],
    n: tuple[int, int],
    *,
    level: float = 0.95,
) -> Gaps:
    """Differences of the same figures of two samples of items.

    The interval of a difference is the square-and-add one of the two figures' own intervals
    (Newcombe's method 10 where these are Wilson's), and its p that of the distance of 0 in units of
    the bound on that side. What all models have in common, since one sample is harder, is not in
    the excess: its standard error is that of the resamples, with excess^2 / n added to its square
    as a score test has it, against Student's t on the n - 1 units of the smaller sample. p is the
    larger of both: each must be more than chance.

    Parameters
    ----------
    first, second
        Value and bounds of each figure, at `level`, each of shape (p,).
    resampled
        The figures of resamples of the first and of the second sample, drawn apart, for all figures
        together: shape (p, B).
    n
        Units of the two samples.

    References
    ----------
    Newcombe RG (1998), Stat Med 17:873-890. Zou GY, Donner A (2008), Stat Med 27:1693-1702.
    """
    from scipy.special import ndtr, stdtr, stdtrit

    (a, a_lo, a_hi), (b, b_lo, b_hi) = first, second
    gap = a - b
    below, above = np.hypot(a - a_lo, b_hi - b), np.hypot(a_hi - a, b - b_lo)
    z = normal_quantile(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 1 - ndtr(z * gap / np.where(gap > 0, below, above))
    known = ~np.isnan(gap)
    excess, error, half, t = (np.full(gap.shape, np.nan) for _ in range(4))
    if known.sum() > 1:
        excess[known] = _less_others(gap[known])
        spread = np.nanvar(_less_others((resampled[0] - resampled[1])[known]), axis=1, ddof=1)
        error[known] = np.sqrt(spread + excess[known] ** 2 / min(n))
        df = max(1, min(n) - 1)
        half = stdtrit(df, (1 + level) / 2) * error
        t[known] = np.divide(excess, error, out=np.zeros_like(excess), where=error > 0)[known]
        p = np.maximum(p, 1 - stdtr(df, t))
    return Gaps(gap, gap - below, gap + above, excess, excess - half, excess + half, p)


def _less_others(values: Floats) -> Floats:
    """Each less the mean of the others; a resample that does not define one is none of it."""
    count = (~np.isnan(values)).sum(axis=0) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(values - (np.nansum(values, axis=0) - values) / count)
