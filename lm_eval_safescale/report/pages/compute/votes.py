"""One answer of a model, or the majority of several: made from `single_to_majority`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Line,
    Plot,
    Point,
    Region,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.report.pages.common.phrases import (
    head,
    how_many,
    points_and_bounds,
    points_within,
    series_of,
    the,
    without_interval,
)
from lm_eval_safescale.report.pages.common.rows import (
    Cases,
    Row,
    Rows,
    cell,
    direction,
    estimate,
    is_harm,
)
from lm_eval_safescale.report.pages.common.tables import section
from lm_eval_safescale.report.pages.compute.curves import curves_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import of_all, percent, points
from lm_eval_safescale.words import counted

VOTES = "single_to_majority"
MOST_OPEN = 20
"""Rows of the table of changes beyond which it is folded."""


def harms_of(report: Report, votes: Sequence[Row]) -> list[str]:
    """The metrics of harm among those of the votes."""
    rates = dict.fromkeys(row["metric"] for row in votes)
    return [rate for rate in rates if is_harm(report, rate)]


def means_of(votes: Sequence[Row], metric: str) -> list[Row]:
    """The rows of a metric over models, a row a condition."""
    return [row for row in votes if row["metric"] == metric and row["model"] is None]


def of_votes(report: Report, votes: Sequence[Row]) -> list[Section]:
    """The sections."""
    title = "One answer, or the majority of several"
    if not votes:
        return [Section(title, lead="No model has samples: there is no majority to compare with. ")]
    rates = list(dict.fromkeys(row["metric"] for row in votes))
    main = [rates[0], *harms_of(report, votes)]
    slopes = tuple(_slopes(report, rate, means_of(votes, rate)) for rate in rates[:4])
    changes = tuple(_changes(report, rate, votes) for rate in main)
    curves = tuple(curves_of(report, rate) for rate in main)
    sections = [
        section(title, slopes, "Nothing is scored before and after a vote."),
        Section("What the vote changes", figures=changes),
    ]
    every = _all_changes(report, votes)
    if len(main) > 1:
        sections.append(
            Section(
                "Is what is gained safe?", figures=(_quadrants(report, main[0], main[1], votes),)
            )
        )
    return [
        *sections,
        Section("How many answers it takes", figures=curves),
        Section("Every change by a vote", data=every, folded=len(every.rows) > MOST_OPEN),
    ]


def change_title(report: Report, metric: str, means: Sequence[Row]) -> str:
    """Under how many conditions voting changes a metric beyond chance, and how."""
    if not means:
        return f"{head(report, metric)} is scored of no model before and after a vote."
    up, down = (
        [row for row in means if direction(estimate(row, "change")) == sign] for sign in (1, -1)
    )
    models = max(row["n_models"] for row in means)
    of_whom = "" if models == 1 else f" on average over {models} models"

    def most(rows: Sequence[Row]) -> str:
        far = max(rows, key=lambda row: abs(row["change"]))
        value = points_and_bounds(estimate(far, "change"))
        if len(means) == 1:
            return f"({value})"
        most_ = "" if len(rows) == 1 else "most "
        return f"({most_}under {report.words(far['condition'])}: {value})"

    if not up and not down:
        far = max(means, key=lambda row: abs(row["change"]))
        if far["change_lo"] is None and points(far["change"]) != points(0):
            verb, value = without_interval(far["change"])
            return (
                f"With the majority {the(report, metric)} {verb} under "
                f"{report.words(far['condition'])}{of_whom}: {value}."
            )
        where = "" if len(means) == 1 else f" under any of {counted(len(means), 'condition')}"
        which = "" if len(means) == 1 else f"most under {report.words(far['condition'])}: "
        return (
            f"Voting does not change {the(report, metric)} beyond chance{where}{of_whom} "
            f"({which}{points_and_bounds(estimate(far, 'change'))})."
        )
    phrases = [
        f"{verb} {the(report, metric) if first else 'it'} "
        + (
            f"under {report.words(rows[0]['condition'])} "
            if len(means) == 1
            else f"under {of_all(len(rows), len(means), 'condition')} "
        )
        + most(rows)
        for first, (verb, rows) in zip(
            (True, not up), (("raises", up), ("lowers", down)), strict=True
        )
        if rows
    ]
    return f"Voting {' and '.join(phrases)}{of_whom}."


def _asked(report: Report) -> set[str]:
    """Models that have single answers and majorities."""
    return {row["model"] for row in report.rows(VOTES) if row["model"]} - report.controls


def _slopes(report: Report, metric: str, means: Sequence[Row]) -> Plot:
    lines, marks, data = [], [], Rows()
    for row in means:
        condition = row["condition"]
        words = report.words(condition)
        ends = (estimate(row, "single"), estimate(row, "majority"))
        data.append((condition, row["n_models"], row["n"], *ends[0], *ends[1]))
        lines.append(
            Line([(place, end[0]) for place, end in enumerate(ends)], condition, words, note=words)
        )
        marks += [
            Point(place, end[0], condition, words, y_low=end[1], y_high=end[2])
            for place, end in enumerate(ends)
        ]
    draws = {row["draws"] for row in means}
    majority = f"majority of {draws.pop()}" if len(draws) == 1 and None not in draws else "majority"
    return Plot(
        f"votes {metric}",
        slopes_title(report, metric, means),
        f"A line is a condition, {_of_models(means)}, from the single greedy answer to the "
        "majority of its samples on the same items; bars are 95 % intervals of each end. "
        f"{how_many(report, _asked(report))}",
        Axis("", categories=("single answer", majority)),
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("condition"),
                DataColumn("n_models", "models", "count"),
                DataColumn("n", "items", "count"),
                *with_bounds("single", "single answer"),
                *with_bounds("majority"),
            ),
            data,
        ),
        marks,
        lines,
        series=series_of(report, [row["condition"] for row in means]),
    )


def _of_models(means: Sequence[Row]) -> str:
    most = max((row["n_models"] for row in means), default=0)
    return "the mean over its models" if most > 1 else "of the one model that has samples"


def slopes_title(report: Report, metric: str, means: Sequence[Row]) -> str:
    """From which single answer to which majority, where it changes most."""
    if not means:
        return f"{head(report, metric)} is scored of no model before and after a vote."
    far = max(means, key=lambda row: abs(row["change"]))
    single, majority = percent(far["single"]), percent(far["majority"])
    where = f"under {report.words(far['condition'])}"
    if single == majority:
        if len(means) > 1:
            return (
                f"{head(report, metric)} is the same of single answers and of majorities under "
                "every condition."
            )
        return f"{head(report, metric)} is {single} of single answers and of majorities {where}."
    most = "" if len(means) == 1 else ", where it changes most"
    return (
        f"{head(report, metric)} is {single} of single answers and {majority} of majorities "
        f"{where}{most}."
    )


def _changes(report: Report, metric: str, votes: Sequence[Row]) -> Strips:
    strips, data = [], Rows()
    cases = Cases()
    means = means_of(votes, metric)
    for row in means:
        condition, mean = row["condition"], estimate(row, "change")
        words = "mean" if row["n_models"] > 1 else ""
        marks = [Point(mean[0], 0, condition, words, mean[1], mean[2], role="mean")]
        data.append((condition, f"mean of {row['n_models']}", row["n"], *mean))
        cases.append({"condition": row["condition"]})
        for own in votes:
            if (own["metric"], own["condition"]) == (metric, condition) and own["model"]:
                change = estimate(own, "change")
                data.append((condition, own["model"], own["n"], *change))
                cases.append(cell(own["model"], condition))
                if row["n_models"] > 1:
                    marks.append(Point(change[0], 0, condition, own["model"]))
        strips.append(Strip(report.words(condition), marks, mean[0], condition))
    return Strips(
        f"vote change {metric}",
        change_title(report, metric, means),
        "Majority of the samples less the single greedy answer, on the same items. A dot is a "
        "model, the star the mean with its 95 % interval (its value at the right). "
        f"{how_many(report, _asked(report))}",
        Axis(f"change in {report.words(metric)}, points", percent=True, difference=True),
        DataTable(
            (
                DataColumn("condition"),
                DataColumn("model"),
                DataColumn("n", "items", "count"),
                *with_bounds("change"),
            ),
            data,
            cases,
        ),
        strips,
        series_of(report, [row["condition"] for row in means]),
    )


def _all_changes(report: Report, votes: Sequence[Row]) -> DataTable:
    """Of every rate under every condition, on average over the models."""
    return DataTable(
        (
            DataColumn("metric"),
            DataColumn("condition"),
            DataColumn("n_models", "models", "count"),
            *(each for name in ("single", "majority", "change") for each in with_bounds(name)),
        ),
        [
            (
                report.words(row["metric"]),
                report.words(row["condition"]),
                row["n_models"],
                *(
                    each
                    for name in ("single", "majority", "change")
                    for each in estimate(row, name)
                ),
            )
            for row in votes
            if row["model"] is None
        ],
    )


def _quadrants(report: Report, index: str, harm: str, votes: Sequence[Row]) -> Plot:
    by_cell = {(row["metric"], row["model"], row["condition"]): row for row in votes}
    marks, data, both = [], Rows(), []
    cases = Cases()
    for (metric, model, condition), row in by_cell.items():
        other = by_cell.get((harm, model, condition))
        if metric != index or other is None:
            continue
        x, y = estimate(row, "change"), estimate(other, "change")
        name = model or f"mean of {row['n_models']}"
        data.append((name, condition, *x, *y))
        cases.append(cell(model, condition) if model else {"condition": condition})
        if model is not None:
            both.append((row, other))
            marks.append(Point(x[0], y[0], condition, f"{model}, {report.words(condition)}"))
        elif row["n_models"] > 1:
            words = f"{name}, {report.words(condition)}"
            marks.append(Point(x[0], y[0], condition, words, *x[1:], *y[1:], role="mean"))
    return Plot(
        f"votes {index} {harm}",
        quadrants_title(report, index, harm, both),
        "A mark is a model under a condition, a larger one the mean with its 95 % intervals (the "
        f"table has all intervals). To the right voting gains {report.words(index)}, upwards it "
        f"lowers {report.words(harm)}; shaded is where it does both. "
        f"{how_many(report, _asked(report))}",
        Axis(f"change in {report.words(index)}, points", percent=True, difference=True),
        Axis(
            f"change in {report.words(harm)}, points", percent=True, difference=True, reversed=True
        ),
        DataTable(
            (
                DataColumn("model"),
                DataColumn("condition"),
                *with_bounds(index, f"change in {report.words(index)}"),
                *with_bounds(harm, f"change in {report.words(harm)}"),
            ),
            data,
            cases,
        ),
        marks,
        regions=(Region("better and safer", x_low=0, y_high=0),),
        series=series_of(report, dict.fromkeys(row["condition"] for row in votes)),
    )


def quadrants_title(report: Report, index: str, harm: str, both: Sequence[tuple[Row, Row]]) -> str:
    """How many models under conditions gain the one without more of the other."""
    if not both:
        return "No model has both rates before and after a vote."
    signs = [
        tuple((row["change"] > 1e-9) - (row["change"] < -1e-9) for row in pair) for pair in both
    ]
    good, costly = signs.count((1, -1)), signs.count((1, 1))
    sure = sum(
        direction(estimate(one, "change")) == 1 and direction(estimate(other, "change")) == -1
        for one, other in both
    )
    gained, less = report.words(index), report.words(harm)
    if len(both) == 1:
        ((one, other),) = both
        return (
            f"Voting changes {gained} by {points_within(estimate(one, 'change'))} and {less} by "
            f"{points_within(estimate(other, 'change'))}."
        )
    return (
        f"In {good} of {len(both)} pairs of model and condition the vote has more {gained} and "
        f"less {less}, {sure} of them beyond chance in both; in {costly or 'none'} it has more of "
        "both."
    )
