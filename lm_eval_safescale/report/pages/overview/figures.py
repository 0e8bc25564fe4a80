"""The figures of the overview: a headline metric each, a row a condition and a dot a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.report.pages.common.phrases import rests_on
from lm_eval_safescale.report.pages.common.rows import Row, cells, mean_of, of_kind
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital, listed, percent, range_of
from lm_eval_safescale.words import counted

FEW = 4
"""Models of which each has its own interval in a figure."""


def figures_of(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """One for each metric; of one model under one condition one for all."""
    rows = cells(report)
    if len(rows) > 1:
        for name in scored:
            yield Section(capital(report.words(name)), figures=(_strips(report, name),))
    elif shares := [name for name in scored if report.metrics[name].is_fraction]:
        yield Section("Every rate", figures=(_rates(report, rows[0], shares),))


def _rates(report: Report, row: Row, metrics: Sequence[str]) -> Strips:
    """A row a metric, of the only model under the only condition."""
    rows = [
        Strip(
            report.words(name),
            [Point(row[name], 0, x_low=row[f"{name}_lo"], x_high=row[f"{name}_hi"], role="chosen")]
            if row[name] is not None
            else [],
            row[name],
        )
        for name in metrics
    ]
    columns = [
        DataColumn("metric"),
        *with_bounds("value", bounds=("lo", "hi"), cases={}),
        DataColumn("n", "items", "count"),
    ]
    data = [
        (report.words(name), *(row[f"{name}{end}"] for end in ("", "_lo", "_hi", "_n")))
        for name in metrics
    ]
    told = [f"{report.words(name)} {percent(row[name])}" for name in metrics]
    cases = [
        {"condition": row["condition"], "model": row["model"], **of_kind(report, name)}
        for name in metrics
    ]
    return Strips(
        "rates",
        capital(listed(told[:2])),
        f"{row['model']}, {report.words(row['condition'])}, {row['n']:,} items; bars are 95 % "
        "intervals.",
        Axis("share of items", percent=True),
        DataTable(columns, data, cases),
        rows,
    )


def _strips(report: Report, metric: str) -> Strips:
    """A row a condition and a dot a model."""
    kind = report.column_kind(metric)
    rows, data, cases = [], [], []
    few = len(report.models) <= FEW
    means: dict[str, Row] = {}
    for condition in report.conditions:
        points_, values = [], []
        for row in cells(report, condition=condition):
            model, value = row["model"], row[metric]
            low, high = row[f"{metric}_lo"], row[f"{metric}_hi"]
            data.append((report.words(condition), model, value, low, high, row[f"{metric}_n"]))
            cases.append({"condition": condition, "model": model})
            if value is None:
                continue
            chosen = model == report.chosen
            with_interval = chosen or few
            values.append(value)
            points_.append(
                Point(
                    value,
                    0,
                    condition,
                    model,
                    x_low=low if with_interval else None,
                    x_high=high if with_interval else None,
                    role="chosen" if chosen else "each",
                    note=model if few and len(report.models) > 1 else "",
                )
            )
        mean = mean_of(report, metric, condition) if len(report.models) > 1 else None
        if mean is not None:
            means[condition] = mean
            words = f"mean of {counted(mean['n_models'], 'model')}"
            bounds = (mean["mean_lo"], mean["mean_hi"])
            data.append((report.words(condition), words, mean["mean"], *bounds, None))
            cases.append({"condition": condition})
            points_.append(
                Point(
                    mean["mean"],
                    0,
                    condition,
                    words,
                    x_low=bounds[0],
                    x_high=bounds[1],
                    role="mean",
                )
            )
        value = mean["mean"] if mean else values[0] if len(values) == 1 else None
        rows.append(Strip(report.words(condition), points_, value, condition))
    return Strips(
        metric,
        _strips_title(report, metric, means),
        _strips_caption(report, metric),
        Axis(report.words(metric), percent=kind == "percent"),
        DataTable(
            (
                DataColumn("condition"),
                DataColumn("model"),
                *with_bounds(
                    "value", report.words(metric), kind, ("lo", "hi"), of_kind(report, metric)
                ),
                DataColumn("n", "items", "count"),
            ),
            data,
            cases,
        ),
        rows,
    )


def _strips_title(report: Report, metric: str, means: Mapping[str, Row]) -> str:
    name = capital(report.words(metric))
    values = [row[metric] for row in cells(report)]
    told = {each: row["mean"] for each, row in means.items()}
    if not told and len(report.models) == 1:
        told = {row["condition"]: row[metric] for row in cells(report) if row[metric] is not None}
    if not told:  # several controls
        return f"{name}: {range_of(values, '{} to {}')}"
    if len(told) == 1:
        (value,) = told.values()
        mean = f", mean {percent(value)}" if len(report.models) > 1 else ""
        return f"{name}: {range_of(values, '{} to {}')}{mean}"
    ordered = sorted(told, key=lambda each: told[each])
    low, high = ordered[0], ordered[-1]
    if percent(told[low]) == percent(told[high]):
        return f"{name} is {percent(told[low])} under every condition"
    return (
        f"{name} goes from {percent(told[low])} ({report.words(low)}) to {percent(told[high])} "
        f"({report.words(high)})"
    )


def _strips_caption(report: Report, metric: str) -> str:
    better = "Higher" if report.metrics[metric].higher_is_better else "Lower"
    of = f"{rests_on(report, cells(report), [metric])}; bars are 95 % intervals"
    if len(report.models) == 1:
        return f"{better} is better. {report.chosen}: {of.removeprefix('1 model, ')}."
    dots = "each model has its mark" if len(report.models) <= FEW else "a dot is a model"
    return (
        f"{better} is better. {of}: {dots}, the diamond {report.chosen} ({_why_chosen(report)}), "
        "the star the mean with its value at the right edge (its interval is over items, for these "
        "models)."
    )


def _why_chosen(report: Report) -> str:
    """By what rule `Report.chosen` is the model that is looked at."""
    if report.study.baseline is not None:
        return "the baseline"
    return f"best on average in {report.words(next(iter(report.family.headlines)))}"
