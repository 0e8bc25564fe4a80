"""What explains the differences between models: made from `variance`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.report.pages.common.phrases import how_many, the, with_interval
from lm_eval_safescale.report.pages.common.rows import Row, Rows, estimate, overlap
from lm_eval_safescale.report.pages.scale.panel import families_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital, listed
from lm_eval_safescale.words import counted

PARTS = {
    "condition": "condition",
    "family": "model family",
    "interaction": "both together",
    "residual": "models of one family",
}
"""Parts of the variance, by the beginning of their column."""


def of_variance(report: Report, metrics: Sequence[str]) -> Section:
    """The section."""
    title = "What explains the differences"
    rows = {row["metric"]: row for row in report.rows("variance") if row["metric"] in metrics}
    shown = {
        name: row
        for name, row in rows.items()
        if row["n_models"] > 1
        and (row["condition_share"] is not None or row["family_share"] is not None)
    }
    if not shown:
        lacks = []
        if len(report.conditions) < 2:
            lacks.append("a second condition")
        if len(set(families_of(report).values())) < 2:
            lacks.append("models of a second known family")
        why = f": that takes {listed(lacks)}" if lacks else ""
        return Section(title, lead=f"Shares of variance cannot be told{why}.")
    return Section(title, figures=tuple(_shares(report, name, row) for name, row in shown.items()))


def variance_title(report: Report, metric: str, row: Row) -> str:
    """Which of condition and family explains more, as far as the intervals tell."""
    condition, family = estimate(row, "condition_share"), estimate(row, "family_share")
    what = f"of the differences in {the(report, metric)}"
    if condition[0] is None or family[0] is None:
        name, share = (
            ("The condition", condition) if family[0] is None else ("Model family", family)
        )
        return f"{name} explains {with_interval(share)} {what}."
    first, other = (
        (("the condition", condition), ("model family", family))
        if condition[0] >= family[0]
        else (("model family", family), ("the condition", condition))
    )
    values = f"{with_interval(first[1])} and {with_interval(other[1])}"
    if overlap(condition, family):
        return f"Which of {first[0]} and {other[0]} explains more {what} cannot be told: {values}."
    return f"{capital(first[0])} explains more {what} than {other[0]}: {values}."


def _shares(report: Report, metric: str, row: Row) -> Strips:
    strips, data = [], Rows()
    families = "1 family" if row["n_families"] == 1 else f"{row['n_families']} families"
    for part, words in PARTS.items():
        share = estimate(row, f"{part}_share")
        data.append((words, *share))
        if share[0] is not None:
            point = Point(share[0], 0, "", words, x_low=share[1], x_high=share[2], role="mean")
            strips.append(Strip(words, (point,), share[0]))
    return Strips(
        f"variance {metric}",
        variance_title(report, metric, row),
        "Shares of the sum of squares over models and conditions (type II), with 95 % intervals "
        "of other items for these models; they allow for what chance in the items adds, and may "
        f"lie aside of their own share. {counted(row['n'], 'value')} of "
        f"{counted(row['n_models'], 'model')} in {families} under "
        f"{counted(row['n_conditions'], 'condition')}. {how_many(report)}",
        Axis(f"share of the variance of {the(report, metric)}", percent=True, low=0),
        DataTable((DataColumn("part"), *with_bounds("share")), data),
        strips,
    )
