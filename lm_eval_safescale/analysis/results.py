"""Table `results`: every metric of every model under every condition, overall and by group, each
with its interval.

It is the long table that all others read. It knows a family's metrics by their kind, and no metric
by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families import Family, ItemTable
from lm_eval_safescale.families.rows import Columns, numbers
from lm_eval_safescale.stats.presets import DEFAULT, Preset

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

Numbers = NDArray[Any]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
COLUMNS = (
    "family", "family_version", "dataset_fingerprint", "model", "condition", "group_name", "group",
    "metric", "draws", "threshold", "preset", "method", "value", "lo", "hi", "n", "not_scored",
    "value_lo_missing", "value_hi_missing",
)  # fmt: skip
TRIALS = ("lo_trials", "hi_trials")
"""Of metrics over trials, by how the trials differ."""
CASES = ("cases", "records")
"""Of means over cases of several records: how many there are."""


def columns_of(family: Family) -> tuple[str, ...]:
    """The columns of `results`: a family with metrics over trials, or over cases of several
    records, has two more."""
    metrics = family.metrics(ItemTable((), {}))
    over_trials = any(metric.decode == "trials" for metric in metrics)
    over_cases = any(metric.of_cases for metric in metrics)
    return (*COLUMNS, *(TRIALS if over_trials else ()), *(CASES if over_cases else ()))


def results(study: Study, preset: Preset = DEFAULT) -> Columns:
    """Every metric that was asked for, ours and plugins'.

    Returns
    -------
    Columns of one length, a row for each model or rater, condition, group and metric:
    `group_name` and `group` are None over all items; `draws` is K; `threshold` the family's, where
    it has one; `method` that of the interval; `value` with `lo` and `hi` (95 %), None where not
    scored; `n` the units scored and `not_scored` the others of the group. Of a share with missing
    answers, `value_lo_missing` and `value_hi_missing` are what it would be were all of them 0, or
    all 1; what a metric leaves out though its answer is there is not missing.
    `cases` and `records` are None for what is no mean over cases of several records.
    """
    cells = list(study.cells.values()) if study.scores else []
    parts = study.parts if cells else []
    found = [study.figures(preset, number) for number in range(len(parts))]
    metrics = [metric.name for metric in study.metrics]
    rows = len(cells) * len(parts) * len(metrics)

    def numeric(name: str) -> Numbers:
        """One of the figures' arrays, in the order of rows: cells, then parts, then metrics."""
        each = [[getattr(figures[metric], name) for metric in metrics] for figures in found]
        return np.array(each).transpose(2, 0, 1).ravel() if rows else np.empty(0)

    def counts(name: str) -> list[int | None]:
        """The same of counts, None for figures that have none."""
        none = np.full(len(cells), np.nan)
        each = [
            [none if (own := getattr(figures[metric], name)) is None else own for metric in metrics]
            for figures in found
        ]
        given = np.array(each, np.float64).transpose(2, 0, 1).ravel() if rows else np.empty(0)
        return [None if value != value else int(value) for value in given.tolist()]

    def of_cells(values: Sequence[Any]) -> list[Any]:
        return [value for value in values for _ in range(len(parts) * len(metrics))]

    def of_parts(values: Sequence[Any]) -> list[Any]:
        return [value for value in values for _ in metrics] * len(cells)

    others = columns_of(study.family)[len(COLUMNS) :]
    n = numeric("n").astype(np.int64)
    sizes = np.array(of_parts([len(units) for *_, units in parts]), np.int64)
    missing = _missing(study).ravel() if rows else np.zeros(0, np.int64)
    least, most = bounds_of_missing(numeric("value"), n, n + missing)
    fingerprint = (study.runs.about.get("dataset") or {}).get("fingerprint")
    return {
        "family": [study.family.name] * rows,
        "family_version": [study.family.version] * rows,
        "dataset_fingerprint": [fingerprint] * rows,
        "model": of_cells([cell.model for cell in cells]),
        "condition": of_cells([cell.condition for cell in cells]),
        "group_name": of_parts([name for name, *_ in parts]),
        "group": of_parts([group for _, group, _ in parts]),
        "metric": metrics * (len(cells) * len(parts)),
        "draws": of_cells([cell.draws for cell in cells]),
        "threshold": [study.threshold_in_force] * rows,
        "preset": [preset.name] * rows,
        "method": [figures[metric].method for figures in found for metric in metrics] * len(cells),
        "value": numbers(numeric("value")),
        "lo": numbers(numeric("lo")),
        "hi": numbers(numeric("hi")),
        "n": n.tolist(),
        "not_scored": (sizes - n).tolist(),
        "value_lo_missing": numbers(least),
        "value_hi_missing": numbers(most),
        **{name: numbers(numeric(name)) for name in others if name in TRIALS},
        **{name: counts(name) for name in others if name in CASES},
    }


def _missing(study: Study) -> Counts:
    """Of shares the items that are not scored since an answer of theirs is missing, else 0: shape
    (cells, parts, metrics)."""
    cells, parts = list(study.cells.values()), study.parts
    found = np.zeros((len(cells), len(parts), len(study.metrics)), np.int64)
    for place, metric in enumerate(study.metrics):
        if metric.kind == "share":
            lacks = np.stack([cell.lacks(metric.decode) for cell in cells], axis=1)
            lacks &= np.isnan(study.column_of_cells(metric.sources[0]))
            for part, (*_, items) in enumerate(parts):
                found[:, part, place] = lacks[items].sum(axis=0)
    return found


def bounds_of_missing(value: Floats, scored: Counts, asked: Counts) -> tuple[Floats, Floats]:
    """Least and greatest share of all that were asked, whatever those that are missing would have
    been: with k ones of h scored of n, k / n and (k + n - h) / n.

    Parameters
    ----------
    value
        Share of ones among the scored, any shape; nan where none is scored.
    scored, asked
        h, and n: those and the missing ones.

    Returns
    -------
    Two arrays of that shape; nan where nothing is missing.
    """
    missing = asked - scored
    with np.errstate(invalid="ignore", divide="ignore"):
        least = np.where(missing > 0, np.nan_to_num(value) * scored / asked, np.nan)
        return least, least + missing / asked
