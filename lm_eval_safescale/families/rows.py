"""Small helpers of tables: numbers as they stand in a row, rates with their interval. They know no
table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_safescale.stats.units import Effect, share_interval

Row = dict[str, Any]
Columns = Mapping[str, Sequence[Any]]
"""A long table by columns of one length: a tenth of the memory of rows."""
Floats = NDArray[np.float64]


def bounded(*names: str) -> tuple[str, ...]:
    """Names of columns, each with those of its interval's bounds behind it."""
    return tuple(f"{name}{end}" for name in names for end in ("", "_lo", "_hi"))


def height(table: list[Row] | Columns) -> int:
    """How many rows a table has."""
    return len(next(iter(table.values()), ())) if isinstance(table, Mapping) else len(table)


def number(value: Any) -> float | None:
    """A float for a row; None for nan, which is "not scored"."""
    value = float(value)
    return None if math.isnan(value) else value


def mean(values: ArrayLike) -> float | None:
    """Mean of the scored values, those not nan; None without any."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else None


def means(values: Floats) -> Floats:
    """`mean` of each column; nan for one without a scored value."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))


def with_wilson(
    name: str, hits: ArrayLike, n: ArrayLike, effect: Effect | None = None
) -> dict[str, list[float | None]]:
    """Columns `name`, `name`_lo and `name`_hi of shares: hits of n, with Wilson's 95 % interval
    (PROTOCOL §9), of units where there is an effect of them; None where n is 0."""
    count, total = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    low, high = share_interval(count, total, effect)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = count / total
    return dict(zip(bounded(name), map(numbers, (share, low, high)), strict=True))


def numbers(values: Floats) -> list[float | None]:
    """`number` of each."""
    return [None if value != value else value for value in values.tolist()]


def as_rows(columns: dict[str, Iterable[Any]]) -> list[Row]:
    """Columns of one length as rows."""
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def rows_of(columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> list[Row]:
    """Lists and arrays of one length as rows; an array's numbers become Python's own, nan becomes
    None."""
    return as_rows(
        {
            name: _plain(column) if isinstance(column, np.ndarray) else column
            for name, column in columns.items()
        }
    )


def _plain(column: NDArray[Any]) -> list[Any]:
    return numbers(column) if column.dtype.kind == "f" else list(column.tolist())
