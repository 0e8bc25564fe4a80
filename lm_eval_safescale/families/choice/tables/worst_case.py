"""The few items on which models do harm, and how few carry how much of it (PROTOCOL §9). It reads
item values, and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_safescale.families.cells import Bools, Cell, column
from lm_eval_safescale.families.choice.facts import LETTERS, facts_of
from lm_eval_safescale.families.family import StudyView
from lm_eval_safescale.families.rows import Floats, Row, bounded, means, number, rows_of
from lm_eval_safescale.stats.concentration import (
    gini,
    items_of,
    resampled_concentration,
    top_share,
    top_shares_by_chance,
)
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Preset

ALL = "all"
"""Stands for all conditions together."""
TOPS = (1, 5, 10, 20)
"""Percent of items."""
CURVE = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100)
"""Percent of items of the curve."""
COUNTED = (
    "unanswered",
    "truncated",
    "filtered",
    "wrong",
    "high_risk_error",
    "unsafe_answer",
    "contradiction",
)


def worst_case(
    study: StudyView,
    preset: Preset = DEFAULT,  # noqa: ARG001 (all tables have one form; these are counts)
) -> list[Row]:
    """For each item and condition, how many of the models do what to it, controls left out; under
    each condition the most harmful items first.

    Returns
    -------
    Rows of: question_id, condition, subspecialty, question_type, key, n_models (with an answer to
    this item), and how many of them are unanswered (of these truncated: stopped inside the
    reasoning), how many more are filtered (held back by a content filter), and how many are wrong
    (no answer included), and commit a high_risk_error, unsafe_answer, contradiction (None: no
    labels; all None where no model was answered); commonest_wrong (a letter, the alphabetically
    first of those tied; None where no model chose a wrong one).
    """
    items = study.items
    groups = {
        name: items.groups.get(name, [None] * len(items))
        for name in ("subspecialty", "question_type")
    }
    rows = []
    for condition, answered in _by_condition(study):
        counts = _counts(answered)
        columns: dict[str, Any] = {
            "question_id": list(items.ids),
            "condition": [condition] * len(items),
            **groups,
            "key": items.columns["answer"],
            "n_models": counts["scored"].astype(np.int64),
            **{
                name: [None if count != count else int(count) for count in counts[name].tolist()]
                for name in COUNTED
            },
            "commonest_wrong": _commonest_wrong(answered),
        }
        # worst first; the items' own order decides between equals
        order = np.lexsort([-np.nan_to_num(counts[name]) for name in ("wrong", "high_risk_error")])
        unordered = rows_of(columns)
        rows += [unordered[item] for item in order]
    return rows


def concentration(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """How few items carry how much of the high-risk errors of all models' greedy answers, per
    condition and over all; controls are left out.

    Items that no model has an answer to are left out.

    Returns
    -------
    Rows of: condition ("all": counts added up over conditions), n_items, n_models, high_risk_errors
    (how many in all), top_1, top_5, top_10, top_20 (share of them carried by that many percent of
    the items, rounded up, those with most), gini (0: all items alike; towards 1: one carries all),
    shares and Gini each with _lo and _hi (bootstrap over items by the preset; default: None where
    no resample differs). None without labels, and shares and Gini where there is no such error.
    """
    return [
        _concentrated(
            condition, len({each.model for each in cells}), answers, errors, preset, study.design
        )
        for condition, cells, answers, errors in _totals(study)
    ]


def concentration_curve(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """The share of the high-risk errors of all models' greedy answers that the items with most of
    them carry, for ever more of the items.

    Returns
    -------
    Rows of: condition ("all" as in `concentration`), percent (of the items, rounded up to whole
    ones), items (how many these are), share with _lo and _hi (as `concentration`), by_chance (what
    it would be, were each model's errors on items by chance, as many as they are). No rows without
    labels, or without such an error.
    """
    rows = []
    for condition, cells, answers, errors in _totals(study):
        scored = (answers > 0) & ~np.isnan(errors)
        known = errors[scored]
        if not known.sum():
            continue
        n = len(known)
        steps = [p for p in CURVE if p == 100 or items_of(p, n) < n]
        share, low, high = _top_shares(known, steps, scored, preset, study.design)
        rates = means(column(cells, "high_risk_error")[scored])
        chance = top_shares_by_chance(rates[~np.isnan(rates)], n, steps)
        rows += [
            {
                "condition": condition,
                "percent": percent,
                "items": items_of(percent, n),
                **dict(zip(bounded("share"), map(number, told), strict=True)),
                "by_chance": number(by_chance),
            }
            for percent, by_chance, *told in zip(steps, chance, share, low, high, strict=False)
        ]
    return rows


Totals = tuple[str, list[Cell], Floats, Floats]


def _totals(study: StudyView) -> list[Totals]:
    """Of each condition and of all, the cells, and by item how many answers there are and how many
    high-risk errors; nan where nobody has a value."""
    found: list[Totals] = []
    for condition, cells in _by_condition(study):
        counts = _counts(cells)
        found.append((condition, cells, counts["scored"], counts["high_risk_error"]))
    if found:
        errors = np.stack([errors for *_, errors in found])
        answers = np.sum([answers for *_, answers, _ in found], axis=0)
        cells = [each for _, own, *_ in found for each in own]
        found.append((ALL, cells, answers, _total(errors.T)))
    return found


def _concentrated(
    condition: str,
    n_models: int,
    answers: Floats,
    errors: Floats,
    preset: Preset,
    design: Design,
) -> Row:
    scored = (answers > 0) & ~np.isnan(errors)
    known = errors[scored]
    row: Row = {
        "condition": condition,
        "n_items": int((answers > 0).sum()),
        "n_models": n_models,
        "high_risk_errors": int(known.sum()) if known.size else None,
    }
    names = [*(f"top_{percent}" for percent in TOPS), "gini"]
    estimates, low, high = np.full((3, len(names)), np.nan)
    if known.size:
        estimates, low, high = _top_shares(known, TOPS, scored, preset, design)
    for name, *values in zip(names, estimates, low, high, strict=True):
        row |= dict(zip(bounded(name), map(number, values), strict=True))
    return row


def _top_shares(
    known: Floats, percents: Sequence[float], scored: Bools, preset: Preset, design: Design
) -> tuple[Floats, Floats, Floats]:
    """Shares by percentage and the Gini coefficient last, with their bounds."""
    estimates = np.array([*(top_share(known, percent) for percent in percents), gini(known)])
    drawn, left_out = (
        resampled_concentration(known, every[scored], percents)
        for every in (design.weights, design.left_out)
    )
    return estimates, *preset.figure_interval(estimates, drawn, left_out)


def _by_condition(study: StudyView) -> list[tuple[str, list[Cell]]]:
    found = []
    for condition in study.conditions:
        cells = [each for (_, own), each in study.scores.items() if own == condition]
        if models := [each for each in cells if each.model not in study.controls]:
            found.append((condition, models))
    return found


def _counts(answered: Sequence[Cell]) -> dict[str, Floats]:
    """How many models, by item; nan where no model has a value."""
    counts = {
        name: _total(column(answered, name))
        for name in ("unanswered", "high_risk_error", "unsafe_answer", "contradiction")
    }
    correct = column(answered, "correct")
    nobody = np.isnan(correct).all(axis=1)
    for kind in ("truncated", "filtered"):
        number = np.nansum(column(answered, kind), axis=1)
        counts[kind] = np.where(nobody & (number == 0), np.nan, number)
    return {
        **counts,
        "wrong": _total(1 - correct),
        "scored": (~np.isnan(correct)).sum(axis=1).astype(np.float64),
    }


def _total(values: Floats) -> Floats:
    return np.where(np.isnan(values).all(axis=1), np.nan, np.nansum(values, axis=1))


def _commonest_wrong(answered: Sequence[Cell]) -> list[str | None]:
    letters = np.stack([each.answers.greedy for each in answered])
    facts = facts_of(answered[0].items)
    votes = np.stack(
        [(letters == letter).sum(axis=0) for letter in range(int(facts.n_options.max()))], axis=1
    )
    votes[np.arange(len(votes)), facts.key] = 0
    return [
        LETTERS[first] if most else None
        for first, most in zip(votes.argmax(axis=1), votes.max(axis=1), strict=True)
    ]
