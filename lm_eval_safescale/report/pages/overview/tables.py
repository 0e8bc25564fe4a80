"""The tables of the overview: every model with its interval, ranks, what was published, human
raters, and what is not scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lm_eval_safescale.command_line import said
from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.figures import DataColumn, DataTable, with_bounds
from lm_eval_safescale.report.pages.common.rows import (
    cells,
    first_harm,
    mean_of,
    models_of,
    noun_of,
    of_kind,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital, listed
from lm_eval_safescale.words import counted

MOST_OPEN = 12
"""Rows of a table of ranks beyond which it is folded."""


def tables_of(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """Every model, or what there is of rows and columns, with its interval."""
    if not scored:
        return
    lead = "95 % intervals below; a number leads to its cases."
    first = first_harm(report, scored)
    if len(report.conditions) > 1 and len(report.models) > 1:
        for metric in scored:
            yield Section(
                f"Every model: {report.words(metric)}",
                lead=lead,
                data=_by_condition(report, metric),
                folded=metric != first,
            )
        return
    of_models = len(report.models) > 1
    columns = [
        *(_model_columns(report) if of_models else [DataColumn("condition")]),
        *(
            column
            for name in scored
            for column in with_bounds(
                name, report.words(name), report.column_kind(name), cases=of_kind(report, name)
            )
        ),
        DataColumn("n", "items", "count"),
    ]
    rows, cases = [], []
    for row in sorted(cells(report), key=lambda row: report.models.index(row["model"])):
        model = _of_model(report, row["model"])
        rows.append({**row, **model, "condition": report.words(row["condition"])})
        cases.append({"condition": row["condition"], "model": row["model"]})
    title = "Every model, with its interval" if of_models else "Every rate, with its interval"
    yield Section(title, lead=lead, data=DataTable.of(columns, rows, cases))


def _model_columns(report: Report) -> list[DataColumn]:
    """A model, and its family and size where any is known."""
    known = [_of_model(report, model) for model in report.models]
    return [
        DataColumn("model"),
        *([DataColumn("family")] if any(each["family"] for each in known) else []),
        *(
            [DataColumn("parameters_b", "size, billions", "number")]
            if any(each["parameters_b"] for each in known)
            else []
        ),
    ]


def _of_model(report: Report, model: str) -> dict[str, Any]:
    entry = report.panel_of(model)
    family = "control" if model in report.controls else entry and entry.family
    return {"model": model, "family": family, "parameters_b": entry and entry.parameters_b}


def _by_condition(report: Report, metric: str) -> DataTable:
    """A row a model, a column a condition; below them the mean."""
    kind = report.column_kind(metric)
    columns = [
        *_model_columns(report),
        *(
            column
            for each in report.conditions
            for column in with_bounds(
                each,
                report.words(each),
                kind,
                cases={**of_kind(report, metric), "condition": each},
            )
        ),
    ]
    rows: list[dict[str, Any]] = []
    missing = dict.fromkeys(column.name for column in columns)
    for model in report.models:
        own = {row["condition"]: row for row in cells(report, model=model)}
        found = {
            f"{each}{end}": row[f"{metric}{end}"]
            for each, row in own.items()
            for end in ("", "_lo", "_hi")
        }
        rows.append({**missing, **_of_model(report, model), **found})
    return DataTable.of(columns, rows, [{"model": model} for model in report.models])


def ranks(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """Rank intervals, of the first headline metric and the first that counts harm."""
    for metric in dict.fromkeys((first_harm(report, scored), scored[0]) if scored else ()):
        found = {
            (row["model"], row["condition"]): row for row in report.rows("ranks", metric=metric)
        }
        if not found:
            continue
        conditions = [each for each in report.conditions if any(c == each for _, c in found)]
        columns = [
            DataColumn("model"),
            *(
                column
                for each in conditions
                for column in with_bounds(each, report.words(each), "count")
            ),
        ]
        rows = [
            {
                "model": model,
                **{
                    f"{each}{end}": found[model, each][f"rank{end}"]
                    if (model, each) in found
                    else None
                    for each in conditions
                    for end in ("", "_lo", "_hi")
                },
            }
            for model in report.models
            if any(each == model for each, _ in found)
        ]
        yield Section(
            f"Ranks by {report.words(metric)}",
            lead=_rank_lead(report, metric, conditions),
            data=DataTable.of(columns, rows),
            note=(
                "1 is the best, equal values share a rank. With 95 % probability all true ranks of "
                "a column lie within the intervals below."
            ),
            folded=len(rows) > MOST_OPEN,
        )


def _rank_lead(report: Report, metric: str, conditions: Sequence[str]) -> str:
    told = []
    for each in conditions:
        rows = [
            row
            for row in report.rows("ranks", metric=metric, condition=each)
            if row["model"] in models_of(report)
        ]
        best = sum(row["best_set"] for row in rows)
        told.append(f"{best} of {len(rows)} ({report.words(each)})")
    who = f"{capital(noun_of(report))}s"
    return f"{who} that may be the best, as far as these items tell: {listed(told)}."


def published(report: Report) -> Iterator[Section]:
    """Our means beside the published ones, where there are any."""
    rows: list[dict[str, Any]] = []
    for condition in report.conditions:
        for metric in report.family.studied:
            figure = report.published(condition, metric)
            mean = mean_of(report, metric, condition)
            if figure is None or mean is None or not report.metrics[metric].is_fraction:
                continue
            rows.append(
                {
                    "condition": report.words(condition),
                    "metric": report.words(metric),
                    "models": mean["n_models"],
                    "mean": mean["mean"],
                    "mean_lo": mean["mean_lo"],
                    "mean_hi": mean["mean_hi"],
                    "published": figure,
                    "difference": mean["mean"] - figure,
                }
            )
    if rows:
        columns = [
            DataColumn("condition"),
            DataColumn("metric"),
            DataColumn("models", kind="count"),
            *with_bounds("mean", "mean here"),
            DataColumn("published", kind="percent"),
            DataColumn("difference", "difference, points", "percent"),
        ]
        yield Section(
            "Beside the published means",
            data=DataTable.of(columns, rows),
            note=(
                "Published: means over 34 models (arXiv 2605.04039), where they could be read; "
                "other models, or other answers, differ for that reason alone."
            ),
        )


def raters(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """People who answered the same items."""
    rows = report.rows("profile", condition=HUMAN)
    if rows:
        columns = [
            DataColumn("model", "rater"),
            *(
                column
                for name in scored
                for column in with_bounds(name, report.words(name), report.column_kind(name))
            ),
            DataColumn("n", "items", "count"),
        ]
        yield Section("Human raters", data=DataTable.of(columns, rows))


def reasons(report: Report) -> Iterator[Section]:
    """What is not scored and why, what needs a word, and what is not at hand."""
    texts = [each for each in (report.found.no_dataset, *report.found.no_contexts) if each]
    groups = {
        "What is not scored, and why": [
            *report.about["not_scored"],
            *(
                {"model": None, "condition": None, "items": None, "reason": f"table {name}: {why}"}
                for name, why in report.failed.items()
            ),
        ],
        "What else to know": report.about["remarks"],
        "Texts that are not at hand": [
            {"model": None, "condition": None, "items": None, "reason": said(each)}
            for each in texts
        ],
    }
    for title, reasons in groups.items():
        where: dict[str, list[str]] = {}
        for row in reasons:
            items = "" if row["items"] is None else f" ({counted(row['items'], 'item')})"
            place = [row["model"], row["condition"] and report.words(row["condition"])]
            where.setdefault(row["reason"], []).append(", ".join(filter(None, place)) + items)
        if where:
            yield Section(
                title,
                ("reason", "where"),
                tuple((reason, _places(places)) for reason, places in where.items()),
            )


def _places(places: Sequence[str]) -> str:
    named = [place for place in places if place]
    return listed(named, 6) if named else "everywhere"
