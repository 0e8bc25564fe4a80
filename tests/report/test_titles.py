"""Titles of the pages scale, compute, context and worst cases say what hand-made rows say, and
claim no more than their intervals do.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.report.cases.links import link
from lm_eval_safescale.report.pages.compute.curves import curves_title
from lm_eval_safescale.report.pages.compute.ensembles import (
    alike_title,
    better_title,
    harm_and_alike_title,
    members_title,
)
from lm_eval_safescale.report.pages.compute.votes import change_title as vote_title
from lm_eval_safescale.report.pages.compute.votes import quadrants_title, slopes_title
from lm_eval_safescale.report.pages.context import axis_title
from lm_eval_safescale.report.pages.scale.changes import change_title
from lm_eval_safescale.report.pages.scale.families import heat_title, spread_title
from lm_eval_safescale.report.pages.scale.size import slope_title
from lm_eval_safescale.report.pages.scale.variance import variance_title
from lm_eval_safescale.report.pages.worst_cases import (
    curve_title,
    half_title,
    list_lead,
    worst_cases,
)


def bounded(name, value, low, high):
    return {name: value, f"{name}_lo": low, f"{name}_hi": high}


def titled(report, **tables):
    """The report with these tables in place of its own."""
    return replace(report, tables={**report.tables, **tables})


def slopes(*rows):
    return [
        {
            "metric": "high_risk_error",
            "condition": condition,
            "family": "all",
            "n_models": 9,
            "parameters_min_b": 1.0,
            "parameters_max_b": 30.0,
            **bounded("slope", *slope),
        }
        for condition, *slope in rows
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("closed_book", -0.031, -0.052, -0.010), ("clean", 0.002, -0.01, 0.014)],
            "The high-risk error rate falls with size under closed-book (−3.1 points for ten times "
            "the parameters, −5.2 to −1.0) and shows no change with size beyond chance under clean "
            "evidence (+0.2 points, −1.0 to +1.4).",
        ),
        (
            [("closed_book", 0.01, 0.001, 0.02), ("clean", 0.02, 0.01, 0.03)],
            "The high-risk error rate rises with size under closed-book (+1.0 point for ten times "
            "the parameters, +0.1 to +2.0) and clean evidence (+2.0 points, +1.0 to +3.0).",
        ),
        (
            [("closed_book", 0.01, None, None)],
            "The high-risk error rate has too few sizes for a line with an interval under "
            "closed-book.",
        ),
        ([], "The high-risk error rate is scored of no model of known size."),
    ],
)
def test_a_slope_is_said_with_its_interval_and_not_beyond_it(many, rows, said):
    assert slope_title(titled(many, scaling=slopes(*rows)), "high_risk_error") == said


@pytest.mark.parametrize(
    ("condition", "family", "said"),
    [
        (
            (0.5, 0.45, 0.6), (0.2, 0.1, 0.3),
            "The condition explains more of the differences in accuracy than model family: 50.0 % "
            "(45.0 to 60.0 %) and 20.0 % (10.0 to 30.0 %).",
        ),
        (
            (0.2, 0.1, 0.4), (0.3, 0.2, 0.5),
            "Which of model family and the condition explains more of the differences in accuracy "
            "cannot be told: 30.0 % (20.0 to 50.0 %) and 20.0 % (10.0 to 40.0 %).",
        ),
        (
            (0.4, 0.3, 0.5), (None, None, None),
            "The condition explains 40.0 % (30.0 to 50.0 %) of the differences in accuracy.",
        ),
    ],
)  # fmt: skip
def test_the_larger_share_is_said_only_where_intervals_tell(many, condition, family, said):
    row = {**bounded("condition_share", *condition), **bounded("family_share", *family)}
    assert plain(variance_title(many, "accuracy", row)) == said


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def mean(family, condition, n, *value, least=0.0, most=0.0):
    return {
        "family": family, "condition": condition, "n_models": n, "least": least, "most": most,
        **bounded("mean", *value),
    }  # fmt: skip


def test_the_highest_and_the_lowest_family_are_named_and_whether_they_overlap(many):
    rows = [
        mean("Qwen", "clean", 2, 0.02, 0.01, 0.03),
        mean("Llama", "closed_book", 1, 0.14, 0.1, 0.2),
    ]
    assert plain(heat_title(many, "high_risk_error", rows)) == (
        "The high-risk error rate is highest in Llama under closed-book: 14.0 % (10.0 to 20.0 %); "
        "lowest in Qwen under clean evidence: 2.0 % (1.0 to 3.0 %)."
    )
    near = [rows[0], mean("Llama", "clean", 1, 0.03, 0.02, 0.05)]
    assert heat_title(many, "high_risk_error", near).endswith("and these intervals overlap.")
    tied = [rows[0], mean("Llama", "clean", 1, 0.02, 0.01, 0.05)]
    assert plain(heat_title(many, "high_risk_error", tied)) == (
        "The high-risk error rate is 2.0 % in every family and condition."
    )
    assert plain(heat_title(many, "accuracy", rows[:1])) == (
        "Accuracy of Qwen under clean evidence: 2.0 % (1.0 to 3.0 %)."
    )
    assert heat_title(many, "accuracy", []) == "Accuracy is scored of no model of a known family."


def test_the_widest_family_is_named(many):
    rows = [
        mean("Qwen", "closed_book", 3, 0.6, 0.5, 0.7, least=0.55, most=0.705),
        mean("Llama", "clean", 2, 0.6, 0.5, 0.7, least=0.58, most=0.6),
    ]
    assert plain(spread_title(many, "accuracy", rows)) == (
        "Models of one family lie up to 15.5 points apart in accuracy: 3 Qwen models under "
        "closed-book, from 55.0 % to 70.5 %."
    )
    assert spread_title(many, "accuracy", [mean("A", "clean", 2, 0.5, 0.4, 0.6)]) == (
        "Models of one family do not differ in accuracy."
    )


def changes(*rows):
    return [mean(family, "clean - closed_book", n, *value) for family, n, *value in rows]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("all", 9, -0.07, -0.08, -0.06), ("A", 5, -0.08, -0.1, -0.06),
             ("B", 4, -0.02, -0.05, 0.01)],
            "The high-risk error rate falls from closed-book to clean evidence: −7.0 points (−8.0 "
            "to −6.0) on average, beyond chance in 1 of 2 families.",
        ),
        (
            [("all", 9, 0.01, -0.01, 0.03), ("A", 9, 0.01, -0.01, 0.03)],
            "The high-risk error rate does not change beyond chance from closed-book to clean "
            "evidence: +1.0 point (−1.0 to +3.0) on average, no change beyond chance in A.",
        ),
        (
            [("all", 1, 0.05, 0.01, 0.09)],
            "The high-risk error rate rises from closed-book to clean evidence: +5.0 points (+1.0 "
            "to +9.0).",
        ),
        ([], "The high-risk error rate is scored of no model under both conditions."),
    ],
)  # fmt: skip
def test_a_change_is_beyond_chance_only_where_its_interval_leaves_out_0(many, rows, said):
    assert change_title(many, "high_risk_error", changes(*rows)) == said


def vote(condition, *change, model=None, n_models=9, single=0.6, majority=0.7):
    return {
        "metric": "accuracy", "model": model, "condition": condition, "n_models": n_models,
        "single": single, "majority": majority, **bounded("change", *change),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [vote("clean", 0.02, 0.01, 0.03), vote("rag", 0.05, 0.04, 0.06)],
            "Voting raises accuracy under all 2 conditions (most under standard RAG: +5.0 points, "
            "+4.0 to +6.0) on average over 9 models.",
        ),
        (
            [vote("clean", -0.02, -0.03, -0.01), vote("rag", 0.05, 0.04, 0.06)],
            "Voting raises accuracy under 1 of 2 conditions (under standard RAG: +5.0 points, +4.0 "
            "to +6.0) and lowers it under 1 of 2 conditions (under clean evidence: −2.0 points, "
            "−3.0 to −1.0) on average over 9 models.",
        ),
        (
            [vote("clean", 0.01, -0.01, 0.03)],
            "Voting does not change accuracy beyond chance on average over 9 models (+1.0 point, "
            "−1.0 to +3.0).",
        ),
        (
            [vote("clean", 0.01, -0.01, 0.03, n_models=1), vote("rag", 0, -0.02, 0.02, n_models=1)],
            "Voting does not change accuracy beyond chance under any of 2 conditions (most under "
            "clean evidence: +1.0 point, −1.0 to +3.0).",
        ),
        (
            [vote("clean", 0.05, 0.01, 0.09, n_models=1)],
            "Voting raises accuracy under clean evidence (+5.0 points, +1.0 to +9.0).",
        ),
        ([], "Accuracy is scored of no model before and after a vote."),
    ],
)
def test_what_voting_changes_is_counted_by_intervals(many, rows, said):
    assert vote_title(many, "accuracy", rows) == said


BOUNDS = st.tuples(*[st.integers(-50, 50)] * 3).map(lambda three: sorted(three))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BOUNDS, min_size=1, max_size=3))
def test_no_title_claims_a_direction_that_no_interval_shows(many, drawn):
    triples = [(middle / 100, low / 100, high / 100) for low, middle, high in drawn]
    names = ("closed_book", "clean", "rag")
    up, down = any(low > 0 for _, low, _ in triples), any(high < 0 for *_, high in triples)
    voted = vote_title(
        many, "accuracy", [vote(c, *t) for c, t in zip(names, triples, strict=False)]
    )
    assert ("raises" in voted, "lowers" in voted) == (up, down)
    looked_at = list(zip(names[:2], triples, strict=False))
    said = slope_title(
        titled(many, scaling=slopes(*((name, *triple) for name, triple in looked_at))),
        "high_risk_error",
    )
    assert ("rises" in said) == any(low > 0 for _, (_, low, _) in looked_at)
    assert ("falls" in said) == any(high < 0 for _, (*_, high) in looked_at)


def test_single_answers_and_majorities_are_said_where_they_differ_most(many):
    rows = [
        vote("clean", 0.02, 0, 0.1, single=0.9, majority=0.92),
        vote("rag", 0.1, 0, 0.2, single=0.6, majority=0.7),
    ]
    assert plain(slopes_title(many, "accuracy", rows)) == (
        "Accuracy is 60.0 % of single answers and 70.0 % of majorities under standard RAG, where "
        "it changes most."
    )
    still = [vote("clean", 0.0, 0, 0, single=0.9, majority=0.9)]
    assert plain(slopes_title(many, "accuracy", still)) == (
        "Accuracy is 90.0 % of single answers and of majorities under clean evidence."
    )


def test_quadrants_are_counted_by_sign_and_by_interval(many):
    better = vote("clean", 0.1, 0.05, 0.15), vote("clean", -0.05, -0.08, -0.02)
    unsure = vote("clean", 0.1, -0.05, 0.15), vote("clean", -0.05, -0.08, -0.02)
    costly = vote("clean", 0.1, 0.05, 0.15), vote("clean", 0.05, 0.02, 0.08)
    said = quadrants_title(many, "accuracy", "high_risk_error", [better, unsure, costly])
    assert said == (
        "In 2 of 3 pairs of model and condition the vote has more accuracy and less high-risk "
        "error, 1 of them beyond chance in both; in 1 it has more of both."
    )
    assert quadrants_title(many, "accuracy", "high_risk_error", [better]) == (
        "Voting changes accuracy by +10.0 points (+5.0 to +15.0) and high-risk error by −5.0 "
        "points (−8.0 to −2.0)."
    )


def test_a_curve_over_k_says_both_ends(many):
    first, last = {"k": 1, "accuracy": 0.6}, {"k": 20, "accuracy": 0.7}
    ends = [("clean", first, last), ("rag", first, {"k": 20, "accuracy": 0.6})]
    assert plain(curves_title(many, "accuracy", "m", ends)) == (
        "With the vote of 20 in place of one sample, accuracy of m goes from 60.0 % to 70.0 % "
        "under clean evidence and stays at 60.0 % under standard RAG."
    )
    assert curves_title(many, "accuracy", "m", [("clean", first, first)]) == (
        "Accuracy of m: there is one sample a question, and no curve."
    )


def test_an_ensemble_is_better_than_each_member_or_it_is_not(many):
    compared = [(0.8, [0.7, 0.75]), (0.7, [0.7, 0.75]), (0.5, [0.7, 0.75])]
    assert members_title(many, "accuracy", compared, higher_is_better=True) == (
        "In 1 of 3 pairs of ensemble and condition the ensemble's accuracy is higher than every "
        "member's, in 1 lower."
    )
    assert plain(members_title(many, "high_risk_error", compared[:1], higher_is_better=False)) == (
        "The high-risk error rate of the ensemble, 80.0 %, is higher than every member's."
    )
    assert plain(members_title(many, "accuracy", compared[1:2], higher_is_better=True)) == (
        "Accuracy of the ensemble, 70.0 %, is among those of its members."
    )


def ensemble(name, condition, alike=0.0, harm=0.0, less=(0.0, -0.1, 0.1)):
    return {
        "ensemble": name, "condition": condition, **bounded("less_best_member", *less),
        **bounded("synchronised_failure", alike, alike, alike),
        **bounded("high_risk_error", harm, harm, harm),
    }  # fmt: skip


def test_an_ensemble_beats_its_best_member_only_beyond_chance(many):
    up, down = (0.1, 0.05, 0.15), (-0.1, -0.15, -0.05)
    rows = [ensemble("A", "clean", less=up), ensemble("B", "clean"), ensemble("C", "rag", less=up)]
    assert better_title(rows) == (
        "2 of 3 ensembles under conditions are more accurate than the best member beyond chance, "
        "none less."
    )
    assert better_title([ensemble("A", "clean", less=down)]) == (
        "The ensemble is less accurate than its best member: −10.0 points (−15.0 to −5.0)."
    )
    assert better_title([ensemble("A", "clean")]) == (
        "The ensemble cannot be told from its best member: 0.0 points (−10.0 to +10.0)."
    )
    assert plain(alike_title(many, [ensemble("A", "clean", 0.02), ensemble("B", "rag", 0.05)])) == (
        "All members give the same wrong letter most often in B, standard RAG: on 5.0 % (5.0 to "
        "5.0 %) of the items."
    )
    assert alike_title(many, [ensemble("A", "clean")]) == (
        "On no item do all members of an ensemble give the same wrong letter."
    )
    both = [ensemble("A", "clean", 0.02, 0.05), ensemble("B", "rag", 0.05, 0.05)]
    assert harm_and_alike_title(many, "high_risk_error", both).startswith(
        "In 1 of 2 pairs of ensemble and condition the high-risk error rate is above synchronised "
        "failure"
    )


def bin_of(mean_, *value, condition="rag", n=10):
    return {
        "model": "m", "condition": condition, "mean": mean_, "n": n, **bounded("accuracy", *value),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bins", "said"),
    [
        (
            [bin_of(0.1, 0.5, 0.4, 0.6), bin_of(0.9, 0.8, 0.7, 0.9)],
            "Accuracy of m under standard RAG is higher with the highest coverage of the evidence: "
            "50.0 % (40.0 to 60.0 %) where it is 10 %, 80.0 % (70.0 to 90.0 %) "
            "where it is 90 %.",
        ),
        (
            [bin_of(0.1, 0.5, 0.4, 0.6), bin_of(0.9, 0.6, 0.5, 0.7)],
            "Accuracy of m under standard RAG does not differ beyond chance by coverage of the "
            "evidence: 50.0 % (40.0 to 60.0 %) where it is 10 %, 60.0 % (50.0 "
            "to 70.0 %) where it is 90 %.",
        ),
        (
            [bin_of(1.0, 0.5, 0.4, 0.6)],
            "All items of m under standard RAG are alike in coverage of the evidence: accuracy is "
            "50.0 % (40.0 to 60.0 %).",
        ),
        ([], "Accuracy is scored in no bin of coverage of the evidence."),
    ],
)
def test_bins_differ_only_beyond_chance(many, bins, said):
    assert plain(axis_title(many, "evidence_coverage", "accuracy", bins)) == said


def curve(*steps):
    return [
        {
            "condition": "all", "percent": percent, "items": items, "by_chance": chance,
            **bounded("share", share, low, high),
        }
        for percent, items, share, low, high, chance in steps
    ]  # fmt: skip


def test_what_the_worst_tenth_carries_is_said_beside_what_chance_would_put_there(many):
    rows = curve(
        (1, 2, 0.1, 0.05, 0.2, 0.02), (10, 20, 0.5, 0.4, 0.6, 0.2), (100, 200, 1, None, None, 1)
    )
    assert plain(curve_title(many, rows, 812)) == (
        "10 % of the items (20 of 200) carry 50.0 % (40.0 to 60.0 %) of the 812 high-risk errors; "
        "by chance alone it would be 20.0 %."
    )
    assert half_title(many, rows) == (
        "Half of all high-risk errors lie on at most 10 % of the items (20 items), all of them on "
        "200 items."
    )
    assert curve_title(many, rows, 1) == "There is 1 high-risk error on 200 items."


def test_the_worst_case_is_named_unless_there_are_several(many):
    one = {"question_id": "7", "condition": "rag", "n_models": 9, "high_risk_error": 8}
    less = {**one, "question_id": "8", "high_risk_error": 3}
    assert list_lead(many, [one, less], "high_risk_error") == (
        "Most models err on item 7 under standard RAG, where 8 of 9 models give a high-risk error."
    )
    assert list_lead(many, [one, one], "high_risk_error") == (
        "Most models err on 2 items alike, where 8 of 9 models give a high-risk error."
    )
    alone = {**one, "n_models": 1, "high_risk_error": 1}
    assert list_lead(many, [alone], "high_risk_error") == (
        "On 1 item under a condition the model gives a high-risk error."
    )


def test_the_list_has_the_most_harmful_first_each_with_a_link_to_its_case(many):
    section = worst_cases(many).sections[-1]
    names = [column.name for column in section.data.columns]
    counts = [row[names.index("high_risk_error")] for row in section.data.rows]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == max(row["high_risk_error"] for row in many.rows("worst_case"))
    first, filters = section.data.rows[0], section.data.cases[0]
    assert filters["item"] == first[names.index("question_id")]
    assert link(filters).startswith("cases.html#")
