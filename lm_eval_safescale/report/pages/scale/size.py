"""Metrics over the number of parameters: made from `scaling` and `profile`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import log10

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Line, Plot, Point, with_bounds
from lm_eval_safescale.report.pages.common.phrases import (
    head,
    how_many,
    points_and_bounds,
    series_of,
)
from lm_eval_safescale.report.pages.common.rows import (
    ALL,
    Cases,
    Row,
    Rows,
    cell,
    compared,
    direction,
    estimate,
    kind_of_cases,
    profiles,
)
from lm_eval_safescale.report.pages.scale.panel import NAME_THEM, families_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import is_number, listed

LEAST_RATIO = 2.0
"""Of the largest to the smallest size, for a slope to be shown."""
OF_LINE = (
    ", the bold line is the least-squares line over all models of known size. It describes these "
    "models and does not predict others."
)
MOST_OPEN = 20
"""Rows of the table of slopes beyond which it is folded."""


def of_size(report: Report, metrics: Sequence[str], sized: dict[str, float]) -> Section:
    """The section."""
    title = "Over the number of parameters"
    if not sized:
        return Section(title, lead=f"No model of these runs has a known size. {NAME_THEM}")
    if len(set(sized.values())) < 2:
        (only, *_) = sized.values()
        return Section(
            title,
            lead=f"All models of known size have {only:g} billion parameters: there is no line to "
            "draw.",
        )
    return Section(
        title,
        figures=tuple(_size_plot(report, metric, sized) for metric in metrics),
    )


def of_slopes(report: Report, metrics: Sequence[str]) -> Section | None:
    """The section; None where there is no line."""
    data = _slopes(report, metrics)
    if not data.rows:
        return None
    return Section(
        "Slopes, by family",
        note=f"No slope where sizes differ by less than a factor of {LEAST_RATIO:g}: it would say "
        "of ten times the parameters what so small a step cannot show.",
        data=data,
        folded=len(data.rows) > MOST_OPEN,
    )


def _is_wide(row: Row) -> bool:
    """Whether the sizes behind a slope are far enough from one another to speak of one."""
    return row["slope"] is not None and (
        row["parameters_max_b"] >= LEAST_RATIO * row["parameters_min_b"]
    )


def slope_title(report: Report, metric: str) -> str:
    """What a metric does when models grow, under the two conditions that are looked at."""
    said: dict[int | None, list[str]] = defaultdict(list)
    for condition in compared(report):
        for row in report.rows("scaling", metric=metric, condition=condition, family=ALL):
            slope = estimate(row, "slope")
            if slope[0] is None or slope[1] is None or not _is_wide(row):
                said[None].append(report.words(condition))
                continue
            value = points_and_bounds(slope)
            if not any(said[key] for key in (1, -1, 0)):  # once is enough
                value = value.replace(",", " for ten times the parameters,", 1)
            said[direction(slope)].append(f"{report.words(condition)} ({value})")
    phrases = [
        f"{words} under {listed(said[key])}"
        for key, words in (
            (1, "rises with size"),
            (-1, "falls with size"),
            (0, "shows no change with size beyond chance"),
            (None, "has too few sizes for a line with an interval"),
        )
        if said[key]
    ]
    if not phrases:
        return f"{head(report, metric)} is scored of no model of known size."
    return f"{head(report, metric)} {listed(phrases)}."


def _size_plot(report: Report, metric: str, sized: dict[str, float]) -> Plot:
    found, known, conditions = profiles(report), families_of(report), compared(report)
    marks, lines, data = [], [], Rows()
    cases = Cases()
    for condition in conditions:
        by_family: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for model in report.models:
            row = found.get((model, condition))
            if row is None or model not in sized or not is_number(row[metric]):
                continue
            value = estimate(row, metric)
            size, family = sized[model], known.get(model)
            marks.append(Point(size, value[0], condition, model, y_low=value[1], y_high=value[2]))
            data.append((model, family, size, condition, *value, row[f"{metric}_n"]))
            cases.append(cell(model, condition))
            if family:
                by_family[family].append((size, value[0]))
        for family, places in by_family.items():
            if len({size for size, _ in places}) > 1:
                note = family if condition == conditions[-1] else ""
                words = f"{family}, {report.words(condition)}"
                lines.append(Line(sorted(places), condition, words, note=note))
        for row in report.rows("scaling", metric=metric, condition=condition, family=ALL):
            spots = {(mark.x, mark.y) for mark in marks if mark.series == condition}
            if len(spots) < 3 or not _is_wide(row):
                continue
            ends = [
                (size, row["intercept"] + row["slope"] * log10(size))
                for size in (row["parameters_min_b"], row["parameters_max_b"])
            ]
            words = f"least-squares line of all, {report.words(condition)}"
            lines.append(Line(ends, condition, words, role="mean"))
            data += [
                ("(line of all)", None, *end_, None, None, None)
                for end_ in ((size, condition, value) for size, value in ends)
            ]
            cases += [None] * 2
    has_line = any(line.role == "mean" for line in lines)
    return Plot(
        f"size {metric}",
        slope_title(report, metric),
        "A mark is a model with its 95 % interval, thin lines join models of one family in the "
        f"order of their size{OF_LINE if has_line else '.'} "
        f"{how_many(report, {mark.label for mark in marks})}",
        Axis("parameters in billions, log scale", log=True),
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("model"),
                DataColumn("family"),
                DataColumn("parameters_b", "parameters, billions", "number"),
                DataColumn("condition"),
                *with_bounds(metric, report.words(metric), cases=kind_of_cases(report, metric)),
                DataColumn("n", "items", "count"),
            ),
            data,
            cases,
        ),
        marks,
        lines,
        series=series_of(report, conditions),
    )


def _slopes(report: Report, metrics: Sequence[str]) -> DataTable:
    shown = ("n_models", "parameters_min_b", "parameters_max_b")
    after = ("r_squared", "p", "df")
    looked_at = {*compared(report), " - ".join(report.family.change or ())}
    rows = [
        (
            report.words(row["metric"]),
            " − ".join(report.words(each) for each in row["condition"].split(" - ")),
            row["family"],
            *(row[name] for name in shown),
            *(estimate(row, "slope") if _is_wide(row) else (None,) * 3),
            *(row[name] if _is_wide(row) else None for name in after),
        )
        for row in report.rows("scaling")
        if row["metric"] in metrics and row["condition"] in looked_at and row["slope"] is not None
    ]
    return DataTable(
        (
            DataColumn("metric"),
            DataColumn("condition"),
            DataColumn("family"),
            DataColumn("n_models", "models", "count"),
            DataColumn("parameters_min_b", "from, billions", "number"),
            DataColumn("parameters_max_b", "to, billions", "number"),
            *with_bounds("slope", "per tenfold size"),
            DataColumn("r_squared", "R²", "coefficient"),
            DataColumn("p", kind="number"),
            DataColumn("df", kind="number"),
        ),
        rows,
    )
