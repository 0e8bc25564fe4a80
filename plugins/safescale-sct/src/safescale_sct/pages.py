"""A page of a report: credit, and the two ways to be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.sections import Page, ReportView, Section
from lm_eval_safescale.sentences import capital, interval, percent

FIGURES = ("credit", "over_reaction", "under_reaction")


def pages(report: ReportView) -> list[Page]:
    """One page; none where no credit is scored."""
    rows = [row for row in report.rows("profile") if row["credit"] is not None]
    if not rows:
        return []
    best = max(rows, key=lambda row: row["credit"])
    over, under = (best[name] or 0.0 for name in FIGURES[1:])
    leans = (
        "reacts too much and too little alike"
        if over == under
        else f"reacts too {'much' if over > under else 'little'} more often than too "
        f"{'little' if over > under else 'much'}"
    )
    most = "" if len(rows) == 1 else f", the most of {len(rows)} models,"
    finding = (
        f"{best['model']} earns {percent(best['credit'])} of the panel's credit{most} and {leans}."
    )
    bounds = interval(best["credit_lo"], best["credit_hi"])
    doubt = (
        f"{f'95 % interval of the credit: {bounds}. ' if bounds else ''}Credit is agreement with "
        "a panel's commonest answer, and the panel may be wrong."
    )
    section = Section(
        "Credit and reactions", figures=tuple(_figure(report, rows, name) for name in FIGURES)
    )
    return [Page("script-concordance", "Script concordance", finding, doubt, (section,))]


def _figure(report: ReportView, rows: Sequence, metric: str) -> Strips:
    """A model a row, with its interval."""
    known = [row for row in rows if row[metric] is not None]
    known.sort(key=lambda row: row[metric], reverse=metric == "credit")
    drawn = [
        Strip(
            row["model"],
            [
                Point(
                    row[metric],
                    0.0,
                    label=f"{row['model']}: {percent(row[metric])}",
                    x_low=row[f"{metric}_lo"],
                    x_high=row[f"{metric}_hi"],
                    role="chosen" if row["model"] == report.chosen else "each",
                )
            ],
            value=row[metric],
        )
        for row in known
    ]
    words = report.words(metric)
    said = f"{capital(words)}: nothing is scored."
    if known:
        ends = percent(known[0][metric]), percent(known[-1][metric])
        said = f"{capital(words)}: {ends[0]}" + (f" to {ends[1]}." if ends[0] != ends[1] else ".")
    return Strips(
        metric.replace("_", "-"),
        said,
        "A model a row, with its 95 % interval over items.",
        Axis(words, percent=True, low=0.0, high=1.0),
        DataTable.of(
            (
                DataColumn("model"),
                *with_bounds(metric, words),
                DataColumn(f"{metric}_n", "items", "count"),
            ),
            known,
            [{"model": row["model"], "condition": row["condition"]} for row in known],
        ),
        drawn,
    )
