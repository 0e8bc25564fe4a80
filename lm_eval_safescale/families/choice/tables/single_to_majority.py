"""What voting changes: each rate of the majority of all samples less that of the single greedy
answer, on the same items (PROTOCOL §9). It reads item values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lm_eval_safescale.families.cells import Cell, column
from lm_eval_safescale.families.choice.tables.self_consistency import COLUMN, RATES
from lm_eval_safescale.families.family import StudyView
from lm_eval_safescale.families.rows import Floats, Row, bounded, means, number
from lm_eval_safescale.metrics.metric import weighted_mean
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Preset

MAJORITY = {"unanswered": "null_majority"}
"""The item value of the majority answer, where it is not `majority_` with the greedy one's."""


def single_to_majority(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """Rates of the single greedy answer and of the majority of the samples, on the items that have
    both, and what the second is above the first: of each model, and over all models.

    Returns
    -------
    Rows of: model (None: the mean over the models, controls apart), condition, metric, draws (K;
    None where models differ), n_models, n (items with both; of the mean those of the model with
    fewest), single, majority and change (majority - single), each with _lo and _hi: the preset's
    interval of a rate, and of a difference of shares; of the mean over several models a bootstrap
    over items for these models. No rows for a model without draws, or where nothing is scored.
    """
    rows: list[Row] = []
    for condition in study.conditions:
        given = [each for (_, own), each in study.scores.items() if own == condition and each.draws]
        if given:
            for name in RATES:
                rows += _rows(name, condition, given, study, preset)
    return rows


def _rows(
    name: str, condition: str, given: Sequence[Cell], study: StudyView, preset: Preset
) -> list[Row]:
    single, majority = (
        column(given, each) for each in (name, MAJORITY.get(name, f"majority_{name}"))
    )
    known = ~np.isnan(single) & ~np.isnan(majority)
    places = np.flatnonzero(known.any(axis=0))
    if not len(places):
        return []
    single, majority = (np.where(known, each, np.nan)[:, places] for each in (single, majority))
    n, cells = known.sum(axis=0)[places], [given[place] for place in places.tolist()]
    change = majority - single
    intervals = (
        preset.rate_interval(single, study.design),
        preset.rate_interval(majority, study.design),
        preset.share_difference_interval(majority, single, study.design),
    )
    rate = (means(single), means(majority))
    values = (*rate, rate[1] - rate[0])
    rows = [
        _row(
            cell.model,
            name,
            condition,
            cell.draws,
            1,
            n[place],
            (
                (value[place], low[place], high[place])
                for value, (low, high) in zip(values, intervals, strict=True)
            ),
        )
        for place, cell in enumerate(cells)
    ]
    models = [place for place, cell in enumerate(cells) if cell.model not in study.controls]
    if not models:
        return rows
    if len(models) == 1:
        return [{**rows[models[0]], "model": None}, *rows]
    draws = {cells[place].draws for place in models}
    mean = _row(
        None,
        name,
        condition,
        draws.pop() if len(draws) == 1 else None,
        len(models),
        n[models].min(),
        (
            (value[models].mean(), *_interval_of_mean(each[:, models], preset, study.design))
            for value, each in zip(values, (single, majority, change), strict=True)
        ),
    )
    return [mean, *rows]


def _row(
    model: str | None,
    name: str,
    condition: str,
    draws: int | None,
    n_models: int,
    n: int,
    told: Iterable[tuple[float, float, float]],
) -> Row:
    bounds = (
        dict(zip(bounded(what), map(number, each), strict=True))
        for what, each in zip(("single", "majority", "change"), told, strict=True)
    )
    return {
        "model": model,
        "condition": condition,
        "metric": COLUMN.get(name, name),
        "draws": draws,
        "n_models": n_models,
        "n": int(n),
        **{column: value for each in bounds for column, value in each.items()},
    }


def _interval_of_mean(values: Floats, preset: Preset, design: Design) -> tuple[float, float]:
    """Of the mean over models of each model's mean over its items, shape (items, models)."""
    drawn, left_out = (
        means(weighted_mean([values], every))[None] for every in (design.weights, design.left_out)
    )
    low, high = preset.figure_interval(means(means(values)[:, None]), drawn, left_out)
    return low[0], high[0]
