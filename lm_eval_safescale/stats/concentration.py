"""How unevenly a total is spread over items: how few of them carry how much of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats

NEVER = 1e-12
"""Totals less likely than this are left out."""


def top_share(totals: ArrayLike, percent: float) -> Floats:
    """Share of the whole that the `percent` % of items with the largest totals carry; these are
    ceil(percent / 100 * n) items.

    Parameters
    ----------
    totals
        What each item carries, >= 0, shape (n,) or (n, m) for m wholes.
    percent
        In (0, 100].

    Returns
    -------
    Shares in [0, 1], shape () or (m,); nan where the whole is 0.

    Raises
    ------
    ValueError
        For no item, a negative or unknown total, or another percentage.
    """
    values = _totals(totals)
    items = items_of(percent, len(values))
    whole = values.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sort(values, axis=0)[::-1][:items].sum(axis=0) / whole)


def items_of(percent: float, n: int) -> int:
    """How many of n items that many percent are, rounded up; ValueError for a percentage outside
    (0, 100]."""
    # 7 % of 100 is 7 items, whatever the last digit says
    return int(np.ceil(round(_percentage(percent) * n / 100, 9)))


def gini(totals: ArrayLike) -> Floats:
    """Gini coefficient: 0 where all items carry alike, 1 - 1/n where one carries all; nan where the
    whole is 0.

    G = sum_i (2 i - n - 1) x_(i) / (n sum x) over ascending x_(i), i = 1..n. Parameters and errors
    are those of `top_share`.

    References
    ----------
    Gini C (1912), Variabilità e mutabilità; the form by ranks: Sen A (1973), On Economic
    Inequality.
    """
    values = np.sort(_totals(totals), axis=0)
    n = len(values)
    ranks = (2 * np.arange(1, n + 1) - n - 1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.tensordot(ranks, values, axes=(0, 0)) / (n * values.sum(axis=0)))


def resampled_concentration(
    totals: ArrayLike, weights: Floats, percents: Sequence[float]
) -> Floats:
    """`top_share` for each percentage, and `gini` last, of many resamples.

    Parameters
    ----------
    totals
        What each item carries, >= 0, shape (n,).
    weights
        How often each resample has each item, whole numbers of shape (n, resamples).
    percents
        Each in (0, 100].

    Returns
    -------
    Shape (1 + percentages, resamples); nan where a resample's items carry nothing.

    Raises
    ------
    ValueError
        As `top_share`.
    """
    values = _totals(totals)
    if values.ndim != 1 or len(values) != len(weights):
        raise ValueError(
            f"expected totals and weights of the same items, not shapes {values.shape} and "
            f"{weights.shape}"
        )
    order = np.argsort(-values, kind="stable")
    values, drawn = values[order], weights[order]
    upto = drawn.cumsum(axis=0)  # copies of an item stand together, from upto - drawn to upto
    items = upto[-1]
    rows = []
    for percent in percents:
        top = np.ceil(np.round(_percentage(percent) * items / 100, 9))
        rows.append(values @ np.clip(top - (upto - drawn), 0, drawn))
    # the ranks of an item's copies in ascending order, 2 i - n - 1, added up
    rows.append(values @ (drawn * (items - 2 * upto + drawn)) / np.maximum(items, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(rows) / (values @ drawn)


def top_shares_by_chance(rates: ArrayLike, n: int, percents: Sequence[float]) -> Floats:
    """What `top_share` would be if what falls on an item did not depend on the item.

    Of n items each gets one of each kind with its rate, kinds apart: its total T is a sum of
    independent Bernoulli draws. The largest m of n such totals add up to the sum over t >= 1 of
    E min(m, X_t), X_t the number of totals that are at least t, Binomial(n, P(T >= t)).

    Parameters
    ----------
    rates
        Of each kind (a model's rate of harm), in [0, 1].
    n
        Number of items.
    percents
        Each in (0, 100].

    Returns
    -------
    The expected sum over the expected whole for each percentage; nan where all rates are 0.
    """
    from scipy.special import bdtrc

    of_total = np.ones(1)
    for rate in np.asarray(rates, dtype=np.float64).tolist():
        of_total = np.convolve(of_total, [1 - rate, rate])
    at_least = of_total[::-1].cumsum()[::-1][1:]
    # E min(m, X) = the sum over j < m of P(X > j)
    beyond = bdtrc(np.arange(n), n, np.clip(at_least, 0, 1)[at_least > NEVER, None])
    expected = beyond.sum(axis=0).cumsum()
    items = [items_of(percent, n) for percent in percents]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(expected[np.array(items) - 1] / expected[-1])


def _percentage(percent: float) -> float:
    if not 0 < percent <= 100:
        raise ValueError(f"percent is {percent}; expected a number above 0 and at most 100")
    return percent


def _totals(totals: ArrayLike) -> Floats:
    values = np.asarray(totals, dtype=np.float64)
    if (
        values.ndim not in (1, 2)
        or not len(values)
        or not (values >= 0).all()
        or np.isinf(values).any()
    ):
        raise ValueError(
            "expected totals >= 0 of at least one item, shape (items,) or (items, wholes), not "
            f"shape {values.shape}"
        )
    return values
