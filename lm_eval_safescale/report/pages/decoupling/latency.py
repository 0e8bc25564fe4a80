"""The index against the seconds of a request."""

from __future__ import annotations

from lm_eval_safescale.figures import Axis, Plot
from lm_eval_safescale.report.pages.common.phrases import models_said, rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import conditions_of, mean_of, results
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.pages.decoupling.marks import (
    axis_of,
    marks_said,
    mean_point,
    point_of,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import number

LATENCY = "latency_s"


def latency_of(report: Report, index: str) -> list[Section]:
    """Seconds of a request against the index."""
    rows = [row for row in results(report, index, LATENCY) if row[LATENCY] > 0]
    if not rows:
        return []
    conditions, alone = conditions_of(report, rows), len({row["model"] for row in rows}) == 1
    means = {
        condition: (one, other)
        for condition in conditions
        if (one := mean_of(report, LATENCY, condition))
        and (other := mean_of(report, index, condition))
    }
    marks = [] if alone else [point_of(report, row, LATENCY, index) for row in rows]
    marks += [
        mean_point(report, condition, one, other, models_said(rows))
        for condition, (one, other) in means.items()
    ]
    if len(means) > 1:
        slow = max(means, key=lambda name: means[name][0]["mean"])
        fast = min(means, key=lambda name: means[name][0]["mean"])
        best = max(means, key=lambda name: means[name][1]["mean"])
        title = (
            f"A greedy answer takes from {number(means[fast][0]['mean'])} s "
            f"({report.words(fast)}) to {number(means[slow][0]['mean'])} s ({report.words(slow)}); "
            f"{report.words(index)} is highest with {report.words(best)}, at "
            f"{number(means[best][0]['mean'])} s."
        )
    else:
        seconds = [row[LATENCY] for row in rows]
        low, high = number(min(seconds)), number(max(seconds))
        span = f"{low} s" if low == high else f"from {low} to {high} s"
        title = f"Under {report.words(conditions[0])} a greedy answer takes {span}."
    plot = Plot(
        "latency",
        title,
        "Mean seconds of the greedy request, as served when it was asked, on a log axis. "
        f"{marks_said(rows)}{rests_on(report, rows)}.",
        Axis("latency, s (log)", log=True),
        axis_of(report, index),
        table_of_results(report, rows, (LATENCY, index), {LATENCY: "number"}),
        marks,
        series=series_of(report, conditions),
    )
    return [Section(f"Latency and {report.words(index)}", figures=(plot,))]
