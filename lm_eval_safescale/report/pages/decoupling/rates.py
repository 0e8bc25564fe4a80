"""All rates side by side, higher is better on every axis."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Line, Plot, Point
from lm_eval_safescale.report.pages.common.phrases import models_said, rests_on, series_of
from lm_eval_safescale.report.pages.common.rows import (
    bounds,
    conditions_of,
    mean_of,
    results,
    risks,
)
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import listed, percent, points


def all_rates(report: Report, index: str) -> list[Section]:
    """The index and 100 % less each rate, side by side."""
    known = report.metrics
    names = [
        name
        for name in dict.fromkeys((index, *report.family.rates, *risks(report)))
        if name in known and known[name].is_fraction and results(report, name)
    ]
    if len(names) < 2:
        return []
    rows = results(report, *names)
    if not rows:
        return []

    def good(name: str, value: float) -> float:
        return value if known[name].higher_is_better else 1 - value

    conditions, alone = conditions_of(report, rows), len({row["model"] for row in rows}) == 1
    each = [
        Line(
            [(place, good(name, row[name])) for place, name in enumerate(names)],
            row["condition"],
            f"{row['model']}, {report.words(row['condition'])}",
        )
        for row in rows
        if not alone
    ]
    marks, means, spread = [], [], []
    for condition in conditions:
        found = [mean_of(report, name, condition) for name in names]
        spots = [
            (place, good(name, row["mean"]), row)
            for place, (name, row) in enumerate(zip(names, found, strict=True))
            if row
        ]
        words = report.words(condition)
        means.append(Line([(x, y) for x, y, _ in spots], condition, f"mean, {words}", role="mean"))
        for place, y, row in spots:
            ends = [good(names[place], bound) for bound in bounds(row, "mean") if bound is not None]
            low, high = (min(ends), max(ends)) if ends else (None, None)
            marks.append(Point(place, y, condition, f"mean, {words}", y_low=low, y_high=high))
    for name in names:
        of_conditions = [mean_of(report, name, condition) for condition in conditions]
        values = [mean["mean"] for mean in of_conditions if mean]
        if values:
            spread.append((max(values) - min(values), name, values[0]))
    heads = [
        report.words(name) if known[name].higher_is_better else f"100 % less {report.words(name)}"
        for name in names
    ]
    plot = Plot(
        "parallel",
        _parallel_title(report, spread, conditions, models_said(rows)),
        "Higher is better on every axis. "
        + (
            ""
            if alone
            else "A thin line is a model under a condition, a thick one the mean of the "
        )
        + ("A line is a condition, " if alone else "models under it, ")
        + f"with 95 % intervals. {rests_on(report, rows, names)}.",
        Axis("", categories=heads),
        Axis("", percent=True),
        table_of_results(report, rows, names),
        marks,
        [*each, *means],
        series=series_of(report, conditions),
    )
    return [Section("All rates", figures=(plot,))]


def _parallel_title(
    report: Report,
    spread: Sequence[tuple[float, str, float]],
    conditions: Sequence[str],
    who: str,
) -> str:
    if len(conditions) == 1 or len(spread) < 2:
        told = [f"{percent(value)} {report.words(name)}" for _, name, value in spread]
        return f"Under {report.words(conditions[0])}: {listed(told)} ({who})."
    most, least = max(spread), min(spread)
    if points(most[0]) == points(least[0]):
        return f"Conditions differ by {_far(most[0])} in every rate ({who})."
    words = f"Of {who}" if who[:1].isdigit() else f"For {who}"
    return (
        f"{words}, conditions differ most in {report.words(most[1])} (by "
        f"{_far(most[0])}) and least in {report.words(least[1])} "
        f"({_far(least[0])})."
    )


def _far(distance: float) -> str:
    return points(distance).lstrip("+")
