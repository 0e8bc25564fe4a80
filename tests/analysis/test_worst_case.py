"""Worst cases and their concentration: hand-worked counts, a second implementation, and
properties.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given

from lm_eval_safescale.analysis import PRESETS
from lm_eval_safescale.families.choice.tables.worst_case import (
    concentration,
    concentration_curve,
    worst_case,
)
from lm_eval_safescale.stats import bca_statistic, gini, protocol_indices, top_share
from tests.analysis.making import random_plain
from tests.analysis.small import (
    FEW,
    Plain,
    View,
    any_runs,
    approx_rows,
    runs_of,
    scores_of,
    unlabelled,
)

COUNTS = ("unanswered", "wrong", "high_risk_error", "unsafe_answer", "contradiction")


def of(runs):
    return worst_case(View(scores_of(runs)))


def spread(counts, models=10):
    """Runs in which item i is a high-risk error of counts[i] models."""
    n = len(counts)
    answers = {
        (f"m{number:02}", "rag"): ["".join("B" if number < count else "A" for count in counts)]
        for number in range(models)
    }
    labels = {"high_risk": ["B"] * n, "unsafe": [""] * n, "contradicts": [""] * n}
    return runs_of(answers, "A" * n, labels=labels)


def test_the_columns_are_those_promised_and_counts_are_worked_by_hand():
    runs = runs_of(
        {
            ("m0", "rag"): ["BA"],
            ("m1", "rag"): ["CA"],
            ("m2", "rag"): ["C-"],
            ("m3", "rag"): ["-!"],
        },
        "AA",
        labels={"high_risk": ["BC", ""], "unsafe": ["C", ""], "contradicts": ["D", ""]},
        subspecialty=["chest", None],
        question_type=["diagnosis", None],
    )
    first, other = of(runs)
    assert first == {
        "question_id": "q01",
        "condition": "rag",
        "subspecialty": "chest",
        "question_type": "diagnosis",
        "key": "A",
        "n_models": 4,
        "unanswered": 1,
        "truncated": 0,
        "filtered": 0,
        "wrong": 4,
        "high_risk_error": 3,
        "unsafe_answer": 2,
        "contradiction": 0,
        "commonest_wrong": "C",
    }
    assert list(first) == list(other)
    assert (other["n_models"], other["unanswered"], other["wrong"], other["commonest_wrong"]) == (
        3,
        1,
        1,
        None,
    )


def test_models_that_were_cut_off_or_held_back_are_told_apart_from_those_that_chose_nothing():
    answers = {
        (f"m{number}", "rag"): [greedy]
        for number, greedy in enumerate(["-A", "~A", "~#", "##", "!#"])
    }
    first, other = of(runs_of(answers, "AA"))
    assert [
        first[name] for name in ("n_models", "unanswered", "truncated", "filtered", "wrong")
    ] == [3, 3, 2, 1, 3]
    assert [
        other[name] for name in ("n_models", "unanswered", "truncated", "filtered", "wrong")
    ] == [2, 0, 0, 3, 0]


def test_wrong_letters_tie_to_the_first():
    assert (
        of(runs_of({("m0", "rag"): ["D"], ("m1", "rag"): ["B"]}, "A"))[0]["commonest_wrong"] == "B"
    )


def test_the_most_harmful_items_stand_first_under_each_condition():
    answers = {("m0", "rag"): ["ABB"], ("m1", "rag"): ["BBB"], ("m0", "clean"): ["BAA"]}
    labels = {"high_risk": ["", "B", "B"], "unsafe": [""] * 3, "contradicts": [""] * 3}
    rows = of(runs_of(answers, "AAA", labels=labels))
    assert [(row["condition"], row["question_id"]) for row in rows] == [
        ("clean", "q01"),
        ("clean", "q02"),
        ("clean", "q03"),
        ("rag", "q02"),
        ("rag", "q03"),
        ("rag", "q01"),
    ]


def test_an_item_that_no_model_was_answered_on_has_null_counts_and_not_0():
    row = of(runs_of({("m0", "rag"): ["A!"], ("m1", "rag"): ["A "]}, "AA"))[-1]
    assert (row["question_id"], row["n_models"]) == ("q02", 0)
    assert all(row[name] is None for name in (*COUNTS, "commonest_wrong"))


def test_without_labels_harm_is_null_and_the_rest_is_counted():
    (row,) = of(runs_of({("m0", "rag"): ["B"]}, "A", labels=unlabelled(1)))
    assert [row[name] for name in COUNTS] == [0, 1, None, None, None]


@FEW
@given(any_runs(max_conditions=3))
def test_every_row_agrees_with_the_second_implementation(runs):
    plain = Plain(runs)
    expected = []
    for condition in runs.conditions:
        own = []
        for name, item in plain.items.items():
            models = [model for model, asked in plain.given if asked == condition]
            answered = [
                letter
                for model in models
                if (letter := plain.greedy(model, condition, name)) != "!"
            ]
            wrong = [letter for letter in answered if letter and letter != item["answer"]]
            times = Counter(wrong)
            row = {
                "question_id": name,
                "condition": condition,
                "subspecialty": None,
                "question_type": None,
                "key": item["answer"],
                "n_models": len(answered),
                "unanswered": answered.count(None),
                "truncated": plain.count(condition, name, "truncated"),
                "filtered": plain.count(condition, name, "filtered"),
                "wrong": len(wrong) + answered.count(None),
                **{
                    column: sum(letter in item[label] for letter in wrong)
                    for column, label in (
                        ("high_risk_error", "high_risk"),
                        ("unsafe_answer", "unsafe"),
                        ("contradiction", "contradicts"),
                    )
                },
                "commonest_wrong": min(
                    (letter for letter in times if times[letter] == max(times.values())),
                    default=None,
                ),
            }
            none = {
                **row,
                **dict.fromkeys(COUNTS),
                "truncated": None,
                "filtered": row["filtered"] or None,
            }
            own.append(row if answered else none)
        expected += sorted(
            own,
            key=lambda row: (
                -(row["high_risk_error"] or 0),
                -(row["wrong"] or 0),
                row["question_id"],
            ),
        )
    approx_rows(of(runs), expected)


def test_top_shares_and_gini_are_worked_by_hand():
    # 20 items; 10 errors: 6 on one, 2 on another, 1 on two more
    row = concentration(View(scores_of(spread([1, 6, 2, 1] + [0] * 16))))[0]
    assert {
        name: row[name] for name in ("condition", "n_items", "n_models", "high_risk_errors")
    } == {
        "condition": "rag",
        "n_items": 20,
        "n_models": 10,
        "high_risk_errors": 10,
    }
    assert [row[f"top_{percent}"] for percent in (1, 5, 10, 20)] == pytest.approx(
        [0.6, 0.6, 0.8, 1.0]
    )
    # sum (2 i - n - 1) x_i / (n sum x) over ascending x: 13 * 1 + 15 * 1 + 17 * 2 + 19 * 6 = 176;
    # 176 / 200
    assert row["gini"] == pytest.approx(0.88)


def test_errors_spread_evenly_are_not_concentrated():
    row = concentration(View(scores_of(spread([3] * 20))))[0]
    assert row["gini"] == pytest.approx(0)
    assert [row[f"top_{percent}"] for percent in (5, 10, 20)] == pytest.approx([0.05, 0.1, 0.2])


def test_no_error_at_all_has_no_concentration():
    row = concentration(View(scores_of(spread([0] * 5))))[0]
    assert row["high_risk_errors"] == 0
    assert [row[name] for name in ("top_1", "top_20", "gini")] == [None, None, None]


def test_without_labels_concentration_is_null():
    rows = concentration(
        View(scores_of(runs_of({("m0", "rag"): ["B"]}, "A", labels=unlabelled(1))))
    )
    for row in rows:
        assert [row[name] for name in ("n_items", "high_risk_errors", "top_1", "gini")] == [
            1,
            None,
            None,
            None,
        ]


def test_one_item_carries_all():
    row = concentration(View(scores_of(spread([2]))))[0]
    assert [row[name] for name in ("top_1", "top_20", "gini")] == [1, 1, 0]


def test_items_that_nobody_was_answered_on_are_left_out():
    runs = runs_of({("m0", "rag"): ["B!A"]}, "AAA", labels={"high_risk": ["B"] * 3})
    row = concentration(View(scores_of(runs)))[0]
    assert (row["n_items"], row["high_risk_errors"], row["gini"]) == (2, 1, 0.5)


@FEW
@given(any_runs(max_conditions=3))
def test_concentration_agrees_with_the_rows_of_worst_case(runs):
    scores = scores_of(runs)
    items = worst_case(View(scores))
    rows = concentration(View(scores))
    assert [row["condition"] for row in rows] == [*runs.conditions, "all"]
    for row in rows:
        totals: Counter[str] = Counter()
        answered = set()
        for item in items:
            if item["condition"] == row["condition"] or row["condition"] == "all":
                totals[item["question_id"]] += item["high_risk_error"] or 0
                answered |= {item["question_id"]} if item["n_models"] else set()
        assert row["n_items"] == len(answered)
        counts = [totals[name] for name in answered]
        assert row["high_risk_errors"] == (sum(counts) if answered else None)
        if not sum(counts):
            assert row["gini"] is None
            continue
        # the other definition: half the mean absolute difference over the mean
        difference = np.abs(np.subtract.outer(counts, counts)).mean()
        assert row["gini"] == pytest.approx(difference / 2 / np.mean(counts))
        shares = [row[f"top_{percent}"] for percent in (1, 5, 10, 20)]
        assert shares == sorted(shares)
        assert 1 / len(counts) - 1e-12 <= shares[0] <= shares[-1] <= 1


@pytest.mark.parametrize("preset", PRESETS)
def test_intervals_of_concentration_are_those_of_a_loop_over_resamples(preset):
    scores = scores_of(
        random_plain(7, models=4, conditions=("closed_book", "clean"), n=25, failures=0.1).runs()
    )
    rows = concentration(View(scores), PRESETS[preset])
    for row in rows:
        own = [
            each["high_risk_error"]
            for (_, condition), each in scores.items()
            if row["condition"] in (condition, "all")
        ]
        totals = np.where(np.isnan(own).all(axis=0), np.nan, np.nansum(own, axis=0))
        for name in ("top_1", "top_5", "top_10", "top_20", "gini"):

            def figure(items, name=name):
                known = items[~np.isnan(items)]
                return (
                    float(gini(known) if name == "gini" else top_share(known, int(name[4:])))
                    if known.size
                    else np.nan
                )

            if preset == "default":
                interval = bca_statistic(totals, figure)
                expected = float(interval.lo), float(interval.hi)
            else:
                expected = np.nanpercentile(
                    [figure(totals[drawn]) for drawn in protocol_indices(25)], [2.5, 97.5]
                )
            assert row[name] == pytest.approx(figure(totals))
            assert (row[f"{name}_lo"], row[f"{name}_hi"]) == pytest.approx(expected), name


def test_one_item_says_nothing_of_others():
    row = concentration(
        View(scores_of(runs_of({("m", "rag"): ["B"]}, "A", labels={"high_risk": ["B"]})))
    )[0]
    assert (row["top_1"], row["top_1_lo"], row["top_1_hi"]) == (1, None, None)


def test_nothing_asked_has_no_rows():
    assert concentration(View({})) == []


def test_the_curve_meets_the_table_of_concentration_and_ends_at_all():
    view = View(scores_of(spread([9, 4, 1, *[0] * 57])))
    table, curve = concentration(view), concentration_curve(view)
    for row in table:
        own = {each["percent"]: each for each in curve if each["condition"] == row["condition"]}
        for percent in (5, 10, 20):
            assert [own[percent][f"share{end}"] for end in ("", "_lo", "_hi")] == [
                row[f"top_{percent}{end}"] for end in ("", "_lo", "_hi")
            ]
        assert (own[100]["items"], own[100]["share"], own[100]["by_chance"]) == (60, 1, 1)
        assert own[5]["by_chance"] < own[5]["share"]


def test_a_curve_that_chance_made_lies_where_it_says():
    random = np.random.default_rng(3)
    answers = {
        (f"m{number}", "rag"): ["".join("AB"[int(bit)] for bit in random.random(400) < 0.2)]
        for number in range(10)
    }
    labels = {"high_risk": ["B"] * 400, "unsafe": [""] * 400, "contradicts": [""] * 400}
    curve = concentration_curve(View(scores_of(runs_of(answers, "A" * 400, labels=labels))))
    own = [row for row in curve if row["condition"] == "rag"]
    for row in own:
        assert row["share"] == pytest.approx(row["by_chance"], abs=0.04)


def test_without_harm_or_labels_there_is_no_curve():
    assert concentration_curve(View(scores_of(spread([0, 0, 0])))) == []
    without = runs_of({("m", "rag"): ["B"]}, "A", labels=unlabelled(1))
    assert concentration_curve(View(scores_of(without))) == []
