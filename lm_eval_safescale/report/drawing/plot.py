"""A `Plot` as an SVG."""

from __future__ import annotations

from collections import defaultdict
from math import atan2, cos, hypot, pi, sin, sqrt

from lm_eval_safescale.figures import Axis, Line, Plot, Point, Region
from lm_eval_safescale.report.drawing.labels import Box, Wanted, placed
from lm_eval_safescale.report.drawing.scale import Scale, has_place
from lm_eval_safescale.report.drawing.sheet import LINE, R, Sheet, gridline, label_of, on_axis
from lm_eval_safescale.report.drawing.text import fitted, width_of, wrapped, written

HEIGHT, NARROW_HEIGHT = 370.0, 300.0
EDGE = 15.0
"""Right of the plot: room for half of its last tick's words."""
MANY = 24
"""From so many lines of one role on each is drawn faintly."""
CROWD = 150
"""From so many points on each is smaller."""


def draw_plot(sheet: Sheet, plot: Plot) -> None:
    """Draws a plot on an empty sheet."""
    top = sheet.legend(0.0, plot.regions, plot.lines) + 2
    if label := label_of(plot.y):
        sheet.add(written(0, top + 11, label, width=sheet.width))
        top += LINE + 4
    top += R * 2
    bottom = top + (NARROW_HEIGHT if sheet.narrow else HEIGHT)
    xs, ys = _values(plot)
    vertical = Scale.of(plot.y, ys, bottom, top)
    ticks = vertical.ticks(6)
    left = 10 + min(max((width_of(words) for _, words in ticks), default=0.0), sheet.width * 0.36)
    right = sheet.width - EDGE
    across = Scale.of(plot.x, xs, left, right)
    _Plotter(sheet, plot, across, vertical, Box(left, top, right, bottom)).draw()


def _values(plot: Plot) -> tuple[list[float | None], list[float | None]]:
    """Everything that is drawn along both axes."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for point in plot.points:
        if _drawn(plot, point.x, point.y):
            xs += [point.x, point.x_low, point.x_high]
            ys += [point.y, point.y_low, point.y_high]
    for line in plot.lines:
        xs += [x for x, y in line.points if _drawn(plot, x, y)]
        ys += [y for x, y in line.points if _drawn(plot, x, y)]
        xs += [x for x, _, _ in line.band]
        ys += [bound for _, *bounds in line.band for bound in bounds]
    for region in plot.regions:
        xs += [region.x_low, region.x_high]
        ys += [region.y_low, region.y_high]
    return xs, ys


def _drawn(plot: Plot, x: float | None, y: float | None) -> bool:
    return has_place(x, plot.x) and has_place(y, plot.y)


class _Plotter:
    """Draws the parts of one plot in order, from what lies below to what lies above."""

    def __init__(self, sheet: Sheet, plot: Plot, x: Scale, y: Scale, area: Box) -> None:
        self.sheet, self.plot, self.x, self.y, self.area = sheet, plot, x, y, area
        self.points = [point for point in plot.points if _drawn(plot, point.x, point.y)]
        self.r = R if len(self.points) < CROWD else R * 0.85
        self.is_faint = sum(line.role == "each" for line in plot.lines) >= MANY

    def draw(self) -> None:
        for region in self.plot.regions:
            self.region(region)
        self.axes()
        for line in self.plot.lines:
            self.band(line)
        for role in ("reference", "each", "mean", "chosen"):
            for line in self.plot.lines:
                if line.role == role:
                    self.line(line)
        for point in self.points:
            self.intervals(point)
        for role in ("each", "mean", "chosen"):
            for together in self.by_place(role):
                self.marks(together)
        self.notes()

    def region(self, region: Region) -> None:
        x1, x2 = self.x.span(region.x_low, region.x_high)
        y1, y2 = self.y.span(region.y_low, region.y_high)
        self.sheet.add(
            f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" '
            'class="region"/>'
        )

    def axes(self) -> None:
        sheet, area = self.sheet, self.area
        for value, words in self.y.ticks(6):
            y = self.y(value)
            is_middle = value == 0 and self.y.low < 0 < self.y.high and not self.plot.y.categories
            kind = "rule" if is_middle else "grid"
            sheet.add(f'<path d="M{area.left:.1f} {y:.1f}H{area.right:.1f}" class="{kind}"/>')
            sheet.add(written(area.left - 7, y + 4, words, "end", width=area.left - 8))
        ticks = self.x.ticks(max(2, int((area.right - area.left) / (50 if sheet.narrow else 75))))
        lines = 1
        room = (area.right - area.left) / max(1, len(ticks)) - 6
        for value, words in ticks:
            gridline(sheet, self.x, value, area.top, area.bottom)
            if self.plot.x.categories:
                told = wrapped(words, room, 3)
                lines = max(lines, len(told))
                for number, line in enumerate(told):
                    at = area.bottom + 16 + number * (LINE - 3)
                    sheet.add(written(self.x(value), at, line, "mid"))
            else:
                sheet.add(written(self.x(value), area.bottom + 16, words, "mid"))
        end = area.bottom + 20 + (lines - 1) * (LINE - 3)
        if label := label_of(self.plot.x):
            sheet.add(written(area.right, end + 14, label, "end", width=sheet.width - EDGE))
            end += LINE
        if dropped := len(self.plot.points) - len(self.points):
            words = f"{dropped} of {len(self.plot.points)} have no place on these axes."
            sheet.add(written(0, end + 15, words, width=sheet.width))
            end += LINE
        sheet.height = end + 4

    def band(self, line: Line) -> None:
        known = [each for each in line.band if all(map(_is_place, each))]
        known = [(x, lo, hi) for x, lo, hi in known if _drawn(self.plot, x, lo)]
        if len(known) < 2:
            return
        upper = [f"{self.x(x):.1f} {self.y(high):.1f}" for x, _, high in known]
        lower = [f"{self.x(x):.1f} {self.y(low):.1f}" for x, low, _ in reversed(known)]
        self.sheet.add(
            f'<path d="M{"L".join(upper + lower)}Z" '
            f'class="{self.sheet.classes_of(line.series, "band")}"/>'
        )

    def line(self, line: Line) -> None:
        places = [(self.x(x), self.y(y)) for x, y in line.points if _drawn(self.plot, x, y)]
        if len(places) < 2:
            return
        faint = self.is_faint and line.role == "each" and not line.arrow
        kind = {"mean": "bold", "chosen": "dark", "reference": "reference"}.get(
            line.role, "many" if faint else "plain"
        )
        style = self.sheet.style_of(line.series)
        has_dash = style and line.role in ("each", "mean") and not (line.arrow or faint)
        classes = self.sheet.classes_of(line.series, "line", kind)
        self.sheet.path(places, classes, line.label, style.dash if style and has_dash else "")
        if line.arrow:
            self.head(places[-2], places[-1], classes)

    def head(self, start: tuple[float, float], end: tuple[float, float], classes: str) -> None:
        if hypot(end[0] - start[0], end[1] - start[1]) < 3:
            return
        turned = atan2(end[1] - start[1], end[0] - start[0])
        wings = [
            (end[0] - 6 * cos(turned + side), end[1] - 6 * sin(turned + side))
            for side in (-pi / 7, pi / 7)
        ]
        self.sheet.path([wings[0], end, wings[1]], classes)

    def intervals(self, point: Point) -> None:
        classes = self.sheet.classes_of(
            point.series, "line", "dark" if point.role == "chosen" else "thin"
        )
        x, y = self.x(point.x), self.y(point.y)
        if has_place(point.x_low, self.plot.x) and has_place(point.x_high, self.plot.x):
            self.sheet.path([(self.x(point.x_low), y), (self.x(point.x_high), y)], classes)
        if has_place(point.y_low, self.plot.y) and has_place(point.y_high, self.plot.y):
            self.sheet.path([(x, self.y(point.y_low)), (x, self.y(point.y_high))], classes)

    def by_place(self, role: str) -> list[list[Point]]:
        """Points of a role; those of one series that stand at one place are one mark."""
        found: dict[tuple[str, float, float], list[Point]] = defaultdict(list)
        for point in self.points:
            if point.role == role:
                found[point.series, round(self.x(point.x)), round(self.y(point.y))].append(point)
        return list(found.values())

    def marks(self, together: list[Point]) -> None:
        first = together[0]
        r = self.r * min(2.2, sqrt(1 + 0.4 * (len(together) - 1)))
        words = "; ".join(self.words(point) for point in together)
        if len(together) > 1:
            words = f"{len(together)} here: {words}"
        self.sheet.point(first, self.x(first.x), self.y(first.y), words, r)

    def words(self, point: Point) -> str:
        """What a point says of itself."""
        values = (
            on_axis(self.plot.x, point.x, point.x_low, point.x_high),
            on_axis(self.plot.y, point.y, point.y_low, point.y_high),
        )
        told = ", ".join(value for value in values if value)
        return f"{point.label}: {told}" if point.label else told

    def notes(self) -> None:
        """What is written beside points and the ends of lines."""
        named = [(self.x(each.x), self.y(each.y), each.note) for each in self.points if each.note]
        for line in self.plot.lines:
            ends = [(x, y) for x, y in line.points if _drawn(self.plot, x, y)]
            if line.note and ends:
                named.append((self.x(ends[-1][0]), self.y(ends[-1][1]), line.note))
        texts = [fitted(note, (self.area.right - self.area.left) * 0.6) for *_, note in named]
        wanted = [
            Wanted(x, y, width_of(text) + 2, LINE - 3)
            for (x, y, _), text in zip(named, texts, strict=True)
        ]
        marks = [
            Box(x - R, y - R, x + R, y + R)
            for x, y in ((self.x(each.x), self.y(each.y)) for each in self.points)
        ]
        for (x, y, note), text, box in zip(
            named, texts, placed(wanted, marks, self.area), strict=True
        ):
            if box is None:
                continue
            near_x = min(max(x, box.left), box.right)
            near_y = min(max(y, box.top), box.bottom)
            if hypot(near_x - x, near_y - y) > 14:
                self.sheet.path([(x, y), (near_x, near_y)], "rule")
            self.sheet.add(
                written(box.left + 1, box.bottom - 3, text, "ink halo")
                if text == note
                else written(box.left + 1, box.bottom - 3, note, "ink halo", width=wanted[0].width)
            )


def _is_place(value: float | None) -> bool:
    return has_place(value, Axis(""))
