"""Concentration by hand, by a loop over pairs, and by what must not change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.stats import gini, resampled_concentration, top_share
from lm_eval_safescale.stats.concentration import top_shares_by_chance

unhurried = settings(max_examples=100, deadline=None)
TOTALS = st.lists(st.integers(0, 50), min_size=1, max_size=40)


def test_a_case_by_hand():
    totals = [0] * 95 + [1, 1, 2, 6, 10]
    assert [float(top_share(totals, percent)) for percent in (1, 2, 5, 100)] == pytest.approx(
        [0.5, 0.8, 1, 1]
    )


@pytest.mark.parametrize(
    ("percent", "n", "items"),
    [(1, 60, 1), (5, 60, 3), (10, 60, 6), (20, 61, 13), (7, 100, 7), (0.1, 200, 1)],
)
def test_a_part_of_an_item_counts_as_an_item(percent, n, items):
    assert float(top_share(np.ones(n), percent)) == pytest.approx(items / n)


@unhurried
@given(TOTALS)
def test_gini_is_the_mean_difference_of_all_pairs(totals):
    x = np.array(totals, dtype=float)
    if x.sum():
        assert float(gini(x)) == pytest.approx(
            np.abs(x[:, None] - x).mean() / (2 * x.mean()), abs=1e-12
        )
    else:
        assert np.isnan(gini(x))


def test_gini_is_0_for_equals_and_1_minus_1_over_n_for_one_that_carries_all():
    assert float(gini([3, 3, 3, 3])) == 0
    assert float(gini([0, 0, 0, 5])) == pytest.approx(0.75)


@unhurried
@given(TOTALS, st.floats(0.5, 100), st.randoms())
def test_neither_order_nor_unit_matters_and_more_items_carry_no_less(totals, percent, random):
    other = [3 * total for total in totals]
    random.shuffle(other)
    assert gini(totals) == pytest.approx(gini(other), nan_ok=True)
    assert top_share(totals, percent) == pytest.approx(top_share(other, percent), nan_ok=True)
    if sum(totals):
        assert (
            min(percent / 100, 1) - 1e-9
            <= float(top_share(totals, percent))
            <= float(top_share(totals, 100))
            == pytest.approx(1)
        )


def test_a_harm_that_never_happened_has_no_concentration():
    wholes = np.array([[0, 1], [0, 3]])
    assert (
        np.isnan(top_share(wholes, 50)).tolist() == np.isnan(gini(wholes)).tolist() == [True, False]
    )
    assert top_share(wholes, 50)[1] == 0.75


@pytest.mark.parametrize("totals", [[], [-1, 2], [np.nan, 1], [np.inf]])
@pytest.mark.parametrize("measure", [gini, lambda totals: top_share(totals, 10)])
def test_what_are_no_totals_is_refused(totals, measure):
    with pytest.raises(ValueError, match="expected totals"):
        measure(totals)


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentage_is_in_percent(percent):
    with pytest.raises(ValueError, match=f"percent is {percent}"):
        top_share([1], percent)


@unhurried
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_resamples_are_as_concentrated_as_the_items_drawn(n, seed):
    rng = np.random.default_rng(seed)
    totals, weights = rng.integers(0, 4, n).astype(float), rng.integers(0, 3, (n, 6)).astype(float)
    found = resampled_concentration(totals, weights, (1, 20, 50, 100))
    for number, own in enumerate(weights.T):
        drawn = np.repeat(totals, own.astype(int))
        expected = (
            [*(top_share(drawn, percent) for percent in (1, 20, 50, 100)), gini(drawn)]
            if drawn.size
            else [np.nan] * 5
        )
        assert found[:, number] == pytest.approx(
            np.array(expected, dtype=float), abs=1e-12, nan_ok=True
        )


def test_weights_of_other_items_are_refused():
    with pytest.raises(ValueError, match="same items"):
        resampled_concentration([1, 2], np.ones((3, 1)), (10,))


@pytest.mark.parametrize(("rates", "n"), [([0.1] * 12, 50), ([0.02, 0.5, 0.2], 30), ([0.3], 10)])
def test_what_chance_puts_on_the_worst_items_is_what_simulation_finds(rates, n):
    random, percents = np.random.default_rng(1), (1, 10, 20, 50, 100)
    totals = (random.random((4000, n, len(rates))) < np.array(rates)).sum(axis=2)
    largest = np.sort(totals, axis=1)[:, ::-1].cumsum(axis=1).mean(axis=0)
    expected = [largest[int(np.ceil(percent * n / 100)) - 1] / largest[-1] for percent in percents]
    assert top_shares_by_chance(rates, n, percents) == pytest.approx(expected, abs=0.01)


def test_chance_that_never_strikes_has_no_share():
    assert np.isnan(top_shares_by_chance([0.0, 0.0], 20, (5,))).all()
    assert np.isnan(top_shares_by_chance([], 20, (5,))).all()
