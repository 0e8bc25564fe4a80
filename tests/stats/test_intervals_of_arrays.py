"""Wilson and Clopper-Pearson over arrays: against scipy, by hand, and by how often they cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from lm_eval_safescale.stats import clopper_pearson, wilson, wilson_interval

unhurried = settings(max_examples=100, deadline=None)
TRIALS = st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)


@unhurried
@given(TRIALS, LEVELS)
def test_both_equal_scipy(trials, level):
    for method, interval in (("wilson", wilson), ("exact", clopper_pearson)):
        expected = binomtest(*trials).proportion_ci(confidence_level=level, method=method)
        found = [float(bound) for bound in interval(*trials, level=level)]
        assert found == pytest.approx((expected.low, expected.high), abs=1e-9), method


def test_none_of_200_may_still_be_one_in_55():
    low, high = clopper_pearson(0, 200)
    assert (float(low), float(high)) == pytest.approx((0, 1 - 0.025 ** (1 / 200)))


@unhurried
@given(st.lists(TRIALS, min_size=1, max_size=8))
def test_an_array_has_the_intervals_of_its_elements(trials):
    k, n = np.array(trials).T
    low, high = wilson(k, n, z=1.96)
    assert list(zip(low, high, strict=True)) == [wilson_interval(*each) for each in trials]


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_no_trial_has_no_interval(interval):
    low, high = interval([0, 3, np.nan], [0, 10, 10])
    assert np.isnan([low[0], high[0], low[2], high[2]]).all()
    assert 0 < low[1] < 0.3 < high[1] < 1


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_shapes_broadcast(interval):
    assert interval(np.zeros((3, 1)), np.ones(4))[0].shape == (3, 4)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@pytest.mark.parametrize(("successes", "n"), [(5, 4), (-1, 4)])
def test_impossible_counts_are_named(interval, successes, n):
    with pytest.raises(ValueError, match=f"successes={successes}, n={n}"):
        interval([1, successes], [4, n])


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_is_a_fraction(level):
    with pytest.raises(ValueError, match=f"level is {level}"):
        wilson(1, 2, level=level)


def covered(interval, rate: float, n: int = 200) -> float:
    """How often the 95 % interval covers the rate, summed over all counts: exact, no simulation."""
    counts = np.arange(n + 1)
    low, high = interval(counts, n)
    return float(binom.pmf(counts, n, rate) @ ((low <= rate) & (rate <= high)))


@pytest.mark.parametrize("rate", RATES)
def test_of_200_items_clopper_pearson_covers_at_least_its_level(rate):
    assert 0.95 <= covered(clopper_pearson, rate) <= 0.995


@pytest.mark.parametrize("rate", RATES)
def test_of_200_items_wilson_covers_near_its_level(rate):
    assert 0.93 <= covered(wilson, rate) <= 0.98
