"""Keeping only confident answers: hand-worked curves, brute force, and what is not scored."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import auc
from statsmodels.stats.proportion import proportion_confint

from lm_eval_safescale.analysis import PRESETS
from lm_eval_safescale.families.choice.tables.selective import THRESHOLDS, selective
from lm_eval_safescale.stats import bca_statistic, protocol_indices, selective_risk
from tests.analysis.making import random_plain
from tests.analysis.small import FEW, View, any_runs, runs_of, scores_of, unlabelled

COLUMNS = [
    "model",
    "condition",
    "draws",
    "threshold",
    "n",
    "kept",
    "coverage",
    "high_risk_error",
    "high_risk_error_lo",
    "high_risk_error_hi",
    "accuracy",
    "accuracy_lo",
    "accuracy_hi",
    "area",
    "area_lo",
    "area_hi",
]
RISKY = {"high_risk": ["BCD"] * 4, "unsafe": [""] * 4, "contradicts": [""] * 4}
# confidences 1, 1, 1 - ln 2 / ln 5 = 0.569 (a tie, won by A), and 1 - H(3/4) / ln 5 = 0.651
DRAWS = ["AAAA", "ABAB", "ABAB", "ABBB", "ABBA"]


def of(draws=DRAWS, key="AAAA", **about):
    return selective(View(scores_of(runs_of({("m", "rag"): draws}, key, **about))))


def test_the_columns_are_those_promised_a_row_for_each_threshold():
    rows = of()
    assert [list(row) for row in rows] == [COLUMNS] * 21
    assert [row["threshold"] for row in rows] == [number / 20 for number in range(21)]


def test_a_curve_is_worked_by_hand():
    rows = {row["threshold"]: row for row in of(labels=RISKY)}
    assert [(rows[t]["kept"], rows[t]["coverage"]) for t in (0, 0.55, 0.6, 0.7, 1)] == [
        (4, 1),
        (4, 1),
        (3, 0.75),
        (2, 0.5),
        (2, 0.5),
    ]
    assert [rows[t]["high_risk_error"] for t in (0, 0.6, 0.7)] == pytest.approx(
        [2 / 4, 2 / 3, 1 / 2]
    )
    assert [rows[t]["accuracy"] for t in (0, 0.6, 0.7)] == pytest.approx([2 / 4, 1 / 3, 1 / 2])
    # coverage 1/2 at risk 1/2, then 1/4 more at 2/3, then 1/4 more at 1/2
    assert rows[0]["area"] == pytest.approx(0.5 / 2 + 0.25 * 2 / 3 + 0.25 / 2)


def test_no_answer_is_never_kept_however_sure():
    rows = of(["-A", "-A", "-A"], "AA", labels={"high_risk": ["B", "B"]})
    assert [(row["n"], row["kept"], row["coverage"]) for row in rows] == [(2, 1, 0.5)] * 21


def test_nothing_kept_has_a_null_rate_and_coverage_0():
    row = of(["A", "A", "B"], "A", labels={"high_risk": ["B"]})[-1]
    assert (row["kept"], row["coverage"]) == (0, 0)
    assert [row[name] for name in COLUMNS[7:13]] == [None] * 6


def test_only_silence_is_kept_nowhere_and_has_no_area():
    rows = of(["-", "-"], "A", labels={"high_risk": ["B"]})
    assert {
        (row["n"], row["kept"], row["coverage"], row["high_risk_error"], row["area"])
        for row in rows
    } == {(1, 0, 0, None, None)}


def test_failed_draws_leave_an_item_unscored():
    assert {row["n"] for row in of(["AA", "A!"], "AA")} == {1}
    assert {
        (row["n"], row["kept"], row["coverage"], row["area"]) for row in of(["A", "!"], "A")
    } == {(0, 0, None, None)}


def test_without_labels_harm_and_area_are_null_and_accuracy_is_not():
    row = of(["AB", "AB"], "AA", labels=unlabelled(2))[0]
    assert [row[name] for name in ("high_risk_error", "high_risk_error_lo", "area", "area_lo")] == [
        None
    ] * 4
    assert row["accuracy"] == 0.5


def test_a_model_without_draws_has_no_rows():
    assert of(["A"], "A") == []
    assert selective(View({})) == []


def test_intervals_are_wilsons_of_the_answers_kept():
    row = of(labels=RISKY)[13]
    assert row["threshold"] == 0.65
    low, high = proportion_confint(2, 3, method="wilson")
    assert (row["high_risk_error_lo"], row["high_risk_error_hi"]) == pytest.approx(
        (low, high), abs=1e-9
    )


@FEW
@given(any_runs(max_draws=6))
def test_every_row_agrees_with_brute_force(runs):
    scores = scores_of(runs)
    rows = selective(View(scores))
    assert len(rows) == len(THRESHOLDS) * sum(each.draws > 0 for each in scores.values())
    for row in rows:
        each = scores[row["model"], row["condition"]]
        scored = [item for item, own in enumerate(each["confidence"]) if not np.isnan(own)]
        kept = [
            item
            for item in scored
            if each["majority"][item] >= 0 and each["confidence"][item] >= row["threshold"] - 1e-12
        ]
        assert (row["n"], row["kept"]) == (len(scored), len(kept))
        assert row["coverage"] == (pytest.approx(len(kept) / len(scored)) if scored else None)
        for name, values in (
            ("high_risk_error", each["majority_high_risk_error"]),
            ("accuracy", each["majority_correct"]),
        ):
            assert row[name] == (
                pytest.approx(np.mean([values[item] for item in kept])) if kept else None
            )


@FEW
@given(any_runs(max_draws=6, max_models=1, max_conditions=1))
def test_the_area_is_the_risk_averaged_over_coverage(runs):
    each = scores_of(runs)["m0", "closed_book"]
    rows = selective(View({("m0", "closed_book"): each}))
    answered = (each["majority"] >= 0) & ~np.isnan(each["confidence"])
    if not rows or not answered.any():
        assert all(row["area"] is None for row in rows)
        return
    sure, harm = each["confidence"][answered], each["majority_high_risk_error"][answered]
    steps = sorted(set(sure), reverse=True)
    coverage = [0.0, *(float((sure >= step).mean()) for step in steps)]
    risk = [float(harm[sure >= step].mean()) for step in steps]
    x = [bound for pair in itertools.pairwise(coverage) for bound in pair]
    area = auc(x, np.repeat(risk, 2)) if len(x) > 1 else None
    assert [row["area"] for row in rows] == pytest.approx([area] * len(rows))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("seed", [0, 2, 4])
def test_the_interval_of_the_area_is_that_of_a_loop_over_resamples(seed, preset):
    runs = random_plain(seed, models=1, conditions=("rag",), n=25, failures=0.02).runs()
    each = scores_of(runs)["model-0", "rag"]
    row = selective(View({("model-0", "rag"): each}), PRESETS[preset])[0]
    values = np.column_stack(
        [
            np.where(each["majority"] >= 0, each["confidence"], np.nan),
            each["majority_high_risk_error"],
        ]
    )

    def area(items):
        return selective_risk(*items.T).area

    assert row["area"] == pytest.approx(area(values))
    if preset == "default":
        expected = bca_statistic(values, area)
        bounds = float(expected.lo), float(expected.hi)
    else:
        bounds = np.nanpercentile(
            [area(values[drawn]) for drawn in protocol_indices(25)], [2.5, 97.5]
        )
    assert (row["area_lo"], row["area_hi"]) == pytest.approx(bounds)
    assert row["area_lo"] < row["area"] < row["area_hi"]


def test_without_harm_no_resample_says_how_much_harm_there_may_be():
    runs = runs_of({("m", "rag"): DRAWS}, "AAAA")
    default, radsafe = (
        selective(View(scores_of(runs)), PRESETS[name])[0] for name in ("default", "radsafe-2026")
    )
    assert [default[name] for name in ("area", "area_lo", "area_hi")] == [0, None, None]
    assert [radsafe[name] for name in ("area", "area_lo", "area_hi")] == [0, 0, 0]


@FEW
@given(any_runs(max_draws=6))
def test_coverage_falls_and_threshold_0_keeps_every_majority_letter(runs):
    scores = scores_of(runs)
    rows = selective(View(scores))
    for first in range(0, len(rows), len(THRESHOLDS)):
        kept = [row["kept"] for row in rows[first : first + len(THRESHOLDS)]]
        assert kept == sorted(kept, reverse=True)
        each = scores[rows[first]["model"], rows[first]["condition"]]
        assert kept[0] == int((each["majority"] >= 0).sum())
