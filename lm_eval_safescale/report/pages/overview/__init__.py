"""The page *overview*: every headline metric of every model under every condition, each with its
interval.
"""

from __future__ import annotations

from lm_eval_safescale.report.disputed import disputed_sections
from lm_eval_safescale.report.pages.common.rows import cells
from lm_eval_safescale.report.pages.overview.figures import figures_of
from lm_eval_safescale.report.pages.overview.finding import finding_of
from lm_eval_safescale.report.pages.overview.tables import (
    published,
    ranks,
    raters,
    reasons,
    tables_of,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page


def overview(report: Report) -> Page:
    """What one sees first."""
    scored = [
        name
        for name in report.family.headlines
        if any(row[name] is not None for row in cells(report))
    ]
    finding, doubt = finding_of(report, scored)
    sections = [
        *figures_of(report, scored),
        *tables_of(report, scored),
        *ranks(report, scored),
        *published(report),
        *raters(report, scored),
        *disputed_sections(report),
        *reasons(report),
    ]
    return Page("overview", "Overview", finding, doubt, tuple(sections))
