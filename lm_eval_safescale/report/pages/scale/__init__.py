"""The page *scale*: what size, model family and condition have to do with each metric."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.report.pages.common.phrases import the
from lm_eval_safescale.report.pages.common.rows import main_metrics, models_of
from lm_eval_safescale.report.pages.scale.changes import of_changes
from lm_eval_safescale.report.pages.scale.families import of_families, within_families
from lm_eval_safescale.report.pages.scale.panel import NAME_THEM, families_of, sizes_of
from lm_eval_safescale.report.pages.scale.size import of_size, of_slopes, slope_title
from lm_eval_safescale.report.pages.scale.variance import of_variance
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page
from lm_eval_safescale.sentences import capital, listed
from lm_eval_safescale.words import counted


def scale(report: Report) -> Page | None:
    """None where the family has nothing studied over size, or there is one model alone."""
    metrics = main_metrics(report, report.family.studied)
    if not report.family.studied or len(models_of(report)) < 2:
        return None
    if not metrics:
        return Page(
            "scale", "Scale", "Nothing of what is studied over size is scored in these runs."
        )
    sized, known = sizes_of(report), families_of(report)
    sections = (
        of_size(report, metrics, sized),
        of_slopes(report, metrics),
        of_variance(report, metrics),
        of_families(report, metrics, known),
        within_families(report, metrics, known),
        of_changes(report, metrics),
    )
    return Page(
        "scale",
        "Scale",
        _finding(report, metrics, sized),
        _doubt(report, sized, known),
        tuple(section for section in sections if section is not None),
    )


def _finding(report: Report, metrics: Sequence[str], sized: dict[str, float]) -> str:
    if not sized:
        return f"What size has to do with {listed([the(report, m) for m in metrics])} is not known."
    return slope_title(report, metrics[min(1, len(metrics) - 1)])


def _doubt(report: Report, sized: dict[str, float], known: dict[str, str]) -> str:
    models = len(models_of(report))
    unsized, without = models - len(sized), models - len(known)
    if not unsized and not without:
        families = len(set(known.values()))
        if families == 1:
            return f"{capital(counted(models, 'model'))} of one family: nothing is known of others."
        return (
            f"{capital(counted(models, 'model'))} of {families} families: an interval of a slope "
            "over all heeds that models of one family are alike, and rests on as few as there are "
            "families."
        )
    if unsized == models:
        return f"The size of none of the {models} models is known. {NAME_THEM}"
    lacking = [
        said
        for number, said in (
            (unsized, f"of {unsized} the size is not known"),
            (without, f"of {without} the family is not known"),
        )
        if number
    ]
    return f"Of {counted(models, 'model')}, {listed(lacking)}. {NAME_THEM}"
