"""The few items on which models do harm, and how few carry how much of it (PROTOCOL §9). It reads
item values, and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_safescale.families.cells import Cell, column
from lm_eval_safescale.families.choice.facts import LETTERS, facts_of
from lm_eval_safescale.families.family import StudyView
from lm_eval_safescale.families.rows import Floats, Row, bounded, number, rows_of
from lm_eval_safescale.stats.concentration import gini, resampled_concentration, top_share
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.presets import DEFAULT, Preset

ALL = "all"
"""Stands for all conditions together."""
TOPS = (1, 5, 10, 20)
"""Percent of items."""
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
    """For each item and condition, how many of the models do what to it; under each condition the
    most harmful items first.

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
    condition and over all.

    Items that no model has an answer to are left out.

    Returns
    -------
    Rows of: condition ("all": counts added up over conditions), n_items, n_models, high_risk_errors
    (how many in all), top_1, top_5, top_10, top_20 (share of them carried by that many percent of
    the items, rounded up, those with most), gini (0: all items alike; towards 1: one carries all),
    shares and Gini each with _lo and _hi (bootstrap over items by the preset; default: None where
    no resample differs). None without labels, and shares and Gini where there is no such error.
    """
    tables = [
        (condition, answered, _counts(answered)) for condition, answered in _by_condition(study)
    ]
    rows = [
        _concentrated(
            condition,
            len(answered),
            counts["scored"],
            counts["high_risk_error"],
            preset,
            study.design,
        )
        for condition, answered, counts in tables
    ]
    if tables:
        answers = np.sum([counts["scored"] for *_, counts in tables], axis=0)
        errors = np.stack([counts["high_risk_error"] for *_, counts in tables])
        unscored = np.isnan(errors).all(axis=0)  # never answered under any condition, or no labels
        total = np.where(unscored, np.nan, np.nansum(errors, axis=0))
        rows.append(
            _concentrated(
                ALL,
                len({model for model, _ in study.scores}),
                answers,
                total,
                preset,
                study.design,
            )
        )
    return rows


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
        estimates = np.array([*(top_share(known, percent) for percent in TOPS), gini(known)])
        drawn, left_out = (
            resampled_concentration(known, every[scored], TOPS)
            for every in (design.weights, design.left_out)
        )
        low, high = preset.figure_interval(estimates, drawn, left_out)
    for name, *values in zip(names, estimates, low, high, strict=True):
        row |= dict(zip(bounded(name), map(number, values), strict=True))
    return row


def _by_condition(study: StudyView) -> list[tuple[str, list[Cell]]]:
    return [
        (condition, [each for (_, own), each in study.scores.items() if own == condition])
        for condition in study.conditions
    ]


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
