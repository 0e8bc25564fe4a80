"""What remains of the harm when only the more confident answers are kept: the risk-coverage curve.
It reads item values.
"""

from __future__ import annotations

import numpy as np

from lm_eval_safescale.families.cells import column
from lm_eval_safescale.families.family import StudyView
from lm_eval_safescale.families.rows import Row, rows_of, with_wilson
from lm_eval_safescale.stats.arrays import Bools, Floats, Ints
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.regression import resampled_areas, selective_risk

STEPS = 20
THRESHOLDS = np.arange(STEPS + 1) / STEPS
"""0, 0.05, ..., 1."""
ROUNDING = 1e-12


def selective(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """High-risk errors among the majority answers kept, by the least confidence they need.

    Kept is a majority *letter* whose confidence (PROTOCOL §7) is at least the threshold; "no
    answer" is never kept, so coverage may be below 1 at threshold 0.

    Returns
    -------
    Rows of: model, condition, draws (K), threshold (0, 0.05, ..., 1), n (items scored), kept
    (answers), coverage (kept / n), high_risk_error and accuracy among those kept, each with _lo and
    _hi (Wilson 95 %; None where none is kept), area (under high-risk error against the coverage of
    the answers, over each different confidence, in [0, 1]: the lower the better; the same on all
    rows of a model and condition), area_lo, area_hi (bootstrap over items by the preset; default:
    None where no resample differs, as without any harm). high_risk_error and area are None without
    labels. No rows without draws.
    """
    given = [each for each in study.scores.values() if each.draws]
    if not given:
        return []
    confidence = column(given, "confidence")
    answered = ~np.isnan(confidence) & (column(given, "majority") >= 0)
    n, steps = (~np.isnan(confidence)).sum(axis=0), len(THRESHOLDS)
    harm, right = column(given, "majority_high_risk_error"), column(given, "majority_correct")
    kept = _kept(confidence, answered)
    with np.errstate(invalid="ignore", divide="ignore"):
        coverage = np.where(n > 0, kept.T / n, np.nan).T
    area, low, high = _areas(np.where(answered, confidence, np.nan), harm, preset, study.design)
    return rows_of(
        {
            "model": [each.model for each in given for _ in range(steps)],
            "condition": [each.condition for each in given for _ in range(steps)],
            "draws": [each.draws for each in given for _ in range(steps)],
            "threshold": np.tile(THRESHOLDS, len(given)),
            "n": np.repeat(n, steps),
            "kept": kept.ravel(),
            "coverage": coverage.ravel(),
            **_among("high_risk_error", harm, confidence, answered, study.design),
            **_among("accuracy", right, confidence, answered, study.design),
            "area": np.repeat(area, steps),
            "area_lo": np.repeat(low, steps),
            "area_hi": np.repeat(high, steps),
        }
    )


def _areas(
    confidence: Floats, harm: Floats, preset: Preset, design: Design
) -> tuple[Floats, Floats, Floats]:
    """Each column's area with its bounds."""
    both = np.hstack([design.weights, design.left_out]).astype(np.float32)
    area = np.array([selective_risk(*pair).area for pair in zip(confidence.T, harm.T, strict=True)])
    found = resampled_areas(confidence, harm, both)
    resamples = design.weights.shape[1]
    low, high = preset.figure_interval(area, found[:, :resamples], found[:, resamples:])
    return area, low, high


def _kept(confidence: Floats, counted: Bools) -> Ints:
    """How many of the items counted have at least each threshold's confidence, shape (cells,
    thresholds)."""
    # the highest threshold it reaches
    last = np.searchsorted(THRESHOLDS - ROUNDING, confidence[counted], side="right") - 1
    cells, steps = confidence.shape[1], len(THRESHOLDS)
    reached = np.bincount(np.nonzero(counted)[1] * steps + last, minlength=cells * steps).reshape(
        cells, steps
    )
    return np.asarray(reached[:, ::-1].cumsum(axis=1)[:, ::-1])


def _among(
    name: str, values: Floats, confidence: Floats, answered: Bools, design: Design
) -> dict[str, list[float | None]]:
    scored = answered & ~np.isnan(values)
    effect = None
    if design.units:  # of a column for each cell and threshold
        kept = scored[..., None] & (confidence[..., None] >= THRESHOLDS - ROUNDING)
        effect = design.effect(np.where(kept, values[..., None], np.nan).reshape(len(values), -1))
    return with_wilson(
        name,
        _kept(confidence, scored & (values == 1)).ravel(),
        _kept(confidence, scored).ravel(),
        effect,
    )
