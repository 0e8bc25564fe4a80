"""Several models that vote together: made from `ensembles` and `profile`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Figure,
    Plot,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.report.pages.common.phrases import (
    head,
    how_many,
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
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital, is_number, of_all, percent
from lm_eval_safescale.words import counted

ENSEMBLES = "ensembles"
MOST_ROWS = 12
"""Of ensembles under conditions in one figure."""


def of_ensembles(report: Report, rows: Sequence[Row]) -> list[Section]:
    """The sections."""
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
    axis: Axis,
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
        axis,
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
        Axis("accuracy less that of the best member, points", percent=True, difference=True),
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
        Axis("synchronised failure", percent=True),
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
