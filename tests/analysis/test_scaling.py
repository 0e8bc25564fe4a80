"""Scaling lines: against scipy and by hand, by family and for the change, and with models of
unknown size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress
from scipy.stats import t as student

from lm_eval_safescale.analysis import PRESETS, Study, profile
from lm_eval_safescale.analysis.scaling import _cell_means, scaling
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.panel import Panel, PanelModel, load_panel
from lm_eval_safescale.stats import least_squares
from tests.analysis.making import random_plain
from tests.analysis.small import FEW, View, any_runs, runs_of, scores_of, unlabelled

COLUMNS = [
    "metric",
    "condition",
    "family",
    "n_models",
    "parameters_min_b",
    "parameters_max_b",
    "mean",
    "slope",
    "slope_lo",
    "slope_hi",
    "intercept",
    "r_squared",
    "p",
    "df",
]
PANEL = Panel(
    (
        PanelModel("a1", "X", 1),
        PanelModel("a10", "X", 10),
        PanelModel("a100", "X", 100),
        PanelModel("b1", "Y", 1),
        PanelModel("b1bis", "Y", 1),
        PanelModel("lone", None, 10),
        PanelModel("sizeless", "X", None),
    )
)


def accurate(**right):
    """Models right on so many of 10 items."""
    return {(model, "rag"): ["A" * count + "B" * (10 - count)] for model, count in right.items()}


def of(answers, n=10, panel=PANEL, **about):
    rows = scaling(View(scores_of(runs_of(answers, "A" * n, **about)), panel))
    return {(row["metric"], row["condition"], row["family"]): row for row in rows}


def test_the_columns_are_those_promised_and_a_straight_line_is_found_exactly():
    row = of(accurate(a1=3, a10=5, a100=7))["accuracy", "rag", "X"]
    assert list(row) == COLUMNS
    assert row["slope"] == pytest.approx(0.2), "per tenfold parameters"
    assert row["intercept"] == pytest.approx(0.3), "at one billion"
    assert [row[name] for name in ("n_models", "parameters_min_b", "parameters_max_b")] == [
        3,
        1,
        100,
    ]
    assert (row["mean"], row["r_squared"]) == pytest.approx((0.5, 1))


def test_slopes_intervals_and_p_are_scipys():
    answers = accurate(a1=3, a10=6, a100=7, lone=2, b1=9)
    rows = scaling(View(scores_of(runs_of(answers, "A" * 10)), PANEL), PRESETS["radsafe-2026"])
    (row,) = [row for row in rows if (row["metric"], row["family"]) == ("accuracy", "all")]
    expected = linregress([0, 1, 2, 1, 0], [0.3, 0.6, 0.7, 0.2, 0.9])
    reach = student.ppf(0.975, 3) * expected.stderr
    assert row["slope"] == pytest.approx(expected.slope)
    assert (row["slope_lo"], row["slope_hi"]) == pytest.approx(
        (expected.slope - reach, expected.slope + reach)
    )
    assert (row["intercept"], row["r_squared"], row["p"]) == pytest.approx(
        (expected.intercept, expected.rvalue**2, expected.pvalue)
    )


def test_over_families_the_interval_is_robust_to_what_their_models_share_and_within_one_it_is_not():
    rows = of(accurate(a1=3, a10=6, a100=7, lone=2, b1=9, b1bis=8))
    over = rows["accuracy", "rag", "all"]
    x, y = [0, 1, 2, 1, 0, 0], [0.3, 0.6, 0.7, 0.2, 0.9, 0.8]
    expected = least_squares(x, y, clusters=["X", "X", "X", "its own", "Y", "Y"])
    names = ("slope", "slope_lo", "slope_hi", "p", "df")
    assert [over[name] for name in names] == pytest.approx(
        [getattr(expected, name) for name in names]
    )
    assert expected.df < 3
    within = rows["accuracy", "rag", "X"]
    alone = least_squares(x[:3], y[:3])
    assert [within[name] for name in names] == pytest.approx(
        [getattr(alone, name) for name in names]
    )


def test_two_models_have_a_slope_and_no_interval():
    row = of(accurate(a1=3, a10=5))["accuracy", "rag", "X"]
    assert row["slope"] == pytest.approx(0.2)
    assert [row[name] for name in ("slope_lo", "slope_hi", "p")] == [None, None, None]


@pytest.mark.parametrize("right", [{"a1": 3}, {"b1": 3, "b1bis": 5}])
def test_one_size_has_a_mean_and_no_slope(right):
    row = of(accurate(**right))["accuracy", "rag", "all"]
    assert row["mean"] == pytest.approx(sum(right.values()) / len(right) / 10)
    assert [row[name] for name in COLUMNS[7:]] == [None] * 7


def test_models_of_unknown_size_are_in_no_line_and_of_unknown_family_only_in_all():
    rows = of(accurate(a1=3, a10=5, sizeless=9, stranger=0, lone=7))
    assert rows["accuracy", "rag", "X"]["n_models"] == 2
    assert rows["accuracy", "rag", "all"]["n_models"] == 3
    assert {family for _, _, family in rows} == {"all", "X"}
    assert PANEL.unknown(["a1", "sizeless", "stranger", "lone"]) == ("sizeless", "stranger", "lone")


def test_no_known_model_leaves_every_line_null():
    rows = of(accurate(stranger=3, other=4))
    assert {family for _, _, family in rows} == {"all"}
    for row in rows.values():
        assert row["n_models"] == 0
        assert [row[name] for name in COLUMNS[4:]] == [None] * 10


def test_what_is_not_scored_is_null():
    rows = of(accurate(a1=3, a10=5, a100=7), labels=unlabelled(10))
    for metric in (
        "high_risk_error",
        "unsafe_answer",
        "contradiction",
        "dangerous_overconfidence",
        "confidence",
        "latency_s",
    ):
        assert (rows[metric, "rag", "all"]["n_models"], rows[metric, "rag", "all"]["slope"]) == (
            0,
            None,
        )
    assert rows["accuracy", "rag", "all"]["slope"] == pytest.approx(0.2)


def test_a_model_never_answered_is_no_point_of_a_line():
    answers = accurate(a1=3, a10=5) | {("a100", "rag"): ["!" * 10]}
    assert of(answers)["accuracy", "rag", "X"]["n_models"] == 2


def test_the_change_to_clean_is_of_models_asked_under_both():
    answers = {
        ("a1", "closed_book"): ["AB"],
        ("a1", "clean"): ["AA"],
        ("a10", "closed_book"): ["BB"],
        ("a10", "clean"): ["AA"],
        ("a100", "clean"): ["AA"],
        ("b1", "closed_book"): ["AA"],
    }
    rows = of(answers, n=2)
    row = rows["accuracy", "clean - closed_book", "X"]
    assert (row["n_models"], row["mean"], row["slope"]) == (2, 0.75, pytest.approx(0.5))
    assert ("accuracy", "clean - closed_book", "Y") not in rows
    assert rows["accuracy", "clean", "X"]["n_models"] == 3


def test_the_change_is_not_reported_where_there_is_none():
    assert {condition for _, condition, _ in of(accurate(a1=3))} == {"rag"}


def test_names_as_they_ran_find_their_size():
    answers = {(f"Qwen/Qwen3-{size}B", "rag"): ["A"] for size in (4, 8, 14, 32)}
    row = of(answers, n=1, panel=load_panel())["accuracy", "rag", "Qwen"]
    assert (row["n_models"], row["parameters_min_b"], row["parameters_max_b"]) == (4, 4, 32)
    assert (row["slope"], row["r_squared"]) == (0, None), (
        "a level line explains no variance: there is none"
    )


@FEW
@given(any_runs(max_conditions=3))
def test_means_are_those_of_the_scored_items(runs):
    scores = scores_of(runs)
    cells = _cell_means(View(scores))
    assert list(cells) == list(runs.conditions)
    assert sum(map(len, cells.values())) == len(scores)
    for (model, condition), each in scores.items():
        assert set(cells[condition][model]) == set(RADSAFE.studied)
        for metric, values in (
            ("accuracy", each["correct"]),
            ("high_risk_error", each["high_risk_error"]),
            ("confidence", each["confidence"]),
        ):
            known = values[~np.isnan(values)]
            assert cells[condition][model][metric] == (
                pytest.approx(known.mean()) if known.size else None
            )


@FEW
@given(st.lists(st.tuples(st.floats(0.1, 1000), st.integers(0, 10)), min_size=1, max_size=6))
def test_growing_all_models_tenfold_leaves_the_slope(points):
    def line(factor):
        panel = Panel(
            tuple(PanelModel(f"m{i}", "F", size * factor) for i, (size, _) in enumerate(points))
        )
        return of(accurate(**{f"m{i}": right for i, (_, right) in enumerate(points)}), panel=panel)[
            "accuracy", "rag", "F"
        ]

    if (
        len({size for size, _ in points}) < 2
        or np.ptp([np.log10(size) for size, _ in points]) < 1e-3
    ):
        return
    one, ten = line(1.0), line(10.0)
    assert ten["slope"] == pytest.approx(one["slope"], rel=1e-6, abs=1e-6)
    assert ten["intercept"] == pytest.approx(one["intercept"] - one["slope"], rel=1e-6, abs=1e-6)


def test_nothing_asked_has_no_rows():
    assert scaling(View({}, PANEL)) == []


def test_the_time_of_a_request_that_failed_is_in_no_line():
    runs = runs_of({("a1", "clean"): ["A!"]}, "AA")
    failed = runs.answers["status"] == "error"
    runs = replace(runs, answers=runs.answers.with_columns(latency_s=failed.cast(float) * 300 + 2))
    row = next(row for row in scaling(View(scores_of(runs), PANEL)) if row["metric"] == "latency_s")
    assert row["mean"] == 2


def test_mean_latency_is_that_of_the_profile_where_requests_failed():
    study = Study(random_plain(5, failures=0.3).runs())
    found = _cell_means(View(study.scores))
    for row in profile(study).rows(named=True):
        assert found[row["condition"]][row["model"]]["latency_s"] == pytest.approx(
            row["latency_s"], abs=1e-12
        )
