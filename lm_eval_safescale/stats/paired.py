"""Tests of two yes-or-no answers to the same items, and the correction for many of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, between, same_shape
from lm_eval_safescale.stats.intervals import normal_quantile


def discordant(left: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Counts of a paired comparison of outcomes 0, 1 or nan (not scored), shape (items, ...): n, b,
    c of shape (...).

    n counts the items scored on both sides, b those where only `left` has a 1, c those where only
    `right` has. ValueError for unequal shapes or other values.
    """
    one, other = same_shape("left and right", left, right)
    if not all(((side == 0) | (side == 1) | np.isnan(side)).all() for side in (one, other)):
        raise ValueError("expected outcomes 0 and 1, or nan for not scored")
    b = ((one == 1) & (other == 0)).sum(axis=0)
    c = ((one == 0) & (other == 1)).sum(axis=0)
    return (
        (~np.isnan(one) & ~np.isnan(other)).sum(axis=0).astype(np.float64),
        b.astype(np.float64),
        c.astype(np.float64),
    )


def mcnemar_exact(b: ArrayLike, c: ArrayLike) -> Floats:
    """Exact two-sided McNemar test: p = min(1, 2 P(X <= min(b, c))), X ~ Binomial(b + c, 1/2); 1
    where b + c = 0.

    Parameters
    ----------
    b, c
        Numbers of items on which only one side has the outcome: whole numbers >= 0 of shapes that
        broadcast.

    Returns
    -------
    p values in (0, 1]; nan where a count is nan.

    Raises
    ------
    ValueError
        For a negative or fractional count.

    References
    ----------
    McNemar Q (1947), Psychometrika 12:153-157; PROTOCOL §8.
    """
    less, n = _split(b, c)
    return np.minimum(1.0, 2 * _below(less, n))


def mcnemar_mid_p(b: ArrayLike, c: ArrayLike) -> Floats:
    """Mid-p McNemar test: the exact p less the probability of the counts seen, which keeps the
    level without being as timid.

    p = 2 P(X <= min(b, c)) - P(X = b), and 1 - P(X = b) / 2 where b = c (Fagerland et al., equation
    9 and the line after it); 1 where b + c = 0, as in `mcnemar_exact`. Parameters, returns and
    errors are those of `mcnemar_exact`.

    References
    ----------
    Fagerland MW, Lydersen S, Laake P (2013), BMC Med Res Methodol 13:91.
    """
    less, n = _split(b, c)
    point = _below(less, n) - np.where(less > 0, _below(np.maximum(less - 1, 0), n), 0.0)
    p = np.where(2 * less == n, 1 - point / 2, 2 * _below(less, n) - point)
    return np.where(n == 0, 1.0, p)


def tango_interval(
    b: ArrayLike, c: ArrayLike, n: ArrayLike, level: float = 0.95, z: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Tango's score interval of a paired difference of shares, (b - c) / n.

    The differences d that a two-sided score test does not refuse: |`tango_z`(b, c, n, d)| <= z. It
    leaves out 0 exactly where `mcnemar_score` is below 1 - `level`, and d exactly where one of the
    two `tango_p` of that margin is below (1 - `level`) / 2.

    Parameters
    ----------
    b, c
        Numbers of items on which only the left, and only the right, has the outcome.
    n
        Number of items, those on which both sides agree among them. All of shapes that broadcast;
        none need be whole.
    level
        Confidence level, in (0, 1).
    z
        Quantile; overrides `level`.

    Returns
    -------
    Lower and upper bounds in [-1, 1]; nan where n = 0 or an input is nan.

    Raises
    ------
    ValueError
        Unless 0 <= b, 0 <= c and b + c <= n.

    References
    ----------
    Tango T (1998), Stat Med 17:891-908. Its bounds are two roots of a quartic (Yang, Sun and Hardin
    2013, Stat Med 32:1336-1342); bisection finds them without choosing among roots.
    """
    left, right, items = _paired_counts(b, c, n)
    z = np.asarray(normal_quantile(level) if z is None else z)
    return -_tango_upper(right, left, items, z), _tango_upper(left, right, items, z)


def tango_p(b: ArrayLike, c: ArrayLike, n: ArrayLike, margin: float = 0.0) -> Floats:
    """One-sided p of the score test that the left share exceeds the right by less than `margin`.

    The null hypothesis is left - right >= margin, so that for an outcome one does not want a small
    p shows the left not to be worse than the right by the margin (non-inferiority). At 0.025 it
    agrees with the upper bound of `tango_interval`: p < 0.025 exactly where the bound is below the
    margin. For "right - left" swap b and c.

    Parameters
    ----------
    b, c, n
        As of `tango_interval`.
    margin
        In (-1, 1), fixed before the data are seen.

    Returns
    -------
    p values in [0, 1]; nan where n = 0 or an input is nan.

    Raises
    ------
    ValueError
        As `tango_interval`, or for a margin outside (-1, 1).

    References
    ----------
    Tango T (1998), Stat Med 17:891-908.
    """
    from scipy.special import ndtr

    return np.asarray(ndtr(tango_z(b, c, n, between("margin", margin, -1.0))))


def tango_z(b: ArrayLike, c: ArrayLike, n: ArrayLike, difference: ArrayLike) -> Floats:
    """Score statistic of left - right = `difference`, standard normal if it is so: (b - c - n d) /
    sqrt(n (2 q + d (1 - d))), with q the most likely share of `c` under that difference.

    q is the larger root of 2 n q^2 + ((2 n - b + c) d - b - c) q - c d (1 - d) = 0. 0 where nothing
    differs and d = 0. Parameters, errors and source are those of `tango_p`; d in [-1, 1].
    """
    left, right, items = _paired_counts(b, c, n)
    return _score(left, right, items, np.asarray(difference, dtype=np.float64))


def mcnemar_score(b: ArrayLike, c: ArrayLike) -> Floats:
    """Two-sided score test of no difference, McNemar's without continuity correction: the p of
    z = (b - c) / sqrt(b + c); 1 where b + c = 0. It is the test that `tango_interval` inverts.

    Parameters, returns and errors are those of `mcnemar_exact`. McNemar Q (1947), Psychometrika
    12:153-157.
    """
    from scipy.special import ndtr

    less, n = _split(b, c)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n == 0, 1.0, 2 * ndtr((2 * less - n) / np.sqrt(n)))


def _paired_counts(b: ArrayLike, c: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats, Floats]:
    left, right, items = np.broadcast_arrays(
        *(np.asarray(each, dtype=np.float64) for each in (b, c, n))
    )
    wrong = (left < 0) | (right < 0) | (left + right > items) | np.isinf(items)
    if wrong.any():
        first = tuple(each[wrong].flat[0] for each in (left, right, items))
        raise ValueError(
            "expected counts with 0 <= b, 0 <= c and b + c <= n, not b={:g}, c={:g}, n={:g}".format(
                *first
            )
        )
    return left, right, items


def _score(b: Floats, c: Floats, n: Floats, d: Floats) -> Floats:
    half = (2 * n - b + c) * d - (b + c)
    product = c * d * (1 - d)
    root = np.sqrt(np.maximum(half * half + 8 * n * product, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        # the larger root, from whichever of its two forms loses no digits
        q = np.where(half > 0, 2 * product / (half + root), (root - half) / (4 * n))
        off = b - c - n * d
        z = off / np.sqrt(np.maximum(n * (2 * q + d * (1 - d)), 0.0))
    return np.where((off == 0) & (n > 0), 0.0, z)


def _tango_upper(b: Floats, c: Floats, n: Floats, z: Floats) -> Floats:
    """The largest difference whose statistic is no less than -z: the statistic falls as the
    difference grows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        low = (b - c) / n
    high = np.ones_like(low)
    for _ in range(60):
        middle = (low + high) / 2
        inside = _score(b, c, n, middle) >= -z
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(np.isnan(b) | np.isnan(c) | ~(n > 0), np.nan, high)


def holm(p: ArrayLike, families: Sequence[Hashable] | None = None) -> Floats:
    """p values adjusted for the number of tests in their family (Holm's step-down), which keeps the
    familywise error rate.

    Parameters
    ----------
    p
        p values in [0, 1], shape (m,); nan (no test was made) stays nan and counts in no family.
    families
        The family of each, length m; without it all are one family.

    Returns
    -------
    Adjusted p values, shape (m,), at most 1, in the order given.

    Raises
    ------
    ValueError
        For a p value outside [0, 1], another shape, or another number of families.

    References
    ----------
    Holm S (1979), Scand J Stat 6:65-70.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or ((values < 0) | (values > 1)).any():
        raise ValueError("expected a list of p values in [0, 1]")
    if families is not None and len(families) != len(values):
        raise ValueError(f"{len(values)} p values have {len(families)} families; expected one each")
    members: dict[Hashable, list[int]] = {}
    for index in np.flatnonzero(~np.isnan(values)):
        members.setdefault(None if families is None else families[int(index)], []).append(
            int(index)
        )
    adjusted = np.full(values.shape, np.nan)
    for family in members.values():
        own = values[family]
        order = np.argsort(own, kind="stable")
        steps = np.maximum.accumulate(own[order] * np.arange(len(own), 0, -1))
        adjusted[np.asarray(family)[order]] = np.minimum(1.0, steps)
    return adjusted


def _split(b: ArrayLike, c: ArrayLike) -> tuple[Floats, Floats]:
    """The smaller count and their sum."""
    one, other = np.broadcast_arrays(
        np.asarray(b, dtype=np.float64), np.asarray(c, dtype=np.float64)
    )
    for name, counts in (("b", one), ("c", other)):
        wrong = (counts < 0) | (counts != np.floor(counts)) & ~np.isnan(counts) | np.isinf(counts)
        if wrong.any():
            raise ValueError(f"{name} has {counts[wrong].flat[0]:g}; expected whole numbers >= 0")
    return np.minimum(one, other), one + other


def _below(k: Floats, n: Floats) -> Floats:
    """P(X <= k) of X ~ Binomial(n, 1/2), as the incomplete beta function, which does not underflow
    for n in the thousands."""
    from scipy.special import betainc

    with np.errstate(invalid="ignore"):
        return np.where(
            k >= n,
            np.where(np.isnan(n), np.nan, 1.0),
            betainc(np.where(k < n, n - k, 1.0), k + 1, 0.5),
        )
