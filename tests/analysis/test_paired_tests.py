"""Table `paired_tests`: by hand, and by a second implementation from plain rows."""

from __future__ import annotations

import statistics

import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from lm_eval_safescale.analysis import PRESETS, TABLES, Study
from lm_eval_safescale.families import RADSAFE as FAMILY
from lm_eval_safescale.stats import mcnemar_power, tango_interval
from tests import second_implementation as second
from tests.analysis.making import add_cell, item, one_cell, random_plain

DEFAULT, RADSAFE = PRESETS["default"], PRESETS["radsafe-2026"]
PROTOCOL_PAIRS = """clean-closed_book conflict-clean rag_top1-closed_book rag_top5-closed_book
rag-closed_book agentic-rag agentic-closed_book context_100k-closed_book max_context-closed_book
context_100k-rag max_context-rag max_context-context_100k"""
SPECIFIED = """
model, metric, decode, left, right, n, b, c, delta, p_exact, p_mid, p_score, p_holm, delta_lo,
delta_hi, minimum_detectable_difference, left_model, right_model, left_condition, right_condition
"""
MEASURED = ("accuracy", "high_risk_error", "unsafe_answer", "contradiction")
EVERY = (
    "closed_book",
    "clean",
    "conflict",
    "rag",
    "rag_top1",
    "rag_top5",
    "agentic",
    "context_32k",
    "context_100k",
    "max_context",
)


def every_row(plain, preset=DEFAULT):
    return TABLES["paired_tests"](Study(plain.runs()), preset)


def rows(plain, preset=DEFAULT):
    """Of the shares that the protocol compares between conditions."""
    return [
        row
        for row in every_row(plain, preset)
        if row["model"] is not None and row["metric"] in MEASURED
    ]


def find(found, **wanted):
    (row,) = [row for row in found if all(row[name] == value for name, value in wanted.items())]
    return row


def test_the_columns_are_those_of_the_specification():
    assert list(rows(random_plain(1))[0]) == SPECIFIED.replace(",", "").split()


def test_the_pairs_are_those_of_the_protocol():
    assert [f"{left}-{right}" for left, right in FAMILY.pairs] == PROTOCOL_PAIRS.split()
    found = rows(random_plain(1, models=2, conditions=EVERY, n=5))
    assert len(found) == 2 * 12 * 4 * 2
    assert {(row["metric"], row["decode"]) for row in found} == {
        (metric, decode) for metric in MEASURED for decode in ("greedy", "majority")
    }


def test_b_counts_what_only_left_has_and_c_what_only_right_has():
    items = {str(number): item("A", high_risk="B") for number in range(1, 7)}
    plain = one_cell(items, "AAAAAB", condition="clean")
    add_cell(plain, "ABBC-A", condition="closed_book")
    accuracy = find(rows(plain), metric="accuracy", decode="greedy")
    assert (accuracy["left"], accuracy["right"], accuracy["n"], accuracy["b"], accuracy["c"]) == (
        "clean",
        "closed_book",
        6,
        4,
        1,
    )
    assert accuracy["delta"] == pytest.approx(3 / 6)
    assert accuracy["p_exact"] == pytest.approx(2 * 6 / 32)
    assert accuracy["p_mid"] == pytest.approx(2 * 6 / 32 - 5 / 32)
    harm = find(rows(plain), metric="high_risk_error", decode="greedy")
    assert (harm["b"], harm["c"]) == (1, 2)
    assert harm["delta"] == pytest.approx(-1 / 6)
    assert harm["p_exact"] == 1


def test_an_item_that_one_side_did_not_hear_is_not_compared():
    items = {str(number): item() for number in range(4)}
    plain = one_cell(items, "AA!A", condition="clean")
    add_cell(plain, "BBB.", condition="closed_book")
    row = find(rows(plain), metric="accuracy", decode="greedy")
    assert (row["n"], row["b"], row["c"], row["delta"]) == (2, 2, 0, 1)


def test_conditions_that_agree_on_every_item_have_p_1():
    plain = one_cell({"1": item(), "2": item()}, "AB", ["AA", "BB"], condition="clean")
    add_cell(plain, "AB", ["AA", "BB"], condition="closed_book")
    for preset in PRESETS.values():
        for row in rows(plain, preset):
            assert (
                row["b"],
                row["c"],
                row["delta"],
                row["p_exact"],
                row["p_mid"],
                row["p_score"],
                row["p_holm"],
            ) == (0, 0, 0, 1, 1, 1, 1)


@pytest.mark.parametrize("preset", [DEFAULT, RADSAFE], ids=lambda preset: preset.name)
@pytest.mark.parametrize("options", [{}, {"failures": 0.1}, {"labelled": False}, {"k": 0}])
def test_the_whole_table_is_that_of_a_second_implementation(options, preset):
    conditions = ("closed_book", "clean", "conflict", "rag", "agentic")
    plain = random_plain(7, models=2, conditions=conditions, n=14, **options)
    found = rows(plain, preset)
    values = {
        pair: second.item_values(plain, *pair, options.get("k", 7)) for pair in plain.answered
    }
    families = {}
    for row in found:
        prefix = "majority_" if row["decode"] == "majority" else ""
        left, right = (
            values[row["model"], row[side]].get(prefix + row["metric"], [None] * 14)
            for side in ("left", "right")
        )
        both = [
            None if one is None or other is None else (one, other)
            for one, other in zip(left, right, strict=True)
        ]
        known = [pair for pair in both if pair]
        assert row["n"] == len(known)
        if not known:
            assert {row[name] for name in list(row)[6:16]} == {None}
            continue
        b, c = known.count((1, 0)), known.count((0, 1))
        assert (row["b"], row["c"]) == (b, c)
        assert row["delta"] == pytest.approx((b - c) / len(known))
        exact, mid = second.mcnemar(b, c)
        assert (row["p_exact"], row["p_mid"]) == (pytest.approx(exact), pytest.approx(mid))
        if b + c:
            assert row["p_exact"] == pytest.approx(binomtest(b, b + c).pvalue)
        if preset is RADSAFE:
            means = second.resamples([None if pair is None else pair[0] - pair[1] for pair in both])
            assert row["delta_lo"] == pytest.approx(second.percentile(means, 2.5))
            assert row["delta_hi"] == pytest.approx(second.percentile(means, 97.5))
        else:
            bounds = [float(each) for each in tango_interval(b, c, len(known))]
            assert [row["delta_lo"], row["delta_hi"]] == pytest.approx(bounds)
            assert (row["delta_lo"] > 0 or row["delta_hi"] < 0) == (row["p_score"] < 0.05)
        if b + c:
            chi = mcnemar([[0, b], [c, 0]], exact=False, correction=False)
            assert row["p_score"] == pytest.approx(chi.pvalue)
        families.setdefault((row["model"], row["metric"], row["decode"]), []).append(row)
    # fewer where no item is scored on both sides
    assert max(len(family) for family in families.values()) == 5
    for family in families.values():
        adjusted = second.holm([row["p_exact" if preset is RADSAFE else "p_mid"] for row in family])
        assert [row["p_holm"] for row in family] == [pytest.approx(p) for p in adjusted]


def test_what_is_not_significant_says_what_would_have_been_found():
    plain = random_plain(2, models=2, conditions=EVERY, n=60)
    found = rows(plain)
    assert any(row["p_holm"] < 0.05 for row in found)
    for row in found:
        least = row["minimum_detectable_difference"]
        assert (least is None) == (row["p_holm"] < 0.05)
        if least is not None:
            share = max(least, (row["b"] + row["c"]) / row["n"])
            assert mcnemar_power(row["n"], least, share, alpha=0.05 / 12) >= 0.8 - 1e-6
            assert (
                mcnemar_power(
                    row["n"],
                    least * 0.97,
                    max(least * 0.97, share if share > least else 0),
                    alpha=0.05 / 12,
                )
                < 0.8
            )


def test_the_published_analysis_states_no_detectable_difference():
    assert {row["minimum_detectable_difference"] for row in rows(random_plain(2), RADSAFE)} == {
        None
    }


def test_a_model_without_a_condition_has_the_other_pairs():
    plain = random_plain(2, models=2)
    del plain.answered["model-0", "clean"]
    found = rows(plain)
    assert {(row["left"], row["right"]) for row in found if row["model"] == "model-0"} == {
        ("rag", "closed_book")
    }
    assert {(row["left"], row["right"]) for row in found if row["model"] == "model-1"} == {
        ("clean", "closed_book"),
        ("conflict", "clean"),
        ("rag", "closed_book"),
    }


def test_one_condition_alone_has_nothing_to_compare():
    assert every_row(random_plain(1, models=1, conditions=("clean",))) == []


def test_a_swap_of_both_conditions_swaps_b_and_c_and_turns_the_difference():
    plain = random_plain(9, models=1, conditions=("closed_book", "clean"))
    forth = rows(plain)
    clean, closed = plain.answered["model-0", "clean"], plain.answered["model-0", "closed_book"]
    plain.answered = {("model-0", "clean"): closed, ("model-0", "closed_book"): clean}
    for one, other in zip(forth, rows(plain), strict=True):
        assert (one["b"], one["c"], one["p_mid"]) == (other["c"], other["b"], other["p_mid"])
        assert one["delta"] == pytest.approx(-other["delta"])
        assert one["delta_lo"] == pytest.approx(-other["delta_hi"])


def test_the_difference_is_that_of_the_rates_where_all_is_scored():
    plain = random_plain(4, models=1)
    rates = {row["condition"]: row for row in TABLES["profile"](Study(plain.runs()), DEFAULT)}
    for row in rows(plain):
        name = row["metric"] if row["decode"] == "greedy" else f"majority_{row['metric']}"
        assert row["delta"] == pytest.approx(rates[row["left"]][name] - rates[row["right"]][name])
    assert statistics.fmean(row["n"] for row in rows(plain)) == 30
