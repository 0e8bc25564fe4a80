"""The Wilson interval against published values, scipy, and the equation that defines it."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from lm_eval_safescale.stats import wilson_interval

Z95 = 1.959964
unhurried = settings(max_examples=100, deadline=None)

TRIALS = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
"""(successes, n)."""


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_it_gives_the_published_intervals_of_newcombe_1998(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@unhurried
@given(TRIALS, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_it_equals_scipy_at_the_same_quantile(trials, level):
    expected = binomtest(*trials).proportion_ci(confidence_level=level, method="wilson")
    assert wilson_interval(*trials, z=norm.ppf(0.5 + level / 2)) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


@unhurried
@given(TRIALS)
def test_its_95_percent_quantile_is_scipys_to_six_decimals(trials):
    expected = binomtest(*trials).proportion_ci(method="wilson")
    assert wilson_interval(*trials, z=Z95) == pytest.approx((expected.low, expected.high), abs=1e-7)


@unhurried
@given(TRIALS)
def test_its_default_bounds_are_1_96_standard_errors_from_the_share(trials):
    successes, n = trials
    for bound in wilson_interval(successes, n):
        assert abs(successes / n - bound) == pytest.approx(
            1.96 * sqrt(bound * (1 - bound) / n), abs=1e-7
        )


@pytest.mark.parametrize("z", [1.645, 1.96, Z95, 2.576])
def test_none_and_all_of_n_reach_0_and_1_without_rounding_noise(z):
    sizes = range(1, 2_001)
    lows = np.array([wilson_interval(0, n, z=z)[0] for n in sizes])
    highs = np.array([wilson_interval(n, n, z=z)[1] for n in sizes])
    assert not lows.any()
    assert (highs == 1).all()


@unhurried
@given(TRIALS)
def test_it_holds_the_share_and_stays_within_0_and_1(trials):
    low, high = wilson_interval(*trials)
    assert 0 <= low <= trials[0] / trials[1] <= high <= 1
    assert low < high


@unhurried
@given(TRIALS)
def test_failures_have_the_mirrored_interval_of_successes(trials):
    successes, n = trials
    low, high = wilson_interval(successes, n)
    assert wilson_interval(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@unhurried
@given(TRIALS)
def test_the_same_share_of_four_times_the_trials_is_narrower(trials):
    low, high = wilson_interval(*trials)
    low4, high4 = wilson_interval(4 * trials[0], 4 * trials[1])
    assert high4 - low4 < high - low


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (1, 0), (-1, 10), (11, 10), (0, -1)])
def test_impossible_counts_are_refused_by_name(successes, n):
    with pytest.raises(ValueError, match=f"successes={successes}, n={n}"):
        wilson_interval(successes, n)
