"""A `Heat` as an SVG: each value written in its cell, on a colour that says it again."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Heat
from lm_eval_safescale.report.drawing.palette import STEPS
from lm_eval_safescale.report.drawing.scale import has_place
from lm_eval_safescale.report.drawing.sheet import LINE, Sheet
from lm_eval_safescale.report.drawing.text import fitted, width_of, wrapped, written
from lm_eval_safescale.sentences import NOT_SCORED, number, percent

ROW = 22.0
SLANT, SLANTED = 0.643, 0.766
"""Height and width of a text that is slanted by 40 degrees, by its length."""
_ANY = Axis("")


def draw_heat(sheet: Sheet, heat: Heat) -> None:
    """Draws a heat map on an empty sheet."""
    label = max((width_of(row) for row in heat.rows), default=0.0) + 12
    left = min(label, sheet.width * (0.34 if sheet.narrow else 0.36))
    wide = (sheet.width - left) / max(1, len(heat.columns))
    wide = min(wide, 110.0)
    top = _heads(sheet, heat.columns, left, wide)
    low, high = _bounds(heat)
    for row, name in enumerate(heat.rows):
        y = top + row * ROW
        sheet.add(written(0, y + ROW / 2 + 4, name, "ink", width=left - 8))
        for place, column in enumerate(heat.columns):
            value = heat.values[row][place]
            _cell(
                sheet, heat, value, (left + place * wide, y, wide), f"{name}, {column}", low, high
            )
    bottom = top + len(heat.rows) * ROW
    sheet.height = _key(sheet, heat, left, bottom + 10, low, high)


def _heads(sheet: Sheet, columns: Sequence[str], left: float, wide: float) -> float:
    """The words of the columns, slanted where a word is longer than its column; gives where they
    end."""
    heads = [wrapped(column, wide - 4, 3) for column in columns]
    centres = [left + (place + 0.5) * wide for place in range(len(columns))]
    if not any("…" in line for lines in heads for line in lines):
        top = max((len(lines) for lines in heads), default=0) * (LINE - 3) + 6
        for x, lines in zip(centres, heads, strict=True):
            for line, words in enumerate(reversed(lines)):
                sheet.add(written(x, top - 8 - line * (LINE - 3), words, "mid"))
        return top
    longest = min(max(map(width_of, columns)), centres[0] / SLANTED + 30)
    top = longest * SLANT + 14
    for x, column in zip(centres, columns, strict=True):
        head = written(0, 0, column, "end", width=longest)
        sheet.add(f'<g transform="translate({x + 4:.1f} {top - 8:.1f}) rotate(40)">{head}</g>')
    return top


def _bounds(heat: Heat) -> tuple[float, float]:
    known = [value for row in heat.values for value in row if value is not None]
    known = [value for value in known if has_place(value, _ANY)]
    low = min(known, default=0.0) if heat.low is None else heat.low
    high = max(known, default=1.0) if heat.high is None else heat.high
    if heat.diverging:
        high = max(abs(low), abs(high))
        low = -high
    return low, high


def _words(heat: Heat, value: float | None) -> str:
    if value is None or not has_place(value, _ANY):
        return "–"
    return percent(value)[:-2] if heat.percent else number(value)


def _cell(
    sheet: Sheet,
    heat: Heat,
    value: float | None,
    place: tuple[float, float, float],
    name: str,
    low: float,
    high: float,
) -> None:
    x, y, wide = place
    words = _words(heat, value)
    known = value is not None and words != "–"
    said = (percent(value) if heat.percent else number(value)) if known else NOT_SCORED
    title = sheet.said(f"{name}: {said}")
    classes = ("grid", "mid")
    if value is not None and known:
        share = (value - low) / (high - low) if high > low else 0.5 if heat.diverging else 0.0
        step = min(STEPS - 1, int(max(0.0, share) * STEPS))
        kind = "d" if heat.diverging else "h"
        classes = (f"{kind}{step}", f"mid {kind}t{step}")
    sheet.add(
        f'<rect x="{x + 0.75:.1f}" y="{y + 0.75:.1f}" width="{max(1, wide - 1.5):.1f}" '
        f'height="{ROW - 1.5:.1f}" rx="2" class="{classes[0]}">'
        + (f"<title>{title}</title></rect>" if title else "</rect>"),
        written(x + wide / 2, y + ROW / 2 + 4, fitted(words, wide, 10), classes[1]),
    )


def _key(sheet: Sheet, heat: Heat, left: float, top: float, low: float, high: float) -> float:
    """What the colours mean; gives where it ends."""
    kind, wide = "d" if heat.diverging else "h", 12.0 if sheet.narrow else 18.0
    ends = [percent(each) if heat.percent else number(each) for each in (low, high)]
    sheet.add(written(left, top + 11, ends[0]))
    x = left + width_of(ends[0]) + 6
    if low == high:  # one value: one colour
        sheet.add(
            f'<rect x="{x:.1f}" y="{top + 1:.1f}" width="{wide:g}" height="12" class="{kind}0"/>'
        )
        return top + 20
    for step in range(STEPS):
        sheet.add(
            f'<rect x="{x + step * wide:.1f}" y="{top + 1:.1f}" width="{wide:g}" height="12" '
            f'class="{kind}{step}"/>'
        )
    x += STEPS * wide + 6
    sheet.add(written(x, top + 11, ends[1]))
    if any(value is None or not has_place(value, _ANY) for row in heat.values for value in row):
        x += width_of(ends[1]) + 16
        if x + width_of(f"– {NOT_SCORED}") > sheet.width:
            x, top = left, top + LINE
        sheet.add(written(x, top + 11, f"– {NOT_SCORED}"))
    return top + 20
