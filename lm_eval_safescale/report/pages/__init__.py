"""The pages that every family has, a module each. A page is made from tables of `analysis`, nothing
is computed a second time.
"""

from collections.abc import Callable

from lm_eval_safescale.report.pages.abstention_and_gate import abstention_and_gate
from lm_eval_safescale.report.pages.compute import compute
from lm_eval_safescale.report.pages.confidence import confidence
from lm_eval_safescale.report.pages.context import context
from lm_eval_safescale.report.pages.decoupling import decoupling
from lm_eval_safescale.report.pages.groups import groups
from lm_eval_safescale.report.pages.methods import methods
from lm_eval_safescale.report.pages.more import more
from lm_eval_safescale.report.pages.overview import overview
from lm_eval_safescale.report.pages.scale import scale
from lm_eval_safescale.report.pages.worst_cases import worst_cases
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page

PAGES: tuple[Callable[[Report], Page | None], ...] = (
    overview,
    decoupling,
    confidence,
    scale,
    compute,
    context,
    worst_cases,
    groups,
    abstention_and_gate,
    more,
    methods,
)
"""In the order of the list of pages, the first of which is the report's first; None where the
family, or the study, lacks what a page needs."""

__all__ = ["PAGES"]
