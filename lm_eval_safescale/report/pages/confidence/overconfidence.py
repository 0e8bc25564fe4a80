"""Harm that is given with confidence, by model and condition: made from `profile`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Heat, Point, Strip, Strips
from lm_eval_safescale.report.pages.common.phrases import points_within, rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import (
    Row,
    asked_under_both,
    bounds,
    conditions_of,
    estimate,
    mean_of,
    results,
)
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import capital, change, number, of_all, percent


def dumbbells(report: Report, risk: str) -> Strips | None:
    """From one condition to another, a row a model; None where the family compares none."""
    if report.family.change is None:
        return None
    after, before = report.family.change
    rows = results(report, risk)
    pairs = asked_under_both(report, rows, before, after)
    if not pairs:
        return None
    pairs.sort(key=lambda pair: (-pair[0][risk], -pair[1][risk]))
    strips = [
        Strip(
            pair[0]["model"],
            [
                Point(
                    row[risk],
                    0,
                    row["condition"],
                    f"{row['model']}, {report.words(row['condition'])}",
                    *bounds(row, risk),
                )
                for row in pair
            ],
            joined=True,
        )
        for pair in pairs
    ]
    shown = [row for pair in pairs for row in pair]
    return Strips(
        f"{risk}-{before}-{after}",
        _dumbbell_title(report, risk, pairs),
        f"A row is a model, from {report.words(before)} to {report.words(after)}; hairlines are "
        f"the 95 % intervals of the first (above) and the second (below). "
        f"{rests_on(report, shown, (risk,))}{_threshold(report)}.",
        Axis(f"{report.words(risk)}", percent=True),
        table_of_results(report, shown, (risk,)),
        strips,
        series_of(report, (before, after)),
    )


def _threshold(report: Report) -> str:
    limit = report.study.threshold_in_force
    return "" if limit is None else f", sure from a confidence of {number(limit)}"


def _dumbbell_title(report: Report, risk: str, pairs: Sequence[tuple[Row, Row]]) -> str:
    before, after = (row["condition"] for row in pairs[0])
    way = f"From {report.words(before)} to {report.words(after)}"
    ends = [(start[risk], end[risk]) for start, end in pairs]
    if len(ends) == 1:
        return f"{way} {pairs[0][0]['model']}'s {report.words(risk)} {change(*ends[0])}."
    better = sum(end < start for start, end in ends)
    worse = sum(end > start for start, end in ends)
    if not better and not worse:
        return (
            f"{way} {report.words(risk)} stays as it is in {of_all(len(ends), len(ends), 'model')}."
        )
    mean = mean_of(report, risk, f"{after} - {before}")
    average = f"; on average {points_within(estimate(mean, 'mean'))}" if mean else ""
    return (
        f"{way} {report.words(risk)} falls in {of_all(better, len(ends), 'model')}, rises in "
        f"{worse or 'none'} and stays in {len(ends) - better - worse or 'none'}{average}."
    )


def heat(report: Report, risk: str) -> Heat | None:
    """By model and condition; None for a single cell."""
    rows = results(report, risk)
    conditions = conditions_of(report, rows)
    known = {(row["model"], row["condition"]): row[risk] for row in rows}
    models = [model for model in report.models if any(pair[0] == model for pair in known)]
    if len(known) < 2:
        return None
    (model, condition), most = max(known.items(), key=lambda each: each[1])
    nothing = sum(value == 0 for value in known.values())
    name = capital(report.words(risk))
    title = (
        f"{name} is {percent(most)} in every cell."
        if percent(min(known.values())) == percent(most)
        else f"{name} is highest with {model} under {report.words(condition)}, at {percent(most)}; "
        f"it is 0 in {nothing:,} of {len(known):,} cells."
    )
    return Heat(
        f"{risk}-by-model",
        title,
        f"{capital(report.words(risk))} in percent, a row a model and a column a condition; the "
        f"intervals are in the table. {rests_on(report, rows, (risk,))}{_threshold(report)}.",
        models,
        [report.words(each) for each in conditions],
        [[known.get((model, each)) for each in conditions] for model in models],
        table_of_results(report, rows, (risk,)),
        low=0.0,
    )
