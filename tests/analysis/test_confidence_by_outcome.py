"""Confidence by what became of an answer: counted by hand, and against the tables it must agree
with.
"""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.analysis import (
    Study,
    confidence_by_outcome,
    confidence_lines,
    profile,
)
from lm_eval_safescale.stats.voting import confidence
from tests.analysis.making import item, one_cell, random_plain


def test_means_and_gap_are_worked_by_hand():
    items = {str(number): item(high_risk="B") for number in range(3)}
    plain = one_cell(items, "ABC", ["AAAA", "BBBA", "CCCA"])
    sure = [float(confidence(np.array(votes), 4)) for votes in ([4, 0, 0, 0, 0], [1, 3, 0, 0, 0])]
    mean, own = confidence_by_outcome(plain.runs()).to_dicts()
    assert {**mean, "model": "m"} == own
    assert (own["correct"], own["high_risk_error"]) == pytest.approx(sure)
    assert own["incorrect"] == pytest.approx(sure[1])
    assert own["gap"] == pytest.approx(sure[0] - sure[1])


def test_a_model_without_high_risk_errors_has_no_gap():
    plain = one_cell({"1": item(high_risk="B"), "2": item(high_risk="B")}, "AC", ["AAA", "CCC"])
    for row in confidence_by_outcome(plain.runs()).to_dicts():
        assert (row["high_risk_error"], row["gap"], row["gap_lo"]) == (None, None, None)
        assert row["correct"] == 1


def test_means_of_models_are_those_of_profile():
    runs = random_plain(5, models=3, conditions=("clean", "rag"), n=30, k=5).runs()
    known = {(row["model"], row["condition"]): row for row in profile(runs).to_dicts()}
    table = confidence_by_outcome(runs).to_dicts()
    for row in (row for row in table if row["model"] is not None):
        for outcome in ("correct", "incorrect", "high_risk_error", "unsafe_answer"):
            for end in ("", "_lo", "_hi"):
                assert row[f"{outcome}{end}"] == pytest.approx(
                    known[row["model"], row["condition"]][f"confidence_{outcome}{end}"]
                )
    for mean in (row for row in table if row["model"] is None):
        own = [
            row["correct"]
            for row in table
            if row["model"] and row["condition"] == mean["condition"]
        ]
        assert mean["correct"] == pytest.approx(np.mean(own))
        assert mean["correct_lo"] <= mean["correct"] <= mean["correct_hi"]


def test_the_line_is_that_of_the_points_of_profile():
    study = Study(random_plain(7, models=5, conditions=("clean", "rag"), n=40, k=5).runs())
    points = [
        (row["condition"], row["majority_accuracy"], row["confidence_incorrect"])
        for row in profile(study).to_dicts()
    ]
    lines = {row["condition"]: row for row in confidence_lines(study).to_dicts()}
    assert list(lines) == ["clean", "rag", "all"]
    for condition, line in lines.items():
        x, y = np.array([each[1:] for each in points if condition in (each[0], "all")]).T
        assert [line["slope"], line["intercept"]] == pytest.approx(np.polyfit(x, y, 1))
        assert line["n"] == len(x)


def test_nothing_sampled_has_no_rows():
    study = Study(random_plain(1, models=2, conditions=("clean",), n=5, k=0).runs())
    assert confidence_by_outcome(study).is_empty()
    assert confidence_lines(study).is_empty()
