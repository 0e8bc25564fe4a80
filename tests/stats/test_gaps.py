"""Gaps between two samples of items: against statsmodels' interval of Newcombe, a loop over models,
and simulated studies in which the truth is known.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from lm_eval_safescale.stats import wilson
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.gaps import gaps


def of(open_values: np.ndarray, held_values: np.ndarray):
    """Gaps of shares: columns are models."""
    sides, drawn = [], []
    for number, values in enumerate((open_values, held_values)):
        n = len(values)
        lo, hi = wilson(values.sum(axis=0), n)
        sides.append((values.mean(axis=0), lo, hi))
        drawn.append((values.T @ Design(n, seed=42 + number).weights) / n)
    return gaps(*sides, (drawn[0], drawn[1]), (len(open_values), len(held_values)))


@given(
    st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
)
def test_the_interval_of_shares_is_newcombes(first, second):
    values = [np.arange(n)[:, None] < k for n, k in (first, second)]
    found = of(*(value.astype(float) for value in values))
    (n1, k1), (n2, k2) = first, second
    lo, hi = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb")
    assert (found.lo[0], found.hi[0]) == pytest.approx((lo, hi), abs=1e-9)
    assert (found.p[0] < 0.025) == (found.lo[0] > 1e-12)
    assert np.isnan(found.excess[0])


def test_the_excess_is_over_the_mean_gap_of_the_others():
    random = np.random.default_rng(1)
    open_values, held = (random.random((n, 4)) < 0.6 for n in (50, 20))
    found = of(open_values.astype(float), held.astype(float))
    for model in range(4):
        others = [found.gap[other] for other in range(4) if other != model]
        assert found.excess[model] == pytest.approx(found.gap[model] - np.mean(others))


def test_what_all_models_have_in_common_is_no_excess():
    random = np.random.default_rng(2)
    open_values = (random.random((300, 5)) < 0.9).astype(float)
    held = (random.random((100, 5)) < 0.5).astype(float)
    found = of(open_values, held)
    assert (found.lo > 0.1).all()
    assert (found.p > 0.025).all()
    assert (found.excess_lo < 0).all()


def test_a_model_that_knows_the_open_items_stands_out():
    random = np.random.default_rng(3)
    open_values = (random.random((300, 5)) < 0.6).astype(float)
    held = (random.random((100, 5)) < 0.6).astype(float)
    open_values[:, 0] = random.random(300) < 0.95
    found = of(open_values, held)
    assert found.p[0] < 1e-6
    assert (found.p[1:] > 0.025).all()


def test_models_that_are_always_right_or_wrong_have_an_interval_and_a_p():
    open_values, held = np.ones((40, 3)), np.ones((20, 3))
    held[:, 0] = 0
    found = of(open_values, held)
    assert found.lo[0] > 0.7
    assert found.p[0] < 1e-3
    assert np.isfinite([found.lo, found.hi, found.excess_lo, found.excess_hi, found.p]).all()
    same = of(np.ones((40, 2)), np.ones((20, 2)))
    assert (same.gap == 0).all()
    assert (same.p >= 0.5).all()


def test_what_is_not_scored_is_nan_and_costs_no_other():
    random = np.random.default_rng(4)
    values = [(random.random((n, 3)) < 0.5).astype(float) for n in (30, 30)]
    whole = of(*values)
    values[1][:, 2] = np.nan
    sides, drawn = [], []
    for number, each in enumerate(values):
        lo, hi = wilson(each.sum(axis=0), len(each))
        sides.append((each.mean(axis=0), lo, hi))
        drawn.append((each.T @ Design(30, seed=42 + number).weights) / 30)
    found = gaps(*sides, (drawn[0], drawn[1]), (30, 30))
    assert np.isnan([found.gap[2], found.excess[2], found.p[2]]).all()
    assert found.gap[:2] == pytest.approx(whole.gap[:2])
    assert found.excess[0] == pytest.approx(found.gap[0] - found.gap[1])


def simulated(models: int, n: tuple[int, int], rate: float, harder: float, times: int, seed: int):
    """Share of studies in which any model is said to be contaminated though none is, and how often
    an interval of a gap, and of an excess, holds the truth; items are hard for all alike."""
    from lm_eval_safescale.stats import holm

    random = np.random.default_rng(seed)
    said = gap_held = excess_held = 0.0
    for _ in range(times):
        values = []
        for size, own in zip(n, (rate, rate - harder), strict=True):
            item = random.beta(2 * own, 2 * (1 - own), (size, 1))
            values.append((random.random((size, models)) < item).astype(float))
        found = of(*values)
        said += bool((holm(found.p) < 0.025).any())
        gap_held += ((found.lo <= harder + 1e-12) & (found.hi >= harder - 1e-12)).mean()
        excess_held += ((found.excess_lo <= 1e-12) & (found.excess_hi >= -1e-12)).mean()
    return said / times, gap_held / times, excess_held / times


@pytest.mark.parametrize(("rate", "harder"), [(0.8, 0.0), (0.8, 0.2), (0.95, 0.0)])
def test_intervals_and_the_test_hold_their_level(rate, harder):
    said, gap_held, excess_held = simulated(6, (150, 50), rate, harder, 300, 7)
    assert said <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 300)
    assert gap_held >= 0.92
    assert excess_held >= 0.92
