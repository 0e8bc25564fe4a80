"""Items that belong together, as variants of a case do: what that does to the variance of a mean,
and tests that flip whole units. It knows values and unit numbers.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_safescale.stats.arrays import Floats, Ints, between
from lm_eval_safescale.stats.intervals import clopper_pearson, wilson
from lm_eval_safescale.stats.paired import tango_interval


@dataclass(frozen=True, slots=True)
class Effect:
    """How much more the means of columns vary than those of as many unrelated items would; arrays
    of one shape."""

    deff: Floats
    """Design effect, at least 1: n items tell as much as n / deff unrelated ones."""
    df: Floats
    """Units with a scored item, less one: the degrees of freedom of the variance."""

    def quantile(self, level: float) -> Floats:
        """Two-sided quantile of Student's t; nan without a degree of freedom."""
        from scipy.special import stdtrit

        return np.asarray(stdtrit(self.df, 0.5 + between("level", level) / 2))


def design_effect(values: ArrayLike, units: Ints) -> Effect:
    """The design effect of the mean of each column.

    Variance of a mean by units over that by items: G / (G - 1) sum over units of (s_g - m n_g)^2,
    over sum over items of (x_i - m)^2, with s_g and n_g sum and number of a unit's scored items and
    m the mean. Where all items are alike neither is there: then a unit counts as one item, sum of
    n_g^2 over n. Never below 1.

    Parameters
    ----------
    values
        Item values, shape (n, m); nan is not scored.
    units
        Number of the unit of each item, shape (n,).

    References
    ----------
    Rao JNK, Scott AJ (1992), Biometrics 48:577-585.
    """
    array = np.asarray(values, dtype=np.float64)
    item, column = np.nonzero(~np.isnan(array))
    return design_effect_at(column, np.asarray(units)[item], array[item, column], array.shape[1])


def design_effect_at(column: Ints, unit: Ints, value: Floats, columns: int) -> Effect:
    """`design_effect` of values given one by one: the column, the unit and the value of each."""
    most = int(unit.max(initial=0)) + 1
    found, place = np.unique(column.astype(np.int64) * most + unit, return_inverse=True)
    own = found // most  # the column of each unit in it
    size, total = np.bincount(place), np.bincount(place, value)

    def over_units(each: NDArray[np.number]) -> Floats:
        return np.bincount(own, each.astype(np.float64), columns).astype(np.float64)

    n, units = over_units(size), over_units(np.ones(len(found)))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = over_units(total) / n
        by_item = np.bincount(column, (value - mean[column]) ** 2, columns)
        by_unit = over_units((total - mean[own] * size) ** 2) * units / (units - 1)
        deff = np.where(by_item > 1e-12 * n, by_unit / by_item, over_units(size**2) / n)
    return Effect(np.maximum(deff, 1.0), units - 1)


def wilson_of_units(
    successes: ArrayLike, n: ArrayLike, effect: Effect, *, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Wilson's interval of shares of n / deff items, with Student's t on the units less one in
    place of the normal quantile.

    Parameters, returns and errors are those of `wilson`; nan also for a single unit. Rao and Scott
    1992.
    """
    z = effect.quantile(level)
    deff = np.where(np.isnan(z), np.nan, effect.deff)
    k, items = (np.asarray(each, dtype=np.float64) / deff for each in (successes, n))
    return wilson(k, items, z=z)


def clopper_pearson_of_units(
    successes: ArrayLike, n: ArrayLike, effect: Effect, *, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Clopper-Pearson's interval likewise: of n / deff items, fewer by (z / t)^2.

    Parameters, returns and errors as of `wilson_of_units`.

    References
    ----------
    Korn EL, Graubard BI (1998), Survey Methodology 24:193-201.
    """
    from scipy.special import ndtri

    few = effect.deff * (effect.quantile(level) / ndtri(0.5 + level / 2)) ** 2
    k, items = (np.asarray(each, dtype=np.float64) / few for each in (successes, n))
    return clopper_pearson(np.minimum(k, items), items, level=level)


def share_interval(
    successes: ArrayLike, n: ArrayLike, effect: Effect | None, *, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Wilson's interval, of units where there is an effect of them."""
    if effect is None:
        return wilson(successes, n, level=level)
    return wilson_of_units(successes, n, effect, level=level)


def tango_of_units(
    b: ArrayLike, c: ArrayLike, n: ArrayLike, effect: Effect, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Tango's interval of a paired difference of shares, likewise: of b / deff, c / deff and
    n / deff items; `effect` is that of the differences left - right."""
    z = effect.quantile(level)
    deff = np.where(np.isnan(z), np.nan, effect.deff)
    b, c, n = (np.asarray(each, dtype=np.float64) / deff for each in (b, c, n))
    return tango_interval(b, c, np.maximum(n, b + c), z=z)  # by no more than rounding


def score_of_units(b: ArrayLike, c: ArrayLike, effect: Effect) -> Floats:
    """The two-sided test that `tango_of_units` inverts: (b - c) / sqrt(deff (b + c)) against
    Student's t; 1 where b + c = 0."""
    from scipy.special import stdtr

    b, c = np.asarray(b, dtype=np.float64), np.asarray(c, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.abs(b - c) / np.sqrt(effect.deff * (b + c))
    return np.where(b + c == 0, 1.0, 2 * stdtr(effect.df, -z))


def sign_tests(differences: ArrayLike, units: Ints) -> tuple[Floats, Floats]:
    """Exact and mid-p tests that neither side has the outcome more often, units flipped whole.

    Were the sides alike, a unit's difference s_g would have either sign with chance 1/2. p is the
    chance that the sum of the s_g lies at least as far from 0; the mid-p counts the chance of the
    very sum by half. With one item a unit these are `mcnemar_exact` and `mcnemar_mid_p`.

    Parameters
    ----------
    differences
        Left - right of items, shape (n, m): -1, 0, 1, or nan for not scored.
    units
        Number of the unit of each item, shape (n,).

    Returns
    -------
    Exact and mid-p, shape (m,); 1 where no unit differs.
    """
    known = np.nan_to_num(np.asarray(differences, dtype=np.float64))
    number = np.unique(np.asarray(units), return_inverse=True)[1]
    totals = np.zeros((number.max(initial=-1) + 1, known.shape[1]))
    np.add.at(totals, number, known)
    found = [
        _sign_test(tuple(np.sort(np.abs(own[own != 0])).astype(int).tolist()), abs(int(own.sum())))
        for own in totals.T
    ]
    exact, mid = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return exact, mid


@functools.lru_cache(maxsize=4096)
def _sign_test(sizes: tuple[int, ...], total: int) -> tuple[float, float]:
    """Of sums of units of these sizes, each with either sign."""
    from scipy.special import gammaln

    if not sizes:
        return 1.0, 1.0
    chances = np.ones(1)
    for size, many in Counter(sizes).items():
        positive = np.arange(many + 1)
        step = np.zeros(2 * size * many + 1)  # from -size * many on
        step[:: 2 * size] = np.exp(
            gammaln(many + 1)
            - gammaln(positive + 1)
            - gammaln(many - positive + 1)
            - many * np.log(2)
        )
        chances = np.convolve(chances, step)
    reach = sum(sizes)
    tail, point = chances[reach + total :].sum(), chances[reach + total]
    exact = min(1.0, 2 * tail)
    return exact, (exact - point if total else 1 - point / 2)
