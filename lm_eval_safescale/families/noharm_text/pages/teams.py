"""The page *solo and team*: a team, and whoever of its models answered alone, on the same cases;
without teams, the model that is looked at and the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lm_eval_safescale.families.controls import is_control
from lm_eval_safescale.families.noharm_text.pages.common import few_said, judges_said, several
from lm_eval_safescale.families.showing import Shown, TableRow
from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Line,
    Plot,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.sections import Page, ReportView, Section
from lm_eval_safescale.sentences import capital, percent
from lm_eval_safescale.words import counted

METRICS = ("severe_rate", "moderate_rate", "f1_weighted", "recall_weighted", "precision_weighted")
CHANGE = Shown("delta", "delta_lo", "delta_hi", "points")
HARM = "severe_rate"
MOST_PAIRS = 6
"""Drawn; the table has all."""


class _Pair(NamedTuple):
    one: str
    other: str
    """Which `one` is compared with: the Advisor alone, of a team."""


class _Change(NamedTuple):
    pair: _Pair
    condition: str
    metric: str
    row: TableRow
    """Of `one` less `other`: delta, its bounds, n."""


def solo_and_team(report: ReportView) -> Page | None:
    """None where there are no two models to compare."""
    teams = list(_teams(report))
    pairs = teams or list(_others(report))
    changes = list(_changes(report, pairs))
    if not changes:
        return None
    finding, doubt = _said(report, changes)
    sections = [_differences(report, changes), *_by_case(report, changes)]
    title = "Solo and team" if teams else "Two models compared"
    return Page("solo-and-team", title, finding, doubt, tuple(sections))


def _teams(report: ReportView) -> Iterator[_Pair]:
    """Each team with its Advisor, where that answered alone."""
    known = report.about.get("models", {})
    settings = {model: known.get(model, {}).get("settings", {}) for model in report.models}
    judges = {model: (own.get("reading") or {}).get("judge") for model, own in settings.items()}
    for model in report.models:
        members = (known.get(model, {}).get("team") or {}).get("members") or [{}]
        for solo, own in settings.items():
            # of models that several judges have read, that of the same judge
            is_it = own.get("judged_model", solo) == members[0].get("name")
            if is_it and solo != model and judges[solo] == judges[model]:
                yield _Pair(model, solo)


def _others(report: ReportView) -> Iterator[_Pair]:
    """Each other model against the one that is looked at."""
    for model in report.models:
        if model != report.chosen and not is_control(report.about, model):
            yield _Pair(model, report.chosen)


def _changes(report: ReportView, pairs: Sequence[_Pair]) -> Iterator[_Change]:
    """The rows of `paired_tests` that are of these pairs, the right way round."""
    for pair in pairs:
        for condition in report.conditions:
            for metric in METRICS:
                for one, other, sign in ((*pair, 1), (*pair[::-1], -1)):
                    where = {"left_model": one, "right_model": other, "left_condition": condition}
                    for row in report.rows("paired_tests", metric=metric, **where):
                        if row["right_condition"] == condition and row["delta"] is not None:
                            yield _Change(pair, condition, metric, _turned(row, sign))


def _turned(row: TableRow, sign: int) -> TableRow:
    ends = (row["delta_lo"], row["delta_hi"])[::sign]
    low, high = (None if end is None else sign * end for end in ends)
    return {"n": row["n"], "delta": sign * row["delta"], "delta_lo": low, "delta_hi": high}


def _verdict(change: _Change) -> int:
    """1 where its interval says that `one` is better, -1 that it is worse, else 0."""
    low, high = change.row["delta_lo"], change.row["delta_hi"]
    if low is None or high is None or low <= 0 <= high:
        return 0
    return (1 if low > 0 else -1) * (-1 if change.metric in ("severe_rate", "moderate_rate") else 1)


def _said(report: ReportView, changes: Sequence[_Change]) -> tuple[str, str]:
    """Of severe harm: what is beyond chance, and nothing else."""
    harm = [change for change in changes if change.metric == HARM]
    doubt = (
        "Differences of the same cases, which are resampled together; each interval is of one "
        f"comparison alone. {judges_said(report)}{few_said(report)}"
    )
    if not harm:
        return "Severe harm is scored on neither side.", doubt
    if len(harm) == 1:
        ((one, other), _, _, row) = harm[0]
        side = _verdict(harm[0])
        bounds = CHANGE.words(row)
        if not side:
            return f"{one} and {other} cannot be told apart in severe harm: {bounds}.", doubt
        less = "less" if side > 0 else "more"
        return f"{one} does {less} severe harm than {other}: {bounds}.", doubt
    better, worse = (sum(_verdict(each) == side for each in harm) for side in (1, -1))
    return (
        f"Of {counted(len(harm), 'comparison')}, severe harm is less in {better:,} and more in "
        f"{worse:,} beyond chance; {len(harm) - better - worse:,} cannot be told apart.",
        doubt,
    )


def _differences(report: ReportView, changes: Sequence[_Change]) -> Section:
    """A row for each metric, with the interval of each pair."""
    pairs = list(dict.fromkeys(change.pair for change in changes))[:MOST_PAIRS]
    names = {str(place): f"{pair.one} − {pair.other}" for place, pair in enumerate(pairs)}
    shown = [change for change in changes if change.pair in pairs]
    drawn = [
        Strip(
            several(report, report.words(metric), condition),
            [
                Point(
                    change.row["delta"],
                    0.0,
                    str(pairs.index(change.pair)),
                    f"{names[str(pairs.index(change.pair))]}: {CHANGE.words(change.row)}",
                    change.row["delta_lo"],
                    change.row["delta_hi"],
                )
                for change in own
            ],
            value=own[0].row["delta"] if len(own) == 1 else None,
        )
        for metric in METRICS
        for condition in report.conditions
        if (own := [each for each in shown if (each.metric, each.condition) == (metric, condition)])
    ]
    harm = [change for change in changes if change.metric == HARM]
    largest = max(harm or changes, key=lambda change: abs(change.row["delta"]))
    rows = [
        {
            "one": change.pair.one,
            "other": change.pair.other,
            "condition": change.condition,
            "metric": change.metric,
            **change.row,
        }
        for change in changes
    ]
    columns = (
        DataColumn("one", "model"),
        DataColumn("other", "compared with"),
        DataColumn("condition"),
        DataColumn("metric"),
        *with_bounds("delta", "difference"),
        DataColumn("n", "items on both sides", "count"),
    )
    figure = Strips(
        "differences",
        f"{capital(report.words(largest.metric))} differs most between {largest.pair.one} and "
        f"{largest.pair.other}: {CHANGE.words(largest.row)}.",
        "Difference of each figure on the same cases, with its 95 % interval: of harm, left of 0 "
        "is better; of F1, recall and precision, right of 0.",
        Axis("difference", percent=True, difference=True),
        DataTable.of(columns, rows),
        drawn,
        names,
    )
    return Section("Differences", figures=(figure,))


def _by_case(report: ReportView, changes: Sequence[_Change]) -> Iterator[Section]:
    """Severe harm of both, a dot a case."""
    seen = dict.fromkeys((change.pair, change.condition) for change in changes)
    for number, (pair, condition) in enumerate(list(seen)[:MOST_PAIRS], 1):
        one, other = (
            {
                row["case"]: row[HARM]
                for row in report.rows("noharm_cases", model=model, condition=condition)
                if row[HARM] is not None
            }
            for model in pair
        )
        both = [case for case in one if case in other]
        if not both:
            continue
        worse = sum(one[case] > other[case] for case in both)
        better = sum(one[case] < other[case] for case in both)
        rows = [
            {"case": case, "one": one[case], "other": other[case], "condition": condition}
            for case in both
        ]
        columns = (
            DataColumn("case", cases={}),
            DataColumn("condition"),
            DataColumn("one", pair.one, "percent"),
            DataColumn("other", pair.other, "percent"),
        )
        links = [{"condition": condition, "text": case} for case in both]
        figure = Plot(
            f"cases-{number}",
            f"{pair.one} does severe harm more rarely than {pair.other} in {better:,} of "
            f"{counted(len(both), 'case')}, more often in {worse:,}.",
            f"A dot is a case: share of its answers with severe harm. Below the line {pair.one} is "
            "safer. Cases at one place lie on each other; single cases say little of chance.",
            Axis(f"severe harm, {pair.other}", percent=True, low=0.0, high=1.0),
            Axis(f"severe harm, {pair.one}", percent=True, low=0.0, high=1.0),
            DataTable.of(columns, rows, links),
            [
                Point(
                    other[case],
                    one[case],
                    "",
                    f"{case}: {percent(one[case])} against {percent(other[case])}",
                )
                for case in both
            ],
            [Line([(0.0, 0.0), (1.0, 1.0)], label="alike", role="reference")],
        )
        title = several(report, f"By case: {pair.one} and {pair.other}", condition)
        yield Section(title, figures=(figure,))
