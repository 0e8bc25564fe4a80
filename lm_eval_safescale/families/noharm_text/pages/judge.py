"""The page *judge*: how many of its verdicts the judge turned when it was asked again, and how far
each figure moves by that.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.families.noharm_text.pages.common import several
from lm_eval_safescale.families.showing import Shown, TableRow, cases_of, mean_of, strip, strips
from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Strips, with_bounds
from lm_eval_safescale.sections import Page, ReportView, Section
from lm_eval_safescale.sentences import listed, percent, points
from lm_eval_safescale.words import counted

TABLE = "judge_reliability"
FLIPS = Shown("flips", "flips_lo", "flips_hi")
MOVED = Shown("delta", "delta_lo", "delta_hi", "points")
WHO = (DataColumn("model"), DataColumn("condition"), DataColumn("judge"))


def judge(report: ReportView) -> Page | None:
    """None where no judge was asked again."""
    verdicts = [row for row in report.rows(TABLE, what="verdicts") if row["flips"] is not None]
    if not verdicts:
        return None
    finding, doubt = _said(verdicts)
    found = (_flips(report, verdicts), _moves(report))
    sections = tuple(section for section in found if section is not None)
    return Page("judge", "The judge", finding, doubt, sections)


def _said(rows: Sequence[TableRow]) -> tuple[str, str]:
    judges = list(dict.fromkeys(row["judge"] for row in rows))
    flips = mean_of(rows, "flips")
    who = judges[0] if len(judges) == 1 else f"The mean of {len(judges)} judges"
    bounds = FLIPS.words(rows[0]) if len(rows) == 1 else ""
    least = min(row["n"] for row in rows)
    each = " or more a model" if len(rows) > 1 else ""
    return (
        f"Asked again, {who} turned {bounds or percent(flips)} of its verdicts.",
        f"Of {counted(least, 'verdict')}{each}. That a judge says the same again does "
        "not make it right: only people, or another judge, can show that.",
    )


def _flips(report: ReportView, rows: Sequence[TableRow]) -> Section:
    drawn = strips(
        strip(
            several(report, name, condition),
            [row for row in rows if (row["judge"], row["condition"]) == (name, condition)],
            FLIPS,
            report,
        )
        for name in dict.fromkeys(row["judge"] for row in rows)
        for condition in report.conditions
    )
    columns = (
        *WHO,
        DataColumn("repeats", "asked again", "count"),
        DataColumn("n", "verdicts", "count"),
        *with_bounds("flips", "turned"),
        *with_bounds("kappa", "kappa", "coefficient"),
        DataColumn("failed", "judgings that failed", "count"),
    )
    kappas = [row["kappa"] for row in rows if row["kappa"] is not None]
    said = listed([f"{each:.2f}" for each in kappas], 4)
    beyond = f" Kappa, which counts out chance: {said}." if kappas else ""
    figure = Strips(
        "flips",
        f"Of all verdicts {percent(mean_of(rows, 'flips'))} are others when the judge is asked "
        "again.",
        "Share of verdicts (advised, in part, not) that are others when the judge is asked again "
        "about the same answer. A dot is the answers of one model; the filled mark is "
        f"{report.chosen} with its 95 % interval, cases resampled.{beyond}",
        Axis("share of verdicts", percent=True, low=0.0),
        DataTable.of(columns, rows, cases_of(rows)),
        drawn,
    )
    return Section("Verdicts that turn", figures=(figure,))


def _moves(report: ReportView) -> Section | None:
    """How far each figure moves by another judging."""
    rows = [row for row in report.rows(TABLE, what="metric") if row["delta"] is not None]
    drawn = strips(
        strip(report.words(name), [row for row in rows if row["metric"] == name], MOVED, report)
        for name in dict.fromkeys(row["metric"] for row in rows)
    )
    if not drawn:
        return None
    most = max(rows, key=lambda row: abs(row["delta"]))
    columns = (
        *WHO,
        DataColumn("metric"),
        DataColumn("value", "first judging", "percent"),
        DataColumn("again", "asked again", "percent"),
        *with_bounds("delta", "difference"),
    )
    figure = Strips(
        "moves",
        f"Asked again, a judging moves {report.words(most['metric'])} of {most['model']} by "
        f"{points(most['delta'])}, the most of all figures.",
        "Difference of each figure by the further judgings less the first one. A dot is a model; "
        f"the filled mark is {report.chosen} with its 95 % interval. What moves by judging alone "
        "is no difference between models.",
        Axis("difference", percent=True, difference=True),
        DataTable.of(columns, rows, cases_of(rows)),
        drawn,
    )
    return Section("How far figures move", figures=(figure,))
