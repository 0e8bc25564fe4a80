"""Whether a share lies under a limit, exactly and one-sided, how many items that takes, and the
same of a difference and its margin. It knows counts and nothing of what was counted.

The rule is that of an upper Clopper-Pearson bound: k of n pass a limit L at level 1 - alpha if
P(X <= k) < alpha for X ~ Binomial(n, L), which is to say that the bound lies under L.
"""

from __future__ import annotations

from math import floor, log, log1p

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, between
from lm_eval_safescale.stats.intervals import clopper_pearson
from lm_eval_safescale.stats.paired import tango_p
from lm_eval_safescale.stats.power import MOST_ITEMS, least_items

ROUNDING = 1e-9
MOST_EXACT = 2**50
"""Beyond so many items one more is no other number to the tail."""
SPREAD = 8
"""Standard deviations beyond which no outcome is summed."""


def binomial_tail(successes: ArrayLike, n: ArrayLike, share: ArrayLike) -> Floats:
    """P(X <= successes) for X ~ Binomial(n, share): the one-sided exact p that a share lies under
    `share`.

    Parameters
    ----------
    successes, n
        0 <= successes <= n, of shapes that broadcast.
    share
        In [0, 1].

    Returns
    -------
    Probabilities in [0, 1]; 1 for n = 0, nan where an input is nan.

    Raises
    ------
    ValueError
        For counts or shares outside their range.
    """
    from scipy.special import betainc

    k, trials, limit = np.broadcast_arrays(
        *(np.asarray(each, dtype=np.float64) for each in (successes, n, share))
    )
    if ((k < 0) | (k > trials) | (limit < 0) | (limit > 1)).any():
        raise ValueError("expected 0 <= successes <= n and shares in [0, 1]")
    with np.errstate(invalid="ignore"):
        inside = k < trials
        tail = betainc(np.where(inside, trials - k, 1.0), np.where(inside, k, 0.0) + 1, 1 - limit)
    return np.where(np.isnan(k + trials + limit), np.nan, np.where(inside, tail, 1.0))


def upper_bound(successes: ArrayLike, n: ArrayLike, alpha: float) -> Floats:
    """One-sided Clopper-Pearson bound: it lies under the true share with probability at most alpha.

    As `clopper_pearson`, of which it is the upper bound at level 1 - 2 alpha; 0 < alpha < 0.5. Of a
    count k it is the share at which `binomial_tail` is alpha.
    """
    return clopper_pearson(successes, n, level=1 - 2 * between("alpha", alpha, 0, 0.5))[1]


def unseen_share(sizes: ArrayLike, alpha: float) -> float:
    """One-sided bound of a mean of shares, each of a part of so many units, of an outcome that no
    unit has: the largest such mean at which that is seen with probability alpha.

    It is 1 - mean(p) of the p that maximise it with prod p_a^n_a = alpha: p_a = min(1, c n_a). Of
    one part it is `upper_bound` of 0. ValueError unless there is a part, each of one unit or more,
    and 0 < alpha < 1.
    """
    n = np.sort(np.asarray(sizes, dtype=np.float64))
    if not n.size or n[0] < 1:
        raise ValueError("expected parts of at least one unit each")
    # c where the smallest 1, 2, ... parts have a p below 1; the others' c n is no less than 1
    c = np.exp((log(between("alpha", alpha)) - np.cumsum(n * np.log(n))) / np.cumsum(n))
    c = c[np.argmax([*(c[:-1] * n[1:] >= 1), True])]
    return float(1 - np.minimum(1.0, c * n).mean())


def units_alike(sizes: ArrayLike, alpha: float) -> int:
    """Units of a single part that leave as much open as parts of so many units do
    (`unseen_share`); parameters and errors as there."""
    rest = 1 - unseen_share(sizes, alpha)
    return floor(log(alpha) / log(rest) + ROUNDING) if rest > 0 else 0


def most_allowed(n: int, limit: float, alpha: float) -> int:
    """The most successes of n that still pass a limit; -1 where none do."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        passes = bool(binomial_tail(middle, n, limit) < alpha)
        low, high = (middle, high) if passes else (low, middle)
    return low


def fewest_items(limit: float, alpha: float) -> int:
    """The fewest items of which none may have the outcome, for a limit to be passed at all:
    (1 - limit)^n < alpha; 1 for a limit of 1. ValueError unless 0 < limit <= 1, 0 < alpha < 1."""
    between("alpha", alpha)
    if limit == 1:
        return 1
    between("limit", limit)
    n = max(1, floor(min(log(alpha) / log1p(-limit), MOST_EXACT)) - 1)
    while n < MOST_EXACT - 1 and binomial_tail(0, n, limit) >= alpha:
        n += 1
    return n


def pass_power(n: int, limit: float, rate: float, alpha: float) -> float:
    """Probability that n items of a true rate pass a limit; exact."""
    allowed = most_allowed(n, limit, alpha)
    return 0.0 if allowed < 0 else float(binomial_tail(allowed, n, rate))


def pass_sample_size(limit: float, rate: float, alpha: float, power: float) -> int | None:
    """Number of items from which a true rate below the limit passes it with the given power; None
    beyond a million, or where the rate is not below it.

    The power rises with n but for small jumps (a count is a whole number); this is an n at which it
    crosses from below.
    """
    if rate >= limit:
        return None
    return least_items(
        lambda n: pass_power(n, limit, rate, alpha) >= power, fewest_items(limit, alpha)
    )


def margin_power(
    n: int, discordance: float, margin: float, alpha: float = 0.025, difference: float = 0.0
) -> float:
    """Probability that Tango's score test of n items shows a difference to be under a margin.

    Parameters
    ----------
    n
        Number of items.
    discordance
        Share of items on which exactly one side has the outcome, in [0, 1].
    margin, alpha
        As of `tango_p`: passed where p < alpha.
    difference
        True difference, in [-discordance, discordance].

    Returns
    -------
    The exact sum over both discordant counts, but for outcomes eight standard deviations away.

    Raises
    ------
    ValueError
        For values outside their range.
    """
    from scipy.special import gammaln, xlogy

    more, less = (discordance + difference) / 2, (discordance - difference) / 2
    if n < 1 or not (0 <= discordance <= 1 and more >= 0 and less >= 0):
        raise ValueError(
            "expected n >= 1, a discordance in [0, 1] and a difference no larger than it"
        )

    def near(share: float) -> Floats:
        reach = SPREAD * (n * share * (1 - share)) ** 0.5 + SPREAD
        return np.arange(max(0, floor(n * share - reach)), min(n, floor(n * share + reach)) + 1.0)

    b, c = np.meshgrid(near(more), near(less), indexing="ij")
    inside = b + c <= n
    b, c = b[inside], c[inside]
    rest = n - b - c
    chance = np.exp(
        gammaln(n + 1)
        - gammaln(b + 1)
        - gammaln(c + 1)
        - gammaln(rest + 1)
        + xlogy(b, more)
        + xlogy(c, less)
        + xlogy(rest, 1 - discordance)
    )
    return float(chance[tango_p(b, c, n, margin) < alpha].sum())


def margin_sample_size(
    discordance: float, margin: float, alpha: float = 0.025, power: float = 0.8
) -> int | None:
    """Number of items from which two that do not differ are shown not to by more than a margin with
    the given power; None beyond a million. Parameters as of `margin_power`."""
    from scipy.special import ndtri

    near = discordance * ((ndtri(1 - alpha) + ndtri(power)) / margin) ** 2
    if near > MOST_ITEMS:
        return None
    return least_items(
        lambda n: margin_power(n, discordance, margin, alpha) >= power, max(1.0, near)
    )
