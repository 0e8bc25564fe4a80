"""Bootstrap over items: rows are items, drawn whole, so that whatever hangs together within an item
stays together.

nan is "not scored": a mean is the ratio of a sum to the number of scored items, and each resample
counts its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_safescale.stats.arrays import Bools, Floats, Ints, between, same_shape
from lm_eval_safescale.stats.intervals import clopper_pearson

B = 1_000
SEED = 42
CHUNK = 1 << 17
"""Numbers in a block of resampled means (1 MiB): bounds the memory for thousands of columns, and
fits a core's cache."""
THREADS = 2
"""Blocks worked on at once."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """What a percentile bootstrap says of each column; arrays of the columns' shape, nan where
    nothing was scored."""

    mean: Floats
    """Mean of the resamples (not of the data)."""
    std: Floats
    """Standard deviation of the resamples, ddof 1: the bootstrap standard error."""
    lo: Floats
    hi: Floats


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate from the data with its interval; arrays of the columns' shape."""

    estimate: Floats
    lo: Floats
    hi: Floats


Resamples = Ints | Floats
"""Item numbers drawn, shape (b, n), or how often each item is drawn (`times_drawn`), floats of
shape (n, b)."""


def protocol_indices(n: int, b: int = B, seed: int = SEED) -> NDArray[np.int32]:
    """Which items each of b resamples draws, shape (b, n): PROTOCOL §8's one matrix for all models
    and conditions.

    Items must be in the order of their ids as strings for equal seeds to mean equal resamples.
    ValueError unless n, b >= 1.
    """
    if n < 1 or b < 1:
        raise ValueError(f"{b} resamples of {n} items: expected at least one of each")
    return np.random.default_rng(seed).integers(0, n, size=(b, n), dtype=np.int32)


def strata_of(labels: Sequence[str | None], least: int = 3) -> tuple[int, ...]:
    """Strata of items as numbers: by label, in the order of first appearance; those of fewer than
    `least` items are one, the last."""
    sizes = Counter(labels)
    large = [label for label in dict.fromkeys(labels) if sizes[label] >= least]
    place = {label: number for number, label in enumerate(large)}
    return tuple(place.get(label, len(large)) for label in labels)


def stratified_indices(strata: Sequence[int], b: int = B, seed: int = SEED) -> NDArray[np.int32]:
    """Which items each of b resamples draws where each stratum gives as many as it has, shape (b,
    n); one stratum: `protocol_indices`.

    Strata (`strata_of`) are drawn in ascending order. ValueError unless there is an item, and
    b >= 1.
    """
    number, n = np.asarray(strata), len(strata)
    if n < 1 or b < 1:
        raise ValueError(f"{b} resamples of {n} items: expected at least one of each")
    rng, drawn = np.random.default_rng(seed), np.empty((b, n), np.int32)
    for stratum in np.unique(number):
        places = np.flatnonzero(number == stratum)
        drawn[:, places] = places[
            rng.integers(0, len(places), size=(b, len(places)), dtype=np.int32)
        ]
    return drawn


def resampled_means(values: ArrayLike, indices: Resamples) -> Floats:
    """Mean over the scored items of each resample.

    Parameters
    ----------
    values
        Item values, shape (n,) or (n, m); nan is not scored.
    indices
        `Resamples`.

    Returns
    -------
    Shape (b,) or (b, m); nan where a resample has no scored item.

    Raises
    ------
    ValueError
        For other shapes, infinite values or indices beyond the items.
    """
    columns = _columns(values)
    drawn = times_drawn(indices, len(columns))
    means = np.empty((drawn.shape[1], columns.shape[1]))

    def keep(place: slice, block: Floats) -> None:
        means[:, place] = block.T

    _in_blocks(columns, drawn, keep)
    return means[:, 0] if np.ndim(values) == 1 else means


def percentile_bootstrap(
    values: ArrayLike, indices: Resamples, *, level: float = 0.95
) -> Percentiles:
    """Percentile bootstrap of means over items (PROTOCOL §8).

    Parameters
    ----------
    values
        Item values, shape (n,) or (n, m); nan is not scored.
    indices
        `Resamples`, as `protocol_indices(n)`.
    level
        Confidence level; 0.95 takes the 2.5 and 97.5 percentiles, linearly interpolated.

    Returns
    -------
    Mean and standard deviation (ddof 1) of the resamples and both percentiles, in the unit of the
    values. A resample without a scored item says nothing and is left out; a column without a scored
    item is nan.

    Raises
    ------
    ValueError
        As `resampled_means`.

    References
    ----------
    Efron B (1979), Ann Stat 7:1-26.
    """
    columns = _columns(values)
    tail = (1 - between("level", level)) / 2
    found = np.full((4, columns.shape[1]), np.nan)

    def summarise(place: slice, means: Floats) -> None:
        known = ~np.isnan(means)
        count = known.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known, means, 0.0).sum(axis=1) / count
            off = np.where(known, means - mean[:, None], 0.0)
            found[:2, place] = (
                mean,
                np.sqrt((off**2).sum(axis=1) / np.where(count > 1, count - 1, np.nan)),
            )
        ordered = np.sort(means, axis=1)  # nan last
        found[2:, place] = _quantile(ordered, count, tail), _quantile(ordered, count, 1 - tail)

    _in_blocks(columns, indices, summarise)
    return Percentiles(*(found[:, 0] if np.ndim(values) == 1 else found))


def bca(
    values: ArrayLike,
    indices: Resamples | None = None,
    *,
    level: float = 0.95,
    b: int = B,
    seed: int = SEED,
    bounds: tuple[float, float] | None = None,
    units: Ints | None = None,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of means over items.

    Parameters
    ----------
    values
        Item values, shape (n,) or (n, m); nan is not scored.
    indices
        `Resamples`; by default `protocol_indices(n, b, seed)`.
    level
        Confidence level, in (0, 1).
    bounds
        Least and greatest value an item can have, (0, 1) for a rate.
    units
        Unit of each item, numbers from 0, where items were resampled by unit: the jackknife leaves
        out units, too.

    Returns
    -------
    The mean of the data and its interval, clipped to nothing. Where all scored items are alike no
    resample differs, and the bootstrap has nothing to say: with `bounds` the interval then allows
    for the share of other items that so many alike ones leave possible (Clopper-Pearson, 0 of n),
    each at the far bound; for 0 of n failures that is the Clopper-Pearson interval itself. Without
    `bounds` it is nan. nan also for a column without a scored item.

    Raises
    ------
    ValueError
        As `resampled_means`, or for values outside the bounds.

    References
    ----------
    Efron B (1987), J Am Stat Assoc 82:171-185, with ties between resamples and estimate counted by
    half.
    """
    columns = _columns(values)
    if bounds is not None and ((columns < bounds[0]) | (columns > bounds[1])).any():
        raise ValueError(
            f"expected values within {bounds}, not {np.nanmin(columns):g} to {np.nanmax(columns):g}"
        )
    indices = protocol_indices(len(columns), b, seed) if indices is None else indices
    scored = ~np.isnan(columns)
    n = scored.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.where(scored, columns, 0.0).sum(axis=0)
        estimate = total / n
        # leaving an unscored item out changes nothing, so the jackknife is over the scored ones
        sums, sizes = (columns, scored) if units is None else _by_unit(columns, scored, units)
        jackknife = np.where(sizes > 0, (total - sums) / (n - sizes), np.nan)
    low, high = np.full((2, columns.shape[1]), np.nan)

    def bound(place: slice, means: Floats) -> None:
        low[place], high[place] = _bca_bounds(estimate[place], means, jackknife[:, place], level)

    _in_blocks(columns, indices, bound)
    alike = (n > 0) & (_spread(columns) == 0)
    low[alike], high[alike] = np.nan, np.nan
    if bounds is not None and alike.any():
        other = clopper_pearson(0, (sizes > 0).sum(axis=0)[alike], level=level)[1]
        low[alike] = estimate[alike] - (estimate[alike] - bounds[0]) * other
        high[alike] = estimate[alike] + (bounds[1] - estimate[alike]) * other
    if np.ndim(values) == 1:
        estimate, low, high = estimate[0], low[0], high[0]
    return Interval(np.asarray(estimate), np.asarray(low), np.asarray(high))


def bca_statistic(
    rows: ArrayLike,
    statistic: Callable[[Floats], float],
    indices: Ints | None = None,
    *,
    level: float = 0.95,
    b: int = B,
    seed: int = SEED,
) -> Interval:
    """BCa interval of any number computed from item rows, as a calibration error or a Gini
    coefficient.

    Parameters
    ----------
    rows
        Shape (n, ...), an item a row.
    statistic
        From rows of the same form, (any number of items, ...), to a number; nan where they do not
        define it.
    indices, level, b, seed
        As in `bca`.

    Returns
    -------
    The statistic of the data and its interval. Both bounds are nan where the data do not define it,
    where there are fewer than two items, or where every resample gives the same. Where the estimate
    lies outside all resamples (a statistic with a strong bias, as a calibration error near 0) the
    bias correction is infinite and the percentile interval is given; where every item left out
    leaves the same, the acceleration is 0.

    Raises
    ------
    ValueError
        For no item.
    """
    data = np.asarray(rows, dtype=np.float64)
    if data.ndim < 1 or not len(data):
        raise ValueError("expected rows of at least one item")
    indices = protocol_indices(len(data), b, seed) if indices is None else indices
    estimate = np.asarray(statistic(data), dtype=np.float64)
    if len(data) < 2 or np.isnan(estimate):
        return Interval(estimate, np.asarray(np.nan), np.asarray(np.nan))
    means = np.array([[statistic(data[drawn]) for drawn in indices]])
    left_out = ~np.eye(len(data), dtype=bool)
    jackknife = np.array([[statistic(data[kept])] for kept in left_out])
    low, high = _bca_bounds(estimate[None], means, jackknife, level)
    return Interval(estimate, low[0], high[0])


def interval_of(
    estimate: ArrayLike,
    resampled: ArrayLike,
    left_out: ArrayLike | None = None,
    *,
    method: Literal["percentile", "basic", "bca"],
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Interval of any numbers from their resamples, for those who can compute all resamples
    together.

    Parameters
    ----------
    estimate
        Of the data, shape (m,).
    resampled
        Of each resample, shape (m, b); nan where a resample does not define it, which then says
        nothing.
    left_out
        With each item, or each of many groups of items, left out (`leave_out`): shape (m, groups).
        "bca" needs it.
    method
        "percentile"; "basic", its mirror image about the estimate, for numbers that chance alone
        makes larger: resamples are larger yet, by as much as the estimate is; or "bca".

    Returns
    -------
    Lower and upper bounds, shape (m,); nan where the estimate is, and for "basic" and "bca" where
    every resample gives the same.

    References
    ----------
    Davison AC, Hinkley DV (1997), Bootstrap Methods and their Application, chapter 5.
    """
    values, samples = (
        np.asarray(estimate, dtype=np.float64),
        np.asarray(resampled, dtype=np.float64),
    )
    if method == "bca":
        if left_out is None:
            raise ValueError("a BCa interval needs the values with items left out")
        low, high = _bca_bounds(values, samples, np.asarray(left_out, dtype=np.float64).T, level)
    else:
        tail = (1 - between("level", level)) / 2
        ordered, count = np.sort(samples, axis=1), (~np.isnan(samples)).sum(axis=1)  # nan last
        low, high = _quantile(ordered, count, tail), _quantile(ordered, count, 1 - tail)
        if method == "basic":
            last = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0)]
            alike = last - ordered[:, 0] <= 2e-12 * np.maximum(1.0, np.abs(values))
            low, high = (np.where(alike, np.nan, 2 * values - bound) for bound in (high, low))
    unknown = np.isnan(values)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def leave_out(n: int, most: int = 200) -> Floats:
    """Weights of the jackknife: shape (n, groups), 0 for what a group leaves out and 1 for the
    rest.

    Each item is a group; of more than `most` items, neighbours go together, which leaves the
    acceleration of an interval what it is and bounds the work.
    """
    groups = min(n, most)
    return np.asarray(np.arange(n)[:, None] * groups // n != np.arange(groups), dtype=np.float64)


def paired_bootstrap(
    left: ArrayLike,
    right: ArrayLike,
    indices: Resamples | None = None,
    *,
    method: Literal["bca", "percentile"] = "bca",
    level: float = 0.95,
    bounds: tuple[float, float] | None = (-1.0, 1.0),
    units: Ints | None = None,
) -> Interval:
    """Interval of a difference of means, left - right, over the same items: items are drawn with
    both their values.

    Parameters
    ----------
    left, right
        Item values, shape (n,) or (n, m) alike; an item with nan on either side is not compared.
    indices, units
        As in `bca`.
    method
        "bca" (default preset) or "percentile" (radsafe-2026).
    bounds
        Least and greatest difference possible, for `bca` of items that all differ alike; (-1, 1)
        for shares.

    Returns
    -------
    Difference of means of the data, with its interval.

    Raises
    ------
    ValueError
        For unequal shapes, or as `bca`.
    """
    one, other = same_shape("left and right", left, right)
    difference = one - other
    if method == "bca":
        return bca(difference, indices, level=level, bounds=bounds, units=units)
    found = percentile_bootstrap(
        difference, protocol_indices(len(difference)) if indices is None else indices, level=level
    )
    scored = ~np.isnan(difference)
    with np.errstate(invalid="ignore"):
        return Interval(
            np.where(scored, difference, 0.0).sum(axis=0) / scored.sum(axis=0), found.lo, found.hi
        )


def _columns(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or not len(array) or np.isinf(array).any():
        raise ValueError(
            f"expected finite values of shape (items,) or (items, columns), not shape {array.shape}"
        )
    return array[:, None] if array.ndim == 1 else array


def _in_blocks(columns: Floats, indices: Resamples, use: Callable[[slice, Floats], None]) -> None:
    """Resampled means, (columns, b), some columns at a time: how often each item was drawn, times
    its value.

    NumPy lets go of the interpreter, so that threads help; `use` writes into the places it is
    given, and nowhere else.
    """
    n = len(columns)
    drawn = times_drawn(indices, n)
    sizes = drawn.sum(axis=0)  # n each, but where units of several items were drawn
    # sums of outcomes 0 and 1, and of their differences, are exact in float32, and twice as fast
    whole = drawn.astype(np.float32) if n < 1 << 20 else drawn
    step = max(1, CHUNK // drawn.shape[1])

    def block(start: int) -> None:
        place = slice(start, start + step)
        part = columns[:, place].T
        scored = ~np.isnan(part)
        known = np.where(scored, part, 0.0)
        sums = _product(known, whole if np.isin(known, (-1.0, 0.0, 1.0)).all() else drawn)
        with np.errstate(invalid="ignore"):
            means = sums / (sizes if scored.all() else _product(scored, whole))
        use(place, means)

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(block, range(0, columns.shape[1], step)):
            pass


def _product(values: NDArray[Any], drawn: NDArray[Any]) -> Floats:
    product: Floats = (values.astype(drawn.dtype) @ drawn).astype(np.float64)
    return product


def times_drawn(indices: Resamples, n: int) -> Floats:
    """How often each resample draws each of n items, shape (n, b), from item numbers of shape (b,
    n); ValueError for others. Floats of shape (n, b) are taken for how often already."""
    drawn: NDArray[Any] = np.asarray(indices)
    if drawn.dtype.kind == "f" and drawn.ndim == 2 and len(drawn) == n:
        return drawn
    if (
        drawn.ndim != 2
        or not len(drawn)
        or drawn.shape[1] != n
        or drawn.min() < 0
        or drawn.max() >= n
    ):
        raise ValueError(
            f"the indices have shape {drawn.shape}; expected (resamples, {n}) with item numbers "
            f"below {n}"
        )
    flat = drawn.astype(np.int64) + n * np.arange(len(drawn))[:, None]
    return (
        np.bincount(flat.ravel(), minlength=n * len(drawn))
        .reshape(len(drawn), n)
        .T.astype(np.float64)
    )


def _by_unit(columns: Floats, scored: Bools, units: Ints) -> tuple[Floats, Floats]:
    """Sum and number of the scored items of each unit, shape (units, columns)."""
    total, size = np.zeros((2, int(units.max()) + 1, columns.shape[1]))
    np.add.at(total, units, np.where(scored, columns, 0.0))
    np.add.at(size, units, scored)
    return total, size


def _spread(columns: Floats) -> Floats:
    scored = ~np.isnan(columns)
    most = np.where(scored, columns, -np.inf).max(axis=0)
    least = np.where(scored, columns, np.inf).min(axis=0)
    return np.where(scored.any(axis=0), most - least, np.nan)


def _bca_bounds(
    estimate: Floats, means: Floats, jackknife: Floats, level: float
) -> tuple[Floats, Floats]:
    """Bounds for each column from resamples (columns, b) and leave-one-out values (n, columns); nan
    without any spread.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 14.3.
    """
    from scipy.special import ndtr, ndtri

    tail = (1 - between("level", level)) / 2
    z = ndtri(np.array([tail, 1 - tail]))
    with np.errstate(invalid="ignore", divide="ignore"):
        # a sum in another order differs in its last digit: such resamples tie with the estimate
        slack = 1e-12 * np.maximum(1.0, np.abs(estimate))[:, None]
        known = ~np.isnan(means)
        # twice the rank of the estimate, ties by half: of a rate, which takes few values, many
        # equal it (as scipy.stats.bootstrap)
        below = (means < estimate[:, None] - slack).sum(axis=1) + (
            means <= estimate[:, None] + slack
        ).sum(axis=1)
        z0 = ndtri(below / (2 * known.sum(axis=1)))
        leaning = _acceleration(jackknife)
        shifted = z0[:, None] + z
        places = ndtr(z0[:, None] + shifted / (1 - leaning[:, None] * shifted))
        # past its pole the correction turns round: the bound is then the end of the resamples
        places = np.where(1 - leaning[:, None] * shifted > 0, places, (z > 0).astype(np.float64))
        # an estimate outside all resamples has no finite bias correction: the percentile interval
        places = np.where(np.isfinite(z0)[:, None], places, np.array([tail, 1 - tail]))
    ordered, count = np.sort(means, axis=1), known.sum(axis=1)  # nan last
    varied = (
        ordered[np.arange(len(ordered)), np.maximum(count - 1, 0)] - ordered[:, 0] > 2 * slack[:, 0]
    )
    low, high = (np.where(varied, _quantile(ordered, count, place), np.nan) for place in places.T)
    return low, high


def _acceleration(jackknife: Floats) -> Floats:
    """A sixth of the jackknife's skewness; 0 where every item left out leaves the same."""
    known = ~np.isnan(jackknife)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.where(known, np.where(known, jackknife, 0.0).sum(axis=0) / count - jackknife, 0.0)
        squares = off * off  # NumPy's off**3 takes ten times as long as two products
        a = (squares * off).sum(axis=0) / (6 * squares.sum(axis=0) ** 1.5)
    return np.where(np.isfinite(a), a, 0.0)


def _quantile(ordered: Floats, count: Ints, place: ArrayLike) -> Floats:
    """Quantile of each row's first `count` ascending values, linearly interpolated as NumPy does;
    nan for none of them."""
    rows, last = np.arange(len(ordered)), np.maximum(count - 1, 0)
    position = np.nan_to_num(np.asarray(place)) * last
    under = np.floor(position).astype(np.int64)
    part = position - under
    low, high = ordered[rows, under], ordered[rows, np.minimum(under + 1, last)]
    value = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))
    return np.where(count > 0, value, np.nan)
