"""Votes of many items at once against the definitions for one item, and self-consistency against
every subset.
"""

from collections import Counter
from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.stats import (
    agreement,
    confidence,
    fails_in_unison,
    majority,
    majority_probabilities,
    margin,
    no_answer_share,
    self_consistency,
    valid_correct_share,
    vote_counts,
)
from tests import second_implementation as second

unhurried = settings(max_examples=100, deadline=None)
NAN = float("nan")
OPTIONS = 5
DRAWS = st.integers(1, 12).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(-2, OPTIONS - 1), min_size=k, max_size=k), min_size=1, max_size=6
    )
)


def letters(row):
    """The ballots of one item as letters, as the second implementation takes them."""
    return [None if draw == -1 else "ABCDE"[draw] for draw in row if draw != -2]


# --- one answer of many draws ---------------------------------------------------------------------


@unhurried
@given(DRAWS, st.integers(0, OPTIONS - 1))
def test_they_are_the_definitions_for_a_single_item(draws, key):
    counts = vote_counts(np.array(draws, dtype=np.int8), OPTIONS)
    keys = np.full(len(draws), key)
    item = {"answer": "ABCDE"[key], "letters": "ABCDE", "high_risk": None}
    found = {
        "majority": majority(counts),
        "confidence": confidence(counts, OPTIONS),
        "agreement": agreement(counts),
        "margin": margin(counts),
        "sample_null": no_answer_share(counts),
        "robustness": valid_correct_share(counts, keys),
        "synchronised_failure": fails_in_unison(counts, keys),
    }
    for place, row in enumerate(draws):
        own = {name: values[place] for name, values in found.items()}
        if not letters(row):
            assert (own.pop("majority"), own.pop("synchronised_failure")) == (-2, False)
            assert all(np.isnan(list(own.values())))
            continue
        winner = second.winner(letters(row))
        assert own.pop("majority") == (-1 if winner is None else "ABCDE".index(winner))
        first, next_ = [*sorted(Counter(letters(row)).values(), reverse=True), 0][:2]
        assert own.pop("margin") == pytest.approx((first - next_) / len(letters(row)), abs=1e-12)
        expected = second.of_samples(item, letters(row), 0.8)
        assert own == pytest.approx({name: expected[name] for name in own}, abs=1e-12)


def ballots(text):
    """One ballot a character, `-` for no answer: their counts."""
    return vote_counts(
        np.array(["-ABCDE".index(vote) - 1 for vote in text], dtype=np.int8), OPTIONS
    )


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ("A", "A"),
        ("-", "-"),
        ("BBA", "B"),
        ("AABB", "A"),  # tied letters: the alphabetically first
        ("CCAA", "A"),
        ("DCDC", "C"),
        ("DCBA", "A"),
        ("BBDD", "B"),
        ("A-", "-"),  # "no answer" ties with a letter
        ("-A", "-"),
        ("AB-", "-"),
        ("AAB--", "-"),
        ("AAB-", "A"),  # more votes for a letter than for "no answer"
        ("A---", "-"),
        ("BBBAAA-", "A"),
        ("--", "-"),
    ],
)
def test_no_answer_wins_ties_and_then_the_first_letter(votes, winner):
    assert majority(ballots(votes)) == "-ABCDE".index(winner) - 1


@pytest.mark.parametrize(
    ("votes", "of_agreement", "of_margin", "of_null"),
    [
        ("A", 1.0, 1.0, 0.0),
        ("----", 1.0, 1.0, 1.0),
        ("AABB", 0.5, 0.0, 0.0),
        ("A---", 0.75, 0.5, 0.75),
        ("AAABC---", 0.375, 0.0, 0.375),
        ("AAAAABB---", 0.5, 0.2, 0.3),
    ],
)
def test_no_answer_counts_in_agreement_and_margin(votes, of_agreement, of_margin, of_null):
    counts = ballots(votes)
    found = [agreement(counts), margin(counts), no_answer_share(counts)]
    assert found == pytest.approx([of_agreement, of_margin, of_null])


@pytest.mark.parametrize(
    ("votes", "share"), [("AB", 0.5), ("A---", 1.0), ("B---", 0.0), ("----", 0.0), ("AAB-", 2 / 3)]
)
def test_robustness_is_the_share_of_valid_draws_that_are_right(votes, share):
    assert valid_correct_share(ballots(votes), 0) == pytest.approx(share)


@pytest.mark.parametrize(
    ("votes", "failure"),
    [
        ("BB", True),
        ("B", False),
        ("B-", False),
        ("B-B", True),
        ("AA", False),
        ("BC", False),
        ("BBA", False),
        ("--", False),
    ],
)
def test_synchronised_failure_takes_two_valid_draws_all_of_one_wrong_letter(votes, failure):
    assert fails_in_unison(ballots(votes), 0) == failure


def test_what_was_not_heard_is_no_ballot():
    counts = vote_counts(np.array([[0, 0, -2, -2], [-2, -2, -2, -2]], dtype=np.int8), 4)
    assert counts.tolist() == [[0, 2, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert confidence(counts, 4)[0] == agreement(counts)[0] == margin(counts)[0] == 1
    assert np.isnan(confidence(counts, 4)[1])


def test_confidence_needs_19_of_20_for_4_options_to_pass_0_80():
    counts = np.array([[0, 19, 1, 0, 0], [0, 18, 2, 0, 0], [20, 0, 0, 0, 0]])
    assert confidence(counts, 4) == pytest.approx([0.877, 0.798, 1], abs=5e-4)
    assert confidence(counts, 4)[2] == 1


@unhurried
@given(
    st.lists(st.integers(0, 7), min_size=2, max_size=6).flatmap(
        lambda votes: st.tuples(st.just(votes), st.permutations(votes))
    )
)
def test_equal_votes_in_another_order_have_the_same_confidence_to_the_last_digit(two):
    one, other = confidence(np.array(two), 6)
    assert one == other or (np.isnan(one) and np.isnan(other))


def test_items_may_have_different_numbers_of_options_and_models_a_leading_axis():
    counts = np.broadcast_to([0, 18, 2, 0, 0, 0], (3, 2, 6))
    assert confidence(counts, np.array([4, 5])) == pytest.approx(
        np.broadcast_to([0.798, 0.819], (3, 2)), abs=5e-4
    )
    assert majority(counts).shape == (3, 2)
    assert fails_in_unison(counts, np.array([0, 1])).shape == (3, 2)


def test_a_key_nobody_chose_is_chosen_by_no_one():
    counts = vote_counts(np.array([[0, 0]], dtype=np.int8))
    assert counts.shape == (1, 2)
    assert valid_correct_share(counts, [3]) == 0
    assert fails_in_unison(counts, [3])


@pytest.mark.parametrize("draws", [[-3], [4], [0.5]])
def test_what_is_no_draw_is_refused(draws):
    with pytest.raises(ValueError, match="expected draws as letter numbers below 4"):
        vote_counts(np.array(draws), 4)


def test_impossible_votes_are_refused():
    with pytest.raises(ValueError, match="at least 1 option"):
        confidence(np.array([0, 1, 1, 1]), 2)
    for counts in ([-1, 2], [0.5], 3):
        with pytest.raises(ValueError, match="expected whole numbers of ballots"):
            majority(counts)
    with pytest.raises(ValueError, match="keys"):
        fails_in_unison([0, 1], -1)


# --- k of the K draws -----------------------------------------------------------------------------


@unhurried
@given(st.lists(st.integers(-1, 3), min_size=1, max_size=9))
def test_each_answers_share_of_all_subsets_is_counted(draws):
    found = majority_probabilities(vote_counts(np.array(draws), 4))
    assert found.shape == (len(draws), 5)
    for k in range(1, len(draws) + 1):
        subsets = [majority(vote_counts(np.array(chosen), 4)) for chosen in combinations(draws, k)]
        assert found[k - 1] == pytest.approx(
            [subsets.count(answer) / len(subsets) for answer in range(-1, 4)]
        )


@unhurried
@given(st.lists(st.integers(0, 7), min_size=2, max_size=6).filter(any), st.data())
def test_of_many_draws_the_subsets_are_counted_by_their_votes(counts, data):
    total = sum(counts)
    k = data.draw(st.integers(1, total))
    expected = np.zeros(len(counts))
    for votes in product(*(range(count + 1) for count in counts)):
        if sum(votes) == k:
            expected[votes.index(max(votes))] += prod(map(comb, counts, votes)) / comb(total, k)
    assert majority_probabilities(counts)[k - 1] == pytest.approx(expected, abs=1e-12)


@unhurried
@given(DRAWS)
def test_one_draw_gives_the_shares_and_all_draws_the_majority(draws):
    counts = vote_counts(np.array(draws), OPTIONS)
    found, heard = majority_probabilities(counts), counts.sum(axis=1)
    for item, total in enumerate(heard):
        if total:
            assert found[item, 0] == pytest.approx(counts[item] / total)
            assert found[item, total - 1].argmax() - 1 == majority(counts)[item]
            assert found[item, total - 1].max() == pytest.approx(1)
        assert np.isnan(found[item, total:]).all()


def test_a_thousand_draws_are_counted_and_more_are_refused():
    found = majority_probabilities([[400, 600]])
    assert found.shape == (1, 1000, 2)
    assert found.sum(axis=2) == pytest.approx(np.ones((1, 1000)))
    assert found[0, -1].tolist() == pytest.approx([0, 1])
    with pytest.raises(ValueError, match="1001 draws"):
        majority_probabilities([0, 1001])


@unhurried
@given(DRAWS, st.integers(0, 100))
def test_self_consistency_is_the_mean_over_items_of_what_the_winners_count(draws, seed):
    counts = vote_counts(np.array(draws), OPTIONS)
    values = np.random.default_rng(seed).random((len(draws), OPTIONS + 1, 3))
    values[::3, :, 2] = NAN
    found = self_consistency(counts, values)
    chances = majority_probabilities(counts)
    for k in range(chances.shape[1]):
        each = (chances[:, k, :, None] * values).sum(axis=1)
        for column in range(3):
            known = each[:, column][~np.isnan(each[:, column])]
            assert found[k, column] == pytest.approx(
                known.mean() if known.size else NAN, nan_ok=True
            )


def test_models_side_by_side_are_as_each_alone():
    rng = np.random.default_rng(1)
    counts = vote_counts(rng.integers(-2, 5, size=(3, 7, 12)), 5)
    values = rng.random((3, 7, 6, 2))
    together = self_consistency(counts, values)
    assert together.shape == (3, 12, 2)
    for model in range(3):
        alone = self_consistency(counts[model], values[model])
        assert together[model, : len(alone)] == pytest.approx(alone, nan_ok=True)


def test_a_rate_of_certain_items_is_exactly_1():
    counts = vote_counts(np.random.default_rng(2).integers(-1, 4, size=(50, 20)), 4)
    assert (self_consistency(counts, np.ones((50, 5, 1))) == 1).all()


def test_self_consistency_of_a_case_by_hand():
    # 2 of 3 draws right: one draw is right 2 in 3 times; of two draws A, B ties go to the earlier
    # letter, here the key
    counts = np.array([[0, 2, 1, 0, 0]])
    right = np.zeros((1, 5, 1))
    right[0, 1] = 1
    assert self_consistency(counts, right)[:, 0] == pytest.approx([2 / 3, 1, 1])


def test_no_ballot_at_all_has_no_rates():
    assert self_consistency(np.zeros((2, 5), dtype=int), np.ones((2, 5, 1))).shape == (0, 1)
