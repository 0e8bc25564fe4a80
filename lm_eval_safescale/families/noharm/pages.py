"""The page *omission and commission*: which options are left out and which are chosen wrongly,
compared with controls. It is made from tables, and knows no item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lm_eval_safescale.families.controls import is_control
from lm_eval_safescale.families.noharm.option_errors import CATEGORY, ERRORS, SEVERITY
from lm_eval_safescale.families.raters import HUMAN
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

TABLE = "option_errors"
SAID = {"omission": "left out", "commission": "chosen wrongly"}
_SEVERE = {
    "omission": "leaves out {} of the options whose omission does severe harm",
    "commission": "chooses {} of those that do severe harm",
}
RATE = Shown("rate", "rate_lo", "rate_hi")
WHO = (DataColumn("model"),)
"""There is one condition."""
MEASURES = (
    "severe_case_rate", "omission_share_severe", "safety", "completeness", "restraint", "overall",
    "recall", "precision", "escalation", "unanswered",
)  # fmt: skip
"""Compared with controls."""
OPEN = "What the paper leaves open is decided by us"


def pages(report: ReportView) -> list[Page]:
    """None where the table could not be made."""
    rows = report.rows(TABLE)
    if not rows:
        return []
    finding, doubt = _said(report, rows)
    found = (
        _by(report, rows, SEVERITY, "By severity of the error", "the severity of the error"),
        _by(report, rows, CATEGORY, "By category of the option", "the category of the option"),
        *(
            _by(report, rows, name, f"By {name.replace('_', ' ')}", name.replace("_", " "))
            for name in dict.fromkeys(row["by"] for row in rows)
            if name not in (None, SEVERITY, CATEGORY)
        ),
        _measures(report),
    )
    return [
        Page(
            "omission-and-commission",
            "Omission and commission",
            finding,
            doubt,
            tuple(section for section in found if section is not None),
        )
    ]


def _said(report: ReportView, rows: Sequence[TableRow]) -> tuple[str, str]:
    """The headline, and what is uncertain in it."""
    severe = [row for row in rows if (row["by"], row["part"]) == (SEVERITY, "severe")]
    own = {
        each: [row for row in of_models(report, severe) if row["error"] == each] for each in ERRORS
    }
    models = {row["model"] for row in of_models(report, rows)}
    alone = len(models) == 1
    who = next(iter(models)) if alone else f"The mean of {len(models)} models"
    if not models:
        return "Only controls were asked: nothing is known of a model.", ""
    said = [
        _SEVERE[each].format(percent(mean))
        for each, of_each in own.items()
        if (mean := mean_of(of_each, "rate")) is not None
    ]
    if not said:
        return "No option of these cases could do severe harm, or nothing is scored.", ""
    counts = [sum(row["errors"] for row in of_each) for of_each in own.values()]
    share = (
        f"; {percent(counts[0] / sum(counts))} of severe errors are omissions"
        if sum(counts)
        else "; there is no severe error"
    )
    nothing = _control(report, severe, "omission", "choose-nothing")
    beside = "" if nothing is None else f" Choosing nothing leaves out {percent(nothing)} of them."
    bounds = [
        f"{interval(row['rate_lo'], row['rate_hi'])} {SAID[each]}"
        for each, of_each in own.items()
        for row in of_each
        if alone and interval(row["rate_lo"], row["rate_hi"])
    ]
    doubt = f"95 % intervals over cases: {'; '.join(bounds)}. " if bounds else ""
    return (
        f"{who} {' and '.join(said)}{share}.",
        f"{doubt}{OPEN}, and no patient was treated.{beside}",
    )


def _is_control(report: ReportView, row: TableRow) -> bool:
    return is_control(report.about, row["model"])


def _control(report: ReportView, rows: Sequence[TableRow], error: str, name: str) -> float | None:
    """The rate of one of the controls."""
    found = [
        row
        for row in rows
        if _is_control(report, row) and row["error"] == error and row["model"].startswith(name)
    ]
    return found[0]["rate"] if found else None


def _by(
    report: ReportView, rows: Sequence[TableRow], by: str, title: str, said: str
) -> Section | None:
    """A figure of the parts of all options, omission above commission in each."""
    own = [row for row in rows if row["by"] == by]
    if not own:
        return None
    drawn = strips(
        strip(
            f"{part}: {SAID[each]}",
            [row for row in own if row["part"] == part and row["error"] == each],
            RATE,
            report,
        )
        for part in dict.fromkeys(row["part"] for row in own)
        for each in ERRORS
    )
    if not drawn:
        return None
    figure = Strips(
        f"{by}-errors",
        most_often(report, own, SAID),
        f"Errors / options of which they could be one, by {said}: appropriate options that are not "
        "chosen are left out, inappropriate ones that are chosen are chosen wrongly. A dot is one "
        f"of {models_said(report, own)}; the filled mark is {report.chosen} with its 95 % "
        "interval, at the right stands the mean over models.",
        Axis("share of the options", percent=True, low=0.0, high=1.0),
        _data(own),
        drawn,
        with_controls(report, [row["model"] for row in own]),
    )
    return Section(title, figures=(figure,))


def _data(rows: Sequence[TableRow]) -> DataTable:
    return DataTable.of(
        (
            *WHO,
            DataColumn("by"),
            DataColumn("part"),
            DataColumn("error"),
            DataColumn("errors", "errors in a trial", "number"),
            DataColumn("options", "options", "number"),
            *with_bounds("rate", "errors / options"),
        ),
        rows,
        cases_of(rows),
    )


def _measures(report: ReportView) -> Section | None:
    """The family's figures of models and controls, in a table."""
    data = profile_of(report, MEASURES, WHO, "cases")
    if data is None:
        return None
    return Section(
        "Compared with controls",
        lead=" ".join(_better_than_controls(report)),
        data=data,
        note="Controls read no question. Not given is what is undefined: a share of nothing is "
        "not 0.",
    )


def _better_than_controls(report: ReportView) -> Iterator[str]:
    """How many models are safer than each control, in a sentence each."""
    rows = [row for row in report.rows("profile") if row["condition"] != HUMAN]
    models = of_models(report, rows)
    controls = [row for row in rows if _is_control(report, row)]
    known = [row for row in models if row["safety"] is not None]
    if not controls:
        yield "No control was asked, which reads no question and shows what a figure is worth."
    for control in controls:
        if control["safety"] is not None and known:
            above = sum(row["safety"] > control["safety"] for row in known)
            yield (
                f"{above:,} of {len(known):,} rows of models have a higher safety than "
                f"{control['model']} ({percent(control['safety'])})."
            )
