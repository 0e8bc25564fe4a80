"""What answers say for and against a clause: the figure, its one-sided bound at any level, and the
same were all missing answers harmful, and were they harmless. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.analysis.paired_tests import on_both
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.limits import Limit
from lm_eval_safescale.metrics import Metric, mean_of_records, scored, weighted_mean
from lm_eval_safescale.stats.arrays import Ints
from lm_eval_safescale.stats.bootstrap import interval_of
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.one_sided import binomial_tail, unseen_share, upper_bound
from lm_eval_safescale.stats.paired import tango_interval, tango_p
from lm_eval_safescale.stats.risk_control import Kept, Method, kept_from, learn_then_test
from lm_eval_safescale.stats.units import clopper_pearson_of_units, design_effect

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]
RESAMPLES = 4_000
"""More than tables have: a bound for many models lies far out."""
STEPS = 40
NEVER = 1.0
"""The p of what does not pass at any level."""
MOST_UNITS = 2_000
"""Beyond it no single one decides, and leaving each out takes memory by the square."""
MOST_NAMED = 10
"""Items that are named of a figure that no single item decides."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model and condition has of a metric, on the items that a clause is about."""

    metric: Metric
    columns: list[Floats]
    """As the metric takes them, of one cell: (items, 1), over trials (items, 1, draws)."""
    known: Bools
    """Items that are scored."""
    missing: Bools
    """Items whose answer is missing; others that are not scored are no part of the metric."""
    ids: Sequence[str]
    partly: Bools
    """Items that are scored although a draw of theirs is missing."""

    @property
    def n(self) -> int:
        """Items that are scored or would be, were their answers there."""
        return int((self.known | self.missing).sum())

    def filled(self, value: float, units: Ints) -> list[Floats] | None:
        """The columns, had every missing answer this value; None where that cannot be said of the
        metric, or the value is infinite.

        Parameters
        ----------
        units
            The unit of each item: the cases of a mean over cases.
        """
        if not self.open_.any():
            return self.columns
        is_over_cases = self.metric.of_cases is mean_of_records
        if not np.isfinite(value) or not (is_over_cases or is_mean(self.metric)):
            return None
        column, *case = self.columns
        holes = self.open_[:, None] if column.ndim == 2 else self.open_[:, None, None]
        holes = np.isnan(column) & holes
        found = [np.where(holes, value, column)]
        if is_over_cases:
            # what was not answered has no case: that of its unit, or a number of its own
            own = np.full(units.max() + 1, -np.inf)
            np.maximum.at(own, units, np.nan_to_num(case[0], nan=-np.inf).max(axis=(1, 2)))
            number = np.where(np.isinf(own), -1.0 - np.arange(len(own)), own)[units]
            found.append(np.where(holes, number[:, None, None], case[0]))
        return found

    @property
    def open_(self) -> Bools:
        """Items of which any answer is missing: over trials some draws may be there."""
        return self.missing | self.partly


@dataclass(frozen=True, slots=True)
class Evidence:
    """For or against a clause, in the metric's own unit."""

    value: float
    """As observed among the answers there are; nan for none."""
    n: int
    answered: int
    p: float
    """The smallest error probability at which the clause passes, missing answers at their worst."""
    p_best: float
    """The same with missing answers at their best."""
    bound: Callable[[float], float]
    """One-sided bound at an error probability, missing answers at their worst; nan for none."""
    method: str
    approximate: bool = False
    hits: int | None = None
    """Items that count against a share, or are worse than on the other side of a difference."""
    away: int | None = None
    """Of a difference: items that are better."""
    decided_by: Sequence[str] = ()
    """Items that count against it; of a figure that no single item decides, those that weigh
    most."""
    for_it: Sequence[str] = ()
    """Of a difference: items that are better."""
    missing: Sequence[str] = ()
    units: int = 0
    """That were resampled; 0 for none."""
    limit_of_hits: float | None = None
    """Of an exact share: what the share of `hits` must stay under."""
    kept: Callable[[float], Kept] | None = None
    """Of abstention: what is kept at an error probability."""
    harmful_from: Callable[[float], list[str]] | None = None
    """Of abstention: items that are harmful and kept by a threshold."""


def is_mean(metric: Metric) -> bool:
    """Whether it is the mean of one column, so that a missing answer can be given a value."""
    return metric.is_mean or (metric.statistic is weighted_mean and len(metric.columns) == 1)


def answered(cell: Cell, metric: Metric, places: Places) -> Answered:
    """What a cell has of a metric on the items at these places."""
    columns = [np.asarray(cell[name], dtype=np.float64)[places][:, None] for name in metric.sources]
    known = scored(columns)[:, 0]
    lacks = cell.lacks(metric.decode)[places]
    ids = [cell.items.ids[place] for place in places]
    return Answered(metric, columns, known, ~known & lacks, ids, known & lacks)


def of_share(given: Answered, limit: Limit) -> Evidence:
    """A share of items that are each their own unit: exact (Clopper-Pearson)."""
    hit = given.columns[0][:, 0] == (1 if limit.sign == "<" else 0)
    k, n, h = int(hit.sum()), given.n, int(given.known.sum())
    # of an outcome that one wants the share that lacks it is bounded
    most = limit.value if limit.sign == "<" else 1 - limit.value

    def bound(alpha: float) -> float:
        if not n:
            return float("nan")
        high = float(upper_bound(k + n - h, n, alpha))
        return high if limit.sign == "<" else 1 - high

    return Evidence(
        value=_over(k if limit.sign == "<" else h - k, h),
        n=n,
        answered=h,
        p=float(binomial_tail(k + n - h, n, most)),
        p_best=float(binomial_tail(k, n, most)),
        bound=bound,
        method="Clopper-Pearson, exact",
        hits=k,
        decided_by=_named(given.ids, hit),
        missing=_named(given.ids, given.missing),
        limit_of_hits=most,
    )


def of_missing(given: Answered, limit: Limit) -> Evidence:
    """The share of missing answers, which is counted and not estimated."""
    n, h = given.n, int(given.known.sum())
    share = _over(n - h, n)
    p = 0.0 if share < limit.value else NEVER
    gone = _named(given.ids, given.missing)
    return Evidence(share, n, h, p, p, lambda _: share, "counted", missing=gone)


def of_difference(one: Answered, other: Answered, limit: Limit) -> Evidence:
    """How much worse one share is than another on the same items: Tango's score interval.

    At the worst a missing answer of the one is harmful, and one of the other is not.
    """
    better = one.metric.higher_is_better
    both = one.known & other.known
    either = (one.known | one.missing) & (other.known | other.missing)
    bad, bad_there = (_harm(each, better)[either] for each in (one, other))
    n, h = int(either.sum()), int(both.sum())

    def counts(own: float, theirs: float) -> tuple[int, int]:
        left = np.where(np.isnan(bad), own, bad)
        right = np.where(np.isnan(bad_there), theirs, bad_there)
        return int((left > right).sum()), int((left < right).sum())

    worst, best = counts(1, 0), counts(0, 1)
    with np.errstate(invalid="ignore"):
        towards, away = bad > bad_there, bad < bad_there
    ids = [name for name, inside in zip(one.ids, either, strict=True) if inside]

    def bound(alpha: float) -> float:
        return float(tango_interval(*worst, n, level=1 - 2 * alpha)[1]) if n else float("nan")

    return Evidence(
        value=_over(int(towards.sum()) - int(away.sum()), h),
        n=n,
        answered=h,
        p=float(tango_p(*worst, n, limit.value)) if n else NEVER,
        p_best=float(tango_p(*best, n, limit.value)) if n else 0.0,
        bound=bound,
        method="Tango's score interval",
        hits=int(towards.sum()),
        away=int(away.sum()),
        decided_by=_named(ids, towards),
        for_it=_named(ids, away),
        missing=_named(ids, np.isnan(bad) | np.isnan(bad_there)),
    )


def _harm(given: Answered, higher_is_better: bool) -> Floats:
    """1 where an item is as one does not want it, nan where that is not known."""
    column = given.columns[0][:, 0]
    return 1 - column if higher_is_better else column


# --- by resampling --------------------------------------------------------------------------------


def of_figure(given: Answered, limit: Limit, how: Design) -> Evidence:
    """Any other metric, and shares with several items a unit: a one-sided BCa bound by unit."""
    low, high = given.metric.bounds
    upper = limit.sign == "<"
    return _resampled(
        [given],
        limit,
        how,
        statistic=lambda columns, weights: _of(given.metric, columns[0], weights),
        worst=[given.filled(high if upper else low, how.unit_of)],
        best=[given.filled(low if upper else high, how.unit_of)],
        upper=upper,
        bounds=(low, high),
    )


def of_figures(one: Answered, other: Answered, limit: Limit, how: Design) -> Evidence:
    """The difference of two figures on the same units: as `of_figure`.

    Where no answer is missing, means over cases are of the cases that define them on both sides.
    """
    if one.metric.of_cases is not None and not (one.open_ | other.open_).any():
        _, *both = on_both(one.metric, one.columns, other.columns)
        one, other = (
            replace(side, columns=own, known=scored(own)[:, 0])
            for side, own in zip((one, other), both, strict=True)
        )
    low, high = one.metric.bounds
    bad, good = (low, high) if one.metric.higher_is_better else (high, low)
    turn = -1.0 if one.metric.higher_is_better else 1.0

    def worse(columns: list[list[Floats]], weights: Floats | None) -> Floats:
        left, right = (_of(one.metric, each, weights) for each in columns)
        return turn * (left - right)

    return _resampled(
        [one, other],
        limit,
        how,
        statistic=worse,
        worst=[one.filled(bad, how.unit_of), other.filled(good, how.unit_of)],
        best=[one.filled(good, how.unit_of), other.filled(bad, how.unit_of)],
        upper=True,
        bounds=(low - high, high - low),
    )


def _of(metric: Metric, columns: list[Floats], weights: Floats | None) -> Floats:
    return np.asarray(metric.value(columns, weights)).reshape(-1)


def _resampled(
    given: list[Answered],
    limit: Limit,
    how: Design,
    *,
    statistic: Callable[[list[list[Floats]], Floats | None], Floats],
    worst: list[list[Floats] | None],
    best: list[list[Floats] | None],
    upper: bool,
    bounds: tuple[float, float],
) -> Evidence:
    """Bounds from resamples, and no nearer than so many units of one size leave open that are all
    alike: else a single harmful unit could bound more tightly than none, and a few large ones be
    taken for many.

    Where a missing answer can be given no value, the answers there are bound the best case, and
    nothing bounds the worst.
    """
    as_they_are = [each.columns for each in given]
    is_share = len(given) == 1 and given[0].metric.kind == "share"
    worst_value = bounds[upper]
    weights, left_out = how.drawn(RESAMPLES), how.left_out
    there = np.all([each.known for each in given], axis=0)
    asked = np.all([each.known | each.missing for each in given], axis=0)
    sizes = parts(given[0], how, asked)

    def bounded(columns: list[list[Floats] | None]) -> Callable[[float], float]:
        known = [each for each in columns if each is not None]
        if len(known) < len(columns):
            return lambda _: float("nan")
        value = statistic(known, None)
        resampled = statistic(known, weights)[None]
        jackknife = statistic(known, left_out)[None]
        spread = np.ptp(resampled[~np.isnan(resampled)]) if not np.isnan(resampled).all() else 0.0

        def bound(alpha: float) -> float:
            if np.isnan(value[0]) or sum(sizes) < 2:
                return float("nan")
            level = 1 - 2 * alpha
            found = float("nan")
            if spread > 1e-12:
                found = float(
                    interval_of(value, resampled, jackknife, method="bca", level=level)[upper][0]
                )
                if is_share:
                    other = _of_share_by_units(known[0][0], how.unit_of, level)[upper]
                    found = max(found, other) if upper else min(found, other)
            if np.isfinite(worst_value):
                # resamples know nothing of units unlike all that were seen
                unseen = unseen_share(sizes, alpha)
                alike = float(value[0]) + (worst_value - float(value[0])) * unseen
                found = np.fmax(found, alike) if upper else np.fmin(found, alike)
            return float(np.clip(found, *bounds))

        return bound

    at_worst = bounded(worst)
    at_best = bounded([one or other for one, other in zip(best, as_they_are, strict=True)])
    value = float(statistic(as_they_are, None)[0])
    heaviest = _heaviest(statistic, as_they_are, value, how, there, 1 if upper else -1)
    return Evidence(
        value=value,
        n=int(asked.sum()),
        answered=int(there.sum()),
        p=_p(at_worst, limit, upper),
        p_best=_p(at_best, limit, upper),
        bound=at_worst,
        method="one-sided BCa bootstrap by unit, approximate",
        approximate=True,
        decided_by=[given[0].ids[place] for place in heaviest],
        missing=_named(given[0].ids, np.any([each.open_ for each in given], axis=0)),
        units=how.n_units,
    )


def _of_share_by_units(column: Floats, units: Ints, level: float) -> tuple[float, float]:
    """Korn and Graubard's bounds, which count whole units where these are alike, as resamples do
    not."""
    low, high = clopper_pearson_of_units(
        np.nansum(column), (~np.isnan(column)).sum(), design_effect(column, units), level=level
    )
    return float(low[0]), float(high[0])


def parts(given: Answered, how: Design, asked: Bools) -> list[int]:
    """Number of units in each part that counts alike, as so many of one size; one part where the
    metric has none."""
    if not given.metric.parts:
        return [how.of_one_size(asked)]
    part = given.columns[given.metric.sources.index(given.metric.parts)][:, 0]
    return [
        how.of_one_size(asked & (part == each)) for each in np.unique(part[asked & ~np.isnan(part)])
    ]


def _p(bound: Callable[[float], float], limit: Limit, upper: bool) -> float:
    """The smallest error probability at which the bound is within the limit."""

    def passes(alpha: float) -> bool:
        found = bound(alpha)
        return found < limit.value if upper else found > limit.value

    return _smallest(passes)


def _smallest(passes: Callable[[float], bool]) -> float:
    """The smallest error probability below 0.5 at which something passes; it passes at all larger
    ones."""
    low, high = 1e-9, 0.5 - 1e-9
    if not passes(high):
        return NEVER
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _heaviest(
    statistic: Callable[[list[list[Floats]], Floats | None], Floats],
    columns: list[list[Floats]],
    value: float,
    how: Design,
    there: Bools,
    turn: int,
) -> list[int]:
    """Places of the items whose units weigh most against the clause: without them the figure would
    be better by most."""
    if how.n_units > MOST_UNITS:
        return []
    without = np.ones((len(there), how.n_units))
    without[np.arange(len(there)), how.unit_of] = 0
    with np.errstate(invalid="ignore"):
        pull = turn * (value - statistic(columns, without))[how.unit_of]
    pull = np.where(there & ~np.isnan(pull), pull, -np.inf)
    order = np.argsort(-pull, kind="stable")[:MOST_NAMED]
    return [int(place) for place in order if pull[place] > 0]


# --- abstention -----------------------------------------------------------------------------------


def of_abstention(
    given: Answered, confidence: Floats, limit: Limit, method: Method, keep: float
) -> Evidence:
    """Whether a confidence holds the harm among kept answers under a limit, and leaves enough of
    them.

    At the worst every missing answer would be given, harmful, and none of those that abstaining
    must leave; at the best it would be given and harmless.

    Parameters
    ----------
    confidence
        Of each item's answer; nan where it is not known, or there is none that could be kept.
    """
    column = given.columns[0][:, 0]
    sure = np.where(np.isnan(column), np.nan, confidence)
    given_all = np.where(given.missing, 1.0, sure)

    def kept(alpha: float, missing: float = 1.0) -> Kept:
        harm = np.where(given.missing, missing, np.nan_to_num(column))
        return learn_then_test(given_all, harm, limit.value, alpha, method=method)

    def passes(alpha: float, missing: float) -> bool:
        found, counted = kept(alpha, missing), sure if missing else given_all
        return found.is_found and float(kept_from(counted, found.threshold).mean()) >= keep

    def harmful(threshold: float) -> list[str]:
        return _named(given.ids, kept_from(sure, threshold) & (column == 1))

    return Evidence(
        value=_over(float(np.nansum(column)), float(given.known.sum())),
        n=given.n,
        answered=int(given.known.sum()),
        p=_smallest(lambda alpha: passes(alpha, 1.0)),
        p_best=_smallest(lambda alpha: passes(alpha, 0.0)),
        bound=lambda _: float("nan"),
        method=f"Learn-then-Test, {method}",
        missing=_named(given.ids, given.missing),
        kept=kept,
        harmful_from=harmful,
    )


def _named(ids: Sequence[str], where: Bools) -> list[str]:
    return [name for name, is_one in zip(ids, where, strict=True) if is_one]


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom else float("nan")
