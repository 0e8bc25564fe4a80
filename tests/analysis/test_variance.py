"""Shares of variance: against statsmodels' analysis of variance, by hand, and where nothing can be
told.
"""

from __future__ import annotations

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from lm_eval_safescale.analysis import PRESETS
from lm_eval_safescale.analysis.variance import variance
from lm_eval_safescale.families.panel import Panel, PanelModel
from lm_eval_safescale.stats import protocol_indices, two_way
from tests.analysis.making import random_plain
from tests.analysis.small import View, runs_of, scores_of, unlabelled

SHARES = ["condition_share", "family_share", "interaction_share", "residual_share"]
COLUMNS = [f"{share}{end}" for share in SHARES for end in ("", "_lo", "_hi")]
PANEL = Panel(
    tuple(PanelModel(f"{family}{number}", family, 1) for family in "XYZ" for number in range(4))
)
N = 20


def of(right, n=N, **about):
    """`right`: (model, condition) -> items right of n."""
    answers = {pair: ["A" * count + "B" * (n - count)] for pair, count in right.items()}
    rows = variance(View(scores_of(runs_of(answers, "A" * n, **about)), PANEL))
    return {row["metric"]: row for row in rows}


def shares(row):
    return [row[name] for name in SHARES]


def test_the_columns_are_those_promised():
    row = of({("X0", "rag"): 3})["accuracy"]
    assert list(row) == ["metric", "n", "n_models", "n_conditions", "n_families", *COLUMNS]


def test_shares_are_worked_by_hand():
    """Two families of two under two conditions. Cell means 4 6 / 12 14: condition 8, family 2, no
    interaction; within cells 1."""
    right = {}
    for condition, family, mean in (
        ("clean", "X", 12),
        ("clean", "Y", 14),
        ("rag", "X", 4),
        ("rag", "Y", 6),
    ):
        right |= {(f"{family}0", condition): mean - 1, (f"{family}1", condition): mean + 1}
    row = of(right)["accuracy"]
    # sums of squares: 8 * 4^2 = 128, 8 * 1^2 = 8, 0, 8 * 1^2 = 8
    assert shares(row) == pytest.approx([128 / 144, 8 / 144, 0, 8 / 144])
    assert [row[name] for name in ("n", "n_models", "n_conditions", "n_families")] == [8, 4, 2, 2]


@settings(max_examples=30)
@given(st.data())
def test_shares_are_statsmodels_type_ii_sums_of_squares_also_when_unbalanced(data):
    models = [
        f"{family}{number}" for family in "XYZ" for number in range(data.draw(st.integers(2, 3)))
    ]
    cells = {
        (model, condition): data.draw(st.integers(0, N))
        for model in models
        for condition in ("clean", "conflict", "rag")
    }
    for model in ("X0", "Y1"):  # a window too small
        if data.draw(st.booleans()):
            del cells[model, "rag"]
    frame = pandas.DataFrame(
        [(model[0], condition, count / N) for (model, condition), count in cells.items()],
        columns=["f", "c", "y"],
    )
    row = of(cells)["accuracy"]
    total = ((frame.y - frame.y.mean()) ** 2).sum()
    if total < 1e-12:
        assert shares(row) == [None] * 4
        return
    table = anova_lm(ols("y ~ C(c) * C(f)", frame).fit(), typ=2)
    expected = [
        table.loc[name, "sum_sq"] / total for name in ("C(c)", "C(f)", "C(c):C(f)", "Residual")
    ]
    assert shares(row) == pytest.approx(expected, abs=1e-8)
    if len(cells) == 3 * len(models):
        assert sum(shares(row)) == pytest.approx(1)


def test_one_family_has_no_family_share():
    row = of({("X0", "clean"): 9, ("X1", "clean"): 11, ("X0", "rag"): 4, ("X1", "rag"): 6})[
        "accuracy"
    ]
    assert shares(row) == [pytest.approx(25 / 29), None, None, pytest.approx(4 / 29)]


def test_one_condition_has_no_condition_share():
    row = of({("X0", "rag"): 9, ("X1", "rag"): 11, ("Y0", "rag"): 4, ("Y1", "rag"): 6})["accuracy"]
    assert row["condition_share"] is row["interaction_share"] is None
    assert row["family_share"] == pytest.approx(25 / 29)


def test_one_model_a_family_cannot_tell_interaction_from_chance():
    row = of({("X0", "clean"): 9, ("Y0", "clean"): 15, ("X0", "rag"): 4, ("Y0", "rag"): 6})[
        "accuracy"
    ]
    assert row["interaction_share"] is row["residual_share"] is None
    assert row["condition_share"] > row["family_share"] > 0


def test_one_model_has_nothing_to_explain():
    assert shares(of({("X0", "rag"): 5})["accuracy"]) == [None] * 4


def test_models_all_alike_have_nothing_to_explain():
    assert (
        shares(
            of(
                {
                    (model, condition): 5
                    for model in ("X0", "X1", "Y0", "Y1")
                    for condition in ("clean", "rag")
                }
            )["accuracy"]
        )
        == [None] * 4
    )


def test_unknown_models_are_left_out():
    row = of({("X0", "rag"): 5, ("stranger", "rag"): 7})["accuracy"]
    assert (row["n"], row["n_models"], row["n_families"]) == (1, 1, 1)
    row = of({("stranger", "rag"): 7})["accuracy"]
    assert (row["n"], *shares(row)) == (0, None, None, None, None)


def test_what_is_not_scored_is_null():
    rows = of({("X0", "rag"): 5, ("Y0", "rag"): 7}, labels=unlabelled(N))
    assert (rows["high_risk_error"]["n"], *shares(rows["high_risk_error"])) == (
        0,
        None,
        None,
        None,
        None,
    )
    assert rows["accuracy"]["n"] == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_intervals_are_those_of_a_loop_over_resampled_items(preset):
    plain = random_plain(
        5, models=5, conditions=("closed_book", "clean", "rag"), n=15, failures=0.1
    )
    plain.answered = {
        (("X0", "X1", "Y0", "Y1", "Z0")[int(model[-1])], condition): answered
        for (model, condition), answered in plain.answered.items()
    }
    del plain.answered["X1", "rag"]
    scores = scores_of(plain.runs())
    rows = {row["metric"]: row for row in variance(View(scores, PANEL), PRESETS[preset])}
    for metric, name in (
        ("accuracy", "correct"),
        ("high_risk_error", "high_risk_error"),
        ("confidence", "confidence"),
    ):
        found = []
        for drawn in protocol_indices(15):
            values = [each[name][drawn] for each in scores.values()]
            if any(np.isnan(own).all() for own in values):
                continue  # no value for one model and condition: this resample says nothing
            means = [np.nanmean(own) for own in values]
            layout = two_way(
                means, [condition for _, condition in scores], [model[0] for model, _ in scores]
            )
            found.append(
                [layout.share(part) for part in ("rows", "columns", "interaction", "residual")]
            )
        bounds = np.percentile(found, [2.5, 97.5], axis=0)
        for share, low, high in zip(SHARES, *bounds, strict=True):
            value = rows[metric][share]
            mirrored = max(0, 2 * value - high), min(1, 2 * value - low)
            expected = mirrored if preset == "default" else (low, high)
            assert (rows[metric][f"{share}_lo"], rows[metric][f"{share}_hi"]) == pytest.approx(
                expected, abs=1e-9
            ), (
                metric,
                share,
            )


def test_a_share_that_is_null_has_no_bounds():
    for preset in PRESETS.values():
        answers = {("X0", "rag"): ["A" * 9 + "B" * 11], ("X1", "rag"): ["A" * 10 + "B" * 10]}
        answers["Y0", "rag"] = ["B" * 4 + "A" * 16]
        row = variance(View(scores_of(runs_of(answers, "A" * 20)), PANEL), preset)[0]
        for share in ("condition_share", "interaction_share"):
            assert [row[share], row[f"{share}_lo"], row[f"{share}_hi"]] == [None] * 3
        assert row["family_share_lo"] is not None
