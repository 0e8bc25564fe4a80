"""Metrics that are means over cases: a case has several rows (variants) and draws, and all records
of it, each a row in a draw, make its value. How often a case is drawn changes the mean, never the
value of a case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.metrics.metric import (
    CaseValues,
    Floats,
    Ints,
    Metric,
    OfCases,
    other,
    weighted_mean,
)

Bools = NDArray[np.bool_]
CASE = "case"
"""The column, of each record, that numbers its case: the last source of such a metric."""
JUDGE = "judge"
"""The column that numbers the judge of each record, where several judged the same answers."""
STRATUM, PLACE = "stratum", "place"
"""Columns that number the stratum of each record's case, and say where its item stands in the file:
cases are drawn in order of first appearance, where the draws are those that were published."""


class Pool:
    """The records of columns, case by case.

    Parameters
    ----------
    case
        Number of the case of each record, shape (rows, m, draws), alike along a row; nan where
        there is no record.
    """

    def __init__(self, case: Floats) -> None:
        known = ~np.isnan(case)
        of_row = np.where(known, case, -np.inf).max(axis=(1, 2), initial=-np.inf)
        self.rows: Ints = np.flatnonzero(np.isfinite(of_row))
        """Those with a record."""
        _, first, self._case = np.unique(of_row[self.rows], return_index=True, return_inverse=True)
        self.first: Ints = self.rows[first]
        self._of_case = (self._case == np.arange(len(first))[:, None]).astype(np.float64)

    def sums(self, values: Floats) -> Floats:
        """Sum over the records of each case, shape (cases, m); nan adds nothing."""
        rows = np.nan_to_num(values[self.rows]).sum(axis=2)
        return np.asarray(self._of_case @ rows)

    def of_rows(self, values: Floats) -> Floats:
        """What is alike in all records of a case, shape (cases,)."""
        found: Floats = np.nanmax(values[self.first], axis=(1, 2))
        return found

    def spread(self, of_cases: Bools) -> Bools:
        """What cases have, for each of `rows`."""
        return np.asarray(of_cases[self._case])

    def lowest(self, values: Floats) -> Floats:
        """The lowest record of each case, shape (cases, m); infinite for none."""
        found = np.full((len(self.first), values.shape[1]), np.inf)
        rows = np.where(np.isnan(values), np.inf, values)[self.rows].min(axis=2, initial=np.inf)
        np.minimum.at(found, self._case, rows)
        return found


def rows_of_defined(found: CaseValues, case: Floats) -> Bools:
    """Which rows are of a case that has a value, shape (rows, m).

    Parameters
    ----------
    found
        Values of cases.
    case
        The column `CASE` that they were made with.
    """
    pool = Pool(case)
    rows = np.zeros(case.shape[:2], bool)
    rows[pool.rows] = pool.spread(~np.isnan(found.value))
    return rows


def mean_of_records(columns: Sequence[Floats]) -> CaseValues:
    """The mean over the records of a case that define it; columns: any, and `CASE`."""
    values, case = columns
    pool = Pool(case)
    defined = pool.sums(~np.isnan(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        return CaseValues(pool.sums(values) / defined, defined.astype(np.int64), pool.first)


def lowest_record(columns: Sequence[Floats]) -> CaseValues:
    """The lowest record of a case, only where the median case has two records or more; columns:
    any, and `CASE`."""
    values, case = columns
    pool = Pool(case)
    n = pool.sums(~np.isnan(values))
    enough = [np.median(own[own > 0]) >= 2 if own.any() else False for own in n.T]
    given = np.array(enough, bool) & (n > 0)
    value = np.where(given, pool.lowest(values), np.nan)
    return CaseValues(value, np.where(given, n, 0).astype(np.int64), pool.first)


def over_cases(
    name: str,
    description: str,
    columns: Sequence[str],
    of_cases: OfCases = mean_of_records,
    *,
    higher_is_better: bool,
    in_table: bool = True,
    formula: str = "",
) -> Metric:
    """The mean over cases of what `of_cases` makes of the columns and `CASE`.

    All are of every draw. For the draws of the preset `noharm-2026` the family gives `STRATUM` and
    `PLACE`, too.
    """

    def statistic(given: Sequence[Floats], weights: Floats) -> Floats:
        found = of_cases(given)
        return weighted_mean([found.value], weights[found.row])

    return other(
        name,
        description,
        (*columns, CASE),
        statistic,
        higher_is_better=higher_is_better,
        in_table=in_table,
        decode="records",
        formula=formula,
        of_cases=of_cases,
    )
