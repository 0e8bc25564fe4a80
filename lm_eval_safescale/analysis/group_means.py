"""Table `group_means`: each headline metric's mean over models within each group of the items, and
how it differs from that of all other items. It knows no metric by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.rows import Row, bounded, means, number
from lm_eval_safescale.metrics import Metric, scored
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Floats, Preset

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

COLUMNS = (
    *("metric", "condition", "group_name", "group", "n", "n_models", *bounded("mean")),
    *bounded("difference"),
)


def group_means(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Under each condition, of the models that were asked under it; controls are left out.

    Returns
    -------
    Rows of: metric, condition, group_name, group, n (items of the group), n_models (with a value),
    mean with _lo and _hi, and difference with _lo and _hi: the mean less that of all items outside
    the group (None where there are none). Both are computed again in the same resamples of all
    items, for these models; intervals are of each group alone.
    """
    rows: list[Row] = []
    cells = list(study.scores)
    metrics = [each for each in study.metrics if each.name in study.family.headlines]
    for metric in metrics:
        for condition in study.conditions:
            places = [
                place
                for place, (model, own) in enumerate(cells)
                if own == condition and model not in study.controls
            ]
            if places:
                columns = [study.column(name)[:, places] for name in metric.sources]
                rows += _of_condition(study, preset, metric, condition, columns)
    return rows


def _of_condition(
    study: Study, preset: Preset, metric: Metric, condition: str, columns: Sequence[Floats]
) -> list[Row]:
    """Rows of every group of one metric under one condition."""
    if whole := metric.is_mean and not np.isnan(columns[0]).any():
        # of means over the same items the mean is the mean of one column
        given = [columns[0].mean(axis=1, keepdims=True)]
    else:
        given = list(columns)
    rows = []
    for name, group, members in study.parts[1:]:
        inside = np.zeros(len(study.items), bool)
        inside[members] = True
        own = metric.value(_masked(columns, inside))
        n_models = columns[0].shape[1] if whole else int((~np.isnan(own)).sum())
        if n_models:
            rows.append(
                {
                    "metric": metric.name,
                    "condition": condition,
                    "group_name": name,
                    "group": group,
                    "n": len(members),
                    "n_models": n_models,
                    **_figures(study.design, preset, metric, given, inside),
                }
            )
    return rows


def _masked(columns: Sequence[Floats], items: NDArray[np.bool_]) -> list[Floats]:
    """The columns, not scored but for these items."""
    shape = (-1, *[1] * (columns[0].ndim - 1))
    return [np.where(items.reshape(shape), each, np.nan) for each in columns]


def _figures(
    design: Design,
    preset: Preset,
    metric: Metric,
    columns: Sequence[Floats],
    inside: NDArray[np.bool_],
) -> Row:
    """The mean of a group, and its difference from the other items."""
    resamples = [np.ones((len(inside), 1)), design.weights]
    resamples += [] if metric.grows_by_chance else [design.left_out]
    within, outside = (
        [means(metric.value(_masked(columns, items), weights))[None] for weights in resamples]
        for items in (inside, ~inside)
    )
    low, high = (np.clip(bound, *metric.bounds) for bound in _interval(preset, within))
    if scored([each[inside] for each in columns]).any(axis=1).sum() < 2:  # one says nothing
        low = high = np.full(1, np.nan)
    difference = [one - other for one, other in zip(within, outside, strict=True)]
    ends = ((within[0][0], low, high), (difference[0][0], *_interval(preset, difference)))
    return {
        name: number(value[0])
        for column, values in zip(("mean", "difference"), ends, strict=True)
        for name, value in zip(bounded(column), values, strict=True)
    }


def _interval(preset: Preset, found: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Bounds for a value, from it in all resamples and, where given, with parts left out."""
    value, drawn, *left_out = found
    if np.isnan(value).any():
        return np.full(1, np.nan), np.full(1, np.nan)
    return preset.figure_interval(value[0], drawn, left_out[0] if left_out else None)
