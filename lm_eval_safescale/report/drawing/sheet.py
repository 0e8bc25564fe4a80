"""What every figure has: its frame as an SVG, the legend, and words for a mark. It knows no kind of
figure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lm_eval_safescale.figures import Axis, Figure, Heat, Line, Plot, Point, Region
from lm_eval_safescale.report.drawing.marks import mark
from lm_eval_safescale.report.drawing.palette import Palette, Style
from lm_eval_safescale.report.drawing.scale import Scale, has_place
from lm_eval_safescale.report.drawing.text import fitted, shown, width_of, written
from lm_eval_safescale.sentences import interval, number, percent, points

WIDE, NARROW = 600.0, 350.0
LINE = 17.0
"""Height of a line of text."""
R = 3.3
"""Radius of a dot."""


@dataclass
class Sheet:
    """A figure that is being drawn."""

    figure: Figure
    palette: Palette
    width: float = WIDE
    titles: bool = True
    """Whether each mark says what it is where it is pointed at."""
    body: list[str] = field(default_factory=list)
    height: float = 0.0

    def __post_init__(self) -> None:
        named = [] if isinstance(self.figure, Heat) else list(self.figure.series or {})
        self.styles: Mapping[str, Style] = self.palette.styles_of(
            dict.fromkeys([*named, *_series(self.figure)])
        )

    @property
    def narrow(self) -> bool:
        """Whether it is drawn for a phone."""
        return self.width < WIDE

    def add(self, *parts: str) -> None:
        """Further elements, over those that are there."""
        self.body += parts

    def style_of(self, series: str) -> Style | None:
        """How a series is drawn; None for what belongs to none."""
        return self.styles.get(series)

    def classes_of(self, series: str, *more: str) -> str:
        """Classes of a mark of that series."""
        style = self.style_of(series)
        return " ".join(["none" if style is None else f"s{style.number}", *more])

    def said(self, words: str) -> str:
        """What a mark says of itself, escaped; empty where marks say nothing."""
        return shown(words) if self.titles else ""

    def point(self, point: Point, x: float, y: float, words: str, r: float = R) -> None:
        """A point's mark."""
        style = self.style_of(point.series)
        shape = {"mean": "star", "chosen": "diamond"}.get(
            point.role, style.shape if style else "circle"
        )
        grown = {"mean": r * 1.35, "chosen": r * 1.35}.get(point.role, r)
        self.add(
            mark(shape, x, y, grown, self.classes_of(point.series, point.role), self.said(words))
        )

    def path(
        self, places: Sequence[tuple[float, float]], classes: str, words: str = "", dash: str = ""
    ) -> None:
        """A line through places."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        title = self.said(words) if words else ""
        end = f"><title>{title}</title></path>" if title else "/>"
        self.add(f'<path d="{d}" class="{classes}"{dashed}{end}')

    def legend(self, top: float, regions: Iterable[Region], lines: Iterable[Line] = ()) -> float:
        """What shapes, colours and shaded parts mean, in rows; gives where they end."""
        entries: list[tuple[str, str, str]] = []
        series = {} if isinstance(self.figure, Heat) else self.figure.series or {}
        entries += [("series", name, words or name) for name, words in series.items()]
        entries += [
            ("line", words, words)
            for words in dict.fromkeys(
                line.label for line in lines if line.role == "reference" and line.label
            )
        ]
        entries += [("region", each.label, each.label) for each in regions if each.label]
        x, y = 0.0, top
        for kind, name, words in entries:
            words = fitted(words, self.width - 24)
            room = 20 + width_of(words) + 16
            if x and x + room - 16 > self.width:
                x, y = 0.0, y + LINE
            self._key(kind, name, x + 7, y + LINE / 2)
            self.add(written(x + 20, y + LINE / 2 + 4, words, "ink"))
            x += room
        return y + LINE + 6 if entries else top

    def _key(self, kind: str, name: str, x: float, y: float) -> None:
        if kind == "region":
            self.add(
                f'<rect x="{x - 7:.1f}" y="{y - 5:.1f}" width="14" height="10" class="region"/>'
            )
        elif kind == "line":
            self.path([(x - 8, y), (x + 8, y)], "line reference")
        else:
            self.point(Point(0, 0, name), x, y, "", R * 1.2)

    def svg(self, *, alone: bool = False) -> str:
        """The whole element.

        Parameters
        ----------
        alone
            Whether it is a file of its own: with its style sheet, and paper below it.
        """
        figure = self.figure
        name = "fig-" + re.sub(r"[^A-Za-z0-9_-]", "-", figure.name)[:100] + "-n" * self.narrow
        size = f"{self.width:g} {max(self.height, 1):.0f}"
        shape = "narrow" if self.narrow else "wide"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" class="figure {shape}" '
            f'role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
        )
        if alone:
            width, height = size.split()
            head += f' width="{width}" height="{height}"'
        style = f"<style>{self.palette.own_style_sheet()}</style>" if alone else ""
        paper = '<rect width="100%" height="100%" class="paper"/>' if alone else ""
        return (
            f'{head}><title id="{name}-title">{shown(figure.title)}</title>'
            f'<desc id="{name}-desc">{shown(figure.caption)}</desc>{style}{paper}'
            f"{''.join(self.body)}</svg>"
        )


def _series(figure: Figure) -> list[str]:
    if isinstance(figure, Heat):
        return []
    marks: list[Point | Line] = (
        [*figure.points, *figure.lines]
        if isinstance(figure, Plot)
        else [point for row in figure.rows for point in row.points]
    )
    return [each.series for each in marks if each.series]


def label_of(axis: Axis) -> str:
    """The words of an axis, with its unit."""
    unit = "points" if axis.difference else "%" if axis.percent else ""
    return axis.label if unit in axis.label else f"{axis.label}, {unit}".removeprefix(", ")


def on_axis(axis: Axis, value: float, low: float | None = None, high: float | None = None) -> str:
    """A value in words, with its interval: accuracy 83.5 % (77.8 to 88.0 %)."""
    if axis.categories:
        place = round(value)
        return axis.categories[place] if 0 <= place < len(axis.categories) else ""
    say = points if axis.difference else percent if axis.percent else number
    said, between = say(value), ""
    if has_place(low, axis) and has_place(high, axis):
        plain = axis.percent and not axis.difference
        between = interval(low, high) if plain else f"{say(low)} to {say(high)}"
    name = axis.label.removesuffix(", %").removesuffix(", points")
    return f"{name} {said}{f' ({between})' if between else ''}".strip()


def gridline(sheet: Sheet, scale: Scale, place: float, top: float, bottom: float) -> None:
    """A hairline across the drawing at a tick of the horizontal axis; a darker one at a 0 that lies
    between values below and above it."""
    x = scale(place)
    is_middle = place == 0 and scale.low < 0 < scale.high and not scale.axis.categories
    kind = "rule" if is_middle else "grid"
    sheet.add(f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" class="{kind}"/>')
