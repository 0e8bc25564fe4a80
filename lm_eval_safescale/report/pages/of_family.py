"""The pages that a family adds, looked at as plugins' sections are before they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lm_eval_safescale.report.drawing import Palette, draw
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, checked


def of_family(report: Report) -> Sequence[Page]:
    """What `Family.pages` gives; none where it has none.

    Raises
    ------
    ValueError, TypeError
        For what is no page, or could not be drawn; and whatever the family's code raises.
    """
    palette = Palette.of(report.family, report.model_families)
    pages = [
        replace(page, sections=tuple(checked(section) for section in page.sections))
        for page in report.family.pages(report)
    ]
    for page in pages:
        for section in page.sections:
            for figure in section.figures:
                draw(figure, palette)
    return pages
