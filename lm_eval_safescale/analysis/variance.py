"""What a metric depends on: shares of its variance by condition, family and their interaction. It reads item values and the panel."""

from __future__ import annotations

from lm_eval_safescale.analysis.panel import Panel
from lm_eval_safescale.analysis.presets import DEFAULT, Preset
from lm_eval_safescale.analysis.rows import Row, number
from lm_eval_safescale.analysis.scaling import METRICS, model_means
from lm_eval_safescale.analysis.scores import Scores
from lm_eval_safescale.stats.regression import TwoWay, two_way

SHARES = {
    "condition_share": "rows",
    "family_share": "columns",
    "interaction_share": "interaction",
    "residual_share": "residual",
}


def variance(
    scores: Scores,
    panel: Panel,
    preset: Preset = DEFAULT,  # noqa: ARG001 (all tables have one form; these describe the models there are)
) -> list[Row]:
    """Two-way analysis of variance of each metric, a value for each model and condition, type II sums of squares over the total.

    Over the models whose family the panel knows. Where every model was asked under every condition the shares add up to 1; where some
    were not (a window too small for a condition) they need not.

    Returns
    -------
    Rows of: metric, n (values), n_models, n_conditions, n_families, condition_share, family_share, interaction_share, residual_share
    (models of one family under one condition). A share is None where nothing could show it: one condition, one family; interaction
    and residual where no family has two models under a condition; all where nothing varies or is scored.
    """
    family = {
        model: entry.family for model, _ in scores if (entry := panel.find(model)) is not None and entry.family is not None
    }
    cells = model_means(scores)
    rows = []
    for metric in METRICS:
        values = [
            (value, condition, model)
            for condition, means in cells.items()
            for model in means
            if model in family and (value := means[model][metric]) is not None
        ]
        models = {model for _, _, model in values}
        conditions = {condition for _, condition, _ in values}
        found = (
            two_way([v for v, _, _ in values], [c for _, c, _ in values], [family[m] for _, _, m in values]) if values else None
        )
        rows.append(
            {
                "metric": metric,
                "n": len(values),
                "n_models": len(models),
                "n_conditions": len(conditions),
                "n_families": len({family[model] for model in models}),
                **{name: None if found is None else _share(found, part) for name, part in SHARES.items()},
            }
        )
    return rows


def _share(found: TwoWay, part: str) -> float | None:
    saturated = part == "interaction" and found.df_residual == 0  # what is left is interaction or chance: no telling
    return None if saturated or not getattr(found, f"df_{part}") else number(found.share(part))
