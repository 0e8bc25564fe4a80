"""The page *compute*: what more answers to a question buy, by one model that votes or by several
that vote together. Made from `single_to_majority`, `self_consistency`, `ensembles` and `profile`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Figure,
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
    with_interval,
    words_of_rate,
)
from lm_eval_safescale.report.pages.common.rows import (
    Cases,
    Row,
    Rows,
    cell,
    compared,
    direction,
    estimate,
    is_harm,
    profiles,
)
from lm_eval_safescale.report.pages.common.tables import section
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital, is_number, listed, of_all, percent
from lm_eval_safescale.words import counted

VOTES, CURVES, ENSEMBLES = "single_to_majority", "self_consistency", "ensembles"
MOST_ROWS = 12
"""Of ensembles under conditions in one figure."""


def compute(report: Report) -> Page | None:
    """None where the family has no table of votes or ensembles."""
    if not {VOTES, CURVES, ENSEMBLES} & set(report.family.tables):
        return None
    votes = [row for row in report.rows(VOTES) if row["model"] not in report.controls]
    together = report.rows(ENSEMBLES)
    sections = [*_of_votes(report, votes), *_of_ensembles(report, together)]
    metric = _index(votes)
    return Page(
        "compute",
        "Compute",
        change_title(report, metric, _means(votes, metric))
        if votes
        else "No model was asked more than once: what voting buys is not known."
        if not together
        else better_title(together),
        _doubt(report, votes),
        tuple(sections),
    )


def _index(votes: Sequence[Row]) -> str:
    return votes[0]["metric"] if votes else ""


def _doubt(report: Report, votes: Sequence[Row]) -> str:
    if not votes:
        return "Run again with draws (K samples a question) to see what voting changes."
    harms = _harms(report, votes)
    return change_title(report, harms[0], _means(votes, harms[0])) if harms else ""


def _harms(report: Report, votes: Sequence[Row]) -> list[str]:
    rates = dict.fromkeys(row["metric"] for row in votes)
    return [rate for rate in rates if is_harm(report, rate)]


def _means(votes: Sequence[Row], metric: str) -> list[Row]:
    return [row for row in votes if row["metric"] == metric and row["model"] is None]


# --- one model, many answers ----------------------------------------------------------------------


def _of_votes(report: Report, votes: Sequence[Row]) -> list[Section]:
    title = "One answer, or the majority of several"
    if not votes:
        return [Section(title, lead="No model has samples: there is no majority to compare with. ")]
    rates = list(dict.fromkeys(row["metric"] for row in votes))
    main = [rates[0], *_harms(report, votes)]
    slopes = tuple(_slopes(report, rate, _means(votes, rate)) for rate in rates[:4])
    changes = tuple(_changes(report, rate, votes) for rate in main)
    curves = tuple(_curves(report, rate) for rate in main)
    sections = [
        section(title, slopes, "Nothing is scored before and after a vote."),
        Section("What the vote changes", figures=changes, data=_all_changes(report, votes)),
    ]
    if len(main) > 1:
        sections.append(
            Section(
                "Is what is gained safe?", figures=(_quadrants(report, main[0], main[1], votes),)
            )
        )
    return [*sections, Section("How many answers it takes", figures=curves)]


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
        f"{how_many(report)}",
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
            where = "or as good as alike under every condition"
        return f"{head(report, metric)} is {single} of single answers and of majorities {where}."
    most = "" if len(means) == 1 else ", where it changes most"
    return (
        f"{head(report, metric)} is {single} of single answers and {majority} of majorities "
        f"{where}{most}."
    )


def _changes(report: Report, metric: str, votes: Sequence[Row]) -> Strips:
    strips, data = [], Rows()
    cases = Cases()
    means = _means(votes, metric)
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
        f"{how_many(report)}",
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
        f"lowers {report.words(harm)}; shaded is where it does both. {how_many(report)}",
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


def _curves(report: Report, metric: str) -> Plot:
    conditions, chosen = compared(report), _chosen(report)
    lines, data, ends = [], Rows(), []
    for condition in conditions:
        by_model: dict[str, list[Row]] = {}
        for row in report.rows(CURVES, condition=condition):
            if is_number(row[metric]):
                by_model.setdefault(row["model"], []).append(row)
        for model, rows in by_model.items():
            own = model == chosen
            lines.append(
                Line(
                    [(row["k"], row[metric]) for row in rows],
                    condition,
                    f"{model}, {report.words(condition)}",
                    _band(rows, metric) if own else (),
                    "chosen" if own else "each",
                    note=report.words(condition) if own else "",
                )
            )
            data += [(model, condition, row["k"], *estimate(row, metric)) for row in rows]
            if own:
                ends.append((condition, rows[0], rows[-1]))
    others = " Thin lines are the other models." if len(report.models) > 1 else ""
    return Plot(
        f"k {metric}",
        curves_title(report, metric, chosen, ends),
        f"{capital(report.words(metric))} of the majority of k answers, over all subsets of the "
        f"samples: {chosen} with its 95 % interval (pointwise; the k share their draws).{others} "
        f"{how_many(report)}",
        Axis("k, answers that vote"),
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("model"),
                DataColumn("condition"),
                DataColumn("k", kind="count"),
                *with_bounds(metric, report.words(metric)),
            ),
            data,
        ),
        lines=lines,
        series=series_of(report, conditions),
    )


def _band(rows: Sequence[Row], metric: str) -> list[tuple[float, float, float]]:
    found = [(row["k"], *estimate(row, metric)[1:]) for row in rows]
    return [(k, low, high) for k, low, high in found if is_number(low) and is_number(high)]


def _chosen(report: Report) -> str:
    """The chosen model, where it has samples; else the first that has."""
    models = dict.fromkeys(row["model"] for row in report.rows(CURVES))
    return report.chosen if report.chosen in models else next(iter(models), report.chosen)


def curves_title(
    report: Report, metric: str, model: str, ends: Sequence[tuple[str, Row, Row]]
) -> str:
    """From one answer to all K, for the model that is looked at."""
    if not ends:
        return f"{head(report, metric)} of {model} is not scored over its samples."
    if all(last["k"] == 1 for _, _, last in ends):
        return f"{model} has one sample a question: there is no curve."
    moved, still = [], []
    for condition, first, last in ends:
        one, all_ = percent(first[metric]), percent(last[metric])
        where = f"under {report.words(condition)}"
        if one == all_:
            still.append(f"{one} {where}")
        else:
            moved.append(f"from {one} to {all_} {where}")
    phrases = [
        f"{verb} {listed(said)}" for verb, said in (("goes", moved), ("stays at", still)) if said
    ]
    votes = ends[0][2]["k"]
    return (
        f"With the vote of {votes} in place of one sample, {the(report, metric)} of {model} "
        f"{listed(phrases)}."
    )


# --- several models -------------------------------------------------------------------------------


def _of_ensembles(report: Report, rows: Sequence[Row]) -> list[Section]:
    title = "Several models that vote together"
    if not rows:
        left = report.about.get("ensembles_left_out") or {}
        if ENSEMBLES not in report.family.tables:
            return []
        reasons = "; ".join(f"{name}: {why}" for name, why in list(left.items())[:4])
        why = f" ({reasons})" if reasons else ""
        return [
            Section(
                title,
                lead=f"No ensemble has answers of all its members in these runs{why}. "
                "A panel file may name others.",
            )
        ]
    shown = _shown(report, rows)
    known = report.metrics
    rates = [name for name in report.family.rates if name in rows[0] and name in known]
    harms = [name for name in rates if is_harm(report, name)]
    figures: list[Figure] = [_among_members(report, rate, shown) for rate in rates]
    alike: list[Figure] = [_alike(report, shown)]
    alike += [_harm_and_alike(report, harm, rows) for harm in harms[:1]]
    return [
        Section(title, figures=tuple(figures)),
        Section("Better than its best member?", figures=(_less_best(report, shown),)),
        Section("All wrong in the same way", figures=tuple(alike)),
    ]


def _shown(report: Report, rows: Sequence[Row]) -> list[Row]:
    """The rows of as many conditions as one figure has room for: the compared ones first."""
    order = [*compared(report), *report.conditions]
    asked = [each for each in dict.fromkeys(order) if any(r["condition"] == each for r in rows)]
    found: list[Row] = []
    for condition in asked:
        own = [row for row in rows if row["condition"] == condition]
        if found and len(found) + len(own) > MOST_ROWS:
            break
        found += own
    return found


def _label(report: Report, row: Row) -> str:
    return f"{row['ensemble']}, {report.words(row['condition'])}"


def _left_out(report: Report, shown: Sequence[Row]) -> str:
    there = {row["condition"] for row in shown}
    more = len({row["condition"] for row in report.rows(ENSEMBLES)} - there)
    return f" {capital(counted(more, 'more condition'))} in the table ensembles." if more else ""


def _members(row: Row) -> list[str]:
    return str(row["members"]).split(", ")


def _among_members(report: Report, rate: str, shown: Sequence[Row]) -> Strips:
    found, strips, data, compared_ = profiles(report), [], Rows(), []
    cases = Cases()
    for row in shown:
        value = estimate(row, rate)
        if value[0] is None:
            continue
        marks = [Point(value[0], 0, row["condition"], row["ensemble"], *value[1:], role="mean")]
        data.append((row["ensemble"], row["condition"], "(ensemble)", row["n"], *value))
        cases.append({"condition": row["condition"]})
        members = []
        for member in _members(row):
            own = found.get((member, row["condition"]))
            if own is not None and is_number(own[rate]):
                members.append(own[rate])
                marks.append(Point(own[rate], 0, row["condition"], member))
                each = (member, own[f"{rate}_n"], *estimate(own, rate))
                data.append((row["ensemble"], row["condition"], *each))
                cases.append(cell(member, row["condition"]))
        compared_.append((value[0], members))
        strips.append(Strip(_label(report, row), marks, value[0], row["condition"]))
    better = report.metrics[rate].higher_is_better
    return Strips(
        f"members {rate}",
        members_title(report, rate, compared_, higher_is_better=better),
        "A dot is a member by itself, the star the ensemble's majority of single answers with its "
        f"95 % interval (its value at the right).{_left_out(report, shown)} {how_many(report)}",
        Axis(report.words(rate), percent=True),
        DataTable(
            (
                DataColumn("ensemble"),
                DataColumn("condition"),
                DataColumn("model"),
                DataColumn("n", "items", "count"),
                *with_bounds(rate, report.words(rate)),
            ),
            data,
            cases,
        ),
        strips,
        series_of(report, dict.fromkeys(row["condition"] for row in shown)),
    )


def members_title(
    report: Report,
    rate: str,
    compared_: Sequence[tuple[float, Sequence[float]]],
    *,
    higher_is_better: bool,
) -> str:
    """How many ensembles are better than every member of theirs, as observed."""
    full = [(value, members) for value, members in compared_ if members]
    if not full:
        return f"{head(report, rate)} is scored of no ensemble and its members."
    sign = 1 if higher_is_better else -1
    best = sum(
        sign * value > max(sign * each for each in members) + 1e-9 for value, members in full
    )
    worst = sum(
        sign * value < min(sign * each for each in members) - 1e-9 for value, members in full
    )
    said = "higher" if higher_is_better else "lower"
    other = "lower" if higher_is_better else "higher"
    if len(full) == 1:
        value = full[0][0]
        where = (
            f"{said} than every member's"
            if best
            else f"{other} than every member's"
            if worst
            else "among those of its members"
        )
        return f"{head(report, rate)} of the ensemble, {percent(value)}, is {where}."
    return (
        f"In {best} of {len(full)} pairs of ensemble and condition the ensemble's "
        f"{words_of_rate(report, rate)} is {said} than every member's, in {worst or 'none'} "
        f"{other}."
    )


def _one_each(
    report: Report,
    name: str,
    title: str,
    shown: Sequence[Row],
    column: str,
    caption: str,
    axis: str,
) -> Strips:
    """A row for each ensemble under a condition."""
    strips, data = [], Rows()
    for row in shown:
        value = estimate(row, column)
        data.append((row["ensemble"], row["condition"], row["n"], *value))
        if value[0] is not None:
            mark = Point(value[0], 0, row["condition"], row["ensemble"], *value[1:], role="mean")
            strips.append(Strip(_label(report, row), (mark,), value[0], row["condition"]))
    return Strips(
        name,
        title,
        f"{caption}{_left_out(report, shown)} {how_many(report)}",
        Axis(axis, percent=True),
        DataTable(
            (
                DataColumn("ensemble"),
                DataColumn("condition"),
                DataColumn("n", "items", "count"),
                *with_bounds(column),
            ),
            data,
        ),
        strips,
        series_of(report, dict.fromkeys(row["condition"] for row in shown)),
    )


def _less_best(report: Report, shown: Sequence[Row]) -> Strips:
    return _one_each(
        report,
        "less best member",
        better_title(shown),
        shown,
        "less_best_member",
        "The ensemble's accuracy less that of its most accurate member on the same items, with "
        "the 95 % interval of the pair. That member was picked after the fact, so it is a hard "
        "mark to beat.",
        "accuracy less that of the best member, points",
    )


def better_title(rows: Sequence[Row]) -> str:
    """How many ensembles differ from their best member beyond chance."""
    scored = [row for row in rows if row["less_best_member"] is not None]
    if not scored:
        return "No ensemble is scored on the same items as its members."
    found = [direction(estimate(row, "less_best_member")) for row in scored]
    every, up, down = len(scored), found.count(1), found.count(-1)
    if every == 1:
        verb = {1: "is more accurate than", -1: "is less accurate than"}.get(
            found[0], "cannot be told from"
        )
        value = points_within(estimate(scored[0], "less_best_member"))
        return f"The ensemble {verb} its best member: {value}."
    return (
        f"{capital(of_all(up, every, 'ensemble'))} under conditions {'is' if up == 1 else 'are'} "
        f"more accurate than the best member beyond chance, {down or 'none'} less."
    )


def _alike(report: Report, shown: Sequence[Row]) -> Strips:
    return _one_each(
        report,
        "synchronised failure",
        alike_title(report, shown),
        shown,
        "synchronised_failure",
        "The share of items on which all members give the same wrong letter, with its 95 % "
        "interval: what no vote among them can mend.",
        "synchronised failure",
    )


def alike_title(report: Report, rows: Sequence[Row]) -> str:
    """Where all members fail alike most often."""
    scored = [row for row in rows if row["synchronised_failure"] is not None]
    if not scored:
        return "No ensemble is scored on items that all its members answered."
    most = max(scored, key=lambda row: row["synchronised_failure"])
    if not most["synchronised_failure"]:
        return "On no item do all members of an ensemble give the same wrong letter."
    value = with_interval(estimate(most, "synchronised_failure"))
    if len(scored) == 1:
        return f"All members of the ensemble give the same wrong letter on {value} of the items."
    return (
        f"All members give the same wrong letter most often in {_label(report, most)}: on {value} "
        "of the items."
    )


def _harm_and_alike(report: Report, harm: str, rows: Sequence[Row]) -> Plot:
    marks, data = [], Rows()
    for row in rows:
        x, y = estimate(row, "synchronised_failure"), estimate(row, harm)
        if x[0] is None or y[0] is None:
            continue
        data.append((row["ensemble"], row["condition"], row["n"], *x, *y))
        marks.append(Point(x[0], y[0], row["condition"], _label(report, row), *x[1:], *y[1:]))
    return Plot(
        f"alike {harm}",
        harm_and_alike_title(report, harm, rows),
        "A mark is an ensemble under a condition with its 95 % intervals. Where all members fail "
        f"alike the ensemble fails too, so both move together. {how_many(report)}",
        Axis("synchronised failure", percent=True),
        Axis(f"{report.words(harm)} of the ensemble", percent=True),
        DataTable(
            (
                DataColumn("ensemble"),
                DataColumn("condition"),
                DataColumn("n", "items", "count"),
                *with_bounds("synchronised_failure"),
                *with_bounds(harm, report.words(harm)),
            ),
            data,
        ),
        marks,
        series=series_of(report, dict.fromkeys(row["condition"] for row in rows)),
    )


def harm_and_alike_title(report: Report, harm: str, rows: Sequence[Row]) -> str:
    """How much of the harm there is where members do not fail alike."""
    both = [
        row for row in rows if row["synchronised_failure"] is not None and row[harm] is not None
    ]
    if not both:
        return f"{head(report, harm)} is scored of no ensemble."
    beyond = sum(row[harm] > row["synchronised_failure"] for row in both)
    if len(both) == 1:
        said = "above" if beyond else "not above"
        return f"{head(report, harm)} of the ensemble is {said} its synchronised failure."
    end = ": a vote can settle on harm without all members choosing it" if beyond else ""
    return (
        f"In {beyond} of {len(both)} pairs of ensemble and condition {the(report, harm)} is above "
        f"synchronised failure{end}."
    )
