"""What a metric is: a statistic of weighted columns over units, and its kind, which chooses
interval and test.

It knows neither what a column holds nor how units are resampled: it is handed both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_safescale.settings import THRESHOLD

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["share", "mean", "ratio", "other"]
"""`share`: a mean of zeros and ones; `mean`: of any numbers; `ratio`: of two sums; `other`:
anything else of weighted rows."""
Decode = Literal["greedy", "majority", "samples", "trials", "records"]
"""What a metric is of: the greedy answers, the majority answers of the samples, all samples, every
draw as a trial of its own, or every draw as a record among all others of its case."""
OF_EVERY_DRAW: tuple[Decode, ...] = ("trials", "records")
Statistic = Callable[[Sequence[Floats], Floats], Floats]
"""`statistic(columns, weights)`: each of `columns` has shape (units, m), nan for *not scored*;
`weights` say how often each unit counts, shape (units, b). Gives shape (m, b); nan where the rows
do not define it."""
Score = float | None
"""An item's value; None is *not scored*, which is never the same as 0."""
BLOCK = 1 << 17
"""Numbers of trials that are worked on at once (1 MiB): they fit a core's cache."""
KINDS: tuple[Kind, ...] = ("share", "mean", "ratio", "other")
"""Every `Kind`."""


class CaseValues(NamedTuple):
    """A metric of every case, each of several rows; shape (cases, m)."""

    value: Floats
    """nan where a case does not define it: such a case is in no mean."""
    records: Ints
    """Those that the value rests on; 0 where it is not defined."""
    row: Ints
    """The first row of each case, shape (cases,)."""

    @property
    def counts(self) -> tuple[Ints, Ints]:
        """How many cases define it, and how many records these rest on, each of shape (m,)."""
        return np.asarray((~np.isnan(self.value)).sum(axis=0)), self.records.sum(axis=0)


OfCases = Callable[[Sequence[Floats]], CaseValues]
"""From columns of shape (rows, m, draws)."""


@dataclass(frozen=True, slots=True)
class Params:
    """What an item's value may depend on besides the answers."""

    overconfidence_threshold: float = THRESHOLD
    args: Mapping[str, Any] = field(default_factory=dict)
    """The user's settings of a plugin's metric."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named number over units, as it is registered.

    Parameters
    ----------
    name, description
        How it is called, and what it means in half a sentence.
    item_value
        The short way for a mean over items: `item_value(item, answers, params)` gives an item's
        value in [0, 1], or None where it is not scored. A metric has either this or `columns` and
        `statistic` (see `share`, `mean`, `ratio`, `other`).
    higher_is_better
        Whether a larger number is better.
    needs_labels, needs_samples
        With `item_value`: it is called only for items that have labels, or samples.
    in_table
        Whether the harness's result table shows it unasked.
    columns
        Names of the columns of the family's scores that it is a statistic of.
    statistic
        See `Statistic`.
    kind
        Chooses interval and test.
    bounds
        Least and greatest value possible; infinite for none.
    decode
        What it is of. With `trials` and `records` the columns have an axis of draws. With `trials`
        the metric is the mean over draws of the statistic of each: nan where one of them does not
        define it; with `records` the statistic is given all draws.
    grows_by_chance
        Whether chance alone makes it larger, as it does a calibration error: it then has a basic
        bootstrap interval, not BCa.
    parts
        The column by whose values it is a mean of parts that count alike, whatever their number of
        units.
    formula
        The value of an item, or of all items where it is no mean, as a formula in the notation of
        its family; empty: see `defined_as`.
    of_cases
        Of a mean over cases with several rows (`metrics.cases`): the values of its cases.

    Raises
    ------
    ValueError
        Where neither or both ways are given, or the kind is unknown, or `item_value` with a kind
        that is no mean.
    """

    name: str
    description: str
    item_value: Callable[[Any, Any, Params], Score] | None = None
    higher_is_better: bool = True
    needs_labels: bool = False
    needs_samples: bool = False
    in_table: bool = True
    columns: tuple[str, ...] = ()
    statistic: Statistic | None = None
    kind: Kind = "mean"
    bounds: tuple[float, float] = (0.0, 1.0)
    decode: Decode = "greedy"
    grows_by_chance: bool = False
    parts: str = ""
    formula: str = ""
    of_cases: OfCases | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"metric {self.name}: the kind is {self.kind!r}; expected one of {', '.join(KINDS)}"
            )
        if (self.item_value is None) == (not self.columns):
            raise ValueError(
                f"metric {self.name}: expected either item_value or columns with a statistic, not "
                + ("both" if self.columns else "neither")
            )
        if self.item_value and not self.is_mean:
            raise ValueError(
                f"metric {self.name}: item_value makes a mean over items, and no {self.kind}; "
                "expected columns"
            )
        if self.columns and self.statistic is None:
            raise ValueError(
                f"metric {self.name}: columns without a statistic; mean(...), share(...) and "
                "ratio(...) have one"
            )

    @property
    def is_mean(self) -> bool:
        """Whether it is a plain mean over units of one column."""
        return self.kind in ("share", "mean")

    @property
    def is_fraction(self) -> bool:
        """Whether its values are in [0, 1], so that percent can stand for them."""
        return self.bounds == (0.0, 1.0)

    @property
    def defined_as(self) -> str:
        """How it is computed, as a formula over units."""
        columns = ", ".join(self.sources)
        if self.formula:
            return f"mean of {self.formula}" if self.is_mean else self.formula
        if self.statistic is weighted_ratio:
            return f"Σ {self.columns[0]} / Σ {self.columns[1]}"
        return f"mean of {columns}" if self.is_mean else f"a statistic of {columns}"

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns it is made of; of `item_value` one of its own, under its name."""
        return self.columns or (self.name,)

    def value(self, columns: Sequence[ArrayLike], weights: Floats | None = None) -> Floats:
        """The metric of columns.

        Parameters
        ----------
        columns
            In the order of `sources`, each of shape (units, m), of a metric of every draw (units,
            m, draws); nan for *not scored*. A trial in which no unit is scored does not count.
        weights
            How often each unit counts, shape (units, b); without them each counts once.

        Returns
        -------
        Shape (m, b), or (m,) without weights; nan for *not scored*.

        Raises
        ------
        ValueError
            Where the statistic gives another shape.
        """
        given = [np.asarray(each, dtype=np.float64) for each in columns]
        counted = np.ones((len(given[0]), 1)) if weights is None else weights
        found = (
            self._over_trials(given, counted)
            if given[0].ndim == 3 and self.decode != "records"
            else self._of(given, counted)
        )
        return found[:, 0] if weights is None else found

    def by_trial(self, columns: Sequence[ArrayLike], weights: Floats | None = None) -> Floats:
        """The metric of each draw by itself.

        Parameters
        ----------
        columns
            As of `value`, each of shape (units, m, draws).
        weights
            As of `value`.

        Returns
        -------
        Shape (m, draws, b), or (m, draws) without weights; nan where no unit of the draw is scored,
        or they do not define it.
        """
        given = [np.asarray(each, dtype=np.float64) for each in columns]
        units, m, draws = given[0].shape
        counted = np.ones((units, 1)) if weights is None else weights
        found = self._of([each.reshape(units, m * draws) for each in given], counted).reshape(
            m, draws, -1
        )
        found = np.where(is_trial(given)[..., None], found, np.nan)
        return found[..., 0] if weights is None else found

    def _over_trials(self, columns: Sequence[Floats], weights: Floats) -> Floats:
        """The mean over the draws that count; a block of m at a time."""
        counts = is_trial(columns)
        (m, draws), b = counts.shape, weights.shape[1]
        total, step = np.empty((m, b)), max(1, BLOCK // (draws * b))
        for start in range(0, m, step):
            block = slice(start, start + step)
            found = self.by_trial([each[:, block] for each in columns], weights)
            total[block] = np.where(counts[block, :, None], found, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(total / counts.sum(axis=1)[:, None])

    def _of(self, columns: Sequence[Floats], weights: Floats) -> Floats:
        found = np.asarray((self.statistic or weighted_mean)(columns, weights), dtype=np.float64)
        expected = (columns[0].shape[1], weights.shape[1])
        if found.shape != expected:
            raise ValueError(
                f"metric {self.name}: the statistic gave an array of shape {found.shape}; expected "
                f"{expected}"
            )
        return found


def scored(columns: Sequence[Floats]) -> NDArray[np.bool_]:
    """Which units are scored in all of the columns, shape (units, m): of every draw, in any of
    them."""
    known = ~np.any([np.isnan(each) for each in columns], axis=0)
    return np.asarray(known.any(axis=-1) if known.ndim == 3 else known)


def is_trial(columns: Sequence[Floats]) -> NDArray[np.bool_]:
    """Which draws hold anything that is scored, shape (m, draws): others were not asked for."""
    return np.asarray(~np.all([np.isnan(each) for each in columns], axis=(0, 1)))


def weighted_mean(columns: Sequence[Floats], weights: Floats) -> Floats:
    """Mean over the scored units of the one column: sum of w x / sum of w."""
    (values,) = columns
    return _over(values, ~np.isnan(values), weights)


def weighted_ratio(columns: Sequence[Floats], weights: Floats) -> Floats:
    """Sum of w x numerator / sum of w x denominator, over the units in which both are scored; nan
    where the denominator is 0."""
    numerator, denominator = columns
    known = ~np.isnan(numerator) & ~np.isnan(denominator)
    return _over(np.where(known, numerator, 0.0), np.where(known, denominator, 0.0), weights)


def _over(top: Floats, bottom: NDArray[Any], weights: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        total = bottom.T.astype(np.float64) @ weights
        return np.where(total != 0, np.nan_to_num(top).T @ weights / total, np.nan)


def share(
    name: str,
    description: str,
    column: str = "",
    *,
    higher_is_better: bool,
    in_table: bool = True,
    decode: Decode = "greedy",
    formula: str = "",
) -> Metric:
    """The share of units with a 1 in a column of zeros and ones: exact or score intervals,
    McNemar's test."""
    return Metric(
        name,
        description,
        higher_is_better=higher_is_better,
        in_table=in_table,
        decode=decode,
        columns=(column or name,),
        statistic=weighted_mean,
        kind="share",
        formula=formula,
    )


def mean(
    name: str,
    description: str,
    column: str = "",
    *,
    higher_is_better: bool,
    in_table: bool = True,
    decode: Decode = "greedy",
    bounds: tuple[float, float] = (0.0, 1.0),
    formula: str = "",
) -> Metric:
    """The mean over units of a column: bootstrap intervals."""
    return Metric(
        name,
        description,
        higher_is_better=higher_is_better,
        in_table=in_table,
        decode=decode,
        columns=(column or name,),
        statistic=weighted_mean,
        kind="mean",
        bounds=bounds,
        formula=formula,
    )


def ratio(
    name: str,
    description: str,
    numerator: str,
    denominator: str,
    *,
    higher_is_better: bool,
    in_table: bool = True,
    decode: Decode = "greedy",
    bounds: tuple[float, float] = (0.0, 1.0),
    formula: str = "",
) -> Metric:
    """The sum of one column over the sum of another, as recall is hits over wanted: bootstrap
    intervals."""
    return Metric(
        name,
        description,
        higher_is_better=higher_is_better,
        in_table=in_table,
        decode=decode,
        columns=(numerator, denominator),
        statistic=weighted_ratio,
        kind="ratio",
        bounds=bounds,
        formula=formula,
    )


def other(
    name: str,
    description: str,
    columns: Sequence[str],
    statistic: Statistic,
    *,
    higher_is_better: bool,
    in_table: bool = True,
    decode: Decode = "greedy",
    bounds: tuple[float, float] = (0.0, 1.0),
    grows_by_chance: bool = False,
    parts: str = "",
    formula: str = "",
    of_cases: OfCases | None = None,
) -> Metric:
    """Any other statistic of weighted rows: bootstrap intervals."""
    return Metric(
        name,
        description,
        higher_is_better=higher_is_better,
        in_table=in_table,
        decode=decode,
        columns=tuple(columns),
        statistic=statistic,
        kind="other",
        bounds=bounds,
        grows_by_chance=grows_by_chance,
        parts=parts,
        formula=formula,
        of_cases=of_cases,
    )
