"""Reliability, and risk by coverage, of the chosen model: made from `calibration_bins` and
`selective`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Line, Plot, Point, with_bounds
from lm_eval_safescale.report.pages.common.phrases import rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import Row, bounds, conditions_of, pairs_of, results
from lm_eval_safescale.report.pages.confidence.outcomes import first_of, outcomes_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import is_number, listed, number, percent, points
from lm_eval_safescale.words import counted

MOST = 3
"""Conditions whose curves share a figure."""


def _few(report: Report, conditions: Sequence[str]) -> list[str]:
    """Conditions whose curves are drawn: the ends of the family's moves first."""
    ends = [end for pair in pairs_of(report) for end in pair if end in conditions]
    wanted = list(dict.fromkeys([*ends, *conditions]))[:MOST]
    return [condition for condition in conditions if condition in wanted]


def _of_chosen(report: Report, table: str, count: str, value: str) -> list[Row]:
    """Rows of the chosen model that rest on something, and have the value."""
    rows = report.rows(table, model=report.chosen)
    return [row for row in rows if row[count] and is_number(row[value])]


def reliability(report: Report) -> Plot | None:
    """Accuracy by confidence, of the chosen model."""
    right, sure = report.family.index, report.family.confidence_column
    rows = _of_chosen(report, "calibration_bins", "n", right)
    conditions = conditions_of(report, rows)
    if not conditions:
        return None
    few = _few(report, conditions)
    shown = [row for row in rows if row["condition"] in few]
    lines = [
        Line(
            [(r[sure], r[right]) for r in shown if r["condition"] == condition],
            condition,
            report.words(condition),
        )
        for condition in few
    ]
    marks = [
        Point(
            row[sure],
            row[right],
            row["condition"],
            f"{report.words(row['condition'])}, {counted(row['n'], 'item')}",
            None,
            None,
            *bounds(row, right),
        )
        for row in shown
    ]
    error = report.family.calibration
    own = {row["condition"]: row for row in results(report, error) if row["model"] == report.chosen}
    told = [
        f"{points(own[condition][error]).lstrip('+')} under {report.words(condition)}"
        for condition in few
        if condition in own
    ]
    title = (
        f"{report.chosen}'s confidence and its accuracy differ by {listed(told)} (ECE)."
        if told
        else f"How often {report.chosen} is right by its confidence."
    )
    return Plot(
        "reliability",
        title,
        f"Ten bins of confidence of {report.chosen}: how often the majority answer is right, with "
        "its 95 % interval; on the dashed line confidence would be the accuracy, below it the "
        f"model is surer than it is right. {_not_drawn(report, few, conditions)}"
        f"{rests_on(report, [own[c] for c in few if c in own], (sure,))}.",
        Axis("mean confidence of the bin", percent=True, low=0.0, high=1.0),
        Axis("right", percent=True, low=0.0, high=1.0),
        DataTable.of(
            [
                DataColumn("condition"),
                DataColumn("bin_lo", "bin from", kind="percent"),
                DataColumn("bin_hi", "to", kind="percent"),
                DataColumn(sure, kind="percent"),
                *with_bounds(right, "right"),
                DataColumn("n", "items", kind="count"),
            ],
            [{**row, "condition": report.words(row["condition"])} for row in rows],
            [{"condition": row["condition"], "model": row["model"]} for row in rows],
        ),
        marks,
        [Line([(0, 0), (1, 1)], label="confidence = accuracy", role="reference"), *lines],
        series=series_of(report, few),
    )


def _not_drawn(report: Report, few: Sequence[str], conditions: Sequence[str]) -> str:
    rest = [report.words(condition) for condition in conditions if condition not in few]
    return f"In the table only: {listed(rest)}. " if rest else ""


def coverage(report: Report) -> Plot | None:
    """High-risk errors among the answers kept, of the chosen model."""
    risk, right = outcomes_of(report)[2], report.family.index
    rows = _of_chosen(report, "selective", "kept", risk)
    conditions = conditions_of(report, rows)
    if not conditions:
        return None
    few = _few(report, conditions)
    lines = []
    for condition in few:
        own = {row["coverage"]: row for row in rows if row["condition"] == condition}
        places = sorted(own)
        lines.append(
            Line(
                [(place, own[place][risk]) for place in places],
                condition,
                report.words(condition),
                [
                    (place, low, high)
                    for place in places
                    for low, high in (bounds(own[place], risk),)
                    if low is not None and high is not None
                ],
            )
        )
    return Plot(
        "coverage",
        _coverage_title(report, rows, first_of(report, conditions), risk),
        f"What remains of {report.words(risk)} if {report.chosen} gave only its surest answers: "
        "from right to left fewer are kept. Bands are 95 % intervals. "
        f"{_not_drawn(report, few, conditions)}{counted(max(r['n'] for r in rows), 'item')}, "
        f"K = {max(r['draws'] for r in rows)}.",
        Axis("coverage: answers kept", percent=True, low=0.0, high=1.0),
        Axis(f"{report.words(risk)} among the answers kept", percent=True, low=0.0),
        DataTable.of(
            [
                DataColumn("condition"),
                DataColumn("threshold", "confidence from", kind="percent"),
                DataColumn("kept", kind="count"),
                DataColumn("coverage", kind="percent"),
                *with_bounds(risk, report.words(risk)),
                *with_bounds(right, report.words(right)),
            ],
            [{**row, "condition": report.words(row["condition"])} for row in rows],
            [{"condition": row["condition"], "model": row["model"]} for row in rows],
        ),
        lines=lines,
        series=series_of(report, few),
    )


def _coverage_title(report: Report, rows: Sequence[Row], condition: str, risk: str) -> str:
    own = [row for row in rows if row["condition"] == condition]
    limit = report.study.threshold_in_force or 0.8
    every, sure = own[0], [row for row in own if row["threshold"] >= limit - 1e-9]
    under = f"Under {report.words(condition)}"
    if not sure:
        return (
            f"{under} {report.chosen} gives no answer with a confidence of {number(limit)} or "
            f"above; of all its answers {percent(every[risk])} are {report.words(risk)}s."
        )
    return (
        f"{under} {report.chosen}'s answers from a confidence of {number(sure[0]['threshold'])} on "
        f"({percent(sure[0]['coverage'])} of the items) hold {percent(sure[0][risk])} "
        f"{report.words(risk)}s, against {percent(every[risk])} of all its answers."
    )
