"""Metrics of many cells at once, each with its interval by its kind. It knows columns of item
values, and no table and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.rows import means
from lm_eval_safescale.metrics import CaseValues, Metric, is_trial, scored
from lm_eval_safescale.metrics.cases import CASE, PLACE, STRATUM, Pool
from lm_eval_safescale.stats.bootstrap import bca
from lm_eval_safescale.stats.case_draws import case_interval
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import Floats, Preset, trials_interval

Column = Callable[[str], Floats]
"""A column of all cells by its name: shape (N, cells), of every draw (N, cells, draws); nan for not
scored."""
Places = NDArray[np.int64]
Part = tuple[str | None, str | None, Places]
"""Some of the units: the grouping and the group (None: all of them), and their places."""


@dataclass(frozen=True, eq=False)
class Figures:
    """One metric of many cells, arrays of shape (cells,); nan where nothing is scored, or no
    interval can be given."""

    value: Floats
    lo: Floats
    hi: Floats
    n: NDArray[np.int64]
    """Units scored."""
    method: str
    """Of the interval."""
    lo_trials: Floats
    """Of a metric over trials, by how these differ (`presets.trials_interval`); nan for others."""
    hi_trials: Floats
    cases: NDArray[np.int64] | None = None
    """Of a mean over cases of several records: the cases that define it; None for others."""
    records: NDArray[np.int64] | None = None
    """The records that these rest on."""


def figures_of(
    metrics: Iterable[Metric], column: Column, preset: Preset, design: Design
) -> dict[str, Figures]:
    """Every metric over the units, by name.

    Shares together by the preset's interval of a rate, means of numbers in [0, 1] together by its
    interval of a mean, all others one by one from the same resamples.

    Parameters
    ----------
    design
        How the units were drawn; rates do not look at its strata.
    """
    given = list(metrics)
    shares = [metric for metric in given if metric.kind == "share"]
    bounded = [
        metric
        for metric in given
        if metric.kind == "mean" and metric.is_fraction and not design.strata
    ]
    found = _together(shares, column, preset.rate_interval, design, preset.rates)
    found |= _together(bounded, column, preset.mean_interval, design, preset.means)
    found |= {
        metric.name: _alone(metric, column, preset, design)
        for metric in given
        if metric.name not in found
    }
    return {metric.name: found[metric.name] for metric in given}


def _together(
    metrics: list[Metric],
    column: Column,
    interval: Callable[[Floats, Design], tuple[Floats, Floats]],
    design: Design,
    method: str,
) -> dict[str, Figures]:
    """Means of single columns; all are resampled at once."""
    if not metrics:
        return {}
    columns = [column(metric.sources[0]) for metric in metrics]
    low, high = (
        np.split(bound, len(columns)) for bound in interval(np.concatenate(columns, axis=1), design)
    )
    return {
        metric.name: Figures(
            means(values), lo, hi, (~np.isnan(values)).sum(axis=0), method, *_no_trials(values)
        )
        for metric, values, lo, hi in zip(metrics, columns, low, high, strict=True)
    }


def _no_trials(values: Floats) -> tuple[Floats, Floats]:
    none = np.full(values.shape[1], np.nan)
    return none, none


def _alone(metric: Metric, column: Column, preset: Preset, design: Design) -> Figures:
    """Any statistic of weighted units; one unit says nothing of others, and has no interval."""
    columns = [column(name) for name in metric.sources]
    value = metric.value(columns)
    n = scored(columns).sum(axis=0)
    trials = _of_trials(metric, columns) if metric.decode == "trials" else _no_trials(columns[0])
    if preset.trials == "spread" and metric.decode == "trials":
        return Figures(value, *trials, n, "trials", *trials)
    found = None if metric.of_cases is None else metric.of_cases(columns)
    if found is not None and preset.cases == "published":
        low, high = _as_published(found, column)
        method: str = "percentile"
    elif found is not None and len(found.row) and preset.means == "bca":
        # cases that are all alike leave other ones possible, as of any mean
        interval = bca(found.value, design.weights[found.row], bounds=metric.bounds)
        low, high, method = interval.lo, interval.hi, "bca"
    else:
        left_out = None if metric.grows_by_chance else metric.value(columns, design.left_out)
        bounds = preset.figure_interval(value, metric.value(columns, design.weights), left_out)
        low, high = (np.where(n > 1, np.clip(each, *metric.bounds), np.nan) for each in bounds)
        method = preset.method_of(left_out)
    counts = () if found is None else found.counts
    return Figures(value, low, high, n, method, *trials, *counts)


def _as_published(found: CaseValues, column: Column) -> Floats:
    """Bounds of means over cases, drawn as the published kit draws them; shape (2, cells)."""
    pool = Pool(column(CASE))
    strata, places = pool.of_rows(column(STRATUM)), pool.lowest(column(PLACE))
    bounds = []
    for values, place in zip(found.value.T, places.T, strict=True):
        order = np.argsort(place)
        order = order[~np.isnan(values[order])]
        bounds.append(case_interval(values[order], strata[order]))
    return np.array(bounds).reshape(-1, 2).T


def _of_trials(metric: Metric, columns: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Bounds by how the trials of each cell differ; a draw that was not asked for is no trial."""
    found = [
        trials_interval(own[counts][None])
        for own, counts in zip(metric.by_trial(columns), is_trial(columns), strict=True)
    ]
    return np.concatenate([low for low, _ in found]), np.concatenate([high for _, high in found])


def taken(column: Column, units: Places) -> Column:
    """The columns of some of the units."""
    return lambda name: column(name)[units]


def cached(make: Column) -> Column:
    """The columns, each made once."""
    made: dict[str, Floats] = {}

    def column(name: str) -> Floats:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return column


def groups_of(groups: Mapping[str, Sequence[str | None]]) -> list[tuple[str, str, Places]]:
    """Each grouping's groups by name, with the places of their units."""
    found = []
    for name, members in groups.items():
        for group in sorted({member for member in members if member is not None}):
            found.append(
                (
                    name,
                    group,
                    np.array([place for place, member in enumerate(members) if member == group]),
                )
            )
    return found
