"""The columns of every table, in their order: what a table has where it has no rows. It knows
neither a run nor a statistic.
"""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_safescale.analysis import (
    abstention,
    accuracy_and_safety,
    context_axis,
    disputed,
    group_means,
    model_means,
    paired_tests,
    profile_columns,
    ranks,
    results,
    scaling,
    variance,
)
from lm_eval_safescale.families import Family


def columns_of(family: Family) -> Mapping[str, tuple[str, ...]]:
    """By table: those that every family has, and its own."""
    return {
        "results": results.columns_of(family),
        "profile": profile_columns.columns_of(family),
        "paired_tests": paired_tests.COLUMNS,
        "ranks": ranks.COLUMNS,
        "model_means": model_means.COLUMNS,
        "group_means": group_means.COLUMNS,
        **{name: table.columns for name, table in family.tables.items()},
        "abstention": abstention.COLUMNS,
        "scaling": scaling.COLUMNS,
        "variance": variance.COLUMNS,
        "context_axis": context_axis.columns_of(family),
        "accuracy_and_safety": accuracy_and_safety.COLUMNS,
        "disputed": disputed.COLUMNS,
    }
