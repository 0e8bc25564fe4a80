"""What these pages look up and say alike. It makes no page."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.families.showing import TableRow
from lm_eval_safescale.figures import DataColumn
from lm_eval_safescale.sections import ReportView
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.words import counted

WHO = (DataColumn("model"), DataColumn("condition"))
ENOUGH = 20
"""Cases from which on resampling within specialties tells about what it says."""


def overall(report: ReportView, metric: str) -> list[TableRow]:
    """The results of a metric over all cases."""
    return [row for row in report.rows("results", metric=metric) if row["group"] is None]


def several(report: ReportView, label: str, condition: str) -> str:
    """A label of a row of a figure, with the condition where there are several."""
    return f"{label}, {report.words(condition)}" if len(report.conditions) > 1 else label


def who_of(rows: Sequence[TableRow]) -> str:
    """Whom a mean over rows is of."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    return models[0] if len(models) == 1 else f"The mean of {len(models)} models"


def few_said(report: ReportView) -> str:
    """What must be said of intervals over few cases; empty where there are enough."""
    cases = {row["case"] for row in report.rows("noharm_cases") if row["records"]}
    if len(cases) >= ENOUGH:
        return ""
    if len(cases) == 1:
        return " One case says nothing of others."
    return (
        f" Intervals over {counted(len(cases), 'case')} are too narrow: what they tell apart may "
        "still be chance."
    )


def judges_said(report: ReportView) -> str:
    """Who judged, and how far that is known to hold."""
    names = [
        (known.get("settings", {}).get("reading") or {}).get("judge", {}).get("name")
        for known in report.about.get("models", {}).values()
    ]
    judges = list(dict.fromkeys(str(name) for name in names if name))
    who = f"Judged by {listed(judges, 3)}" if judges else "Judged by an unknown judge"
    again = (
        "the page on the judge says how far its verdicts hold"
        if report.rows("judge_reliability", what="verdicts")
        else "it was asked once, so that how far its verdicts hold is not known"
    )
    return f"{who}: {again}."
