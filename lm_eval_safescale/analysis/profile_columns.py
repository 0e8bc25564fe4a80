"""Names of the columns of `profile`, which no plugin's metric may take. It knows no figures."""

from __future__ import annotations

from collections.abc import Iterable

from lm_eval_safescale.families import Family, ItemTable
from lm_eval_safescale.metrics import Metric

COUNTED = ("truncated", "filtered")
"""What is counted of the greedy answers: those of the unanswered that were cut off in their
reasoning, and those held back."""
MEASURES = ("latency_s",)
"""What one machine took says nothing of another day: no interval over items."""


def columns_of(family: Family) -> tuple[str, ...]:
    """The columns of `profile` without plugins' metrics."""
    metrics = family.metrics(ItemTable((), {}))
    columns = ["model", "condition", "n", *(["majority_n"] if first_of_majority(metrics) else [])]
    columns += [f"n_{status}" for status in COUNTED]
    for name in (*(metric.name for metric in metrics), *MEASURES):
        columns += [name, *spread_columns(family, name)]
        columns += [] if name in MEASURES else [f"{name}_lo", f"{name}_hi"]
        columns += [f"{name}_n"]
    return tuple(columns)


def first_of_majority(metrics: Iterable[Metric]) -> Metric | None:
    """That by which majority answers are counted."""
    return next((metric for metric in metrics if metric.decode == "majority"), None)


def spread_columns(family: Family, name: str) -> list[str]:
    """Those that tell of a metric more than the interval (`Family.spread`)."""
    parts = family.spread.get(name, ())
    return [f"{name}_std" if part == "deviation" else f"{name}_{part}" for part in parts]
