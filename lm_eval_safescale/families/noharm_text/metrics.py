"""The metrics of the free-text protocol."""

from __future__ import annotations

from math import inf

from lm_eval_safescale.metrics import Metric, mean


def metrics() -> tuple[Metric, ...]:
    """In the order of tables."""
    said = "actions that an answer holds"
    return (mean("actions", said, higher_is_better=True, bounds=(0.0, inf)),)
