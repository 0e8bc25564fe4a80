"""The figures of a standing: each entry with its interval, and accuracy against each risk. They are
made from the places and fronts of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Kind,
    Line,
    Plot,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.leaderboard.board.pages.finding import said_value
from lm_eval_safescale.leaderboard.board.pages.standing import Standing
from lm_eval_safescale.leaderboard.board.result import Front
from lm_eval_safescale.leaderboard.board.result import Point as Placed
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital, listed
from lm_eval_safescale.words import counted

MOST_ROWS = 40
"""Entries that a figure has a row for."""
FEW = 12
"""Entries of which each has its intervals in a plot."""
MOST_NAMED = 3
FRONT, OTHERS = "front", "others"
SERIES = {FRONT: "on the front", OTHERS: "others"}


def figures_of(standing: Standing) -> Iterator[Section]:
    """Every figure that has something to show."""
    if len(standing.ranked) > 1:
        yield Section("Each submission with its interval", figures=(_intervals(standing),))
    for front in standing.comparison.fronts:
        if front.condition == standing.condition and len(front.points) > 1:
            words = standing.report.words
            title = f"{capital(words(front.x))} and {words(front.y)}"
            yield Section(title, figures=(_front(standing, front),))


def _intervals(standing: Standing) -> Strips:
    report, metric = standing.report, standing.first
    percent = report.column_kind(metric) == "percent"
    shown = standing.ranked[:MOST_ROWS]
    best = [place for place in standing.ranked if place.is_best]
    words = report.words(metric)
    better = "Higher" if report.metrics[metric].higher_is_better else "Lower"
    rest = len(standing.ranked) - len(shown)
    data = [
        {
            "model": place.label,
            metric: place.value,
            f"{metric}_lo": place.lo,
            f"{metric}_hi": place.hi,
            "n": place.n,
        }
        for place in shown
    ]
    return Strips(
        "intervals",
        f"{capital(words)} goes from {said_value(standing, standing.ranked[0])} to "
        f"{said_value(standing, standing.ranked[-1])}; rank 1 is of "
        f"{counted(len(best), 'submission')}",
        f"{better} is better. {capital(standing.words)}; bars are 95 % intervals"
        + (f"; the first {MOST_ROWS} of {len(standing.ranked):,}." if rest else "."),
        Axis(words, percent=percent),
        DataTable.of(
            (
                DataColumn("model", cases={}),
                *with_bounds(metric, words, report.column_kind(metric)),
                DataColumn("n", "items", "count"),
            ),
            data,
            [standing.cases(place.label) for place in shown],
        ),
        [
            Strip(
                place.label,
                [
                    Point(
                        place.value or 0.0,
                        0,
                        FRONT if place.is_best else OTHERS,
                        place.label,
                        x_low=place.lo,
                        x_high=place.hi,
                    )
                ],
                place.value,
            )
            for place in shown
        ],
        series={**SERIES, FRONT: "rank 1"},
    )


def _front(standing: Standing, front: Front) -> Plot:
    report = standing.report
    best = sorted(
        (point for point in front.points if point.is_on_front),
        key=lambda point: (point.x, point.y),
        reverse=not front.higher_is_better[0],
    )
    labels = [point.label for point in best]
    few = len(front.points) <= FEW
    both = f"{report.words(front.x)} and {report.words(front.y)}"
    if len(labels) == 1:
        said = f"{labels[0]} has the best {both}"
    elif len(labels) == len(front.points):
        said = f"Every submission is on the front of {both}"
    elif len(labels) <= MOST_NAMED:
        said = f"On the front of {both}: {listed(labels)}"
    else:
        every = counted(len(front.points), "submission")
        said = f"{len(labels)} of {every} are on the front of {both}"
    how_far = (
        "lines are 95 % intervals" if few else "95 % intervals stand in the table of the figure"
    )
    names = (front.x, front.y)
    x, y = (
        Axis(report.words(name), percent=standing.is_percent(name), reversed=not rises)
        for name, rises in zip(names, front.higher_is_better, strict=True)
    )
    kinds: list[Kind] = ["percent" if standing.is_percent(name) else "number" for name in names]
    return Plot(
        f"{front.x}-{front.y}",
        said,
        f"A mark is a submission, {standing.words}. On the front nobody else is at least as good "
        f"in both and better in one, by these values; {how_far}. The upper right is best.",
        x,
        y,
        DataTable.of(
            (
                DataColumn("model", cases={}),
                *(
                    column
                    for name, kind in zip(names, kinds, strict=True)
                    for column in with_bounds(name, report.words(name), kind)
                ),
                DataColumn("is_on_front", "on the front"),
            ),
            [
                {
                    "model": point.label,
                    "is_on_front": point.is_on_front,
                    **{
                        f"{name}{end}": value
                        for name, own in zip(names, (point.x, point.y), strict=True)
                        for end, value in zip(
                            ("", "_lo", "_hi"),
                            (own, *_bounds(standing, point, name)),
                            strict=True,
                        )
                    },
                }
                for point in front.points
            ],
            [standing.cases(point.label) for point in front.points],
        ),
        [
            Point(
                point.x,
                point.y,
                FRONT if point.is_on_front else OTHERS,
                point.label,
                *(_bounds(standing, point, front.x) if few else (None, None)),
                *(_bounds(standing, point, front.y) if few else (None, None)),
                note=point.label if point.is_on_front or few else "",
            )
            for point in front.points
        ],
        [Line(_steps(best), FRONT, "the front")] if len(best) > 1 else [],
        series=SERIES,
    )


def _bounds(standing: Standing, point: Placed, metric: str) -> tuple[float | None, float | None]:
    place = standing.places.get((point.label, metric))
    return (None, None) if place is None else (place.lo, place.hi)


def _steps(best: list[Placed]) -> list[tuple[float, float]]:
    """The edge of what somebody reaches: from each point of the front to the next by a step."""
    corners = [(best[0].x, best[0].y)]
    for before, after in pairwise(best):
        corners += [(before.x, after.y), (after.x, after.y)]
    return corners
