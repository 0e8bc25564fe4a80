"""The page *worst answers*: how far the worst answer to a case lies below its mean, and how alike
the answers to variants of a case are.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.families.noharm_text.pages.common import (
    WHO,
    few_said,
    judges_said,
    overall,
    who_of,
)
from lm_eval_safescale.families.showing import (
    Shown,
    TableRow,
    cases_of,
    mean_of,
    models_said,
    of_models,
    strip,
    strips,
    with_controls,
)
from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.sections import Page, ReportView, Section
from lm_eval_safescale.sentences import interval, percent
from lm_eval_safescale.words import counted

MEAN, LOWEST = "f1_weighted", "f1_floor"
RESILIENCE, OURS = "resilience", "resilience_within_trial"
VALUE = Shown("value", "lo", "hi")
MOST_CASES = 40
"""Drawn, the worst first; the table has all."""


def worst_answers(report: ReportView) -> Page | None:
    """None where no case has two answers."""
    rows = report.rows("noharm_cases")
    if all(row[LOWEST] is None and row[RESILIENCE] is None for row in rows):
        return None
    finding, doubt = _said(report)
    found = (_over_cases(report), _lowest(report, rows), _resilience(report, rows))
    sections = tuple(section for section in found if section is not None)
    return Page("worst-answers", "Worst answers", finding, doubt, sections)


def _said(report: ReportView) -> tuple[str, str]:
    """The headline, and what is uncertain in it."""
    own = {
        name: [row for row in of_models(report, overall(report, name)) if row["value"] is not None]
        for name in (MEAN, LOWEST, RESILIENCE)
    }
    if not own[MEAN]:
        return "Only controls were asked: nothing is known of a model.", ""
    if not own[LOWEST] and not own[RESILIENCE]:
        return "No model has several answers to a case: none is its worst.", judges_said(report)
    known = own[LOWEST] or own[RESILIENCE]
    both = {(row["model"], row["condition"]) for row in own[LOWEST]}
    means = [row for row in own[MEAN] if (row["model"], row["condition"]) in both]
    said = []
    if own[LOWEST]:
        said.append(
            f"an F1 of {percent(mean_of(means, 'value'))} on average and of "
            f"{percent(mean_of(own[LOWEST], 'value'))} in the worst answer to a case"
        )
    if own[RESILIENCE]:
        said.append(f"a resilience of {percent(mean_of(own[RESILIENCE], 'value'))}")
    bounds = interval(known[0]["lo"], known[0]["hi"]) if len(known) == 1 else ""
    what = "the worst answers" if own[LOWEST] else "resilience"
    spread = f"95 % interval over cases of {what}: {bounds}. " if bounds else ""
    return (
        f"{who_of(known)} has {' and '.join(said)}.",
        f"{spread}The more answers a case has, the lower its worst one, which compares at equal "
        f"numbers only. {judges_said(report)}{few_said(report)}",
    )


def _over_cases(report: ReportView) -> Section | None:
    """Means over cases with their intervals."""
    names = [name for name in (MEAN, LOWEST, RESILIENCE, OURS) if overall(report, name)]
    rows = [
        {**row, "metric": report.words(name)}
        for name in names
        for row in overall(report, name)
        if row["value"] is not None
    ]
    if not rows:
        return None
    columns = (
        *WHO,
        DataColumn("metric"),
        *with_bounds("value", "mean over cases", bounds=("lo", "hi")),
        DataColumn("cases", kind="count"),
        DataColumn("records", "answers", "count"),
    )
    return Section(
        "Over all cases",
        data=DataTable.of(columns, rows, cases_of(rows)),
        note="Resilience within a trial, of the variants in it alone, is ours.",
    )


def _columns(*names: str) -> tuple[DataColumn, ...]:
    return (
        *WHO,
        DataColumn("case", cases={}),
        DataColumn("specialty"),
        DataColumn("records", "answers", "count"),
        *(DataColumn(name, name.replace("_", " "), "percent") for name in names),
    )


def _links(rows: Sequence[TableRow]) -> list[dict[str, str]]:
    return [
        {"model": row["model"], "condition": row["condition"], "text": row["case"]} for row in rows
    ]


def _lowest(report: ReportView, rows: Sequence[TableRow]) -> Section | None:
    """Mean and worst answer of each case, of the model that is looked at."""
    condition = report.conditions[0]
    own = [
        row
        for row in rows
        if (row["model"], row["condition"]) == (report.chosen, condition)
        and row[LOWEST] is not None
    ]
    if not own:
        return None
    own.sort(key=lambda row: row[LOWEST])
    shown = own[:MOST_CASES]
    drawn = [
        Strip(
            row["case"],
            [
                Point(row[LOWEST], 0.0, "lowest", f"worst answer: {percent(row[LOWEST])}"),
                Point(row[MEAN], 0.0, "mean", f"mean of {row['records']}: {percent(row[MEAN])}"),
            ],
            value=row[LOWEST],
            joined=True,
        )
        for row in shown
    ]
    zero = sum(row[LOWEST] == 0 for row in own)
    every = [row for row in rows if row[LOWEST] is not None]
    figure = Strips(
        "worst-by-case",
        f"In {zero:,} of {counted(len(own), 'case')} the worst answer of {report.chosen} earns "
        "nothing."
        if zero
        else f"The worst answer of {report.chosen} earns {percent(own[0][LOWEST])}, to "
        f"{own[0]['case']}.",
        f"Weighted F1 of {report.chosen}, {report.words(condition)}: the worst answer to each "
        f"case, joined to the mean of all its answers, the lowest first: {len(shown):,} of "
        f"{counted(len(own), 'case')}.",
        Axis("weighted F1", percent=True, low=0.0, high=1.0),
        DataTable.of(_columns(MEAN, LOWEST), every, _links(every)),
        drawn,
        {"lowest": "worst answer", "mean": "mean of the answers"},
    )
    return Section("Worst and mean answer, by case", figures=(figure,))


def _resilience(report: ReportView, rows: Sequence[TableRow]) -> Section | None:
    """How alike the answers to a case are: a row a case, a dot a model."""
    condition = report.conditions[0]
    own = [
        {**row, "lo": None, "hi": None}
        for row in rows
        if row["condition"] == condition and row[RESILIENCE] is not None
    ]
    if not own:
        return None
    cases = list(dict.fromkeys(row["case"] for row in own))
    means = {
        case: mean_of([row for row in own if row["case"] == case], RESILIENCE) for case in cases
    }
    cases.sort(key=lambda case: means[case] or 0.0)
    drawn = strips(
        strip(
            case, [row for row in own if row["case"] == case], Shown(RESILIENCE, "lo", "hi"), report
        )
        for case in cases[:MOST_CASES]
    )
    every = [row for row in rows if row[RESILIENCE] is not None]
    figure = Strips(
        "resilience-by-case",
        f"Answers are least alike to {cases[0]} ({percent(means[cases[0]])}).",
        "Resilience, 1 less the share of severity-weighted options on which the answers to the "
        f"variants of a case disagree, {report.words(condition)}: a row a case, the least first; a "
        f"dot is one of {models_said(report, own)}. At the right stands the mean over models. It "
        "says how alike answers are, not how good.",
        Axis("resilience", percent=True, low=0.0, high=1.0),
        DataTable.of(_columns(RESILIENCE, OURS), every, _links(every)),
        drawn,
        with_controls(report, [row["model"] for row in own]),
    )
    return Section("Resilience, by case", figures=(figure,))
