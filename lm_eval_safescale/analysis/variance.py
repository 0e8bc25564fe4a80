"""What a metric depends on: shares of its variance by condition, family and their interaction. It
reads item values and the panel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lm_eval_safescale.analysis.scaling import item_values
from lm_eval_safescale.families.rows import Floats, Row, bounded, means, number
from lm_eval_safescale.stats.bootstrap import resampled_means
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.regression import TwoWay, resampled_shares, two_way

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

SHARES = {
    "condition_share": "rows",
    "family_share": "columns",
    "interaction_share": "interaction",
    "residual_share": "residual",
}

COLUMNS = ("metric", "n", "n_models", "n_conditions", "n_families", *bounded(*SHARES))


def variance(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Two-way analysis of variance of each metric, a value for each model and condition, type II
    sums of squares over the total.

    Over the models whose family the panel knows. Where every model was asked under every condition
    the shares add up to 1; where some were not (a window too small for a condition) they need not.

    Returns
    -------
    Rows of: metric, n (values), n_models, n_conditions, n_families, condition_share, family_share,
    interaction_share, residual_share (models of one family under one condition), each with _lo and
    _hi (bootstrap over items by the preset, for these models). A share is None where nothing could
    show it: one condition, one family; interaction and residual where no family has two models
    under a condition; all where nothing varies or is scored. Bounds are None too where no resample
    differs.
    """
    models = dict.fromkeys(model for model, _ in study.scores)
    found = {model: study.panel.find(model) for model in models}
    family = {
        model: entry.family
        for model, entry in found.items()
        if entry is not None and entry.family is not None
    }
    places = [place for place, (model, _) in enumerate(study.scores) if model in family]
    known = [pair for pair in study.scores if pair[0] in family]
    values = {name: each[:, places] for name, each in item_values(study).items()} if known else {}
    return [
        _row(metric, values.get(metric), known, family, preset, study.design)
        for metric in study.family.studied
    ]


def _row(
    metric: str,
    values: Floats | None,
    pairs: list[tuple[str, str]],
    family: dict[str, str],
    preset: Preset,
    design: Design,
) -> Row:
    of_pairs = np.empty(0) if values is None else means(values)
    scored = np.flatnonzero(~np.isnan(of_pairs))
    models, conditions = ([pairs[place][side] for place in scored] for side in (0, 1))
    families = [family[model] for model in models]
    row: Row = {
        "metric": metric,
        "n": len(scored),
        "n_models": len(set(models)),
        "n_conditions": len(set(conditions)),
        "n_families": len(set(families)),
    }
    estimates, low, high = np.full((3, len(SHARES)), np.nan)
    if values is not None and scored.size:
        found = two_way(of_pairs[scored], conditions, families)
        estimates = np.array([_share(found, part) for part in SHARES.values()])
        drawn = resampled_means(values[:, scored], design.weights)
        resampled = resampled_shares(drawn.T, conditions, families)
        low, high = preset.figure_interval(
            estimates, np.array([resampled[part] for part in SHARES.values()])
        )
    for name, *told in zip(SHARES, estimates, np.clip(low, 0, 1), np.clip(high, 0, 1), strict=True):
        row |= dict(zip(bounded(name), map(number, told), strict=True))
    return row


def _share(found: TwoWay, part: str) -> float:
    # what is left is interaction or chance: no telling
    saturated = part == "interaction" and found.df_residual == 0
    return np.nan if saturated or not getattr(found, f"df_{part}") else found.share(part)
