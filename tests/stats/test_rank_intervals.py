"""Intervals of ranks: against loops over pairs, properties, and how often all of them hold the true
ranks at once.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lm_eval_safescale.stats.bootstrap import protocol_indices, times_drawn
from lm_eval_safescale.stats.rank_intervals import rank_intervals


def outcomes(rng, truth, n, alike=0.3):
    """Items x models of zeros and ones, with items that are hard for all."""
    item = rng.normal(size=(n, 1)) * alike**0.5
    own = rng.normal(size=(n, len(truth))) * (1 - alike) ** 0.5
    return (item + own < norm.ppf(truth)).astype(float)


def ranked(values, resamples=300):
    weights = times_drawn(protocol_indices(len(values), resamples, 42), len(values))
    return rank_intervals(values.mean(axis=0), values.T @ weights / len(values), len(values))


def by_loops(values, resamples=300):
    """The same, pair by pair."""
    n, p = values.shape
    drawn = values[protocol_indices(n, resamples, 42)].mean(axis=1)
    estimates, largest, error = values.mean(axis=0), np.zeros(resamples), {}
    for a, b in combinations(range(p), 2):
        error[a, b] = (drawn[:, a] - drawn[:, b]).std(ddof=1)
        if error[a, b] > 1e-9:
            moved = (drawn[:, a] - drawn[:, b]) - (estimates[a] - estimates[b])
            largest = np.maximum(largest, abs(moved) / error[a, b])
    beyond = max(np.quantile(largest, 0.95, method="higher"), norm.ppf(0.975))
    lo, hi = [1] * p, [p] * p
    for (a, b), spread in error.items():
        difference = estimates[a] - estimates[b]
        if abs(difference) > beyond * (spread**2 + difference**2 / n) ** 0.5:
            better, worse = (a, b) if difference > 0 else (b, a)
            lo[worse] += 1
            hi[better] -= 1
    return lo, hi


@pytest.mark.parametrize("seed", range(8))
def test_they_are_those_of_loops_over_pairs(seed):
    rng = np.random.default_rng(seed)
    values = outcomes(rng, rng.uniform(0.05, 0.95, size=rng.integers(2, 9)), 80)
    found = ranked(values)
    assert (found.lo.tolist(), found.hi.tolist()) == by_loops(values)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 40), st.data())
def test_ranks_lie_within_their_intervals_and_follow_the_models(seed, models, n, data):
    rng = np.random.default_rng(seed)
    values = outcomes(rng, rng.uniform(0.02, 0.98, size=models), n)
    found = ranked(values, 100)
    assert (found.lo <= found.rank).all()
    assert (found.rank <= found.hi).all()
    assert found.best[found.rank == 1].all()
    order = data.draw(st.permutations(range(models)))
    moved = ranked(values[:, order], 100)
    for name in ("rank", "lo", "hi"):
        assert getattr(moved, name).tolist() == getattr(found, name)[order].tolist()


def test_equal_estimates_share_a_rank():
    values = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=float)
    assert ranked(values).rank.tolist() == [1, 1, 3]


@pytest.mark.parametrize(("n", "apart"), [(1, False), (3, False), (4, True), (30, True)])
def test_items_that_all_differ_in_one_direction_count_as_in_a_score_test(n, apart):
    # no resample varies; McNemar's score statistic is n / sqrt(n)
    found = ranked(np.stack([np.ones(n), np.zeros(n)], axis=1))
    assert found.best.tolist() == [True, not apart]


def test_one_model_is_first_and_its_own_set():
    found = ranked(np.ones((5, 1)))
    assert (found.rank.tolist(), found.lo.tolist(), found.hi.tolist()) == ([1], [1], [1])


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"expected \(p,\) and \(p, B\)"):
        rank_intervals(np.zeros(3), np.zeros((2, 10)), 5)


@pytest.mark.parametrize(
    ("truth", "n"),
    [
        ([0.95] * 8, 200),
        ([0.5] * 8, 60),
        ([0.9, 0.9, 0.95, 0.95, 0.99], 200),
        ([0.9, 0.9], 60),
    ],
)
def test_all_intervals_hold_the_true_ranks_together_in_95_of_100_studies(truth, n):
    rng, studies = np.random.default_rng(7), 300
    truth = np.array(truth)
    best_rank = 1 + (truth[:, None] < truth).sum(axis=1)  # of equal models any is true
    worst_rank = len(truth) - (truth[:, None] > truth).sum(axis=1)
    held = 0
    for _ in range(studies):
        found = ranked(outcomes(rng, truth, n))
        held += bool(((found.lo <= best_rank) & (found.hi >= worst_rank)).all())
    # 0.95 less two and a half standard errors of 300 studies
    assert held / studies >= 0.92


def test_models_that_differ_much_are_told_apart():
    found = ranked(outcomes(np.random.default_rng(1), np.array([0.5, 0.7, 0.9]), 400))
    assert found.lo.tolist() == found.hi.tolist() == [3, 2, 1]
