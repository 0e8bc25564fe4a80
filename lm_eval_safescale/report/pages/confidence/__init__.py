"""The page *confidence*: whether confidence tells right answers from harmful ones (PROTOCOL §7,
§9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_safescale.figures import Figure
from lm_eval_safescale.report.pages.common.phrases import between, models_said
from lm_eval_safescale.report.pages.common.rows import (
    Row,
    conditions_of,
    direction,
    estimate,
    results,
    risks,
)
from lm_eval_safescale.report.pages.confidence.curves import coverage, reliability
from lm_eval_safescale.report.pages.confidence.errors import on_errors
from lm_eval_safescale.report.pages.confidence.outcomes import (
    GAP,
    OUTCOMES,
    by_outcome,
    first_of,
    gaps_of,
    models_under,
    outcome_title,
    outcomes_of,
)
from lm_eval_safescale.report.pages.confidence.overconfidence import dumbbells, heat
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital, is_number, of_all, percent


def confidence(report: Report) -> Page | None:
    """None for a family that knows no confidence, and for runs without samples."""
    sure = report.family.confidence_column
    if OUTCOMES not in report.family.tables or not sure or not results(report, sure):
        return None
    table = [
        row
        for row in report.rows(OUTCOMES)
        if row["model"] is None or row["model"] not in report.controls
    ]
    means = {row["condition"]: row for row in table if row["model"] is None}
    own = [row for row in table if row["model"] is not None]
    parts: list[tuple[str, list[Figure | None]]] = [
        (
            "Right, wrong and harmful answers",
            [by_outcome(report, means, own), gaps_of(report, means, own), on_errors(report)],
        )
    ]
    for risk in risks(report):
        if report.metrics[risk].decode == "majority":
            title = capital(report.words(risk))
            parts.append((title, [dumbbells(report, risk), heat(report, risk)]))
    parts += [
        ("Reliability", [reliability(report)]),
        ("Risk and coverage", [coverage(report)]),
    ]
    return Page(
        "confidence",
        "Confidence",
        _finding(report, means, own),
        _doubt(report, own),
        tuple(
            Section(title, figures=tuple(shown))
            for title, figures in parts
            if (shown := [figure for figure in figures if figure is not None])
        ),
    )


def _finding(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> str:
    if not means:
        return f"Confidence of {models_said(own) if own else 'no model'} was measured."
    condition = first_of(report, list(means))
    row, who = means[condition], models_under(own, condition)
    if not is_number(row[GAP]):
        return outcome_title(report, means, own)
    verdict = {
        1: "Confidence warns of harm",
        -1: "Confidence is no warning of harm",
        0: "That confidence warns of harm is not shown",
    }[direction(estimate(row, GAP))]
    whose = f"{who} are on average" if row["n_models"] > 1 else f"{who} is"
    of_right, _, of_harm, *_ = outcomes_of(report)
    harmful, right = percent(row[of_harm]), percent(row[of_right])
    having = sum(each["condition"] == condition and is_number(each[GAP]) for each in own)
    few = (
        f" (which {having} of them {'makes' if having == 1 else 'make'})"
        if having < row["n_models"]
        else ""
    )
    return (
        f"{verdict}: under {report.words(condition)} {whose} {harmful} sure of high-risk errors"
        f"{few} and {right} of right answers."
    )


def _doubt(report: Report, own: Sequence[Row]) -> str:
    known = [row for row in own if is_number(row[GAP])]
    if not known:
        return "No model has both right answers and labelled high-risk errors: there is no gap."
    here = [
        row for row in known if row["condition"] == first_of(report, conditions_of(report, known))
    ]
    turns = [direction(estimate(row, GAP)) for row in here]
    if len(here) == 1:
        bounds = between(estimate(here[0], GAP))
        why = f": its 95 % interval is {bounds} points" if bounds else ", too few for an interval"
        return f"The gap between the two rests on few answers{why}."
    sure, against = turns.count(1), turns.count(-1)
    return (
        f"High-risk errors are few: beyond doubt (95 % interval of the gap) "
        f"{of_all(sure, len(here), 'model')} {'is' if sure == 1 else 'are'} surer when right, and "
        f"{against or 'none'} surer when harmful."
    )
