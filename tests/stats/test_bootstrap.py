"""The bootstraps against loops, scipy and hand-worked cases, and by how often they cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap

from lm_eval_safescale.stats import (
    bca,
    bca_statistic,
    clopper_pearson,
    gini,
    interval_of,
    leave_out,
    paired_bootstrap,
    percentile_bootstrap,
    protocol_indices,
    resampled_means,
    times_drawn,
)

unhurried = settings(max_examples=50, deadline=None)
NAN = float("nan")
VALUES = st.tuples(st.integers(1, 25), st.integers(1, 4)).flatmap(
    lambda shape: arrays(float, shape, elements=st.one_of(st.floats(-5, 5, width=16), st.just(NAN)))
)


def rng(seed=0):
    return np.random.default_rng(seed)


def skewed(n=60, seed=1):
    return rng(seed).exponential(size=n)


# --- resamples ------------------------------------------------------------------------------------


def test_the_protocols_resamples_are_these():
    indices = protocol_indices(200)
    assert (indices.shape, indices.dtype) == ((1000, 200), np.int32)
    assert (
        indices == np.random.default_rng(42).integers(0, 200, size=(1000, 200), dtype=np.int32)
    ).all()
    # written down, so that a changed generator of NumPy's does not pass unseen
    assert indices[0, :8].tolist() == FIRST_DRAWN


FIRST_DRAWN = [17, 154, 130, 87, 86, 171, 17, 139]


@pytest.mark.parametrize(("n", "b"), [(0, 1), (1, 0)])
def test_nothing_cannot_be_resampled(n, b):
    with pytest.raises(ValueError, match="at least one of each"):
        protocol_indices(n, b)


@unhurried
@given(VALUES, st.integers(1, 30))
def test_resampled_means_are_those_of_a_loop(values, b):
    indices = protocol_indices(len(values), b, seed=b)
    expected = np.full((b, values.shape[1]), np.nan)
    for row, drawn in enumerate(indices):
        for column in range(values.shape[1]):
            scored = [values[i, column] for i in drawn if not np.isnan(values[i, column])]
            if scored:
                expected[row, column] = sum(scored) / len(scored)
    assert resampled_means(values, indices) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_rates_of_resamples_are_exact():
    outcomes = rng().random((200, 30)) < 0.1
    indices = protocol_indices(200)
    assert (resampled_means(outcomes, indices) == outcomes[indices].mean(axis=1)).all()


def test_columns_too_many_for_one_block_come_out_in_order(monkeypatch):
    values, indices = rng().random((20, 9)), protocol_indices(20, 50)
    whole = percentile_bootstrap(values, indices)
    monkeypatch.setattr("lm_eval_safescale.stats.bootstrap.CHUNK", 100)
    assert percentile_bootstrap(values, indices).lo == pytest.approx(whole.lo, abs=1e-12)
    assert bca(values, indices).hi == pytest.approx(
        [float(bca(values[:, i], indices).hi) for i in range(9)], abs=1e-12
    )


@pytest.mark.parametrize(
    ("values", "indices"),
    [
        ([1.0, 2.0], [[0, 2]]),
        ([1.0, 2.0], [[0, -1]]),
        ([1.0, 2.0], [[0]]),
        ([1.0, 2.0], [0, 1]),
        ([], [[0]]),
        ([[[1.0]]], [[0]]),
        ([np.inf], [[0]]),
    ],
)
def test_indices_and_values_that_do_not_fit_are_refused(values, indices):
    with pytest.raises(ValueError, match="expected"):
        resampled_means(values, np.array(indices))


# --- percentiles ----------------------------------------------------------------------------------


@unhurried
@given(arrays(float, (30, 3), elements=st.floats(0, 1, width=16)), st.sampled_from([1000, 997, 40]))
def test_the_percentile_bootstrap_is_numpys_of_the_resamples(values, b):
    indices = protocol_indices(30, b)
    means = values[indices].mean(axis=1)
    found = percentile_bootstrap(values, indices)
    assert found.mean == pytest.approx(means.mean(axis=0), abs=1e-12)
    assert found.std == pytest.approx(means.std(axis=0, ddof=1), abs=1e-12)
    assert found.lo == pytest.approx(np.percentile(means, 2.5, axis=0), abs=1e-12)
    assert found.hi == pytest.approx(np.percentile(means, 97.5, axis=0), abs=1e-12)


def test_a_resample_without_a_scored_item_is_left_out():
    values = np.array([1.0, NAN, 3.0])
    indices = np.array([[0, 0, 1], [1, 1, 1], [2, 1, 2]])
    found = percentile_bootstrap(values, indices)
    assert (float(found.mean), float(found.std)) == pytest.approx((2.0, 2**0.5))
    assert (float(found.lo), float(found.hi)) == pytest.approx((1.05, 2.95))


def test_nothing_scored_is_nan_and_not_0():
    found = percentile_bootstrap(np.array([[NAN, 1.0], [NAN, 1.0]]), protocol_indices(2))
    assert np.isnan([found.mean[0], found.std[0], found.lo[0], found.hi[0]]).all()
    assert (found.mean[1], found.std[1], found.lo[1], found.hi[1]) == (1, 0, 1, 1)


def test_one_column_gives_numbers_and_many_give_arrays():
    indices = protocol_indices(3)
    assert percentile_bootstrap([1.0, 2.0, 4.0], indices).lo.shape == ()
    assert percentile_bootstrap(np.ones((3, 5)), indices).lo.shape == (5,)
    assert percentile_bootstrap(np.ones((3, 0)), indices).lo.shape == (0,)


# --- BCa ------------------------------------------------------------------------------------------


def scipys_bca(values, statistic, indices, level=0.95):
    """scipy's interval from the very same resamples."""
    resamples = np.array([statistic(values[drawn]) for drawn in indices])

    class Given:
        bootstrap_distribution = resamples
        confidence_interval = None
        standard_error = None

    return bootstrap(
        (values,),
        statistic,
        n_resamples=0,
        bootstrap_result=Given(),
        confidence_level=level,
        method="BCa",
        vectorized=False,
    )


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_the_bca_interval_of_a_mean_is_scipys(level, seed):
    values, indices = skewed(seed=seed), protocol_indices(60, 999, seed)
    expected = scipys_bca(values, np.mean, indices, level).confidence_interval
    found = bca(values, indices, level=level)
    assert float(found.estimate) == pytest.approx(values.mean())
    assert (float(found.lo), float(found.hi)) == pytest.approx(tuple(expected), abs=1e-9)


def test_the_bca_interval_of_a_rate_is_scipys():
    outcomes = (rng(3).random(200) < 0.05).astype(float)
    expected = scipys_bca(outcomes, np.mean, protocol_indices(200)).confidence_interval
    found = bca(outcomes)
    assert (float(found.lo), float(found.hi)) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(
    "statistic", [lambda rows: float(np.std(rows)), lambda rows: float(gini(rows))]
)
def test_the_bca_interval_of_any_statistic_is_scipys(statistic):
    values, indices = skewed(), protocol_indices(60, 500)
    expected = scipys_bca(values, statistic, indices).confidence_interval
    found = bca_statistic(values, statistic, indices)
    assert (float(found.lo), float(found.hi)) == pytest.approx(tuple(expected), abs=1e-9)


def test_a_mean_is_a_statistic_like_any_other():
    rows = rng(5).random((30, 2))
    whole, any_other = bca(rows[:, 1]), bca_statistic(rows, lambda rows: float(rows[:, 1].mean()))
    assert (float(whole.lo), float(whole.hi)) == pytest.approx(
        (float(any_other.lo), float(any_other.hi)), abs=1e-12
    )


def test_items_not_scored_change_an_interval_only_by_how_many_each_resample_scores():
    values = np.where(np.arange(60) % 3 == 0, NAN, skewed())
    found = bca(values)
    expected = bca_statistic(values, lambda rows: float(np.nanmean(rows)))
    assert (float(found.lo), float(found.hi)) == pytest.approx(
        (float(expected.lo), float(expected.hi)), rel=1e-6
    )


@pytest.mark.parametrize("n", [1, 20, 200])
def test_items_all_alike_get_the_clopper_pearson_bound(n):
    for value, sign in ((0.0, 1), (1.0, -1)):
        found = bca(np.full(n, value), bounds=(0, 1))
        low, high = clopper_pearson(value * n, n)
        assert (float(found.estimate), float(found.lo), float(found.hi)) == pytest.approx(
            (value, float(low), float(high))
        )
        assert sign * (float(found.lo) + float(found.hi) - 2 * value) > 0


def test_items_all_alike_within_wider_bounds_reach_both_ways():
    found = paired_bootstrap(np.ones(200), np.ones(200))
    reach = float(clopper_pearson(0, 200)[1])
    assert (float(found.estimate), float(found.lo), float(found.hi)) == pytest.approx(
        (0, -reach, reach)
    )


def test_items_all_alike_without_bounds_have_no_interval():
    found = bca(np.full(50, 0.1))
    assert float(found.estimate) == pytest.approx(0.1)
    assert np.isnan(found.lo)
    assert np.isnan(found.hi)


def test_nothing_scored_has_neither_estimate_nor_interval():
    found = bca(np.array([[NAN, 0.0], [NAN, 1.0]]), bounds=(0, 1))
    assert np.isnan([found.estimate[0], found.lo[0], found.hi[0]]).all()
    assert not np.isnan([found.estimate[1], found.lo[1], found.hi[1]]).any()


def test_values_beyond_the_bounds_are_refused():
    with pytest.raises(ValueError, match="within"):
        bca([0.0, 2.0], bounds=(0, 1))


def test_an_estimate_outside_all_resamples_gets_the_percentile_interval():
    values, indices = np.arange(30.0), protocol_indices(30, 200)

    def different(rows):
        return float(len(np.unique(rows)))

    resamples = [different(values[drawn]) for drawn in indices]
    found = bca_statistic(values, different, indices)
    assert float(found.estimate) == 30 > max(resamples)
    assert (float(found.lo), float(found.hi)) == pytest.approx(
        tuple(np.percentile(resamples, [2.5, 97.5]))
    )


def test_one_item_or_an_undefined_statistic_has_no_interval():
    for rows, statistic in (([1.0], np.mean), ([1.0, 2.0], lambda _: NAN)):
        found = bca_statistic(rows, statistic)
        assert np.isnan([found.lo, found.hi]).all()


@unhurried
@given(VALUES, st.integers(0, 3))
def test_shifting_all_items_shifts_the_interval(values, seed):
    first, then = bca(values, b=100, seed=seed), bca(values + 7, b=100, seed=seed)
    for name in ("estimate", "lo", "hi"):
        assert getattr(then, name) == pytest.approx(getattr(first, name) + 7, abs=1e-6, nan_ok=True)


@unhurried
@given(arrays(float, (12, 3), elements=st.sampled_from([0.0, 1.0, NAN])))
def test_an_interval_of_rates_lies_in_0_to_1_and_is_not_empty(values):
    found = bca(values, b=200, bounds=(0, 1))
    known = ~np.isnan(found.estimate)
    assert (known == ~np.isnan(values).all(axis=0)).all()
    assert (
        (found.lo[known] >= 0) & (found.lo[known] <= found.hi[known]) & (found.hi[known] <= 1)
    ).all()


@pytest.mark.parametrize(
    ("rate", "least"),
    [(0.01, 0.90), (0.02, 0.90), (0.05, 0.92), (0.1, 0.92), (0.2, 0.93), (0.5, 0.93)],
)
def test_of_200_items_bca_covers_a_rate_about_as_often_as_it_says(rate, least):
    worlds = (rng(7).random((200, 2000)) < rate).astype(float)
    found = bca(worlds, protocol_indices(200), bounds=(0, 1))
    covered = ((found.lo <= rate) & (rate <= found.hi)).mean()
    assert least <= covered <= 0.995


def test_of_200_items_bca_covers_a_skewed_mean_more_evenly_than_percentiles():
    worlds = rng(8).exponential(size=(200, 2000)) ** 2
    indices = protocol_indices(200)
    low, high = bca(worlds, indices), percentile_bootstrap(worlds, indices)
    assert 0.91 <= ((low.lo <= 2) & (low.hi >= 2)).mean() <= 0.97
    assert ((low.hi < 2).mean()) < ((high.hi < 2).mean())


# --- paired ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_a_paired_difference_is_that_of_the_items_differences(method):
    left, right = skewed(seed=1), skewed(seed=2)
    right[:5] = NAN
    found = paired_bootstrap(left, right, method=method, bounds=None)
    assert float(found.estimate) == pytest.approx((left - right)[5:].mean())
    one = (
        percentile_bootstrap(left - right, protocol_indices(60))
        if method == "percentile"
        else bca(left - right)
    )
    assert (float(found.lo), float(found.hi)) == pytest.approx((float(one.lo), float(one.hi)))


def test_what_two_conditions_share_does_not_widen_their_difference():
    hard = rng(9).random(200)
    left, right = (hard > 0.30).astype(float), (hard > 0.25).astype(float)
    found = paired_bootstrap(left, right)
    apart = [bca(side, bounds=(0, 1)) for side in (left, right)]
    assert (
        float(found.hi - found.lo) < 0.6 * float(sum(side.hi - side.lo for side in apart)) / 2**0.5
    )


def test_unequal_shapes_are_named():
    with pytest.raises(ValueError, match=r"left and right of one shape, not \(2,\) and \(3,\)"):
        paired_bootstrap([0, 1], [0, 1, 1])


# --- intervals from resamples that are there ------------------------------------------------------


def test_from_given_resamples_the_bca_interval_is_that_of_the_statistic():
    rows, indices = rng(11).exponential(size=(25, 3)), protocol_indices(25, 400)
    weights, without = times_drawn(indices, 25), leave_out(25)
    spread = [
        lambda column, place=place: float(column[:, place].std() / column[:, place].mean())
        for place in range(3)
    ]

    def weighted(given):
        mean = rows.T @ given / given.sum(axis=0)
        return np.sqrt(rows.T**2 @ given / given.sum(axis=0) - mean**2) / mean

    low, high = interval_of(
        weighted(np.ones((25, 1)))[:, 0], weighted(weights), weighted(without), method="bca"
    )
    for place, statistic in enumerate(spread):
        expected = bca_statistic(rows, statistic, indices)
        assert (low[place], high[place]) == pytest.approx(
            (float(expected.lo), float(expected.hi)), abs=1e-9
        )


def test_a_basic_interval_is_the_percentile_interval_mirrored_at_the_estimate():
    resampled = rng(1).random((2, 999))
    resampled[1, :99] = np.nan
    low, high = interval_of([0.4, 0.4], resampled, method="percentile")
    for place in range(2):
        assert (low[place], high[place]) == pytest.approx(
            np.nanpercentile(resampled[place], [2.5, 97.5]), abs=1e-12
        )
    mirrored = interval_of([0.4, 0.4], resampled, method="basic")
    assert np.allclose(mirrored, (0.8 - high, 0.8 - low))


def test_resamples_that_all_say_the_same_say_nothing_of_what_other_items_would():
    alike = np.full((1, 50), 0.3)
    assert np.isnan(interval_of([0.3], alike, method="basic")).all()
    assert np.isnan(interval_of([0.3], alike, alike, method="bca")).all()
    assert np.array_equal(interval_of([0.3], alike, method="percentile"), [[0.3], [0.3]])
    for method in ("percentile", "basic", "bca"):
        assert np.isnan(interval_of([NAN], alike, alike, method=method)).all()
        assert np.isnan(interval_of([0.3], alike * NAN, alike, method=method)).all()


@given(st.integers(1, 900), st.integers(1, 300))
def test_every_item_is_left_out_once(n, most):
    without = leave_out(n, most)
    assert without.shape == (n, min(n, most))
    assert (without.sum(axis=1) == min(n, most) - 1).all()
    assert ((n - without.sum(axis=0)) >= n // min(n, most)).all()


def test_items_left_out_together_have_the_acceleration_of_items_left_out_one_by_one():
    values = rng(4).exponential(size=2000)
    indices = protocol_indices(2000)
    weights = times_drawn(indices, 2000)
    bounds = [
        interval_of(
            [values.mean()],
            [values @ weights / weights.sum(axis=0)],
            [values @ without / without.sum(axis=0)],
            method="bca",
        )
        for without in (leave_out(2000), leave_out(2000, 2000))
    ]
    assert np.allclose(*bounds, rtol=1e-3)


def test_a_bca_interval_without_its_jackknife_is_refused():
    with pytest.raises(ValueError, match="left out"):
        interval_of([0.5], [[0.1, 0.9]], method="bca")
