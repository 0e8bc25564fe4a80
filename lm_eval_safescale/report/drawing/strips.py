"""A `Strips` as an SVG: in each row the dots of many are stacked, and below them, where they hide
none, stand means and intervals.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from lm_eval_safescale.figures import Point, Strip, Strips
from lm_eval_safescale.report.drawing.marks import apart, lanes, swarm
from lm_eval_safescale.report.drawing.scale import Scale, has_place
from lm_eval_safescale.report.drawing.sheet import LINE, R, Sheet, gridline, label_of, on_axis
from lm_eval_safescale.report.drawing.text import width_of, written
from lm_eval_safescale.sentences import number, percent, points

LANE = 14.5
MOST_STACKED = 10
"""Dots at one place; more are one mark, with how many they are."""
GAP = 8.0
"""Between rows."""


def draw_strips(sheet: Sheet, strips: Strips) -> None:
    """Draws rows on an empty sheet."""
    top = sheet.legend(0.0, strips.regions) + 4
    value = max((width_of(_value(strips, row)) for row in strips.rows), default=0.0)
    value += 14 if value else 0
    label = max((width_of(row.label) for row in strips.rows), default=0.0) + 14
    above = sheet.narrow and label > sheet.width * 0.25
    left = R * 2 if above else min(label, sheet.width * 0.36)
    right = sheet.width - value - R * 2
    across = Scale.of(strips.x, _values(strips), left + R, right)
    place = len(sheet.body)
    bottom = top
    for row in strips.rows:
        bottom = _Row(sheet, strips, row, across, above).draw(bottom, left - 10, value)
    ticks = across.ticks(max(2, int((right - left) / (50 if sheet.narrow else 75))))
    lines = Sheet(strips, sheet.palette, sheet.width)
    for region in strips.regions:
        _region(lines, across, region.x_low, region.x_high, top, bottom)
    for tick, words in ticks:
        gridline(lines, across, tick, top, bottom)
        sheet.add(written(across(tick), bottom + 15, words, "mid"))
    sheet.body[place:place] = lines.body
    if words := label_of(strips.x):
        sheet.add(written(right, bottom + 15 + LINE, words, "end", width=right))
        bottom += LINE
    sheet.height = bottom + 22


def _value(strips: Strips, row: Strip) -> str:
    if row.value is None:
        return ""
    if strips.x.difference:
        return points(row.value).partition(" ")[0]
    return percent(row.value) if strips.x.percent else number(row.value)


def _values(strips: Strips) -> list[float | None]:
    found: list[float | None] = []
    for row in strips.rows:
        for point in row.points:
            found += [point.x, point.x_low, point.x_high]
    for region in strips.regions:
        found += [region.x_low, region.x_high]
    return found


def _region(
    sheet: Sheet, across: Scale, low: float | None, high: float | None, top: float, bottom: float
) -> None:
    x1, x2 = across.span(low, high)
    sheet.add(
        f'<rect x="{x1:.1f}" y="{top:.1f}" width="{x2 - x1:.1f}" height="{bottom - top:.1f}" '
        'class="region"/>'
    )


class _Row:
    """Draws one row."""

    def __init__(
        self, sheet: Sheet, strips: Strips, row: Strip, across: Scale, label_above: bool
    ) -> None:
        self.sheet, self.strips, self.row, self.across = sheet, strips, row, across
        self.above = label_above
        self.right = sheet.width
        """Where notes must end: a value may stand behind."""
        points = [point for point in row.points if has_place(point.x, strips.x)]
        if not row.joined:
            points = self.piled(points)
        self.dots = (
            [] if row.joined else [each for each in points if self.is_dot(each) and not each.note]
        )
        order = {"mean": 0, "chosen": 1, "each": 2}
        self.others = (
            points
            if row.joined
            else sorted(
                (each for each in points if each not in self.dots),
                key=lambda each: order[each.role],
            )
        )

    def is_dot(self, point: Point) -> bool:
        """Whether it is one of many, and not a mark on its interval."""
        return point.role == "each" and not self.span(point)

    def piled(self, points: list[Point]) -> list[Point]:
        """The points, of which many dots at one place are one, so that no row is as tall as there
        are models."""
        places = Counter(round(self.across(each.x)) for each in points if self.is_dot(each))
        piles: dict[int, list[Point]] = {
            place: [] for place, count in places.items() if count > MOST_STACKED
        }
        found: list[Point] = []
        for each in points:
            pile = piles.get(round(self.across(each.x))) if self.is_dot(each) else None
            (found if pile is None else pile).append(each)
        for pile in piles.values():
            label = f"{len(pile)} here: {'; '.join(each.label for each in pile)}"
            found.append(replace(pile[0], label=label, note=f"\u00d7 {len(pile)}"))
        return found

    def span(self, point: Point) -> tuple[float, float] | None:
        """The places of a point's interval; None where it has none."""
        if has_place(point.x_low, self.strips.x) and has_place(point.x_high, self.strips.x):
            low, high = sorted((self.across(point.x_low), self.across(point.x_high)))
            return low, high
        return None

    def draw(self, top: float, label_width: float, value_width: float) -> float:
        """Draws the row below `top`; gives where it ends."""
        sheet = self.sheet
        if self.above:
            sheet.add(written(0, top + 12, self.row.label, "ink", width=sheet.width - value_width))
        elif self.row.value is not None:
            self.right = sheet.width - value_width
        y = top + (LINE if self.above else 0)
        end = self.dumbbell(y) if self.row.joined else self.below(self.swarm(y))
        end = max(end, y + LANE)
        middle = (y + end) / 2
        if not self.above:
            sheet.add(written(0, middle + 4, self.row.label, "ink", width=label_width))
        if value := _value(self.strips, self.row):
            at = top + 12 if self.above else middle + 4
            sheet.add(written(sheet.width, at, value, "ink strong end"))
        return end + (GAP if len(self.row.points) > 3 or self.above else GAP / 2)

    def swarm(self, top: float) -> float:
        """The dots of many, stacked; gives where they end."""
        if not self.dots:
            return top
        r = R if len(self.dots) <= 60 else R * 0.75 if len(self.dots) <= 200 else R * 0.5
        places = [self.across(point.x) for point in self.dots]
        shapes = {style.shape for each in self.dots if (style := self.sheet.style_of(each.series))}
        offsets = swarm(places, max((apart(shape, r) for shape in shapes), default=2 * r + 0.6))
        centre = top - min(offsets) + r + 1
        for point, x, offset in zip(self.dots, places, offsets, strict=True):
            self.sheet.point(point, x, centre + offset, self.words(point), r)
        return centre + max(offsets) + r + 2

    def below(self, top: float) -> float:
        """Means and all that has an interval, in lanes."""
        reach = R * 2.4
        spans = []
        for point in self.others:
            x = self.across(point.x)
            low, high = self.span(point) or (x, x)
            right = max(high, x + reach) + (width_of(point.note) + 6 if point.note else 0)
            spans.append((min(low, x - reach), right))
        found = lanes(spans, 3.0)
        for point, lane in zip(self.others, found, strict=True):
            self.summary(point, top + LANE * (lane + 0.5))
        return top + LANE * (1 + max(found, default=-1))

    def summary(self, point: Point, y: float) -> None:
        """A point on its interval."""
        x = self.across(point.x)
        if span := self.span(point):
            kind = "thin" if point.role == "each" else "dark"
            series = point.series or self.row.series
            self.sheet.path(
                [(span[0], y), (span[1], y)], self.sheet.classes_of(series, "line", kind)
            )
        self.sheet.point(point, x, y, self.words(point))
        if point.note:
            at = max(x + R * 2.4, span[1] if span else x) + 3
            if at + width_of(point.note) <= self.right:
                self.sheet.add(written(at, y + 4, point.note, "ink halo"))
            else:  # over its interval, rather than cut off
                self.sheet.add(written(x - R * 2.4, y + 4, point.note, "ink halo end"))

    def dumbbell(self, top: float) -> float:
        """Points joined, their intervals as hairlines above and below the line."""
        y = top + LANE / 2 + 1
        xs = [self.across(point.x) for point in self.others]
        if len(xs) > 1:
            self.sheet.path([(x, y) for x in xs], "line thin none")
        for number_, point in enumerate(self.others):
            if span := self.span(point):
                at = y + (-1 if number_ % 2 == 0 else 1) * (R + 2)
                self.sheet.path(
                    [(span[0], at), (span[1], at)],
                    self.sheet.classes_of(point.series, "line", "thin"),
                )
        asides = swarm(xs, apart("square", R)) if len(xs) > 1 else [0.0] * len(xs)
        for point, x, aside in zip(self.others, xs, asides, strict=True):
            self.sheet.point(point, x, y + aside, self.words(point))
        return y + LANE / 2 + 1

    def words(self, point: Point) -> str:
        """What a point says of itself."""
        told = on_axis(self.strips.x, point.x, point.x_low, point.x_high)
        return ": ".join(each for each in (point.label or self.row.label, told) if each)
