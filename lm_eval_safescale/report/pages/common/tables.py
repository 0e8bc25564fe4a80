"""Tables and sections that several pages make alike. It makes no figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lm_eval_safescale.figures import DataColumn, DataTable, Figure, Kind, Plot, Value, with_bounds
from lm_eval_safescale.report.pages.common.rows import Row, kind_of_cases, mean_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.words import counted


def section(title: str, figures: Iterable[Figure], why: str) -> Section:
    """The figures that have something to show; without any the reason."""
    found = tuple(
        each
        for each in figures
        if (each.points or each.lines if isinstance(each, Plot) else each.rows)
    )
    return Section(title, figures=found) if found else Section(title, lead=why)


def measured(report: Report, metric: str, kind: Kind = "percent") -> list[DataColumn]:
    """The columns of a metric and its bounds; the value leads to its cases."""
    cases = kind_of_cases(report, metric)
    return list(with_bounds(metric, report.words(metric), kind, cases=cases))


def table_of_results(
    report: Report, rows: Iterable[Row], names: Sequence[str], kinds: Mapping[str, Kind] = {}
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
