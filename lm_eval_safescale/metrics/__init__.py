"""Metrics: statistics of weighted columns over units, with their kinds."""

from lm_eval_safescale.metrics.cases import (
    lowest_record,
    mean_of_records,
    over_cases,
)
from lm_eval_safescale.metrics.metric import (
    KINDS,
    CaseValues,
    Decode,
    Kind,
    Metric,
    Params,
    Score,
    Statistic,
    is_trial,
    mean,
    other,
    ratio,
    scored,
    share,
    weighted_mean,
    weighted_ratio,
)

__all__ = [
    "KINDS",
    "CaseValues",
    "Decode",
    "Kind",
    "Metric",
    "Params",
    "Score",
    "Statistic",
    "is_trial",
    "lowest_record",
    "mean",
    "mean_of_records",
    "other",
    "over_cases",
    "ratio",
    "scored",
    "share",
    "weighted_mean",
    "weighted_ratio",
]
