"""How small a difference a number of items can show, and how many items a difference takes;
probabilities are exact, not approximations.

Two conditions are compared on the same items. What counts is on how many items they differ at all:
the *discordance*, the share of items on which exactly one of them has the outcome. With difference
d and discordance s the number of discordant items is Binomial(n, s), and each falls on the one side
with probability (1 + d / s) / 2. The power of the McNemar test is summed over both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, Ints, between
from lm_eval_safescale.stats.intervals import normal_quantile, wilson
from lm_eval_safescale.stats.paired import mcnemar_exact, mcnemar_mid_p

Test = Literal["mid_p", "exact"]
MOST_ITEMS = 1_000_000
FEW = 2_000


def independent_discordance(one: float, other: float) -> float:
    """Discordance of two rates whose outcomes fall on the items independently: the most there is
    without an opposing tendency.

    Conditions that fail on the same items have less, down to |one - other|. ValueError unless both
    are in [0, 1].
    """
    if not (0 <= one <= 1 and 0 <= other <= 1):
        raise ValueError(f"expected rates in [0, 1], not {one} and {other}")
    return one * (1 - other) + other * (1 - one)


def mcnemar_power(
    n: int,
    difference: ArrayLike,
    discordance: ArrayLike,
    *,
    alpha: float = 0.05,
    test: Test = "mid_p",
) -> Floats:
    """Probability that the McNemar test of n items finds a difference, exactly.

    Parameters
    ----------
    n
        Number of items, >= 1.
    difference
        True difference of the two rates, in [-discordance, discordance].
    discordance
        Share of items on which exactly one condition has the outcome, in [0, 1]; broadcasts with
        `difference`.
    alpha
        Level of the two-sided test, in (0, 1).
    test
        "mid_p" (default preset) or "exact" (radsafe-2026).

    Returns
    -------
    Probabilities in [0, 1]; nan where an input is nan.

    Raises
    ------
    ValueError
        For values outside their range.

    References
    ----------
    Conditional power summed over the discordant items: Duffy SW (1984), Biometrics 40:1005-1015.
    Connor RJ (1987), Biometrics 43:207-211 and Miettinen OS (1968), Biometrics 24:339-352
    approximate it.
    """
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    d, s = np.broadcast_arrays(
        np.abs(np.asarray(difference, dtype=np.float64)), np.asarray(discordance, dtype=np.float64)
    )
    if n < 1 or ((s < 0) | (s > 1) | (d > s + 1e-12)).any():
        raise ValueError(
            "expected n >= 1, a discordance in [0, 1] and a difference no larger than the "
            "discordance"
        )
    between("alpha", alpha)
    if d.size == 0 or np.isnan(d + s).all():
        return np.full(d.shape, np.nan)
    first, last = 0, n
    if n > FEW:  # beyond eight standard deviations nothing is left to sum
        spread = 8 * np.sqrt(n * s * (1 - s)) + 40
        first, last = int(max(0, np.nanmin(n * s - spread))), int(min(n, np.nanmax(n * s + spread)))
    m = np.arange(first, last + 1, dtype=np.float64).reshape(-1, *(1,) * d.ndim)
    critical = _critical(first, last, alpha, test).reshape(m.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        side = np.clip(np.where(s > 0, (1 + d / s) / 2, np.where(np.isnan(s), np.nan, 0.5)), 0, 1)
        seen = np.exp(
            gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1) + xlogy(m, s) + xlog1py(n - m, -s)
        )
        counted = (seen > 1e-15) & (critical >= 0)
        k, more, lean = (
            np.broadcast_to(part, seen.shape)[counted] for part in (critical, m - critical, side)
        )
        tails = np.zeros(seen.shape)
        tails[counted] = betainc(more, k + 1, 1 - lean) + betainc(more, k + 1, lean)
    found = np.clip((seen * tails).sum(axis=0), 0, 1)
    return np.where(np.isnan(d + s), np.nan, found)


def detectable_difference(
    n: ArrayLike,
    discordance: ArrayLike,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    test: Test = "mid_p",
) -> Floats:
    """Minimum detectable difference: the smallest true difference that the test of n items finds
    with the given power.

    Parameters
    ----------
    n
        Numbers of items, >= 0.
    discordance
        Share of items on which the two conditions differ, in [0, 1], (b + c) / n where it was
        observed; broadcasts with `n`. A difference cannot exceed it, so for a larger one the
        discordance is taken to be the difference itself (all on one side).
    alpha, power, test
        As in `mcnemar_power`; alpha < power < 1.

    Returns
    -------
    Differences in (0, 1]; nan where no difference would do (fewer than 5 or 6 items), or an input
    is nan.

    Raises
    ------
    ValueError
        For values outside their range.
    """
    between("power", power, alpha)
    sizes, shares = np.broadcast_arrays(
        np.asarray(n, dtype=np.float64), np.asarray(discordance, dtype=np.float64)
    )
    if ((shares < 0) | (shares > 1)).any():
        raise ValueError("expected a discordance in [0, 1]")
    found = np.full(sizes.shape, np.nan)
    for size in np.unique(sizes[~np.isnan(sizes)]):
        own = (sizes == size) & ~np.isnan(shares)
        if (
            size < 1
            or mcnemar_power(int(size), 1, 1, alpha=alpha, test=test) < power
            or not own.any()
        ):
            continue
        different, which = np.unique(shares[own], return_inverse=True)
        low, high = np.zeros_like(different), np.ones_like(different)
        for _ in range(16):
            middle = (low + high) / 2
            enough = (
                mcnemar_power(
                    int(size), middle, np.maximum(middle, different), alpha=alpha, test=test
                )
                >= power
            )
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        found[own] = high[which.reshape(-1)]
    return found


def detectable_from(
    n: int, baseline: float, *, alpha: float = 0.05, power: float = 0.8, test: Test = "mid_p"
) -> tuple[float, float]:
    """The smallest change of a rate that the test of n items finds with the given power, were the
    two outcomes independent.

    Parameters
    ----------
    n
        Number of items, >= 1.
    baseline
        The one rate, in [0, 1]. The other is taken towards 50 %, where a difference takes most
        items.
    alpha, power, test
        As in `mcnemar_power`; alpha < power < 1.

    Returns
    -------
    The difference, and the discordance of two rates that far apart; nan twice where no other rate
    is far enough.
    """
    between("power", power, alpha)
    towards = 1 if baseline <= 0.5 else -1

    def of(difference: float) -> float:
        return max(
            difference,
            independent_discordance(baseline, min(1.0, max(0.0, baseline + towards * difference))),
        )

    low, high = 0.0, max(baseline, 1 - baseline)
    if mcnemar_power(n, high, of(high), alpha=alpha, test=test) < power:
        return float("nan"), float("nan")
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (
            (low, middle)
            if mcnemar_power(n, middle, of(middle), alpha=alpha, test=test) >= power
            else (middle, high)
        )
    return high, of(high)


def paired_sample_size(
    difference: float,
    discordance: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    test: Test = "mid_p",
) -> int | None:
    """Number of items from which a paired comparison finds a difference with the given power; None
    beyond a million.

    The power rises with n but for small jumps (the test takes only whole numbers); this is an n at
    which it crosses from below. Parameters and errors are those of `mcnemar_power`; 0 <
    difference <= discordance.
    """
    between("power", power, alpha)
    if not 0 < difference <= discordance <= 1:
        raise ValueError(
            f"expected 0 < difference <= discordance <= 1, not {difference} and {discordance}"
        )
    near = _connor(difference, discordance, alpha, power)
    return least_items(
        lambda n: bool(mcnemar_power(n, difference, discordance, alpha=alpha, test=test) >= power),
        near,
    )


def interval_reach(rate: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Floats:
    """How far the Wilson interval of a rate seen over n items reaches from it on the wider side, in
    the unit of the rate; nan for n = 0."""
    size, share = np.asarray(n, dtype=np.float64), np.asarray(rate, dtype=np.float64)
    low, high = wilson(np.minimum(share * size, size), size, level=level)
    return np.asarray(np.maximum(high - share, share - low))


def rate_sample_size(rate: float, reach: float, *, level: float = 0.95) -> int | None:
    """Number of items from which the Wilson interval of a rate reaches no further than `reach` on
    either side; None beyond a million.

    ValueError unless rate is in [0, 1] and 0 < reach <= 1.
    """
    if not (0 <= rate <= 1 and 0 < reach <= 1):
        raise ValueError(
            f"the rate is {rate}, the reach {reach}; expected numbers from 0 to 1, and a reach "
            "above 0"
        )
    return least_items(lambda n: bool(interval_reach(rate, n, level=level) <= reach), 1)


def _connor(difference: float, discordance: float, alpha: float, power: float) -> float:
    """Connor's approximate number of items, where the search begins."""
    from scipy.special import ndtri

    spread = np.sqrt(max(0.0, discordance - difference**2))
    return float(
        ((ndtri(1 - alpha / 2) * np.sqrt(discordance) + ndtri(power) * spread) / difference) ** 2
    )


def least_items(enough: Callable[[int], bool], near: float) -> int | None:
    """The n at which `enough` turns from false to true."""
    if near > 2 * MOST_ITEMS:
        return None
    low, high = int(0.9 * near), int(1.1 * near) + 1
    while low and enough(low):
        low, high = low // 2, low
    while not enough(high):
        low, high = high, high * 2
        if low >= MOST_ITEMS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= MOST_ITEMS else None


@lru_cache(maxsize=64)
def _critical(first: int, last: int, alpha: float, test: Test) -> Ints:
    """Largest smaller count that is significant among m = first..last discordant items, -1 for
    none."""
    p = {"mid_p": mcnemar_mid_p, "exact": mcnemar_exact}[test]
    m = np.arange(first, last + 1)
    top = m // 2 + 1  # never significant
    near = np.floor(m / 2 - normal_quantile(1 - alpha) * np.sqrt(m) / 2).astype(np.int64)
    low, high = np.clip(near - 2, -1, top - 1), np.clip(near + 2, 0, top)
    low = np.where((low >= 0) & (p(np.maximum(low, 0), m - np.maximum(low, 0)) > alpha), -1, low)
    tried = np.minimum(high, m // 2)
    high = np.where((high < top) & (p(tried, m - tried) <= alpha), top, high)
    while (open_ := high - low > 1).any():
        middle = np.where(open_, (low + high) // 2, 0)
        significant = p(middle, m - middle) <= alpha
        low, high = (
            np.where(open_ & significant, middle, low),
            np.where(open_ & ~significant, middle, high),
        )
    return low
