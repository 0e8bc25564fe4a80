"""Metrics against what was shown: how long the context was, and how much of the evidence stood in
it. It reads item values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from lm_eval_safescale.families import Family
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.rows import Floats, Row, as_rows, bounded, numbers, with_wilson
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.units import Effect

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

AXES = ("context_tokens", "recall", "evidence_coverage")
NOTHING_FOUND = "nothing_found"
COVERAGE_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)


def columns_of(family: Family) -> tuple[str, ...]:
    """The columns of `context_axis`."""
    return (
        "model",
        "condition",
        "axis",
        "lower",
        "upper",
        "n",
        "mean",
        NOTHING_FOUND,
        *bounded(*family.rates),
        "n_truncated",
    )


def context_axis(
    study: Study,
    # all tables have one form; shares within a bin have Wilson intervals
    preset: Preset = DEFAULT,  # noqa: ARG001
) -> list[Row]:
    """Rates of the greedy answers by the length of the context, and by the measured coverage of the
    evidence.

    For each model, condition and axis one row over all items whose value is known (lower and upper
    None), and one for each bin that has any. Bins of context_tokens: 0, then [2^i, 2^(i+1)); of
    evidence_coverage: 0 and 1 themselves, and (0, 0.25), [0.25, 0.5), [0.5, 0.75), [0.75, 1)
    between. No rows where neither was recorded.

    Returns
    -------
    Rows of: model, condition, axis (context_tokens | evidence_coverage), lower, upper, n (items
    with a known value that are scored), mean (of the axis over these), nothing_found (of how many
    of these the search found no passage; None where that was not recorded), the rates of the
    family, each with _lo and _hi (Wilson 95 %), and n_truncated (items whose output stopped inside
    the reasoning).
    """
    pairs, rates = list(study.scores), study.family.rates
    if not pairs or not rates:
        return []
    given = list(study.scores.values())
    sources = {metric.name: metric.sources[0] for metric in study.metrics}
    values = np.stack([study.column(sources[name]).T for name in rates])
    nothing, rows = _shown(study.runs, pairs, NOTHING_FOUND), []
    for axis in AXES:
        where = np.where(np.isnan(values[0]), np.nan, _shown(study.runs, pairs, axis))
        if not np.isnan(where).all():
            rows += _table(
                axis, where, nothing, dict(zip(rates, values, strict=True)), given, study.design
            )
    place = {pair: number for number, pair in enumerate(pairs)}
    # stable: axes and bins stay in order
    return sorted(rows, key=lambda row: place[row["model"], row["condition"]])


def _shown(runs: Runs, pairs: Sequence[tuple[str, str]], column: str) -> Floats:
    """What a column says of each greedy answer, shape (pairs, items); nan where unknown or
    impossible."""
    n_items, models, conditions = runs.items.height, runs.models, runs.conditions
    most = np.inf if column == "context_tokens" else 1
    value = pl.col(column).cast(pl.Float64)
    known = runs.answers.filter((pl.col("draw") == 0) & value.is_between(0, most))
    model, condition, item = (
        known[name].to_physical().to_numpy() for name in ("model", "condition", "question_id")
    )
    shown = np.full((len(models), len(conditions), n_items), np.nan)
    shown[model, condition, item] = known[column].cast(pl.Float64).to_numpy()
    model_place, condition_place = (
        {name: place for place, name in enumerate(names)} for names in (models, conditions)
    )
    return shown[
        [model_place[name] for name, _ in pairs], [condition_place[name] for _, name in pairs]
    ]


def _bins(
    axis: str, where: Floats
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], list[tuple[float, float]]]:
    """Each value's bin (those of nan mean nothing), and the bins' bounds."""
    known = np.nan_to_num(where)
    if axis == "context_tokens":
        exponent = np.frexp(known)[1]  # 2^(e - 1) <= tokens < 2^e, and 0 of 0
        return exponent.astype(np.int64), [
            (0.0, 0.0),
            *((2.0**e, 2.0 ** (e + 1)) for e in range(63)),
        ]
    inner = COVERAGE_EDGES[1:]
    place = np.where(known == 0, 0, 1 + np.searchsorted(inner, known, side="right"))
    return place.astype(np.int64), [
        (0.0, 0.0),
        *zip(COVERAGE_EDGES, inner, strict=False),
        (1.0, 1.0),
    ]


def _table(
    axis: str,
    where: Floats,
    nothing: Floats,
    rates: Mapping[str, Floats],
    given: Sequence[Cell],
    design: Design,
) -> list[Row]:
    place, bounds = _bins(axis, where)
    known = ~np.isnan(where)
    width = len(bounds) + 1  # column 0: all bins together
    cell = np.arange(len(given))[:, None] * width
    size = len(given) * width

    def count(weights: Floats) -> Floats:
        each, own = weights[known], np.broadcast_to(cell, where.shape)[known]
        binned = np.bincount(own + 1 + place[known], each, size)
        return np.asarray(binned + np.bincount(own, each, size), dtype=np.float64)

    def effect(value: Floats) -> Effect | None:
        """Of all bins together, and of each, in the order of `filled`."""
        of_cell, item = np.nonzero(~np.isnan(value))
        every = [of_cell * width, of_cell * width + 1 + place[of_cell, item]]
        found = design.effect_at(
            np.concatenate(every), np.tile(item, 2), np.tile(value[of_cell, item], 2), size
        )
        return found and Effect(found.deff[filled], found.df[filled])

    n = count(np.ones(where.shape))
    filled = np.flatnonzero(n)
    pair, column = np.divmod(filled, width)
    edges = [(None, None), *bounds]
    without, recorded = (
        count(np.nan_to_num(nothing))[filled],
        count((~np.isnan(nothing)).astype(np.float64))[filled],
    )
    columns: dict[str, Iterable[Any]] = {
        "model": [given[number].model for number in pair],
        "condition": [given[number].condition for number in pair],
        "axis": [axis] * len(filled),
        "lower": [edges[number][0] for number in column],
        "upper": [edges[number][1] for number in column],
        "n": n[filled].astype(int).tolist(),
        "mean": numbers(count(np.nan_to_num(where))[filled] / n[filled]),
        NOTHING_FOUND: [
            int(items) if known else None for items, known in zip(without, recorded, strict=True)
        ],
    }
    for name, value in rates.items():
        scored = count((~np.isnan(value)).astype(np.float64))[filled]
        columns |= with_wilson(
            name,
            count(np.nan_to_num(value))[filled],
            scored,
            effect(np.where(known, value, np.nan)),
        )
    truncated = np.nan_to_num([each["truncated"] for each in given])
    columns["n_truncated"] = count(truncated)[filled].astype(int).tolist()
    return as_rows(columns)
