"""Contexts compared: differences by hand and by a second implementation, units, and what is
refused.
"""

from __future__ import annotations

import random
from math import sqrt

import pytest

from lm_eval_safescale.contexts import ContextSet, compare_contexts
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Context

ABOUT = {
    "condition": "rag",
    "dataset": {"name": "mine", "version": "1", "fingerprint": "f" * 64},
    "corpus": {"corpus": "articles", "corpus_fingerprint": "c" * 64},
    "retriever": {"retriever": "one"},
    "tokenizer": "words",
}


def side(measures, tokens=None, failed=None, **about):
    contexts = {
        f"q{number}": Context(
            "text", "rag", (), (tokens or [7] * len(measures))[number], "words", False, (), values
        )
        for number, values in enumerate(measures)
        if f"q{number}" not in (failed or {})
    }
    return ContextSet({**ABOUT, **about}, contexts, failed or {})


def recalls(*values, **more):
    return side([{"recall": value} for value in values], **more)


def row(found, measure="recall"):
    return next(each for each in found.rows if each["measure"] == measure)


def tango_by_bisection(b, c, n):
    """Bounds of the difference of two paired shares where the score statistic is 1.96."""

    def score(d):
        # the root of 2n p^2 + B p + C: the share that only the second has, given the difference
        half = -b - c + (2 * n - b + c) * d
        p = (sqrt(half**2 - 8 * n * (-c * d * (1 - d))) - half) / (4 * n)
        return (b - c - n * d) / sqrt(max(n * (2 * p + d * (1 - d)), 1e-300))

    def where(level, low, high):
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if score(middle) > level else (low, middle)
        return low

    delta = (b - c) / n
    return where(1.959964, -1 + 1e-12, delta), where(-1.959964, delta, 1 - 1e-12)


def test_shares_have_tangos_interval_and_the_counts_of_both_sides():
    a = recalls(*[1.0] * 4, *[0.0] * 12, *[1.0] * 24)
    b = recalls(*[0.0] * 4, *[1.0] * 12, *[1.0] * 24)
    found = row(compare_contexts(a, b))
    assert (found["only_a"], found["only_b"], found["n"], found["units"]) == (4, 12, 40, 40)
    assert (found["value_a"], found["value_b"], found["interval"]) == (0.7, 0.9, "tango")
    assert found["delta"] == pytest.approx(0.2)
    low, high = tango_by_bisection(12, 4, 40)
    assert (found["delta_lo"], found["delta_hi"]) == pytest.approx((low, high), abs=1e-5)


def test_other_measures_have_a_paired_bootstrap_as_a_second_one_draws_it():
    draw = random.Random(5)
    ranks = [(1 / draw.randint(1, 5), 1 / draw.randint(1, 9)) for _ in range(80)]
    tokens = [(draw.randint(100, 900), draw.randint(400, 900)) for _ in range(80)]
    a, b = (
        side([{"reciprocal_rank": pair[s]} for pair in ranks], tokens=[pair[s] for pair in tokens])
        for s in (0, 1)
    )
    found = compare_contexts(a, b)
    for measure, pairs in (("reciprocal_rank", ranks), ("tokens", tokens)):
        differences = [second - first for first, second in pairs]
        means = sorted(sum(draw.choices(differences, k=80)) / 80 for _ in range(4000))
        width = means[3899] - means[100]
        got = row(found, measure)
        assert got["interval"] == "bca"
        assert got["delta"] == pytest.approx(sum(differences) / 80)
        assert got["delta_lo"] == pytest.approx(means[100], abs=0.12 * width)
        assert got["delta_hi"] == pytest.approx(means[3899], abs=0.12 * width)


def test_an_item_unscored_on_a_side_is_in_no_figure_of_that_measure():
    found = row(compare_contexts(recalls(1, 0, None, 1), recalls(0, 0, 1, None)))
    assert (found["n"], found["value_a"], found["value_b"], found["delta"]) == (2, 0.5, 0, -0.5)


def test_copies_of_an_item_in_one_unit_tell_no_more_than_the_item():
    half = (0.5, 0.25, 0.75, 0.0, 1.0, 0.1, 0.6, 0.3)
    four = [value for value in half for _ in range(4)]
    a = recalls(*[0.2] * 32)
    units = {f"q{number}": f"case {number // 4}" for number in range(32)}
    alone = row(compare_contexts(recalls(*[0.2] * 8), recalls(*half)))
    apart, together = (row(compare_contexts(a, recalls(*four), each)) for each in (None, units))
    assert (apart["units"], together["units"], together["n"]) == (32, 8, 32)
    assert together["delta"] == pytest.approx(alone["delta"])

    def width(found):
        return found["delta_hi"] - found["delta_lo"]

    assert width(together) == pytest.approx(width(alone), rel=0.1)
    assert width(apart) < 0.7 * width(together)


def test_one_unit_gives_no_interval():
    found = row(compare_contexts(recalls(1, 0), recalls(0, 0), {"q0": "x", "q1": "x"}))
    assert (found["units"], found["delta_lo"], found["delta_hi"]) == (1, None, None)


def test_a_count_that_differs_alike_in_all_items_has_no_interval():
    a, b = (recalls(1, 1, 1, tokens=[tokens] * 3) for tokens in (5, 9))
    found = row(compare_contexts(a, b), "tokens")
    assert (found["delta"], found["delta_lo"], found["delta_hi"]) == (4, None, None)
    assert found["interval"] is None


def test_the_items_that_changed_most_come_first_and_unchanged_ones_not_at_all():
    found = compare_contexts(recalls(0.5, 0.5, 0, None), recalls(0.5, 0.75, 1, 1))
    changed = [(each.question_id, each.a, each.b) for each in found.changed["recall"]]
    assert changed == [("q2", 0, 1), ("q1", 0.5, 0.75)]
    assert found.changed["tokens"] == []


def test_a_measure_that_a_side_lacks_is_named_and_the_others_are_compared():
    a = side([{"recall": 1.0, "recall_at_5": 1.0, "leak": None}] * 3)
    b = side([{"recall": 0.5, "leak": None}] * 3, tokenizer="cl100k")
    found = compare_contexts(a, b)
    assert [each["measure"] for each in found.rows] == ["recall"]
    assert found.without == {
        "tokens": "counted by words in A, by cl100k in B",
        "recall_at_5": "only A has it",
        "leak": "no item is scored on both sides",
    }
    assert found.differs == ["tokenizer"]


def test_items_that_failed_on_a_side_are_left_out_and_named():
    found = compare_contexts(recalls(1, 1, 1), recalls(0, 0, 0, failed={"q1": "no reply"}))
    assert (found.items, found.failed, row(found)["n"]) == (2, ["q1"], 2)


@pytest.mark.parametrize(
    ("b", "why"),
    [
        (
            recalls(1, dataset={"name": "other", "version": "2", "fingerprint": "0"}),
            "A is of the data set mine 1, B of other 2",
        ),
        (recalls(1, 1), "1 item in only one of the files, the first q1 in B"),
        (
            recalls(1, corpus={"corpus": "more", "corpus_fingerprint": "0"}),
            "A was found in articles, B in more (other articles)",
        ),
        (recalls(1, corpus=None), "A was found in articles, B in no corpus"),
        (recalls(1, failed={"q0": "no reply"}), "no item has a context in both files"),
    ],
)
def test_what_cannot_be_compared_is_refused(b, why):
    with pytest.raises(SafescaleError) as error:
        compare_contexts(recalls(1), b)
    assert why in str(error.value)


def test_two_corpora_are_compared_when_asked_for_anyway():
    b = recalls(0, corpus={"corpus": "more", "corpus_fingerprint": "0"})
    found = compare_contexts(recalls(1), b, anyway=True)
    assert (row(found)["delta"], found.differs) == (-1, ["corpus"])


def test_the_sides_turned_round_turn_the_differences_round():
    a, b = recalls(1, 0, 1, 0, 0.0), recalls(1, 1, 1, 1, 0.0)
    there, back = row(compare_contexts(a, b)), row(compare_contexts(b, a))
    assert there["delta"] == -back["delta"]
    assert (there["delta_lo"], there["delta_hi"]) == pytest.approx(
        (-back["delta_hi"], -back["delta_lo"])
    )
