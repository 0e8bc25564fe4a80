"""K draws to one value: hand-worked cases, scipy's entropy, and the second implementation."""

from math import log

import numpy as np
import pytest
import second_implementation as second
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from lm_eval_safescale.metrics import reducers

BALLOTS = st.lists(st.sampled_from(["A", "B", "C", "D", None]), min_size=1, max_size=20)
unhurried = settings(max_examples=100, deadline=None)


def draws(text):
    """One ballot a character, `-` for no answer."""
    return [None if ballot == "-" else ballot for ballot in text]


def split(*counts):
    """Draws in which A, B, C, ... have these counts."""
    return [letter for letter, count in zip("ABCDE", counts, strict=False) for _ in range(count)]


def partitions(total, parts, largest=None):
    """Every way to write `total` as at most `parts` descending counts."""
    largest = total if largest is None else largest
    if total == 0:
        yield ()
    elif parts:
        for first in range(min(total, largest), 0, -1):
            yield from ((first, *rest) for rest in partitions(total - first, parts - 1, first))


@pytest.mark.parametrize(
    ("ballots", "vote"),
    [
        ("A", "A"),
        ("-", None),
        ("BBA", "B"),
        ("CCAA", "A"),  # tied letters: the alphabetically first
        ("DCDC", "C"),
        ("DCBA", "A"),
        ("A-", None),  # "no answer" ties with a letter
        ("-A", None),
        ("AB-", None),
        ("AAB--", None),
        ("AAB-", "A"),  # more votes for a letter than for "no answer"
        ("A---", None),
        ("BBBAAA-", "A"),
    ],
)
def test_the_majority_is_the_first_of_tied_letters_and_none_where_no_answer_wins_or_ties(ballots, vote):
    assert reducers.majority(draws(ballots)) == vote


@pytest.mark.parametrize(
    ("n_options", "enough"),
    [
        (4, {(20,), (19, 1)}),
        (5, {(20,), (19, 1), (18, 2)}),
    ],
)
def test_of_20_draws_80_percent_confidence_takes_19_alike_of_four_options_and_18_of_five(n_options, enough):
    passing = {counts for counts in partitions(20, n_options) if reducers.confidence(split(*counts), n_options) >= 0.8}
    assert passing == enough


@pytest.mark.parametrize("n_options", [4, 5])
def test_of_5_draws_only_unanimity_is_80_percent_confident(n_options):
    passing = {counts for counts in partitions(5, n_options) if reducers.confidence(split(*counts), n_options) >= 0.8}
    assert passing == {(5,)}


@pytest.mark.parametrize(
    ("ballots", "n_options", "expected"),
    [
        ("A" * 18 + "BB", 4, 0.798015),
        ("A" * 19 + "B", 4, 0.876656),
        ("A" * 18 + "--", 4, 0.798015),  # "no answer" is a ballot like any other
        ("AB", 4, 1 - log(2) / log(5)),
        ("AB", 5, 1 - log(2) / log(6)),
        ("AAB-", 4, 1 - 1.5 * log(2) / log(5)),
        ("ABCD", 4, 1 - log(4) / log(5)),
    ],
)
def test_confidence_is_1_less_the_entropy_over_ln_of_the_options_and_no_answer(ballots, n_options, expected):
    assert reducers.confidence(draws(ballots), n_options) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", range(1, 21))
@pytest.mark.parametrize("ballot", ["A", None])
def test_unanimous_draws_have_confidence_1_exactly(ballot, k):
    assert reducers.confidence([ballot] * k, 4) == 1.0


@pytest.mark.parametrize(("ballots", "n_options"), [("ABCD-", 4), ("ABCDE-", 5), ("AB-", 2), ("ABCDEF-", 6), ("ABCDEFGHI-", 9)])
@pytest.mark.parametrize("times", [1, 2, 3, 7])
def test_evenly_spread_ballots_have_confidence_0_and_never_less(ballots, n_options, times):
    assert 0 <= reducers.confidence(draws(ballots * times), n_options) < 1e-12


@unhurried
@given(BALLOTS, st.integers(4, 6))
def test_confidence_agrees_with_the_entropy_of_scipy(ballots, n_options):
    counts = [ballots.count(ballot) for ballot in ["A", "B", "C", "D", None]]
    expected = 1 - entropy(counts, base=n_options + 1)
    assert reducers.confidence(ballots, n_options) == pytest.approx(expected, abs=1e-12)


@unhurried
@given(BALLOTS.flatmap(lambda ballots: st.tuples(st.just(ballots), st.permutations(ballots))))
def test_the_same_ballots_in_any_order_have_the_same_confidence_to_the_last_bit(pair):
    assert len({reducers.confidence(ballots, 4) for ballots in pair}) == 1


@unhurried
@given(second.exams())
def test_every_reducer_agrees_with_the_second_implementation(exam):
    ballots = [[second.letter_of(column) for column in row] for row in exam.draws]
    keys = [second.letter_of(column) for column in exam.key]
    k = exam.draws.shape[1]
    assert [reducers.majority(row) for row in ballots] == [second.letter_of(column) for column in exam.majority]
    shares = {
        "confidence": [reducers.confidence(row, n) for row, n in zip(ballots, exam.n_options.tolist(), strict=True)],
        "agreement": [reducers.agreement(row) for row in ballots],
        "margin": [reducers.margin(row) for row in ballots],
        "null_share": [reducers.null_share(row) for row in ballots],
        "robustness": [reducers.valid_correct_share(row, key) for row, key in zip(ballots, keys, strict=True)],
        "synchronised_failure": [reducers.fails_in_unison(row, key) for row, key in zip(ballots, keys, strict=True)],
    }
    for name, values in shares.items():
        np.testing.assert_allclose(values, getattr(second, name)(exam), atol=1e-12, err_msg=name)
    intervals = [second.wilson(int(most), k, z=1.96) for most in exam.ballots.max(axis=1)]
    np.testing.assert_allclose([reducers.agreement_interval(row) for row in ballots], intervals, atol=1e-7)


@pytest.mark.parametrize(
    ("ballots", "agreement", "margin", "null_share"),
    [
        ("A", 1.0, 1.0, 0.0),
        ("----", 1.0, 1.0, 1.0),
        ("AABB", 0.5, 0.0, 0.0),
        ("A---", 0.75, 0.5, 0.75),
        ("AAABC---", 0.375, 0.0, 0.375),
        ("AAAAABB---", 0.5, 0.2, 0.3),
    ],
)
def test_no_answer_counts_in_agreement_and_margin(ballots, agreement, margin, null_share):
    found = [reduce(draws(ballots)) for reduce in (reducers.agreement, reducers.margin, reducers.null_share)]
    assert found == pytest.approx([agreement, margin, null_share])


@pytest.mark.parametrize(("ballots", "share"), [("AB", 0.5), ("A---", 1.0), ("B---", 0.0), ("----", 0.0), ("AAB-", 2 / 3)])
def test_robustness_is_the_share_of_valid_draws_that_are_right(ballots, share):
    assert reducers.valid_correct_share(draws(ballots), "A") == pytest.approx(share)


@pytest.mark.parametrize(
    ("ballots", "failure"),
    [("BB", True), ("B", False), ("B-", False), ("B-B", True), ("AA", False), ("BC", False), ("BBA", False), ("--", False)],
)
def test_synchronised_failure_takes_two_valid_draws_all_of_one_wrong_letter(ballots, failure):
    assert reducers.fails_in_unison(draws(ballots), "A") is failure


@pytest.mark.parametrize(
    "reduce",
    [
        reducers.majority,
        lambda letters: reducers.confidence(letters, 4),
        reducers.agreement,
        reducers.agreement_interval,
        reducers.margin,
        reducers.null_share,
    ],
)
def test_no_draws_have_no_value(reduce):
    with pytest.raises(ValueError, match="no draws"):
        reduce([])


@pytest.mark.parametrize(("ballots", "n_options"), [("ABC", 2), ("ABCDE-", 4), ("A", 1), ("-", 0)])
def test_more_letters_than_options_are_refused_rather_than_given_a_confidence_below_0(ballots, n_options):
    with pytest.raises(ValueError, match=f"{n_options} options"):
        reducers.confidence(draws(ballots), n_options)
