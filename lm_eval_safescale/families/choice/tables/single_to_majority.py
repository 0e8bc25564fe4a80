"""What voting changes: each rate of the majority of all samples less that of the single greedy
answer, on the same items (PROTOCOL §9). It reads item values.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    Rows of: model (None: the mean over the models), condition, metric, draws (K; None where models
    differ), n_models, n (items with both; of the mean those of the model with fewest), single,
    majority, change (majority - single) with _lo and _hi: the preset's interval of a difference of
    shares, of the mean over several models a bootstrap over items for these models. No rows for a
    model without draws, or where nothing is scored.
    """
    rows: list[Row] = []
    for condition in study.conditions:
        given = [each for (_, own), each in study.scores.items() if own == condition and each.draws]
        if given:
            for name in RATES:
                rows += _rows(name, condition, given, preset, study.design)
    return rows


def _rows(
    name: str, condition: str, given: Sequence[Cell], preset: Preset, design: Design
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
    low, high = preset.share_difference_interval(majority, single, design)
    if len(places) > 1:
        of_mean = _interval_of_mean(majority - single, preset, design)
    else:
        of_mean = (low[0], high[0])
    draws = {cell.draws for cell in cells}
    told = [
        (
            cell.model,
            cell.draws,
            1,
            n[place],
            means(single)[place],
            means(majority)[place],
            low[place],
            high[place],
        )
        for place, cell in enumerate(cells)
    ]
    mean = (
        None, draws.pop() if len(draws) == 1 else None, len(cells), n.min(),
        means(single).mean(), means(majority).mean(), *of_mean,
    )  # fmt: skip
    return [
        {
            "model": model,
            "condition": condition,
            "metric": COLUMN.get(name, name),
            "draws": k,
            "n_models": models,
            "n": int(items),
            "single": float(before),
            "majority": float(after),
            **dict(zip(bounded("change"), map(number, (after - before, *bounds)), strict=True)),
        }
        for model, k, models, items, before, after, *bounds in (mean, *told)
    ]


def _interval_of_mean(differences: Floats, preset: Preset, design: Design) -> tuple[float, float]:
    """Of the mean over models of each model's mean over its items, shape (items, models)."""
    drawn, left_out = (
        means(weighted_mean([differences], every))[None]
        for every in (design.weights, design.left_out)
    )
    low, high = preset.figure_interval(means(means(differences)[:, None]), drawn, left_out)
    return low[0], high[0]
