"""Rows of tables as rows of figures, for families' pages. It knows no page and no metric."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lm_eval_safescale.families.controls import is_control
from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.figures import DataColumn, DataTable, Point, Strip, with_bounds
from lm_eval_safescale.sections import ReportView
from lm_eval_safescale.sentences import capital, interval, percent, points

MODEL, CONTROL = "model", "control"
SERIES = {MODEL: "model", CONTROL: "control, which reads no question"}
"""Who is shown, where models stand beside controls."""
TableRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """Which columns of a row are drawn."""

    value: str
    low: str
    high: str
    said: str = "percent"
    """`percent`, or `points` for a difference."""

    def words(self, row: TableRow) -> str:
        """The value with its interval."""
        if self.said == "points":
            bounds = " to ".join(points(row[each]) for each in (self.low, self.high))
            known = row[self.low] is not None and row[self.high] is not None
            return points(row[self.value]) + (f" ({bounds})" if known else "")
        bounds = interval(row[self.low], row[self.high])
        return percent(row[self.value]) + (f" ({bounds})" if bounds else "")


def is_known(row: TableRow, column: str) -> bool:
    """Whether a value is scored."""
    return row[column] is not None


def mean_of(rows: Iterable[TableRow], column: str) -> float | None:
    """Mean of the scored values; None without any."""
    known = [row[column] for row in rows if is_known(row, column)]
    return fmean(known) if known else None


def of_models(report: ReportView, rows: Iterable[TableRow]) -> list[TableRow]:
    """Without those of controls, which are in no mean over models."""
    return [row for row in rows if not is_control(report.about, row["model"])]


def cases_of(rows: Iterable[TableRow]) -> list[dict[str, str]]:
    """Of each row the filters that lead to its model's answers."""
    return [{name: row[name] for name in ("model", "condition")} for row in rows]


def most_often(report: ReportView, rows: Sequence[TableRow], said: Mapping[str, str]) -> str:
    """In which `part` each kind of `error` has the highest `rate`, over models, in a sentence; of
    controls, where there are no models."""
    models = of_models(report, rows) or rows
    found = []
    for kind, words in said.items():
        own = [row for row in models if row["error"] == kind]
        means = {
            part: mean
            for part in dict.fromkeys(row["part"] for row in own)
            if (mean := mean_of([row for row in own if row["part"] == part], "rate")) is not None
        }
        if means:
            most = max(means, key=lambda part: means[part])
            found.append(f"most often {words}: {most} ({percent(means[most])})")
    return f"{capital('; '.join(found))}." if found else "Nothing is scored."


def profile_of(
    report: ReportView, measures: Sequence[str], who: Sequence[DataColumn], counted: str
) -> DataTable | None:
    """Figures of all models, and then of controls; None where none of them is given.

    Parameters
    ----------
    counted
        What `n` counts.
    """
    rows = [row for row in report.rows("profile") if row["condition"] != HUMAN]
    names = [name for name in measures if any(row.get(name) is not None for row in rows)]
    if not names:
        return None
    rows.sort(key=lambda row: is_control(report.about, row["model"]))
    columns = [*who, DataColumn("n", counted, "count")]
    for name in names:
        columns += with_bounds(name, report.words(name))
    return DataTable.of(columns, rows, cases_of(rows))


def strip(
    label: str,
    rows: Sequence[TableRow],
    shown: Shown,
    report: ReportView,
    *,
    series: str | None = None,
    who: str = "model",
) -> Strip | None:
    """A row of a figure: a dot for each row of a table, that of the chosen model with its interval,
    and the mean over models that are no controls where there are several; None where nothing is
    scored.

    Parameters
    ----------
    series
        Of all; None: whether the row is of a model or of a control.
    who
        The column that says whose a row is.
    """
    known = [row for row in rows if is_known(row, shown.value)]
    if not known:
        return None
    models = [row for row in known if not is_control(report.about, row[who])]
    alone = len(known) == 1
    drawn = []
    for row in known:
        own = MODEL if row in models else CONTROL
        looked_at = row[who] == report.chosen or own == CONTROL or alone
        drawn.append(
            Point(
                float(row[shown.value]),
                0.0,
                own if series is None else series,
                f"{row[who]}: {shown.words(row)}",
                row[shown.low] if looked_at else None,
                row[shown.high] if looked_at else None,
                role="chosen" if row[who] == report.chosen else "each",
            )
        )
    average = mean_of(models, shown.value)
    if average is not None and len(models) > 1:
        said = points(average) if shown.said == "points" else percent(average)
        own = MODEL if series is None else series
        drawn.append(Point(average, 0.0, own, f"mean of {len(models)} models: {said}", role="mean"))
    return Strip(label, drawn, value=average, series=series or "")


def strips(given: Iterable[Strip | None]) -> list[Strip]:
    """Those that have anything to show."""
    return [each for each in given if each is not None]


def with_controls(report: ReportView, models: Collection[str]) -> dict[str, str] | None:
    """The series of a figure of these models; None where no control is among them."""
    return dict(SERIES) if any(is_control(report.about, each) for each in models) else None


def models_said(report: ReportView, rows: Iterable[TableRow], who: str = "model") -> str:
    """How many models and controls rows are of, in words."""
    names = dict.fromkeys(row[who] for row in rows)
    controls = sum(is_control(report.about, name) for name in names)
    models = len(names) - controls
    parts = [
        f"{number} {what}{'' if number == 1 else 's'}"
        for number, what in ((models, "model"), (controls, "control"))
        if number
    ]
    return " and ".join(parts) or "no model"
