"""Figures as SVG: `draw` for a page, in its theme and at two widths; `standalone` for a file that
stands alone. It knows no page, and nothing of what a figure is about.

Pages need `Palette.style_sheet()`; nothing here writes a `style` attribute, so that a strict
content policy holds.
"""

from __future__ import annotations

from lm_eval_safescale.figures import Figure, Plot, Strips
from lm_eval_safescale.report.drawing.heat import draw_heat
from lm_eval_safescale.report.drawing.palette import Palette
from lm_eval_safescale.report.drawing.plot import draw_plot
from lm_eval_safescale.report.drawing.sheet import NARROW, WIDE, Sheet
from lm_eval_safescale.report.drawing.strips import draw_strips
from lm_eval_safescale.report.drawing.text import wrapped, written

__all__ = ["Palette", "draw", "standalone"]
MARGIN = 16.0


def draw(figure: Figure, palette: Palette) -> str:
    """A figure as two inline SVG elements, for wide pages, and for phones and print, of which the
    style sheet shows one. The same figure gives the same bytes.

    Each mark of the wide one says in its `<title>` what it is.
    """
    wide = _drawn(Sheet(figure, palette))
    narrow = _drawn(Sheet(figure, palette, NARROW, titles=False))
    return wide.svg() + narrow.svg()


def standalone(figure: Figure, palette: Palette) -> str:
    """A figure as an SVG file for papers and slides: light, with its title, caption and style
    sheet, no part of which lies elsewhere."""
    drawn = _drawn(Sheet(figure, palette))
    sheet = Sheet(figure, palette, WIDE + 2 * MARGIN)
    y = MARGIN
    for size, classes, words in (
        (16.0, "ink strong title", figure.title),
        (12.0, "", figure.caption),
    ):
        for line in wrapped(words, WIDE, 6, size):
            y += size * 1.35
            sheet.add(written(MARGIN, y, line, classes, size=size))
        y += 4
    sheet.add(f'<g transform="translate({MARGIN:g} {y + 10:.1f})">', *drawn.body, "</g>")
    sheet.height = y + 10 + drawn.height + MARGIN
    return sheet.svg(alone=True) + "\n"


def _drawn(sheet: Sheet) -> Sheet:
    figure = sheet.figure
    if isinstance(figure, Plot):
        draw_plot(sheet, figure)
    elif isinstance(figure, Strips):
        draw_strips(sheet, figure)
    else:
        draw_heat(sheet, figure)
    return sheet
