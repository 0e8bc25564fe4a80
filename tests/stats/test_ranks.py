"""Rank correlation against scipy and by hand, its interval by hand, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lm_eval_safescale.stats import rank_correlation, rank_correlation_interval

unhurried = settings(max_examples=100, deadline=None)
PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12)


def test_it_is_by_hand_1_less_6_times_the_squared_differences_of_ranks():
    """Ranks 1 2 3 4 5 and 2 1 4 3 5: 1 - 6 * 4 / (5 * 24) = 0.8."""
    assert float(rank_correlation([1, 2, 3, 4, 5], [20, 10, 40, 30, 90])) == pytest.approx(0.8)


@unhurried
@given(PAIRS)
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_it_is_that_of_scipy_with_ties_too(pairs):
    left, right = np.array(pairs, dtype=float).T
    expected = spearmanr(left, right).statistic
    assert float(rank_correlation(left, right)) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@unhurried
@given(st.lists(PAIRS, min_size=1, max_size=4))
def test_resamples_are_ranked_each_by_itself(sets):
    n = min(map(len, sets))
    left, right = np.array([each[:n] for each in sets], dtype=float).transpose(2, 1, 0)
    together = rank_correlation(left, right)
    for place, own in enumerate(together):
        alone = rank_correlation(left[:, place], right[:, place])
        assert own == pytest.approx(float(alone), abs=1e-12, nan_ok=True)


@unhurried
@given(PAIRS, st.randoms())
def test_neither_units_nor_order_matter_and_a_reversed_measure_changes_the_sign(pairs, random):
    left, right = np.array(pairs, dtype=float).T
    found = float(rank_correlation(left, right))
    order = random.sample(range(len(left)), len(left))
    assert float(rank_correlation(np.exp(left)[order], right[order])) == pytest.approx(
        found, abs=1e-12, nan_ok=True
    )
    assert float(rank_correlation(-left, right)) == pytest.approx(-found, abs=1e-12, nan_ok=True)


def test_what_is_equal_but_for_rounding_ties():
    assert 0.1 + 0.2 != 0.3
    assert float(rank_correlation([0.1 + 0.2, 0.3, 1], [1, 2, 3])) == float(
        rank_correlation([0.3, 0.3, 1], [1, 2, 3])
    )


def test_what_ranks_nothing_has_no_correlation():
    for left, right in (([1, 1, 1], [1, 2, 3]), ([1], [2]), ([], []), ([1, np.nan, 2], [1, 2, 3])):
        assert np.isnan(rank_correlation(left, right))


def test_the_interval_by_hand():
    """r = 0.8, n = 10: z = 1.0986, se = sqrt(1.32 / 7) = 0.43425; tanh(0.2475), tanh(1.9497)."""
    low, high = rank_correlation_interval(0.8, 10)
    assert (low, high) == (pytest.approx(0.2426, abs=1e-4), pytest.approx(0.9603, abs=1e-4))


@pytest.mark.parametrize(("correlation", "n"), [(0.5, 3), (1, 10), (-1, 10), (np.nan, 10)])
def test_three_pairs_have_no_interval_nor_has_a_perfect_order(correlation, n):
    assert np.isnan(rank_correlation_interval(correlation, n)).all()


def test_the_interval_covers_the_correlation_of_the_population_as_stated():
    rng, r, n = np.random.default_rng(5), 0.6, 12
    truth = 6 / np.pi * np.arcsin(r / 2)
    worlds = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], (n, 2000))
    found = rank_correlation(worlds[..., 0], worlds[..., 1])
    bounds = np.array([rank_correlation_interval(each, n) for each in found])
    assert 0.93 < ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean() < 0.98
