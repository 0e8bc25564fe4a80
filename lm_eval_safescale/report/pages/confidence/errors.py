"""Confidence on wrong answers against accuracy: made from `profile` and `confidence_lines`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Line, Plot, Point
from lm_eval_safescale.report.pages.common.phrases import between, models_said, rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import (
    ALL,
    Row,
    conditions_of,
    direction,
    estimate,
    results,
)
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.pages.confidence.outcomes import outcomes_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import is_number, points, range_of


def on_errors(report: Report) -> Plot | None:
    """Confidence on wrong answers against accuracy."""
    family = report.family
    names = f"majority_{family.index}", f"{family.confidence_column}_{outcomes_of(report)[1]}"
    rows = results(report, *names)
    if not rows:
        return None
    lines = {row["condition"]: row for row in report.rows("confidence_lines")}
    drawn = []
    for condition in (*conditions_of(report, rows), ALL):
        line = lines.get(condition)
        own = [row for row in rows if condition in (row["condition"], ALL)]
        distinct = {(row[names[0]], row[names[1]]) for row in own}
        if line is None or not is_number(line["slope"]) or len(distinct) < 3:
            continue
        places = [row[names[0]] for row in own]
        drawn.append(
            Line(
                [
                    (end, line["intercept"] + line["slope"] * end)
                    for end in (min(places), max(places))
                ],
                "" if condition == ALL else condition,
                "all together" if condition == ALL else f"line, {report.words(condition)}",
                role="reference" if condition == ALL else "each",
            )
        )
    marks = [
        Point(
            row[names[0]],
            row[names[1]],
            row["condition"],
            f"{row['model']}, {report.words(row['condition'])}",
            role="chosen" if row["model"] == report.chosen else "each",
        )
        for row in rows
    ]
    return Plot(
        "confidence-on-errors",
        _errors_title(lines.get(ALL), rows, names[1]),
        "Mean confidence on wrong majority answers (no answer included), a mark a model under a "
        f"condition; the diamond is {report.chosen}. Lines are least squares; the intervals of the "
        f"points are in the table. {rests_on(report, rows, names)}.",
        Axis("accuracy of the majority answer", percent=True),
        Axis("confidence on wrong answers", percent=True),
        table_of_results(report, rows, names),
        marks,
        drawn,
        series=series_of(report, conditions_of(report, rows)),
    )


def _errors_title(line: Row | None, rows: Sequence[Row], y: str) -> str:
    who = models_said(rows)
    if line is None or not is_number(line["slope_lo"]) or who == rows[0]["model"]:
        return f"The mean confidence of {who} on wrong answers is {range_of(r[y] for r in rows)}."
    slope = estimate(line, "slope")
    tenth = slope[0] / 10, slope[1] / 10, slope[2] / 10
    head = {
        1: "Models that are right more often are surer of their errors",
        -1: "Models that are right more often are less sure of their errors",
        0: "That better models are surer of their errors is not shown",
    }[direction(slope)]
    return (
        f"{head}: 10 points more accuracy go with {points(tenth[0])} of confidence on wrong "
        f"answers ({between(tenth)})."
    )
