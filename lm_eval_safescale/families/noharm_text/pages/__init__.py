"""Pages of a report of judged advice, made from tables: they know no case and no verdict."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.families.noharm_text.pages.cases import worst_answers
from lm_eval_safescale.families.noharm_text.pages.harm import omission_and_commission
from lm_eval_safescale.families.noharm_text.pages.judge import judge
from lm_eval_safescale.families.noharm_text.pages.teams import solo_and_team
from lm_eval_safescale.sections import Page, ReportView


def pages(report: ReportView) -> Sequence[Page]:
    """Those that there is anything to show on."""
    made = (each(report) for each in (omission_and_commission, solo_and_team, worst_answers, judge))
    return [page for page in made if page is not None]
