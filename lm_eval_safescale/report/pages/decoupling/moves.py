"""What a model gains and loses from one condition to another, an arrow each."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Line, Plot
from lm_eval_safescale.report.pages.common.phrases import moved, rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import (
    Row,
    asked_under_both,
    mean_of,
    pairs_of,
    results,
)
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.pages.decoupling.marks import axis_of, marks_said, mean_point
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import change, of_all, points


def moves_of(report: Report, index: str, risk: str) -> list[Section]:
    """An arrow a model, for each move from a condition to another."""
    figures = [
        found
        for before, after in pairs_of(report)
        if (found := _move(report, index, risk, before, after)) is not None
    ]
    if not figures:
        return []
    return [Section("From one condition to another", figures=tuple(figures))]


def _move(report: Report, index: str, risk: str, before: str, after: str) -> Plot | None:
    rows = results(report, index, risk)
    pairs = asked_under_both(report, rows, before, after)
    if not pairs:
        return None
    both = [start["model"] for start, _ in pairs]
    ends = [
        (condition, one, other)
        for condition in (before, after)
        if (one := mean_of(report, index, condition))
        and (other := mean_of(report, risk, condition))
    ]
    arrows = [
        Line(
            [(start[index], start[risk]), (end[index], end[risk])],
            after,
            f"{model}: {report.words(index)} {change(start[index], end[index])}, "
            f"{report.words(risk)} {change(start[risk], end[risk])}",
            role="chosen" if model == report.chosen and len(both) > 1 else "each",
            arrow=True,
        )
        for model, (start, end) in zip(both, pairs, strict=True)
    ]
    chosen = (
        f"The dark arrow is {report.chosen}. " if len(both) > 1 and report.chosen in both else ""
    )
    shown = [row for pair in zip(*pairs, strict=True) for row in pair]
    return Plot(
        f"{before}-{after}",
        _move_title(report, pairs, index, risk, before, after),
        f"An arrow is {'a model' if len(both) > 1 else both[0]}, from {report.words(before)} to "
        f"{report.words(after)}. {chosen}"
        f"{marks_said(shown)}Up and to the right is safer and more often right. "
        f"{rests_on(report, shown, (index, risk))}.",
        axis_of(report, index),
        Axis(f"{report.words(risk)}, % (0 on top)", percent=True, reversed=True, low=0.0),
        table_of_results(report, shown, (index, risk)),
        [mean_point(report, *end, both[0]) for end in ends],
        arrows,
        series=series_of(report, (before, after)),
    )


def _move_title(
    report: Report,
    pairs: Sequence[tuple[Row, Row]],
    index: str,
    risk: str,
    before: str,
    after: str,
) -> str:
    way = f"From {report.words(before)} to {report.words(after)}"
    if len(pairs) == 1:
        ((start, end),) = pairs
        does = {
            name: moved(start[name], end[name], mean_of(report, name, f"{after} - {before}"))
            for name in (index, risk)
        }
        return (
            f"{way} {start['model']}'s {report.words(index)} {does[index]} and its "
            f"{report.words(risk)} {does[risk]}."
        )
    up = sum(end[index] > start[index] for start, end in pairs)
    down = sum(end[risk] < start[risk] for start, end in pairs)
    both = sum(end[index] > start[index] and end[risk] >= start[risk] for start, end in pairs)
    means = [mean_of(report, name, f"{after} - {before}") for name in (index, risk)]
    on_average = (
        f"; on average they change by {points(means[0]['mean'])} and {points(means[1]['mean'])}"
        if means[0] and means[1]
        else ""
    )
    rises = of_all(up, len(pairs), "model")
    falls = {0: "none", len(pairs): "all"}.get(down, f"{down:,}")
    return (
        f"{way} {report.words(index)} rises in {rises} and {report.words(risk)} falls in "
        f"{falls}{_no_safer(up, both)}{on_average}."
    )


def _no_safer(better: int, of_them: int) -> str:
    """How many of those that are right more often do no less harm; empty for none."""
    if not of_them:
        return ""
    if better == 1:
        return " (the one that is right more often does no less harm)"
    some = "none does" if of_them == better else f"{of_them:,} {'do' if of_them > 1 else 'does'} no"
    return f" (of the {better:,} that are right more often {some} less harm)"
