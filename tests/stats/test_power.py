"""Power against simulation, a double sum, published approximations, and what must hold of it."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lm_eval_safescale.stats import (
    detectable_difference,
    independent_discordance,
    interval_reach,
    mcnemar_exact,
    mcnemar_mid_p,
    mcnemar_power,
    paired_sample_size,
    rate_sample_size,
    wilson,
)

unhurried = settings(max_examples=30, deadline=None)
TESTS = {"mid_p": mcnemar_mid_p, "exact": mcnemar_exact}


@unhurried
@given(st.integers(1, 40), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["mid_p", "exact"]))
def test_power_is_the_sum_over_all_outcomes_that_are_significant(n, discordance, lean, test):
    p10, p01 = discordance * (1 + lean) / 2, discordance * (1 - lean) / 2
    expected = sum(
        comb(n, b) * comb(n - b, c) * p10**b * p01**c * (1 - discordance) ** (n - b - c)
        for b in range(n + 1)
        for c in range(n - b + 1)
        if TESTS[test](b, c) <= 0.05
    )
    assert float(mcnemar_power(n, discordance * lean, discordance, test=test)) == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize("test", ["mid_p", "exact"])
@pytest.mark.parametrize(
    ("n", "difference", "discordance"), [(200, 0.06, 0.1), (200, 0.1, 0.24), (1180, 0.04, 0.2416)]
)
def test_the_stated_power_is_that_of_simulated_comparisons(n, difference, discordance, test):
    worlds = 40_000
    sides = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    drawn = np.random.default_rng(11).multinomial(n, sides, size=worlds)
    found = (TESTS[test](drawn[:, 0], drawn[:, 1]) <= 0.05).mean()
    stated = float(mcnemar_power(n, difference, discordance, test=test))
    assert abs(found - stated) < 4 * np.sqrt(stated * (1 - stated) / worlds)


def connor(difference: float, discordance: float) -> float:
    """Approximate number of items for 80 % power at 5 % (Connor 1987)."""
    z, power = norm.ppf(0.975), norm.ppf(0.8)
    return (
        z * discordance**0.5 + power * (discordance - difference**2) ** 0.5
    ) ** 2 / difference**2


def miettinen(difference: float, discordance: float) -> float:
    """Approximate number of items for 80 % power at 5 % (Miettinen 1968)."""
    z, power = norm.ppf(0.975), norm.ppf(0.8)
    spread = (discordance**2 - difference**2 * (3 + discordance) / 4) ** 0.5
    return (z * discordance + power * spread) ** 2 / (discordance * difference**2)


@pytest.mark.parametrize(
    ("difference", "discordance"),
    [(0.04, 0.2416), (0.05, 0.15), (0.1, 0.3), (0.02, 0.1), (0.2, 0.5)],
)
def test_the_number_of_items_is_near_the_published_approximations(difference, discordance):
    found = paired_sample_size(difference, discordance)
    assert found == pytest.approx(connor(difference, discordance), rel=0.03)
    assert found == pytest.approx(miettinen(difference, discordance), rel=0.05)


@pytest.mark.parametrize("test", ["mid_p", "exact"])
def test_the_number_of_items_has_the_power_and_one_less_has_not(test):
    n = paired_sample_size(0.05, 0.15, power=0.9, test=test)
    assert (
        mcnemar_power(n, 0.05, 0.15, test=test) >= 0.9 > mcnemar_power(n - 1, 0.05, 0.15, test=test)
    )


@pytest.mark.parametrize("discordance", [0.05, 0.1, 0.25, 0.8])
@pytest.mark.parametrize("test", ["mid_p", "exact"])
def test_the_detectable_difference_is_found_with_the_power_stated(discordance, test):
    found = float(detectable_difference(200, discordance, test=test))
    assert float(mcnemar_power(200, found, max(found, discordance), test=test)) == pytest.approx(
        0.8, abs=1e-3
    )


def test_where_conditions_hardly_differ_the_difference_is_all_there_is_of_discordance():
    found = detectable_difference(200, [0, 0.01, 0.03])
    assert len(set(found.tolist())) == 1
    # at least 5 discordant items, all on one side, are significant by mid-p
    assert float(mcnemar_power(200, found[0], found[0])) == pytest.approx(
        1 - sum(comb(200, k) * found[0] ** k * (1 - found[0]) ** (200 - k) for k in range(5)),
        abs=1e-9,
    )


def test_more_discordance_or_fewer_items_hide_more():
    assert (np.diff(detectable_difference(200, np.arange(0.05, 1, 0.05))) > 0).all()
    assert (np.diff(detectable_difference([50, 100, 200, 400, 4000], 0.2)) < 0).all()


def test_too_few_items_find_nothing_and_unknown_stays_unknown():
    found = detectable_difference([0, 4, 5, np.nan, 200], [0.1, 0.1, 0.1, 0.1, np.nan])
    assert np.isnan(found).tolist() == [True, True, False, True, True]
    assert np.isnan(detectable_difference(5, 0.1, test="exact"))
    assert np.isnan(mcnemar_power(10, [0.1, np.nan], 0.2)).tolist() == [False, True]


def test_the_exact_test_is_more_timid():
    shares = np.linspace(0.02, 0.9, 20)
    assert (
        mcnemar_power(200, shares / 3, shares, test="exact")
        <= mcnemar_power(200, shares / 3, shares)
    ).all()
    assert (mcnemar_power(200, 0, shares) <= 0.0502).all()
    assert (mcnemar_power(200, 0, shares, test="exact") <= 0.05).all()


def test_independent_outcomes_differ_on_these_items():
    assert independent_discordance(0.12, 0.08) == pytest.approx(0.12 * 0.92 + 0.88 * 0.08)
    assert independent_discordance(0, 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("rate", [0, 0.01, 0.12, 0.5, 1])
@pytest.mark.parametrize("half", [0.005, 0.04, 0.3])
def test_a_rate_takes_as_many_items_as_its_interval_needs(rate, half):
    n = rate_sample_size(rate, half)
    low, high = wilson(rate * n, n)
    assert max(high - rate, rate - low) <= half
    assert n == 1 or interval_reach(rate, n - 1) > half


def test_beyond_a_million_items_there_is_no_answer():
    assert paired_sample_size(0.0001, 0.2) is None
    assert paired_sample_size(0.0005, 0.2) is None
    assert rate_sample_size(0.5, 0.0001) is None
    assert paired_sample_size(0.0013, 0.2) == pytest.approx(connor(0.0013, 0.2), rel=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar_power(0, 0.1, 0.2),
        lambda: mcnemar_power(10, 0.3, 0.2),
        lambda: mcnemar_power(10, 0.1, 1.2),
        lambda: mcnemar_power(10, 0.1, 0.2, alpha=5),
        lambda: detectable_difference(10, 1.2),
        lambda: detectable_difference(10, 0.2, power=0.05),
        lambda: paired_sample_size(0, 0.2),
        lambda: paired_sample_size(0.3, 0.2),
        lambda: independent_discordance(2, 0),
        lambda: rate_sample_size(2, 0.1),
        lambda: rate_sample_size(0.5, 0),
    ],
)
def test_impossible_questions_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
