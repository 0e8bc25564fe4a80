"""The page *overview*: every headline metric of every model under every condition."""

from __future__ import annotations

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.words import counted


def overview(report: Report) -> Page:
    """What one sees first."""
    headlines = [name for name in report.family.headlines if _scored(report, name)]
    return Page(
        "overview",
        "Overview",
        report.title,
        f"{report.subject}.",
        (
            *(
                Section(report.words(name).capitalize(), figures=(_strips(report, name),))
                for name in headlines
            ),
        ),
    )


def _scored(report: Report, metric: str) -> bool:
    return any(row.get(metric) is not None for row in report.rows("profile"))


def _strips(report: Report, metric: str) -> Strips:
    """A row a condition and a dot a model."""
    rows, data = [], []
    for condition in report.conditions:
        points, values = [], []
        for model in report.models:
            for row in report.rows("profile", model=model, condition=condition):
                value, low, high = (row[f"{metric}{end}"] for end in ("", "_lo", "_hi"))
                data.append((condition, model, value, low, high, row[f"{metric}_n"]))
                if value is not None:
                    is_chosen = model == report.chosen
                    points.append(
                        Point(
                            value,
                            0,
                            condition,
                            model,
                            x_low=low,
                            x_high=high,
                            role="chosen" if is_chosen else "each",
                        )
                    )
                    values.append(value)
        mean = sum(values) / len(values) if values else None
        rows.append(Strip(report.words(condition), points, mean, condition))
    return Strips(
        metric,
        report.words(metric).capitalize(),
        f"A dot is one of {counted(len(report.models), 'model')}; the diamond is {report.chosen} "
        "with its 95 % interval.",
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("condition"),
                DataColumn("model"),
                DataColumn("value", kind="percent", low="lo", high="hi", cases={}),
                DataColumn("lo", kind="percent"),
                DataColumn("hi", kind="percent"),
                DataColumn("n", kind="count"),
            ),
            data,
            [{"condition": row[0], "model": row[1]} for row in data],
        ),
        rows,
        {condition: report.words(condition) for condition in report.conditions},
    )
