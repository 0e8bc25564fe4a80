"""Confidence by what became of an answer, and the gap between right and harmful ones: made from
`confidence_by_outcome`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Point,
    Strip,
    Strips,
    Value,
    with_bounds,
)
from lm_eval_safescale.report.pages.common.phrases import (
    between,
    models_said,
    points_within,
    rests_on,
)
from lm_eval_safescale.report.pages.common.rows import (
    Row,
    bounds,
    conditions_of,
    estimate,
    pairs_of,
    results,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import is_number, listed, of_all, percent, points
from lm_eval_safescale.words import counted

OUTCOMES = "confidence_by_outcome"
GAP = "gap"


def outcomes_of(report: Report) -> list[str]:
    """What becomes of an answer, as columns of the table: right, wrong, the harms, the gravest
    first."""
    columns = report.family.tables[OUTCOMES].columns
    return [name for name in columns if f"{name}_lo" in columns and name != GAP]


def first_of(report: Report, conditions: Sequence[str]) -> str:
    """The condition that sentences speak of: where the family's first move begins."""
    start = next((before for before, _ in pairs_of(report)), "")
    return start if start in conditions else conditions[0]


def _outcome(report: Report, name: str) -> str:
    right, wrong, *_ = outcomes_of(report)
    return {right: "right", wrong: "wrong"}.get(name) or report.words(name)


def by_outcome(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> Strips | None:
    """None where nothing is scored."""
    shown = [
        name for name in outcomes_of(report) if any(is_number(row[name]) for row in means.values())
    ]
    if not shown:
        return None
    rows = [
        Strip(
            report.words(condition),
            [
                Point(
                    row[name],
                    0,
                    name,
                    f"{_outcome(report, name)}, {report.words(condition)}",
                    *bounds(row, name),
                )
                for name in shown
                if is_number(row[name])
            ],
        )
        for condition, row in means.items()
    ]
    return Strips(
        "by-outcome",
        outcome_title(report, means, own),
        f"Mean confidence of {models_said(own)} by what became of the majority answer, with its "
        f"95 % interval; no answer counts as wrong. {_rests_on(report, own)}.",
        Axis("mean confidence", percent=True),
        _outcome_table(report, [*means.values(), *own], shown),
        rows,
        {name: _outcome(report, name) for name in shown},
    )


def _rests_on(report: Report, own: Sequence[Row]) -> str:
    pairs = {(row["model"], row["condition"]) for row in own}
    rows = [row for row in results(report) if (row["model"], row["condition"]) in pairs]
    return rests_on(report, rows, (report.family.confidence_column,))


def models_under(own: Sequence[Row], condition: str) -> str:
    """Whose confidence was measured under a condition."""
    return models_said(row for row in own if row["condition"] == condition)


def outcome_title(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> str:
    """The mean confidence of each outcome, in a sentence."""
    condition = first_of(report, list(means))
    row, who = means[condition], models_under(own, condition)
    right, wrong, harm, *_ = outcomes_of(report)
    whose = f"the mean confidence of {who}" if row["n_models"] > 1 else f"{who}'s confidence"
    told = [
        f"{percent(row[name])} on {said}"
        for name, said in (
            (right, "right answers"),
            (harm, f"{report.words(harm)}s"),
            (wrong, "wrong ones" if is_number(row[right]) else "wrong answers"),
        )
        if is_number(row[name]) and (name != wrong or not is_number(row[harm]))
    ]
    return f"Under {report.words(condition)} {whose} is {listed(told)}."


def _outcome_table(report: Report, rows: Sequence[Row], names: Sequence[str]) -> DataTable:
    columns = [
        DataColumn("condition"),
        DataColumn("model"),
        *(each for name in names for each in with_bounds(name, _outcome(report, name))),
    ]
    found: list[dict[str, Value]] = []
    cases = []
    for row in rows:
        if row["model"] is None and row["n_models"] == 1:
            continue
        whose = row["model"] or f"mean of {counted(row['n_models'], 'model')}"
        found.append(
            {column.name: row.get(column.name) for column in columns}
            | {"condition": report.words(row["condition"]), "model": whose}
        )
        cases.append(
            {"condition": row["condition"]} | ({"model": row["model"]} if row["model"] else {})
        )
    return DataTable.of(columns, found, cases)


def gaps_of(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> Strips | None:
    """None where no model has both."""
    known = [row for row in own if is_number(row[GAP])]
    if not known:
        return None
    conditions = conditions_of(report, known)
    alone = len({row["model"] for row in known}) == 1
    strips = []
    for condition in conditions:
        marks = [
            Point(
                row[GAP],
                0,
                condition,
                row["model"],
                *(bounds(row, GAP) if alone or row["model"] == report.chosen else (None, None)),
                role="chosen" if row["model"] == report.chosen else "each",
            )
            for row in known
            if row["condition"] == condition
        ]
        mean = means[condition]
        if not alone and is_number(mean[GAP]):
            marks.append(Point(mean[GAP], 0, condition, "mean", *bounds(mean, GAP), role="mean"))
        strips.append(Strip(report.words(condition), marks, series=condition))
    here = [row for row in known if row["condition"] == first_of(report, conditions)]
    return Strips(
        "gap",
        _gap_title(report, here, means[here[0]["condition"]]),
        "Confidence on right answers less that on high-risk errors, in points: right of 0, harm "
        "comes with less confidence. "
        + (
            f"A mark is {known[0]['model']}, with its 95 % interval. "
            if alone
            else "A mark is a model, a star their mean and the diamond "
            f"{report.chosen}, with 95 % intervals. "
        )
        + f"A model without such an error has no gap. {_rests_on(report, known)}.",
        Axis("gap", percent=True, difference=True),
        _outcome_table(report, [*means.values(), *own], (GAP,)),
        strips,
    )


def _gap_title(report: Report, here: Sequence[Row], mean: Row) -> str:
    under = f"Under {report.words(here[0]['condition'])}"
    if len(here) == 1:
        (row,) = here
        gap, low, high = estimate(row, GAP)
        less = "less" if gap > 0 else "more"
        if gap < 0 and low is not None:
            low, high = -high, -low
        within = f" ({bounds})" if (bounds := between((gap, low, high))) else ""
        sure = f"{points(abs(gap)).lstrip('+')} {less} sure of its high-risk errors than of"
        if points(gap) == points(0):
            sure = "as sure of its high-risk errors as of"
        return f"{under} {row['model']} is {sure} its right answers{within}."
    surer = sum(row[GAP] > 0 for row in here)
    return (
        f"{under} {of_all(surer, len(here), 'model')} {'is' if surer == 1 else 'are'} surer of "
        f"right answers than of high-risk errors; the mean gap is "
        f"{points_within(estimate(mean, GAP))}."
    )
