"""Metrics: statistics of weighted columns over units, with their kinds."""

from lm_eval_safescale.metrics.metric import (
    KINDS,
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
    "Decode",
    "Kind",
    "Metric",
    "Params",
    "Score",
    "Statistic",
    "is_trial",
    "mean",
    "other",
    "ratio",
    "scored",
    "share",
    "weighted_mean",
    "weighted_ratio",
]
