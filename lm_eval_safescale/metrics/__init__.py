"""Item scores, reducers over draws, and metrics over items: three things, kept apart."""

from lm_eval_safescale.metrics.metrics import METRICS, Metric, Params, Value, evaluate, reduce_items
from lm_eval_safescale.metrics.scores import Score

__all__ = [
    "METRICS",
    "Metric",
    "Params",
    "Score",
    "Value",
    "evaluate",
    "reduce_items",
]
