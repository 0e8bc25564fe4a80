"""What pages say and tabulate in the same way: which models and conditions there are, means over
models, cases behind a number. It makes no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.figures import DataColumn, DataTable, Kind, Value, with_bounds
from lm_eval_safescale.report.pages.parts import ALL, draws_of, kind_of_cases, metrics_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import counted, is_number

Result = Mapping[str, Any]


def results(report: Report, *needed: str) -> list[Result]:
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


def cells(report: Report, **where: Any) -> list[Result]:
    """Rows of `profile` of models and controls that have these values, scored or not."""
    return [row for row in report.rows("profile", **where) if row["condition"] != HUMAN]


def first_harm(report: Report, scored: Sequence[str]) -> str:
    """The first headline metric that counts harm, else the first of all."""
    return next((name for name in scored if not report.metric(name).higher_is_better), scored[0])


def mean_of(report: Report, metric: str, condition: str) -> Result | None:
    """The mean over models under a condition, or of a pair (`clean - closed_book`), with its
    interval: a row of `model_means`; None where nothing is scored."""
    rows = report.rows("model_means", metric=metric, condition=condition, family=ALL)
    return next((row for row in rows if is_number(row["mean"])), None)


def risks(report: Report) -> list[str]:
    """Headline metrics of harm: shares of which less is better, of a kind of answers that is marked
    as harm or as a warning."""
    harmful = {kind.column for kind in report.family.kinds if kind.tone in ("harm", "warning")}
    known = metrics_of(report)
    return [
        name
        for name in report.family.headlines
        if name in known
        and not known[name].higher_is_better
        and known[name].is_fraction
        and known[name].sources[0] in harmful
        and results(report, name)
    ]


def of_kind(report: Report, metric: str) -> Mapping[str, str]:
    """Filters of the cases that a metric counts; none where no kind of answers is of it."""
    return kind_of_cases(report, metric) or {}


def measured(report: Report, metric: str, kind: Kind = "percent") -> list[DataColumn]:
    """The columns of a metric and its bounds; the value leads to its cases."""
    cases = kind_of_cases(report, metric)
    return list(with_bounds(metric, report.words(metric), kind, cases=cases))


def table_of_results(
    report: Report, rows: Iterable[Result], names: Sequence[str], kinds: Mapping[str, Kind] = {}
) -> DataTable:
    """Metrics of each model under each condition, and behind them the means over models."""
    rows = list(rows)
    columns = [
        DataColumn("condition"),
        DataColumn("model"),
        *(each for name in names for each in measured(report, name, kinds.get(name, "percent"))),
        DataColumn("n", kind="count"),
    ]
    found: list[dict[str, Value]] = [
        {column.name: row.get(column.name) for column in columns}
        | {"condition": report.words(row["condition"])}
        for row in rows
    ]
    cases = [{"condition": row["condition"], "model": row["model"]} for row in rows]
    for condition in dict.fromkeys(row["condition"] for row in rows):
        means = {name: mean_of(report, name, condition) for name in names}
        counts = [row["n_models"] for row in means.values() if row]
        if not counts or max(counts) < 2:
            continue
        said: dict[str, Value] = dict.fromkeys((column.name for column in columns), None)
        said |= {
            "condition": report.words(condition),
            "model": f"mean of {counted(max(counts), 'model')}",
        }
        for name, row in means.items():
            if row:
                said |= {
                    name: row["mean"],
                    f"{name}_lo": row["mean_lo"],
                    f"{name}_hi": row["mean_hi"],
                }
        found.append(said)
        cases.append({"condition": condition})
    return DataTable.of(columns, found, cases)


def rests_on(report: Report, rows: Iterable[Result], names: Iterable[str] = ()) -> str:
    """What a figure of these metrics rests on, for its caption: 34 models, 200 items, K = 20."""
    rows = list(rows)
    models = {row["model"] for row in rows if row["model"] is not None}
    items = sorted({row["n"] for row in rows if row.get("n") is not None})
    said = [counted(len(models), "model")]
    if items:
        few = "" if items[0] == items[-1] else f"{items[0]:,} to "
        said.append(f"{few}{counted(items[-1], 'item')}")
    known = metrics_of(report)
    if any(known[name].decode != "greedy" for name in names):
        said.append(draws_of(report))
    return ", ".join(said)


def conditions_of(report: Report, rows: Iterable[Result]) -> list[str]:
    """Those of the rows, in the family's order."""
    found = {row["condition"] for row in rows}
    return [condition for condition in report.conditions if condition in found]


def models_said(rows: Iterable[Result]) -> str:
    """The one model by its name, or how many there are."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    return models[0] if len(models) == 1 else counted(len(models), "model")


def bounds(row: Result, metric: str) -> tuple[float | None, float | None]:
    """The bounds of a metric's interval in a row; None where there are none."""
    low, high = row.get(f"{metric}_lo"), row.get(f"{metric}_hi")
    return (low, high) if is_number(low) and is_number(high) else (None, None)


def pairs_of(report: Report) -> Iterator[tuple[str, str]]:
    """Moves from one condition to another that figures show, where models were asked under both:
    the family's, else the change that it studies."""
    wanted = report.family.moves or ([report.family.change[::-1]] if report.family.change else [])
    for before, after in wanted:
        if before in report.conditions and after in report.conditions:
            yield before, after
