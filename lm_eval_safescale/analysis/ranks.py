"""Table `ranks`: which model is best under a condition, as far as these items tell. It knows no
metric by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_safescale.analysis.profile_columns import MEASURES
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.metrics import Metric, scored
from lm_eval_safescale.stats.presets import DEFAULT, LEVEL, Floats, Preset
from lm_eval_safescale.stats.rank_intervals import rank_intervals

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

COLUMNS = (
    "family", "condition", "metric", "model", "value", "rank", "rank_lo", "rank_hi", "best_set",
)  # fmt: skip


def ranks(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Models by each metric of the result table, under every condition that two or more were asked
    under.

    Returns
    -------
    Rows of: family, condition, metric, model, value, rank (1 the best; equal values share one),
    rank_lo and rank_hi (with 95 % probability all models' true ranks of this metric and condition
    lie within them, under every preset), best_set (whether no other model is better beyond
    chance). Models without a value have no row.
    """
    cells, figures = list(study.scores.values()), study.figures(preset)
    ranked = [metric for metric in study.metrics if metric.in_table and metric.name not in MEASURES]
    rows: list[Row] = []
    for condition in study.conditions:
        places = [n for n, cell in enumerate(cells) if cell.condition == condition]
        models = [cells[place].model for place in places]
        for metric in ranked:
            if len(places) > 1:
                rows += [
                    {"family": study.family.name, "condition": condition, **row}
                    for row in _ranked(
                        study, metric, figures[metric.name].value[places], models, places
                    )
                ]
    return rows


def _ranked(
    study: Study, metric: Metric, values: Floats, models: Sequence[str], places: Sequence[int]
) -> list[Row]:
    """Rows of the models at these places among all cells, with these values."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 2:
        return []
    columns = [study.column(name)[:, np.array(places)[known]] for name in metric.sources]
    sign = 1.0 if metric.higher_is_better else -1.0
    found = rank_intervals(
        sign * values[known],
        sign * metric.value(columns, study.design.weights),
        study.design.count(np.asarray(scored(columns).any(axis=1))),
        level=LEVEL,
    )
    return [
        {
            "metric": metric.name,
            "model": models[place],
            "value": float(values[place]),
            "rank": int(rank),
            "rank_lo": int(lo),
            "rank_hi": int(hi),
            "best_set": bool(best),
        }
        for place, rank, lo, hi, best in zip(
            known.tolist(), found.rank, found.lo, found.hi, found.best, strict=True
        )
    ]
