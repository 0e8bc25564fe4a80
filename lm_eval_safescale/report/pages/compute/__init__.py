"""The page *compute*: what more answers to a question buy, by one model that votes or by several
that vote together.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.report.pages.common.rows import Row
from lm_eval_safescale.report.pages.compute.curves import CURVES
from lm_eval_safescale.report.pages.compute.ensembles import ENSEMBLES, better_title, of_ensembles
from lm_eval_safescale.report.pages.compute.votes import (
    VOTES,
    change_title,
    harms_of,
    means_of,
    of_votes,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page


def compute(report: Report) -> Page | None:
    """None where the family has no table of votes or ensembles."""
    if not {VOTES, CURVES, ENSEMBLES} & set(report.family.tables):
        return None
    votes = [row for row in report.rows(VOTES) if row["model"] not in report.controls]
    together = report.rows(ENSEMBLES)
    sections = [*of_votes(report, votes), *of_ensembles(report, together)]
    metric = _index(votes)
    return Page(
        "compute",
        "Compute",
        change_title(report, metric, means_of(votes, metric))
        if votes
        else f"No model {_lacks(report)}: what voting buys is not known."
        if not together
        else better_title(together),
        _doubt(report, votes),
        tuple(sections),
    )


def _index(votes: Sequence[Row]) -> str:
    return votes[0]["metric"] if votes else ""


def _lacks(report: Report) -> str:
    if any(report.study.runs.draws.values()):
        return "has all samples of an item"
    return "was asked more than once"


def _doubt(report: Report, votes: Sequence[Row]) -> str:
    if not votes:
        return "Run again with draws (K samples a question) to see what voting changes."
    harms = harms_of(report, votes)
    return change_title(report, harms[0], means_of(votes, harms[0])) if harms else ""
