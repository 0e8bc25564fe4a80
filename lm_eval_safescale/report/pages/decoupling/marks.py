"""Marks and axes that the figures of decoupling share."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Point
from lm_eval_safescale.report.pages.common.phrases import models_said
from lm_eval_safescale.report.pages.common.rows import Row, bounds
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import capital


def marks_said(rows: Sequence[Row]) -> str:
    """What a star is, for a caption."""
    who = models_said(rows)
    star = f"the mean of {who}" if len({row["model"] for row in rows}) > 1 else who
    return f"A star is {star}, with its 95 % intervals. "


def axis_of(report: Report, metric: str) -> Axis:
    """The axis of a fraction."""
    return Axis(report.words(metric), percent=True)


def head_of(report: Report, metric: str) -> str:
    """A metric as a title."""
    return capital(report.words(metric))


def point_of(report: Report, row: Row, index: str, risk: str) -> Point:
    """A model under a condition."""
    return Point(
        row[index],
        row[risk],
        row["condition"],
        f"{row['model']}, {report.words(row['condition'])}",
        role="chosen" if row["model"] == report.chosen else "each",
    )


def mean_point(
    report: Report, condition: str, one: Row, other: Row, who: str, *, note: bool = True
) -> Point:
    """The mean of the models under a condition, with its intervals."""
    words = report.words(condition)
    return Point(
        one["mean"],
        other["mean"],
        condition,
        f"{who if one['n_models'] == 1 else 'mean'}, {words}",
        *bounds(one, "mean"),
        *bounds(other, "mean"),
        role="mean",
        note=words if note else "",
    )
