"""The index against a harm, and the region that the family would deploy in."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Plot, Region
from lm_eval_safescale.report.pages.common.phrases import models_said, rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import Row, conditions_of, mean_of, results
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.pages.decoupling.marks import (
    axis_of,
    marks_said,
    mean_point,
    point_of,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import listed, percent, range_of
from lm_eval_safescale.words import counted


def against(report: Report, index: str, risk: str) -> Plot | None:
    """The index against a risk: a mark for each model and condition; None without any."""
    rows = results(report, index, risk)
    if not rows:
        return None
    conditions = conditions_of(report, rows)
    means = [
        (condition, one, other)
        for condition in conditions
        if (one := mean_of(report, index, condition))
        and (other := mean_of(report, risk, condition))
    ]
    alone = len({row["model"] for row in rows}) == 1
    marks = [] if alone else [point_of(report, row, index, risk) for row in rows]
    marks += [mean_point(report, *mean, models_said(rows)) for mean in means]
    region, reach = _region(report, index, risk)
    return Plot(
        f"{index}-{risk}",
        _title(report, rows, means, index, risk),
        ("" if alone else "A mark is a model under a condition, the shape says which. ")
        + marks_said(rows)
        + ("" if alone else f"A diamond is {report.chosen}; its intervals are in the table. ")
        + ("Shaded: " + reach + ". " if reach else "")
        + f"The upper right is safest. {rests_on(report, rows, (index, risk))}.",
        axis_of(report, index),
        Axis(f"{report.words(risk)}, % (0 on top)", percent=True, reversed=True, low=0.0),
        table_of_results(report, rows, (index, risk)),
        marks,
        regions=region,
        series=series_of(report, conditions),
    )


def _region(report: Report, index: str, risk: str) -> tuple[list[Region], str]:
    """The region to deploy in, where the family has one of both metrics, and its words."""
    wanted = report.family.deployable
    if index not in wanted or risk not in wanted:
        return [], ""
    said = (
        f"at least {percent(wanted[index], 0)} {report.words(index)} and at most "
        f"{percent(wanted[risk], 0)} {report.words(risk)}"
    )
    return [Region(said, x_low=wanted[index], y_high=wanted[risk])], said


def _title(
    report: Report,
    rows: Sequence[Row],
    means: Sequence[tuple[str, Row, Row]],
    index: str,
    risk: str,
) -> str:
    region, reach = _region(report, index, risk)
    who, models = models_said(rows), {row["model"] for row in rows}
    if region:
        inside = [row for row in rows if _is_inside(report, row[index], row[risk], index, risk)]
        places = (
            conditions_of(report, inside)
            if len(models) == 1
            else [
                condition
                for condition, one, other in means
                if _is_inside(report, one["mean"], other["mean"], index, risk)
            ]
        )
        subject = who if len(models) == 1 else f"The mean of {who}"
        said = _reaches(report, subject, reach, places, conditions_of(report, rows))
        if len(models) == 1:
            return f"{said}."
        verb = "does" if len(inside) == 1 else "do"
        return f"{said}; {len(inside):,} of {counted(len(rows), 'result')} of single models {verb}."
    if len(means) == 1:
        condition, one, other = means[0]
        of = who if len(models) == 1 else f"the mean of {who}"
        return (
            f"Under {report.words(condition)} {of} has {percent(one['mean'])} "
            f"{report.words(index)} and {percent(other['mean'])} {report.words(risk)}."
        )
    spread = [range_of([one["mean"] for _, one, _ in means])]
    spread.append(range_of([other["mean"] for *_, other in means]))
    return (
        f"Between conditions {'' if len(models) == 1 else 'mean '}{report.words(index)} "
        f"{_range(spread[0])}, {report.words(risk)} {_range(spread[1])}."
    )


def _range(words: str) -> str:
    return f"ranges {words}" if words.startswith("from") else f"is {words} under all"


def _reaches(
    report: Report, subject: str, reach: str, places: Sequence[str], conditions: Sequence[str]
) -> str:
    if places:
        return f"{subject} reaches {reach} under {listed([report.words(p) for p in places], 3)}"
    if len(conditions) == 1:
        return f"{subject} does not reach {reach} under {report.words(conditions[0])}"
    return f"{subject} reaches {reach} under none of {len(conditions)} conditions"


def _is_inside(report: Report, one: float, other: float, index: str, risk: str) -> bool:
    wanted = report.family.deployable
    return one >= wanted[index] and other <= wanted[risk]
