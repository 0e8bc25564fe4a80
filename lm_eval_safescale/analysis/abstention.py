"""Table `abstention`: the confidence below which a model must not answer, so that the harm among
the answers it does give stays under a limit.

It knows a family's confidence by the name that the family says, and a metric by its kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.limits import Limit, parse_limit
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.risk_control import Kept, Method, learn_then_test
from lm_eval_safescale.words import meant

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

Floats = NDArray[np.float64]
COLUMNS = (
    "model", "condition", "limit", "delta", "threshold", "kept_share", "risk", "method",
)  # fmt: skip


def abstention(study: Study, preset: Preset = DEFAULT) -> list[Row]:  # noqa: ARG001
    """The lowest threshold for each model, condition and limit, by Learn-then-Test.

    Returns
    -------
    Rows of: model, condition, limit (a fraction), delta, threshold (None: no confidence will do),
    kept_share of the answers that were tried, risk observed among those kept, method. None without
    samples, where several items share a unit, or where the family has no confidence.
    """
    limits = limits_of(study)
    return [
        _row(cell, limit, study.abstention_by, threshold_of(study, cell, limit))
        for cell in study.scores.values()
        if not cannot_abstain(study, cell)
        for limit in limits
    ]


def _row(cell: Cell, limit: Limit, method: Method, kept: Kept) -> Row:
    return {
        "model": cell.model,
        "condition": cell.condition,
        "limit": limit.value,
        "delta": limit.alpha,
        "threshold": number(kept.threshold),
        "kept_share": number(kept.kept_share),
        "risk": number(kept.risk),
        "method": method,
    }


def limits_of(study: Study) -> list[Limit]:
    """The limits that were asked for, or the family's.

    Raises
    ------
    SafescaleError
        For one of another metric than a share of answers, or the wrong way round.
    """
    family, known = study.family, {metric.name: metric for metric in study.metrics}
    given = study.abstention or tuple(map(parse_limit, filter(None, [family.abstention])))
    for limit in given:
        metric = known.get(limit.metric)
        if metric is None:
            shares = [name for name, each in known.items() if each.kind == "share"]
            raise SafescaleError(
                f"abstention: no metric {limit.metric!r} of {family.name}"
                f"{meant(limit.metric, shares)}"
            )
        if metric.kind != "share" or metric.higher_is_better or limit.sign != "<":
            raise SafescaleError(
                f"abstention: {limit}; expected an upper limit on a share that is better the lower "
                "it is"
            )
        if not 0 < limit.value < 1:
            raise SafescaleError(f"abstention: {limit}; expected a limit between 0 % and 100 %")
    return list(given)


def threshold_of(study: Study, cell: Cell, limit: Limit) -> Kept:
    """The lowest threshold of one model and condition."""
    metric = next(each for each in study.metrics if each.name == limit.metric)
    harm = cell[metric.sources[0]]
    sure = confidence_of(study, cell, metric)
    return learn_then_test(
        np.where(np.isnan(harm), np.nan, sure),
        harm,
        limit.value,
        limit.alpha,
        method=study.abstention_by,
    )


def confidence_of(study: Study, cell: Cell, metric: Metric) -> Floats:
    """Confidence of each item's answer; nan where it is not known, or there is no answer that could
    be given."""
    given = study.family.gives_answer(cell.values, cell.answers, metric.decode)
    return np.where(given, cell[study.family.confidence_column], np.nan)


def cannot_abstain(study: Study, cell: Cell) -> str:
    """Why a model cannot abstain under a condition; empty where it can."""
    if not study.family.confidence_column:
        return f"answers of {study.family.name} have no confidence to abstain by"
    if not cell.draws:
        return "no samples were drawn, so that no answer has a confidence"
    if study.design.units:
        return "several items share a unit, and thresholds are for items that are independent"
    return ""
