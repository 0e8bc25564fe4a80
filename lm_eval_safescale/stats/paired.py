"""Tests of two yes-or-no answers to the same items, and the correction for many of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, same_shape


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
