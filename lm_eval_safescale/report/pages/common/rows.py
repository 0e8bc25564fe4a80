"""Which rows of the tables, and which models, conditions and metrics, pages look at; what an
interval tells. It says nothing in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.figures import Value
from lm_eval_safescale.metrics.metric import OF_EVERY_DRAW
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import is_number

ALL = "all"
"""Stands for all conditions, or all model families, in tables."""
Row = Mapping[str, Any]
Estimate = tuple[Any, Any, Any]
"""A value, and the bounds of its interval; None for not scored."""
Rows = list[tuple[Value, ...]]
"""Of a data table."""
Cases = list[dict[str, str] | None]
"""The filters of each of them; None for one that is no count of answers."""


def estimate(row: Row, name: str) -> Estimate:
    """A column of a row with its bounds."""
    return row[name], *bounds(row, name)


def bounds(row: Row, metric: str) -> tuple[float | None, float | None]:
    """The bounds of a metric's interval in a row; None where there are none."""
    low, high = row.get(f"{metric}_lo"), row.get(f"{metric}_hi")
    return (low, high) if is_number(low) and is_number(high) else (None, None)


def profiles(report: Report) -> dict[tuple[str, str], Row]:
    """The rows of `profile` by model and condition."""
    return {(row["model"], row["condition"]): row for row in report.rows("profile")}


def results(report: Report, *needed: str) -> list[Row]:
    """Rows of `profile` of models (neither raters nor controls) that have a number for each of
    these metrics, by condition and model."""
    models = [name for name in report.models if name not in report.controls]
    place = {name: number for number, name in enumerate(models)}
    order = {name: number for number, name in enumerate(report.conditions)}
    rows = [
        row
        for row in report.rows("profile")
        if row["model"] in place
        and row["condition"] in order
        and all(is_number(row.get(name)) for name in needed)
    ]
    return sorted(rows, key=lambda row: (order[row["condition"]], place[row["model"]]))


def cells(report: Report, **where: Any) -> list[Row]:
    """Rows of `profile` of models and controls that have these values, scored or not."""
    return [row for row in report.rows("profile", **where) if row["condition"] != HUMAN]


def mean_of(report: Report, metric: str, condition: str) -> Row | None:
    """The mean over models under a condition, or of a pair (`clean - closed_book`), with its
    interval: a row of `model_means`; None where nothing is scored."""
    rows = report.rows("model_means", metric=metric, condition=condition, family=ALL)
    return next((row for row in rows if is_number(row["mean"])), None)


def models_of(report: Report) -> list[str]:
    """The models, without controls where there are others."""
    return [each for each in report.models if each not in report.controls] or list(report.models)


def noun_of(report: Report) -> str:
    """What `models_of` gives: model or, where there is nothing else, control."""
    return "control" if models_of(report)[0] in report.controls else "model"


def conditions_of(report: Report, rows: Iterable[Row]) -> list[str]:
    """Those of the rows, in the family's order."""
    found = {row["condition"] for row in rows}
    return [condition for condition in report.conditions if condition in found]


def compared(report: Report) -> list[str]:
    """The two conditions that are looked at where all are too many: those whose change the family
    studies, the earlier first, else the first two."""
    after, before = report.family.change or ("", "")
    if after in report.conditions and before in report.conditions:
        return [before, after]
    return list(report.conditions[:2])


def pairs_of(report: Report) -> Iterator[tuple[str, str]]:
    """Moves from one condition to another that figures show, where models were asked under both:
    the family's, else the change that it studies."""
    wanted = report.family.moves or ([report.family.change[::-1]] if report.family.change else [])
    for before, after in wanted:
        if before in report.conditions and after in report.conditions:
            yield before, after


def asked_under_both(
    report: Report, rows: Sequence[Row], before: str, after: str
) -> list[tuple[Row, Row]]:
    """The rows of each model under two conditions, of those that have one under both."""
    own = {(row["model"], row["condition"]): row for row in rows}
    return [
        (own[model, before], own[model, after])
        for model in report.models
        if (model, before) in own and (model, after) in own
    ]


def is_scored(report: Report, metric: str) -> bool:
    """Whether any model has a value of it."""
    return any(is_number(row.get(metric)) for row in report.rows("profile"))


def is_harm(report: Report, metric: str) -> bool:
    """Whether it counts answers of a kind whose tone is harm."""
    columns_of_harm = {kind.column for kind in report.family.kinds if kind.tone == "harm"}
    known = report.metrics.get(metric)
    return known is not None and not columns_of_harm.isdisjoint(known.sources)


def first_harm(report: Report, scored: Sequence[str]) -> str:
    """The first headline metric that counts harm, else the first of all."""
    return next((name for name in scored if not report.metrics[name].higher_is_better), scored[0])


def main_metrics(report: Report, among: Sequence[str]) -> list[str]:
    """The index, or else the first, and the harms, of these metrics as far as they are fractions
    and scored; of a family that names no harm the first three."""
    known = report.metrics
    scored = [
        name
        for name in among
        if name in known and known[name].is_fraction and is_scored(report, name)
    ]
    first = [name for name in scored if name == report.family.index] or scored[:1]
    harms = [name for name in scored if is_harm(report, name) and name not in first]
    return [*first, *harms] if harms else scored[:3]


def risks(report: Report) -> list[str]:
    """Headline metrics of harm: shares of which less is better, of a kind of answers that is marked
    as harm or as a warning."""
    harmful = {kind.column for kind in report.family.kinds if kind.tone in ("harm", "warning")}
    known = report.metrics
    return [
        name
        for name in report.family.headlines
        if name in known
        and not known[name].higher_is_better
        and known[name].is_fraction
        and known[name].sources[0] in harmful
        and results(report, name)
    ]


def kind_of_cases(report: Report, metric: str) -> dict[str, str] | None:
    """The filter of the cases that a metric counts; None where no kind of answers is that: a kind
    of what it does not count has the same column, and the browser counts no trials."""
    known = report.metrics.get(metric)
    if known is None or (known.decode in OF_EVERY_DRAW and any(report.study.runs.draws.values())):
        return None
    for kind in report.family.kinds:
        if known.sources == (kind.column,) and kind.counts:
            return {"kind": kind.name}
    return None


def of_kind(report: Report, metric: str) -> Mapping[str, str]:
    """Filters of the cases that a metric counts; none where no kind of answers is of it."""
    return kind_of_cases(report, metric) or {}


def cell(model: str, condition: str) -> dict[str, str]:
    """The filters of the cases behind a model's value."""
    return {"model": model, "condition": condition}


def direction(value: Estimate) -> int:
    """1 or -1 where the interval leaves out 0, above or below; else 0."""
    _, low, high = value
    if low is None or high is None:
        return 0
    return 1 if low > 0 else -1 if high < 0 else 0


def overlap(one: Estimate, other: Estimate) -> bool:
    """Whether the intervals of two values have anything in common; two that have nothing differ
    beyond chance."""
    bounds = (*one[1:], *other[1:])
    if any(bound is None for bound in bounds):
        return True
    low, high, its_low, its_high = bounds
    return bool(low <= its_high and its_low <= high)
