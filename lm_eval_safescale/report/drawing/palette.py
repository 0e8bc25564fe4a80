"""Which colour, shape and dash a series has, in every figure alike, and the style sheet that says
so for light and dark pages. It knows no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, cycle

from lm_eval_safescale.families import Family

PAPERS = {"light": "#ffffff", "dark": "#15181c"}
INKS = {
    "light": {"ink": "#1a1a1a", "soft": "#595959", "line": "#e3e3e0", "region": "#e6eef6"},
    "dark": {"ink": "#f0f0ee", "soft": "#a8adb3", "line": "#343a41", "region": "#1e2c3a"},
}
OTHERS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#882255",
    "#7F7F7F",
    "#332288",
    "#999933",
)
"""For series without a colour of their own: they differ without colour vision, too (Okabe and Ito,
and Tol, less what is too light for a mark)."""
SHAPES = (
    "circle",
    "square",
    "triangle",
    "cross",
    "down",
    "ring",
    "plus",
    "hexagon",
    "box",
    "right",
    "left",
)
DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 2", "12 3", "1 4", "4 4")
STEPS = 9
SEQUENTIAL = {"light": ("#f4f6f8", "#08519c"), "dark": ("#20262d", "#9ecae1")}
DIVERGING = {
    "light": ("#2166ac", "#f5f5f3", "#b2182b"),
    "dark": ("#67a9cf", "#262b31", "#ef8a62"),
}
LEAST_CONTRAST = {"light": 3.0, "dark": 4.5}
"""Of a thin mark to its paper: at least 3 (WCAG 2.2, 1.4.11), and more where light lines on dark
look thinner."""
FILLED = {"light": 1.0, "dark": 3.0}
"""The same of what is filled, which has an edge."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a series is drawn."""

    number: int
    """Of its class in the style sheet."""
    color: str
    shape: str
    dash: str


@dataclass(frozen=True)
class Palette:
    """The styles of a report's series."""

    styles: Mapping[str, Style] = field(default_factory=dict)

    @classmethod
    def of(cls, family: Family, others: Iterable[str] = ()) -> Palette:
        """Those of a family's conditions, and of other series (model families, models) by their
        order."""
        conditions = [condition.name for condition in family.conditions]
        unnamed = cycle(OTHERS)
        colors = {
            name: family.colors.get(name) or next(unnamed)
            for name in dict.fromkeys((*conditions, *family.colors))
        }
        given = [*colors.items()]
        unseen = (name for name in dict.fromkeys(others) if name not in colors)
        given += zip(unseen, cycle(OTHERS), strict=False)
        places = chain(range(len(colors)), range(len(given) - len(colors)))
        return cls(
            {
                name: _style(number, place, color)
                for number, (place, (name, color)) in enumerate(zip(places, given, strict=True))
            }
        )

    def styles_of(self, series: Iterable[str]) -> dict[str, Style]:
        """The styles of a figure's series; those that the report does not know get one by their
        order in it."""
        found = {}
        unknown = 0
        for name in series:
            if name in self.styles:
                found[name] = self.styles[name]
            else:
                found[name] = _style(
                    len(self.styles) + unknown % len(OTHERS), unknown, OTHERS[unknown % len(OTHERS)]
                )
                unknown += 1
        return found

    def style_sheet(self) -> str:
        """CSS of every figure of the report, for its pages: it follows the reader's theme, or
        `data-theme` of the root where that is set, and is light in print."""
        light, dark = (self._variables(theme) for theme in ("light", "dark"))
        return "\n".join(
            [
                f":root{{{_declared(light)}}}",
                "@media screen and (prefers-color-scheme:dark){"
                f':root:not([data-theme="light"]){{{_declared(dark)}}}}}',
                f'@media screen{{:root[data-theme="dark"]{{{_declared(dark)}}}}}',
                *self._rules({name: f"var(--fig-{name})" for name in light}),
                ".figure{display:block;width:100%;height:auto}",
                ".figure.wide{max-width:660px}",
                ".figure.narrow{display:none;max-width:440px}",
                "@media print,screen and (max-width:560px){"
                ".figure.wide{display:none}.figure.narrow{display:block}}",
                "",
            ]
        )

    def own_style_sheet(self) -> str:
        """The same for a file that stands alone: light, with every colour spelled out."""
        return "\n".join(self._rules(self._variables("light")))

    def _colors(self) -> Iterator[tuple[int, str]]:
        yield from ((style.number, style.color) for style in self.styles.values())
        yield from enumerate(OTHERS, len(self.styles))

    def _variables(self, theme: str) -> dict[str, str]:
        paper = PAPERS[theme]
        found = {"paper": paper, **INKS[theme]}
        for number, color in self._colors():
            found[f"s{number}"] = seen_on(paper, color, FILLED[theme])
            found[f"e{number}"] = seen_on(paper, color, LEAST_CONTRAST[theme])
        for step in range(STEPS):
            share = step / (STEPS - 1)
            low, high = SEQUENTIAL[theme]
            below, middle, above = DIVERGING[theme]
            diverging = (
                mixed(below, middle, 2 * share)
                if share < 0.5
                else mixed(middle, above, 2 * share - 1)
            )
            for name, color in (("h", mixed(low, high, share)), ("d", diverging)):
                found[f"{name}{step}"] = color
                found[f"{name}t{step}"] = _ink_on(color)
        return found

    def _rules(self, value: Mapping[str, str]) -> list[str]:
        rules = [
            ".figure{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',"
            "sans-serif;font-size:12px;font-variant-numeric:tabular-nums}",
            f".figure text{{fill:{value['soft']};unicode-bidi:isolate}}",
            f".figure .ink{{fill:{value['ink']}}}",
            ".figure .strong{font-weight:600}",
            ".figure .title{font-size:16px}",
            ".figure .end{text-anchor:end}.figure .mid{text-anchor:middle}",
            f".figure .halo{{stroke:{value['paper']};stroke-width:3px;paint-order:stroke;"
            "stroke-linejoin:round}",
            f".figure .paper{{fill:{value['paper']}}}",
            f".figure .grid{{stroke:{value['line']};stroke-width:1px;fill:none}}",
            f".figure .rule{{stroke:{value['soft']};stroke-width:1px;fill:none}}",
            f".figure .region{{fill:{value['region']};stroke:{value['soft']};"
            "stroke-width:.75px;stroke-dasharray:3 3}",
        ]
        for number, _ in self._colors():
            fill, edge = value[f"s{number}"], value[f"e{number}"]
            rules.append(f".figure .s{number}{{fill:{fill};stroke:{edge};stroke-width:1px}}")
        rules += [
            f".figure .none{{fill:{value['soft']};stroke:{value['soft']};stroke-width:1px}}",
            ".figure .each{fill-opacity:.55}",
            f".figure .open{{fill:{value['paper']};fill-opacity:.5;stroke-width:1.4px}}",
            ".figure .bare{fill:none;stroke-width:1.7px}",
            f".figure .mean{{stroke:{value['ink']};stroke-width:.8px}}",
            f".figure .chosen{{stroke:{value['ink']};stroke-width:1.6px}}",
            ".figure .line{fill:none;stroke-width:1.3px;stroke-linejoin:round}",
            ".figure .line.many{stroke-width:1px;stroke-opacity:.45}",
            ".figure .line.bold{stroke-width:2.6px}",
            f".figure .line.reference{{stroke:{value['soft']};stroke-width:1px;"
            "stroke-dasharray:4 3}",
            ".figure .line.thin{stroke-width:1px;stroke-opacity:.8}",
            f".figure .line.dark{{stroke:{value['ink']};stroke-width:1.4px}}",
            ".figure .band{stroke:none;fill-opacity:.18}",
        ]
        for step in range(STEPS):
            for name in ("h", "d"):
                rules.append(f".figure .{name}{step}{{fill:{value[f'{name}{step}']}}}")
                rules.append(f".figure .{name}t{step}{{fill:{value[f'{name}t{step}']}}}")
        return rules


def _style(number: int, place: int, color: str) -> Style:
    return Style(number, color, SHAPES[place % len(SHAPES)], DASHES[place % len(DASHES)])


def _ink_on(color: str) -> str:
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, color))


def _declared(values: Mapping[str, str]) -> str:
    return ";".join(f"--fig-{name}:{value}" for name, value in values.items())


def _parts(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mixed(one: str, other: str, share: float) -> str:
    """A colour between two: 0 is the one, 1 the other."""
    pairs = zip(_parts(one), _parts(other), strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def contrast(one: str, other: str) -> float:
    """How well one colour is seen on another, from 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    linear = [
        part / 3294.6 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in _parts(color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def seen_on(paper: str, color: str, least: float) -> str:
    """The colour, or the nearest to it that has at least this contrast to the paper."""
    away = "#000000" if _luminance(paper) > 0.5 else "#ffffff"
    shares = (step / 20 for step in range(21))
    return next(
        found for share in shares if contrast(found := mixed(color, away, share), paper) >= least
    )
