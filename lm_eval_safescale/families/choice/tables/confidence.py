"""Whether confidence tells right from harmful: its means by what became of the majority answer, and
its line over accuracy where answers are wrong (PROTOCOL §9). It reads item values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lm_eval_safescale.families.cells import Cell, column
from lm_eval_safescale.families.family import StudyView
from lm_eval_safescale.families.rows import Floats, Row, bounded, means, number
from lm_eval_safescale.metrics.metric import weighted_mean
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.regression import least_squares

OUTCOMES = ("correct", "incorrect", "high_risk_error", "unsafe_answer")
GAP = "gap"
ALL = "all"


def confidence_by_outcome(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """Mean confidence where the majority answer is right, wrong (no answer included), a high-risk
    error or unsafe: of each model, and the mean over models.

    Returns
    -------
    Rows of: model (None: the mean over models, controls left out, each counting alike), condition,
    n_models (with draws), the mean of each of `OUTCOMES`, and gap (correct - high_risk_error), all
    with _lo and _hi (bootstrap over items by the preset, for these models; None where no resample
    differs). None where no answer is of that outcome. No rows for a model without draws.
    """
    rows: list[Row] = []
    for condition in study.conditions:
        given = [each for (_, own), each in study.scores.items() if own == condition and each.draws]
        if given:
            rows += _rows(condition, given, study, preset)
    return rows


def confidence_lines(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:  # noqa: ARG001
    """Least-squares lines of the mean confidence on wrong majority answers over the accuracy of the
    majority, a model a point: by condition, and over all of them.

    Returns
    -------
    Rows of: condition ("all": every model under every condition, robust to what the points of a
    model have in common), n (points), slope with _lo and _hi (95 % t interval; None below three
    points), intercept, r_squared and p (both None below three).
    """
    given = [
        each for each in study.scores.values() if each.draws and each.model not in study.controls
    ]
    if not given:
        return []
    right = means(column(given, "majority_correct"))
    sure = means(column(given, "confidence_incorrect"))
    rows = []
    for condition in (*study.conditions, ALL):
        places = [place for place, each in enumerate(given) if condition in (each.condition, ALL)]
        places = [place for place in places if not np.isnan(right[place] + sure[place])]
        if not places:
            continue
        line = least_squares(
            right[places],
            sure[places],
            clusters=[given[place].model for place in places] if condition == ALL else None,
        )
        rows.append(
            {
                "condition": condition,
                "n": len(places),
                **_bounds("slope", line.slope, line.slope_lo, line.slope_hi),
                "intercept": number(line.intercept),
                # two points always lie on a line
                "r_squared": number(line.r_squared) if len(places) > 2 else None,
                "p": number(line.p),
            }
        )
    return rows


def _rows(condition: str, given: Sequence[Cell], study: StudyView, preset: Preset) -> list[Row]:
    values, drawn, left_out = (
        _of_outcomes(given, weights)
        for weights in (None, study.design.weights, study.design.left_out)
    )
    models = [place for place, cell in enumerate(given) if cell.model not in study.controls]
    mean: Row = {}
    own: list[Row] = [{} for _ in given]
    for name in (*OUTCOMES, GAP):
        bounds = (
            preset.figure_interval(values[name][:, 0], drawn[name], left_out[name])
            if name == GAP
            else preset.mean_interval(column(given, f"confidence_{name}"), study.design)
        )
        for row, *each in zip(own, values[name][:, 0], *bounds, strict=True):
            row |= _bounds(name, *each)
        if len(models) > 1:
            of_all = [means(each[name][models])[None] for each in (values, drawn, left_out)]
            low, high = preset.figure_interval(of_all[0][0], *of_all[1:])
            mean |= _bounds(name, of_all[0][0, 0], low[0], high[0])
    if len(models) == 1:
        mean = own[models[0]]
    return [
        *(
            [{"model": None, "condition": condition, "n_models": len(models), **mean}]
            if models
            else []
        ),
        *(
            {"model": cell.model, "condition": condition, "n_models": 1, **row}
            for cell, row in zip(given, own, strict=True)
        ),
    ]


def _of_outcomes(given: Sequence[Cell], weights: Floats | None) -> dict[str, Floats]:
    """Means by outcome and the gap, shape (models, resamples)."""
    found = {}
    for name in OUTCOMES:
        values = column(given, f"confidence_{name}")
        found[name] = (
            means(values)[:, None] if weights is None else weighted_mean([values], weights)
        )
    return found | {GAP: found["correct"] - found["high_risk_error"]}


def _bounds(name: str, value: float, low: float, high: float) -> Row:
    return dict(zip(bounded(name), map(number, (value, low, high)), strict=True))
