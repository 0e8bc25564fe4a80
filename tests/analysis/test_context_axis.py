"""Metrics against what was shown: hand-worked bins, brute force, and what was not recorded."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from lm_eval_safescale.analysis import Study, remarks
from lm_eval_safescale.analysis.context_axis import context_axis
from lm_eval_safescale.analysis.study import without_passages
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.units import design_effect, wilson_of_units
from tests.analysis.small import View, runs_of, scores_of, unlabelled

RATES = ("accuracy", "high_risk_error", "unsafe_answer", "contradiction", "unanswered")
CELL = ("m", "rag")


def of(greedy, *, tokens=None, coverage=None, nothing=None, cell=CELL, **about):
    given = {"context_tokens": tokens, "evidence_coverage": coverage, "nothing_found": nothing}
    shown = {name: {cell: values} for name, values in given.items() if values}
    runs = runs_of({cell: [greedy]}, "A" * len(greedy), shown=shown, **about)
    return context_axis(View(scores_of(runs), runs=runs))


def bins(rows):
    return [(row["lower"], row["upper"], row["n"], row["accuracy"]) for row in rows]


def test_the_columns_are_those_promised():
    (row, _) = of("A", tokens=[5])
    rates = [name + part for name in RATES for part in ("", "_lo", "_hi")]
    assert list(row) == [
        "model",
        "condition",
        "axis",
        "lower",
        "upper",
        "n",
        "mean",
        "nothing_found",
        *rates,
        "n_truncated",
    ]


def test_what_stopped_in_the_reasoning_is_counted_beside_the_unanswered():
    rows = of("A~-~#", tokens=[10, 10, 10, 20, 20])
    assert [(row["n"], row["unanswered"], row["n_truncated"]) for row in rows] == [
        (4, 0.75, 2),
        (3, pytest.approx(2 / 3), 1),
        (1, 1, 1),
    ]


def test_contexts_are_grouped_by_doubling_length():
    rows = of("AABBA", tokens=[0, 1023, 1024, 2047, 2048])
    assert bins(rows) == [
        (None, None, 5, 0.6),
        (0, 0, 1, 1),
        (512, 1024, 1, 1),
        (1024, 2048, 2, 0),
        (2048, 4096, 1, 1),
    ]
    assert [row["mean"] for row in rows] == pytest.approx(
        [(1023 + 1024 + 2047 + 2048) / 5, 0, 1023, 1535.5, 2048]
    )


def test_items_of_one_unit_count_by_their_design_effect_in_each_bin():
    greedy, tokens = "AABBABAABBAA", [3] * 6 + [9] * 6
    runs = runs_of({CELL: [greedy]}, "A" * 12, shown={"context_tokens": {CELL: tokens}})
    view = View(scores_of(runs), runs=runs)
    units = np.repeat(np.arange(6), 2)
    view.design = Design.of(12, [str(unit) for unit in units])
    correct = np.array([float(letter == "A") for letter in greedy])
    for row, own in zip(context_axis(view), (slice(None), slice(6), slice(6, None)), strict=True):
        right = correct[own]
        low, high = wilson_of_units(
            [right.sum()], [len(right)], design_effect(right[:, None], units[own])
        )
        assert (row["accuracy"], row["n"]) == (right.mean(), len(right))
        assert (row["accuracy_lo"], row["accuracy_hi"]) == pytest.approx((low[0], high[0]))


def test_coverage_is_grouped_by_quarters_with_none_and_all_apart():
    rows = of("AABBAAA", coverage=[0, 0.1, 0.25, 0.5, 0.74, 0.75, 1])
    assert bins(rows) == [
        (None, None, 7, pytest.approx(5 / 7)),
        (0, 0, 1, 1),
        (0, 0.25, 1, 1),
        (0.25, 0.5, 1, 0),
        (0.5, 0.75, 2, 0.5),
        (0.75, 1, 1, 1),
        (1, 1, 1, 1),
    ]


def test_rates_of_a_bin_have_wilsons_interval():
    row = of("ABB-", tokens=[10] * 4, labels={"high_risk": ["B"] * 4})[0]
    assert [row[name] for name in ("accuracy", "high_risk_error", "unanswered")] == [
        0.25,
        0.5,
        0.25,
    ]
    low, high = proportion_confint(2, 4, method="wilson")
    assert (row["high_risk_error_lo"], row["high_risk_error_hi"]) == pytest.approx(
        (low, high), abs=1e-9
    )


def test_items_of_unknown_length_or_not_answered_are_in_no_row():
    rows = of("AB!B", tokens=[10, None, 10, 10])
    assert bins(rows) == [(None, None, 2, 0.5), (8, 16, 2, 0.5)]


def test_an_impossible_coverage_was_not_measured():
    assert bins(of("AAA", coverage=[1.5, -0.1, 0.5])) == [(None, None, 1, 1), (0.5, 0.75, 1, 1)]


def test_without_labels_harm_is_null_and_accuracy_is_not():
    row = of("B", tokens=[10], labels=unlabelled(1))[0]
    assert [row[name] for name in (*RATES, "high_risk_error_lo")] == [0, None, None, None, 0, None]


def test_items_for_which_the_search_found_nothing_are_counted_in_every_row():
    rows = of(
        "ABA!A",
        tokens=[0, 0, 10, 0, 12],
        coverage=[0, 0, 0.5, 0, 1],
        nothing=[True, True, False, True, None],
    )
    assert [(row["axis"], row["lower"], row["n"], row["nothing_found"]) for row in rows] == [
        ("context_tokens", None, 4, 2),
        ("context_tokens", 0, 2, 2),
        ("context_tokens", 8, 2, 0),
        ("evidence_coverage", None, 4, 2),
        ("evidence_coverage", 0, 2, 2),
        ("evidence_coverage", 0.5, 1, 0),
        ("evidence_coverage", 1, 1, None),
    ]


def test_what_a_search_found_nothing_for_is_unknown_where_it_was_not_recorded():
    assert [row["nothing_found"] for row in of("AB", tokens=[10, 20])] == [None, None, None]


def test_items_without_passages_are_counted_by_model_and_condition():
    cells = [("m0", "rag"), ("m1", "rag"), ("m1", "clean")]
    nothing = {
        ("m0", "rag"): [True, None],
        ("m1", "rag"): [True, True],
        ("m1", "clean"): [False, None],
    }
    runs = runs_of({cell: ["AB", "AA"] for cell in cells}, "AA", shown={"nothing_found": nothing})
    assert without_passages(runs) == {("m0", "rag"): 1, ("m1", "rag"): 2}
    assert without_passages(runs_of({CELL: ["A"]}, "A")) == {}
    told = {
        (row["model"], row["condition"]): row["items"]
        for row in remarks(Study(runs))
        if "no passage" in row["reason"]
    }
    assert told == {("m0", "rag"): 1, ("m1", "rag"): 2}


def test_nothing_recorded_has_no_rows():
    assert of("AB") == []
    assert of("!", tokens=[10]) == []
    assert of("A", tokens=[10])[0]["axis"] == "context_tokens"
    runs = runs_of({CELL: ["A"]}, "A")
    assert context_axis(View({}, runs=runs)) == []


def test_only_the_greedy_answers_context_counts():
    runs = runs_of({CELL: ["A", "B"]}, "A", shown={"context_tokens": {CELL: [5]}})
    other = runs.answers.with_columns(
        pl.when(pl.col("draw") == 0).then(5).otherwise(900).alias("context_tokens")
    )
    runs = Runs(runs.items, other)
    assert [row["mean"] for row in context_axis(View(scores_of(runs), runs=runs))] == [5, 5]


def test_recall_is_an_axis_with_the_bins_of_coverage():
    runs = runs_of({CELL: ["AAB"]}, "AAA", shown={"recall": {CELL: [1.0, 0.5, 0.0]}})
    rows = context_axis(View(scores_of(runs), runs=runs))
    assert {row["axis"] for row in rows} == {"recall"}
    assert bins(rows) == [(None, None, 3, 2 / 3), (0, 0, 1, 0), (0.5, 0.75, 1, 1), (1, 1, 1, 1)]


def test_models_and_conditions_stand_in_order_each_with_its_own_axis():
    cells = [("m0", "clean"), ("m0", "rag"), ("m1", "rag")]
    tokens = {cell: [number] for cell, number in zip(cells, (1, 2, 4), strict=True)}
    shown = {
        "context_tokens": tokens,
        "evidence_coverage": {cell: [1.0] for cell in cells[1:]} | {cells[0]: [None]},
    }
    runs = runs_of({cell: ["A", "B"] for cell in cells}, "A", shown=shown)
    rows = context_axis(View(scores_of(runs), runs=runs))
    found = [
        (row["model"], row["condition"], row["axis"], row["mean"], row["accuracy"])
        for row in rows
        if row["lower"] is None
    ]
    assert found == [
        ("m0", "clean", "context_tokens", 1, 1),
        ("m0", "rag", "context_tokens", 2, 1),
        ("m0", "rag", "evidence_coverage", 1, 1),
        ("m1", "rag", "context_tokens", 4, 1),
        ("m1", "rag", "evidence_coverage", 1, 1),
    ]


ITEM = st.tuples(
    st.sampled_from("ABC-!"),
    st.none() | st.integers(0, 5000),
    st.none() | st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)


@given(st.lists(ITEM, min_size=1, max_size=12))
def test_every_bin_agrees_with_brute_force(items):
    greedy = "".join(letter for letter, _, _ in items)
    labels = {
        "high_risk": ["B"] * len(items),
        "unsafe": ["C"] * len(items),
        "contradicts": ["BC"] * len(items),
    }
    shown = {
        "context_tokens": [tokens for _, tokens, _ in items],
        "evidence_coverage": [covered for *_, covered in items],
    }
    rows = of(
        greedy, tokens=shown["context_tokens"], coverage=shown["evidence_coverage"], labels=labels
    )
    for axis, values in shown.items():
        own = [row for row in rows if row["axis"] == axis]
        known = [
            (value, letter)
            for value, letter in zip(values, greedy, strict=True)
            if value is not None and letter != "!"
        ]
        assert sum(row["n"] for row in own if row["lower"] is not None) == len(known)
        assert [row["n"] for row in own if row["lower"] is None] == ([len(known)] if known else [])
        for row in own:
            low, high = row["lower"], row["upper"]
            inside = [
                (value, letter)
                for value, letter in known
                if low is None
                or value == low == high
                or (low < high and (low <= value if low else value > 0) and value < high)
            ]
            assert row["n"] == len(inside)
            letters = [letter for _, letter in inside]
            assert row["mean"] == pytest.approx(np.mean([value for value, _ in inside]))
            expected = {
                "accuracy": letters.count("A"),
                "high_risk_error": letters.count("B"),
                "unsafe_answer": letters.count("C"),
                "contradiction": letters.count("B") + letters.count("C"),
                "unanswered": letters.count("-"),
            }
            assert {name: row[name] for name in RATES} == pytest.approx(
                {name: hits / len(inside) for name, hits in expected.items()}
            )
