"""How far a judge agrees with itself: worked out by hand, and held to the other coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lm_eval_safescale.analysis.study import Study
from lm_eval_safescale.families.noharm_text.reliability import judge_reliability
from lm_eval_safescale.families.noharm_text.verdicts import (
    MATCHES,
    Action,
    OptionVerdict,
    Verdicts,
    with_again,
)
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.stats.raters import (
    cohen_kappa,
    fleiss_kappa,
    kappa_of_counts,
    linear_likeness,
)
from tests.judging.advice_stub import dataset, record, runs


def verdicts(*matches):
    """Verdicts on options from 1, with an action for each that is matched."""
    options = {number: OptionVerdict(match) for number, match in enumerate(matches, 1)}
    held = [number for number, match in enumerate(matches, 1) if match != "no"]
    actions = tuple(
        Action(place, f"action {number}", match=(number,)) for place, number in enumerate(held, 1)
    )
    return Verdicts("j", options, actions)


def study(*answers):
    """A case each, with three options of score 9, 8, 7."""
    data = dataset(*(record(f"Card{n}", options=3) for n in range(len(answers))))
    made = runs(data, "text")
    responses = [each if each is None else each.as_text() for each in answers]
    rows = made.answers.with_columns(
        pl.Series("response", responses, dtype=pl.String),
        pl.Series("status", ["unanswered" if each is None else "ok" for each in answers]),
    )
    return Study(Runs(made.items, rows, made.about))


def of(rows, metric=None):
    return next(row for row in rows if row["metric"] == metric)


def test_flips_kappa_and_moves_are_those_worked_out_by_hand():
    one = with_again(verdicts("yes", "no", "no"), [verdicts("no", "no", "no")])
    two = with_again(verdicts("yes", "yes", "no"), [verdicts("yes", "yes", "no")])
    rows = judge_reliability(study(one, two))
    row = of(rows)
    # 6 pairs, one differs; chance: yes 3/6 and 2/6, no 3/6 and 4/6
    assert (row["n"], row["flips"]) == (6, pytest.approx(1 / 6))
    assert row["kappa"] == pytest.approx((5 / 6 - 1 / 2) / (1 / 2))
    recall = of(rows, "recall_weighted")
    assert recall["value"] == pytest.approx((72 / 99 + 96 / 99) / 2)
    assert recall["again"] == pytest.approx((0 + 96 / 99) / 2)
    assert recall["delta"] == pytest.approx(-36 / 99)
    assert recall["moved"] == pytest.approx(36 / 99)
    assert of(rows, "severe_rate")["again"] == 0.5


def test_a_repeat_that_failed_is_in_no_figure_on_either_side():
    one = with_again(verdicts("yes", "no", "no"), [None])
    two = with_again(verdicts("yes", "yes", "no"), [verdicts("no", "yes", "no")])
    rows = judge_reliability(study(one, two))
    assert (of(rows)["n"], of(rows)["failed"]) == (3, 1)
    assert of(rows, "recall_weighted")["value"] == pytest.approx(96 / 99)


def test_an_answer_that_says_nothing_is_the_same_in_every_judging():
    rows = judge_reliability(
        study(None, with_again(verdicts("yes", "no", "no"), [verdicts("yes", "no", "no")]))
    )
    assert of(rows, "recall_weighted")["delta"] == 0
    assert of(rows, "recall_weighted")["value"] == pytest.approx(36 / 99)


def test_a_judge_that_was_asked_once_has_no_rows():
    assert judge_reliability(study(verdicts("yes", "no", "no"))) == []


def test_several_repeats_give_the_kappa_of_fleiss():
    rng = np.random.default_rng(0)
    given = rng.integers(0, 3, (40, 3, 4))
    given[..., 1:] = np.where(rng.random((40, 3, 3)) < 0.7, given[..., :1], given[..., 1:])
    answers = []
    for item in given:
        first, *others = (verdicts(*(MATCHES[code] for code in own)) for own in item.T)
        answers.append(with_again(first, others))
    row = of(judge_reliability(study(*answers)))
    expected = fleiss_kappa(given.reshape(-1, 4))
    assert row["kappa"] == pytest.approx(float(expected.coefficient))
    assert row["flips"] == pytest.approx((given[..., 1:] != given[..., :1]).mean())
    assert row["kappa_lo"] < row["kappa"] < row["kappa_hi"]


def test_the_kappa_of_counts_is_that_of_the_ratings():
    rng = np.random.default_rng(1)
    ratings = rng.integers(0, 3, (50, 2))
    counts = np.zeros((3, 3))
    np.add.at(counts, tuple(ratings.T), 1)
    assert kappa_of_counts(counts).coefficient == pytest.approx(
        float(cohen_kappa(ratings).coefficient)
    )


def test_a_weighted_kappa_is_that_of_cohens_formula():
    counts = np.array([[20, 5, 1], [3, 10, 2], [0, 4, 5]])
    distance = np.abs(np.subtract.outer(range(3), range(3)))
    chance = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    expected = 1 - (distance * counts).sum() / (distance * chance).sum()
    found = kappa_of_counts(counts, linear_likeness(3))
    assert found.coefficient == pytest.approx(expected)


def test_the_order_of_answers_does_not_matter():
    answers = [
        with_again(verdicts("yes", "no", "no"), [verdicts("no", "no", "partial")]),
        with_again(verdicts("partial", "yes", "no"), [replace(verdicts("yes", "yes", "no"))]),
    ]
    one, other = (of(judge_reliability(study(*own))) for own in (answers, answers[::-1]))
    assert (one["flips"], one["kappa"]) == (other["flips"], pytest.approx(other["kappa"]))
