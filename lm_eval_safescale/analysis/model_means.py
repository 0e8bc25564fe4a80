"""Table `model_means`: each metric's mean over models, overall and within model families, under
each condition and between conditions. It reads metrics of all cells and the panel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_safescale.analysis.paired_tests import on_both
from lm_eval_safescale.analysis.scaling import ALL
from lm_eval_safescale.families.rows import Row, bounded, means, number
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.stats.presets import DEFAULT, Floats, Preset

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

COLUMNS = (
    *("metric", "condition", "family", "n_models", *bounded("mean")),
    *("deviation", "least", "most"),
)


def model_means(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Means over models of the metrics that the family says of a run or studies.

    By condition, and for every pair that the family compares (condition "clean - closed_book":
    models asked under both, items scored under both); over all models (family "all"), and over
    those of one model family. Controls, which read no question, are no models here.

    Returns
    -------
    Rows of: metric, condition, family, n_models (with a value), mean with _lo and _hi (bootstrap
    over items by the preset, for these models; of one model its own interval), deviation (between
    models, ddof 1; None of one), least and most. Bounds are None too where no resample differs.
    """
    names = {*study.family.headlines, *study.family.studied}
    compared = list(_compared(study))
    return [
        row
        for metric in study.metrics
        if metric.name in names
        for each in compared
        for row in _of_comparison(metric, each, study, preset)
    ]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Models under a condition, or under one less another, by the places of their cells."""

    condition: str
    models: list[str]
    left: list[int]
    right: list[int]
    """Empty where nothing is taken from the left."""


def _compared(study: Study) -> Iterator[_Compared]:
    place = {pair: number for number, pair in enumerate(study.scores)}
    models = list(dict.fromkeys(model for model, _ in place if model not in study.controls))
    for condition in study.conditions:
        if asked := [model for model in models if (model, condition) in place]:
            yield _Compared(condition, asked, [place[model, condition] for model in asked], [])
    for left, right in study.family.pairs:
        if both := [m for m in models if (m, left) in place and (m, right) in place]:
            left_places, right_places = ([place[m, side] for m in both] for side in (left, right))
            yield _Compared(f"{left} - {right}", both, left_places, right_places)


def _of_comparison(
    metric: Metric, compared: _Compared, study: Study, preset: Preset
) -> Iterator[Row]:
    design = study.design
    sides = [
        [study.column(name)[:, places] for name in metric.sources]
        for places in (compared.left, compared.right)
        if places
    ]
    if len(sides) > 1:
        _, *sides = on_both(metric, *sides)
    value, drawn = (_less(metric, sides, each) for each in (None, design.weights))
    left_out = None if metric.grows_by_chance else _less(metric, sides, design.left_out)
    groups = _families(compared.models, study)
    mean = np.array([means(value[places])[0] for places in groups.values()])
    low, high = preset.figure_interval(
        mean,
        np.array([means(drawn[places]) for places in groups.values()]),
        None if left_out is None else np.array([means(left_out[p]) for p in groups.values()]),
    )
    own = _own_interval(metric, compared, sides, study, preset)
    for row, (family, places) in enumerate(groups.items()):
        known = [place for place in places if not np.isnan(value[place, 0])]
        each = value[known, 0]
        bounds = (low[row], high[row])
        if len(known) == 1 and own is not None:
            bounds = (own[0][known[0]], own[1][known[0]])
        yield {
            "metric": metric.name,
            "condition": compared.condition,
            "family": family,
            "n_models": len(known),
            **dict(zip(bounded("mean"), map(number, (mean[row], *bounds)), strict=True)),
            "deviation": number(each.std(ddof=1)) if len(known) > 1 else None,
            "least": number(each.min()) if known else None,
            "most": number(each.max()) if known else None,
        }


def _families(models: Sequence[str], study: Study) -> dict[str, list[int]]:
    """The places of all models, and of those of each model family."""
    found = {ALL: list(range(len(models)))}
    own = [(entry := study.panel.find(model)) and entry.family for model in models]
    for family in sorted({name for name in own if name}):
        found[family] = [place for place, name in enumerate(own) if name == family]
    return found


def _less(metric: Metric, sides: Sequence[Sequence[Floats]], weights: Floats | None) -> Floats:
    """The metric, or that of the left side less that of the right: shape (models, resamples)."""
    values = [metric.value(columns, weights) for columns in sides]
    found = values[0] if len(values) == 1 else values[0] - values[1]
    return found[:, None] if weights is None else found


def _own_interval(
    metric: Metric,
    compared: _Compared,
    sides: Sequence[Sequence[Floats]],
    study: Study,
    preset: Preset,
) -> tuple[Floats, Floats] | None:
    """Of each model by itself, as `profile` and `paired_tests` have it; None where that is the
    bootstrap, too."""
    if not compared.right:
        figures = study.figures(preset)[metric.name]
        return figures.lo[compared.left], figures.hi[compared.left]
    if metric.kind != "share":
        return None
    return preset.share_difference_interval(sides[0][0], sides[1][0], study.design)
