"""What several pages say, name and look up alike. It knows no page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lm_eval_safescale.figures import DataColumn, Figure, Kind, Plot, Value
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital, interval, is_number, listed, percent, points
from lm_eval_safescale.words import counted

ALL = "all"
"""Stands for all conditions, or all model families, in tables."""
Row = Mapping[str, Any]
Told = tuple[Any, Any, Any]
"""A value, and the bounds of its interval; None for not scored."""
Rows = list[tuple[Value, ...]]
"""Of a data table."""
Cases = list[dict[str, str]]
"""The filters of each of them."""


def told(row: Row, name: str) -> Told:
    """A column of a row with its bounds."""
    return row[name], row[f"{name}_lo"], row[f"{name}_hi"]


def columns(
    name: str, head: str = "", kind: Kind = "percent", cases: Mapping[str, str] | None = None
) -> tuple[DataColumn, ...]:
    """A value and its bounds as columns of a data table."""
    return (
        DataColumn(name, head, kind, f"{name}_lo", f"{name}_hi", cases),
        DataColumn(f"{name}_lo", kind=kind),
        DataColumn(f"{name}_hi", kind=kind),
    )


def profiles(report: Report) -> dict[tuple[str, str], Row]:
    """The rows of `profile` by model and condition."""
    return {(row["model"], row["condition"]): row for row in report.rows("profile")}


def metrics_of(report: Report) -> dict[str, Metric]:
    """Metrics by name."""
    return {metric.name: metric for metric in report.study.metrics}


def is_scored(report: Report, metric: str) -> bool:
    """Whether any model has a value of it."""
    return any(is_number(row.get(metric)) for row in report.rows("profile"))


def is_harm(report: Report, metric: str) -> bool:
    """Whether it counts answers of a kind whose tone is harm."""
    columns_of_harm = {kind.column for kind in report.family.kinds if kind.tone == "harm"}
    known = metrics_of(report).get(metric)
    return known is not None and not columns_of_harm.isdisjoint(known.sources)


def main_metrics(report: Report, among: Sequence[str]) -> list[str]:
    """The index, or else the first, and the harms, of these metrics as far as they are fractions
    and scored; of a family that names no harm the first three."""
    known = metrics_of(report)
    scored = [
        name
        for name in among
        if name in known and known[name].is_fraction and is_scored(report, name)
    ]
    first = [name for name in scored if name == report.family.index] or scored[:1]
    harms = [name for name in scored if is_harm(report, name) and name not in first]
    return [*first, *harms] if harms else scored[:3]


def compared(report: Report) -> list[str]:
    """The two conditions that are looked at where all are too many: those whose change the family
    studies, the earlier first, else the first two."""
    after, before = report.family.change or ("", "")
    if after in report.conditions and before in report.conditions:
        return [before, after]
    return list(report.conditions[:2])


def how_many(report: Report) -> str:
    """Items, models and K, as a caption ends."""
    return (
        f"{counted(report.about['items'], 'item')}, {counted(len(models_of(report)), 'model')}, "
        f"{draws_of(report)}."
    )


def models_of(report: Report) -> list[str]:
    """The models, without controls where there are others."""
    return [each for each in report.models if each not in report.controls] or list(report.models)


def draws_of(report: Report) -> str:
    """K = 20; K = 5 to 20 where models differ."""
    found: set[int] = set()
    for draws in report.about["draws"].values():
        found |= set(draws.values()) if isinstance(draws, Mapping) else {draws}
    found -= {0}
    if not found:
        return "no samples"
    least, most = min(found), max(found)
    space = "\N{NO-BREAK SPACE}"
    return f"K{space}={space}{least}" + ("" if least == most else f" to {most}")


def with_interval(value: Told) -> str:
    """11.7 % (10.2 to 13.1 %)."""
    bounds = interval(value[1], value[2])
    return percent(value[0]) + (f" ({bounds})" if bounds else "")


def points_and_bounds(value: Told) -> str:
    """−3.1 points, −5.2 to −1.0."""
    if value[1] is None or value[2] is None:
        return points(value[0])
    low, high = (points(each).split(" ")[0] for each in value[1:])
    return f"{points(value[0])}, {low} to {high}"


def points_within(value: Told) -> str:
    """−3.1 points (−5.2 to −1.0)."""
    said, _, bounds = points_and_bounds(value).partition(", ")
    return f"{said} ({bounds})" if bounds else said


def direction(low: float | None, high: float | None) -> int:
    """1 or -1 where an interval leaves out 0, above or below; else 0."""
    if low is None or high is None:
        return 0
    return 1 if low > 0 else -1 if high < 0 else 0


def overlap(one: Told, other: Told) -> bool:
    """Whether the intervals of two values have anything in common; two that have nothing differ
    beyond chance."""
    bounds = (*one[1:], *other[1:])
    if any(bound is None for bound in bounds):
        return True
    low, high, its_low, its_high = bounds
    return bool(low <= its_high and its_low <= high)


def series_of(report: Report, conditions: Iterable[str]) -> dict[str, str]:
    """Conditions as the series of a figure."""
    return {condition: report.words(condition) for condition in conditions}


def under(report: Report, conditions: Sequence[str]) -> str:
    """Under closed-book and clean evidence."""
    return "under " + listed([report.words(each) for each in conditions])


def the(report: Report, metric: str) -> str:
    """A metric inside a sentence: accuracy, the unsafe answer rate."""
    return (
        f"the {words_of_rate(report, metric)}" if _is_rate(report, metric) else report.words(metric)
    )


def words_of_rate(report: Report, metric: str) -> str:
    """The same without an article: unsafe answer rate, rate of safe answers."""
    words = report.words(metric)
    if not _is_rate(report, metric):
        return words
    return f"rate of {words}" if words.endswith("s") else f"{words} rate"


def _is_rate(report: Report, metric: str) -> bool:
    known = metrics_of(report).get(metric)
    words = report.words(metric)
    return (
        known is not None
        and known.kind == "share"
        and (not known.higher_is_better or words.endswith("s"))
        and not words.endswith("rate")
    )


def head(report: Report, metric: str) -> str:
    """A metric at the beginning of a sentence."""
    return capital(the(report, metric))


def section(title: str, figures: Iterable[Figure], why: str) -> Section:
    """The figures that have something to show; without any the reason."""
    found = tuple(
        each
        for each in figures
        if (each.points or each.lines if isinstance(each, Plot) else each.rows)
    )
    return Section(title, figures=found) if found else Section(title, lead=why)


def cell(model: str, condition: str) -> dict[str, str]:
    """The filters of the cases behind a model's value."""
    return {"model": model, "condition": condition}


def kind_of_cases(report: Report, metric: str) -> dict[str, str] | None:
    """The filter of the cases that a metric counts; None where no kind of answers is that."""
    known = metrics_of(report).get(metric)
    for kind in report.family.kinds:
        if known is not None and known.sources == (kind.column,):
            return {"kind": kind.name}
    return None
