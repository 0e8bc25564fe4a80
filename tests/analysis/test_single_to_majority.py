"""What voting changes: counted by hand, and beside the tables it must agree with."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, profile, single_to_majority
from lm_eval_safescale.stats import protocol_indices, tango_interval
from tests.analysis.making import item, one_cell, random_plain


def of(plain, metric, model, preset="default"):
    table = single_to_majority(plain.runs(), preset).to_dicts()
    (found,) = [row for row in table if (row["metric"], row["model"]) == (metric, model)]
    return found


def harmful():
    return {str(number): item(high_risk="B") for number in range(4)}


def test_a_change_is_worked_by_hand():
    # right, right after the vote, harmful after the vote, and one whose samples failed
    plain = one_cell(harmful(), "ABAA", ["AAA", "AAB", "BBA", "AA!"])
    right, harm = (of(plain, metric, "m") for metric in ("accuracy", "high_risk_error"))
    assert (right["n"], right["draws"]) == (3, 3)
    assert (right["single"], right["majority"]) == pytest.approx((2 / 3, 2 / 3))
    assert [right["change_lo"], right["change_hi"]] == pytest.approx(
        [float(bound) for bound in tango_interval(1, 1, 3)]
    )
    assert (harm["single"], harm["majority"], harm["change"]) == pytest.approx((1 / 3, 1 / 3, 0))


def test_of_one_model_the_mean_is_the_model():
    plain = one_cell(harmful(), "ABAA", ["AAA", "AAB", "BBA", "AAA"])
    mean, own = of(plain, "accuracy", None), of(plain, "accuracy", "m")
    assert {**mean, "model": "m"} == own


def test_with_all_answers_it_is_the_difference_of_the_rates_of_profile():
    plain = random_plain(5, models=3, conditions=("clean",), n=30, k=5)
    runs = plain.runs()
    by_model = {row["model"]: row for row in profile(runs).to_dicts()}
    changes = [row for row in single_to_majority(runs).to_dicts() if row["metric"] == "accuracy"]
    mean, *own = changes
    assert [row["change"] for row in own] == pytest.approx(
        [by_model[r["model"]]["majority_accuracy"] - by_model[r["model"]]["accuracy"] for r in own]
    )
    assert mean["change"] == pytest.approx(np.mean([row["change"] for row in own]))


def test_the_interval_of_the_mean_is_of_items_drawn_for_all_models_together():
    study = Study(random_plain(5, models=3, conditions=("clean",), n=30, k=5).runs())
    known = [
        np.where(cell["majority"] > -2, cell["majority_correct"], np.nan) - cell["correct"]
        for cell in study.scores.values()
    ]
    drawn = [np.mean([np.nanmean(d[index]) for d in known]) for index in protocol_indices(30)]
    mean = single_to_majority(study, "radsafe-2026").to_dicts()[0]
    assert mean["model"] is None
    assert [mean["change_lo"], mean["change_hi"]] == pytest.approx(
        np.percentile(drawn, [2.5, 97.5])
    )


def test_without_samples_there_are_no_rows():
    assert single_to_majority(one_cell(harmful(), "AAAA").runs()).height == 0


def test_where_no_item_has_both_answers_there_are_no_rows():
    assert single_to_majority(one_cell(harmful(), "AAAA", ["A!"] * 4).runs()).height == 0
