"""The page *omission and commission*: how often advice leaves out what it must hold and holds what
harms, by severity and by group of cases.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.families.controls import is_control
from lm_eval_safescale.families.noharm_text.case_tables import SEVERITY
from lm_eval_safescale.families.noharm_text.pages.common import (
    WHO,
    few_said,
    judges_said,
    overall,
    several,
    who_of,
)
from lm_eval_safescale.families.noharm_text.rubric import KINDS
from lm_eval_safescale.families.showing import (
    Shown,
    TableRow,
    cases_of,
    mean_of,
    models_said,
    most_often,
    of_models,
    profile_of,
    strip,
    strips,
    with_controls,
)
from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Strips, with_bounds
from lm_eval_safescale.sections import Page, ReportView, Section
from lm_eval_safescale.sentences import interval, percent

TABLE = "harm_rates"
SAID = {"omission": "left out", "commission": "advised"}
RATE = Shown("rate", "rate_lo", "rate_hi")
MEASURES = (
    "severe_rate", "moderate_rate", "mild_rate", "recall_weighted", "precision_weighted",
    "f1_weighted", "offrubric_rate", "f1_floor", "resilience",
)  # fmt: skip


def omission_and_commission(report: ReportView) -> Page | None:
    """None where nothing is scored."""
    rows = report.rows(TABLE)
    if not rows:
        return None
    finding, doubt = _said(report, rows)
    groupings = dict.fromkeys(row["by"] for row in rows if row["by"] not in (None, SEVERITY))
    found = (
        _by(report, rows, SEVERITY, "By severity of the harm", "of exactly this severity"),
        *(
            _by(report, rows, name, f"Severe harm by {name}", "that is severe")
            for name in groupings
        ),
        _measures(report),
    )
    sections = tuple(section for section in found if section is not None)
    return Page("omission-and-commission", "Omission and commission", finding, doubt, sections)


def _said(report: ReportView, rows: Sequence[TableRow]) -> tuple[str, str]:
    """The headline, and what is uncertain in it."""
    severe = of_models(report, overall(report, "severe_rate"))
    known = [row for row in severe if row["value"] is not None]
    if not known:
        return "Only controls were asked: nothing is known of a model.", ""
    own = of_models(report, [row for row in rows if row["by"] is None])
    parts = {kind: mean_of([row for row in own if row["error"] == kind], "rate") for kind in KINDS}
    finding = (
        f"{who_of(known)} does severe harm in {percent(mean_of(known, 'value'))} of answers: "
        + " and ".join(f"by {kind} in {percent(parts[kind])}" for kind in KINDS)
        + "."
    )
    bounds = interval(known[0]["lo"], known[0]["hi"]) if len(known) == 1 else ""
    spread = f"95 % interval over cases: {bounds}. " if bounds else ""
    if len(known) > 1:
        spread = "Each model and condition has its interval over cases below. "
    silent = [
        row["value"]
        for row in overall(report, "severe_rate")
        if is_control(report.about, row["model"]) and row["value"] is not None
    ]
    beside = (
        f" A control, which reads no case, does it in {percent(max(silent))}." if silent else ""
    )
    return (
        finding,
        f"{spread}{judges_said(report)} No patient was treated.{beside}{few_said(report)}",
    )


def _by(
    report: ReportView, rows: Sequence[TableRow], by: str, title: str, said: str
) -> Section | None:
    """A row for each part and kind of harm, and a dot a model."""
    own = [row for row in rows if row["by"] == by]
    drawn = strips(
        strip(
            several(report, f"{part}: {SAID[kind]}", condition),
            [
                row
                for row in own
                if (row["part"], row["error"], row["condition"]) == (part, kind, condition)
            ],
            RATE,
            report,
        )
        for part in dict.fromkeys(row["part"] for row in own)
        for kind in KINDS
        for condition in report.conditions
    )
    if not drawn:
        return None
    figure = Strips(
        f"{by}-harms",
        most_often(report, own, SAID),
        f"Share of answers that hold a harm {said}: left out is a wanted option that neither the "
        "advice nor an alternative covers, or a grave one that is advised in part; advised is a "
        f"harmful option. Mean over cases of the mean over their answers. A dot is one of "
        f"{models_said(report, own)}; the filled mark is {report.chosen} with its 95 % interval, "
        "at the right stands the mean over models. Parts of few cases differ by chance.",
        Axis("share of the answers", percent=True, low=0.0, high=1.0),
        _data(own),
        drawn,
        with_controls(report, [row["model"] for row in own]),
    )
    return Section(title, figures=(figure,))


def _data(rows: Sequence[TableRow]) -> DataTable:
    columns = (
        *WHO,
        DataColumn("by"),
        DataColumn("part"),
        DataColumn("error", "kind"),
        *with_bounds("rate", "answers with one"),
        DataColumn("harms", "harms an answer", "number"),
        DataColumn("cases", kind="count"),
        DataColumn("records", "answers", "count"),
    )
    return DataTable.of(columns, rows, cases_of(rows))


def _measures(report: ReportView) -> Section | None:
    """The family's figures of models and controls, in a table."""
    data = profile_of(report, MEASURES, WHO, "items")
    if data is None:
        return None
    return Section(
        "All figures",
        data=data,
        note=(
            "Controls read no case. Not given is what is undefined: it is never 0. How many cases "
            "and answers each figure rests on is in the table results."
        ),
    )
