"""Items that belong together: against statsmodels' clustered variance, enumeration of all signs,
and what single items give.
"""

from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t

from lm_eval_safescale.stats import (
    mcnemar_exact,
    mcnemar_mid_p,
    tango_interval,
    wilson,
)
from lm_eval_safescale.stats.units import (
    Effect,
    design_effect,
    score_of_units,
    sign_tests,
    tango_of_units,
    wilson_of_units,
)


def clustered(seed, units=30, sizes=(1, 2, 5), columns=6):
    random = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), np.resize(sizes, units))
    random.shuffle(unit)
    rate = random.beta(0.4, 1, (units, columns))[unit]
    values = (random.random(rate.shape) < rate).astype(float)
    values[random.random(values.shape) < 0.1] = np.nan
    return values, unit


def test_the_design_effect_is_the_clustered_variance_over_that_of_items():
    values, unit = clustered(1)
    effect = design_effect(values, unit)
    for column in range(values.shape[1]):
        known = ~np.isnan(values[:, column])
        own, groups = values[known, column], unit[known]
        model = sm.OLS(own, np.ones(len(own)))
        by_unit = model.fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
        ).bse[0]
        many = len(np.unique(groups))
        expected = by_unit**2 * many / (many - 1) / (own.var() / len(own))
        assert effect.deff[column] == pytest.approx(max(1, expected))
        assert effect.df[column] == many - 1


def test_what_never_differs_counts_a_unit_as_one_item():
    effect = design_effect([[0, 1], [0, 1], [0, 1], [0, 1], [0, np.nan]], np.array([0, 0, 1, 1, 2]))
    assert effect.deff.tolist() == [9 / 5, 2]
    assert effect.df.tolist() == [2, 1]
    low, high = wilson_of_units([0], [5], design_effect(np.zeros((5, 1)), np.zeros(5, int)))
    assert np.isnan([low[0], high[0]]).all()


def test_the_intervals_are_those_of_fewer_items_with_students_quantile():
    effect = Effect(np.array([2.5]), np.array([11.0]))
    z = t.ppf(0.975, 11)
    for found, expected in (
        (wilson_of_units([6], [60], effect), wilson(2.4, 24, z=z)),
        (tango_of_units([9], [3], [60], effect), tango_interval(3.6, 1.2, 24, z=z)),
    ):
        assert np.ravel(found) == pytest.approx(np.ravel(expected))


def test_the_interval_leaves_out_0_exactly_where_its_test_is_significant():
    random = np.random.default_rng(3)
    unit = np.repeat(np.arange(25), 4)
    side = random.random((25, 2000)) < random.random(2000)
    values = np.where(side[unit], 1, -1) * (random.random((100, 2000)) < random.random(2000))
    effect = design_effect(values, unit)
    b, c = (values == 1).sum(axis=0), (values == -1).sum(axis=0)
    low, high = tango_of_units(b, c, np.full(2000, 100), effect)
    assert np.array_equal((low > 0) | (high < 0), score_of_units(b, c, effect) < 0.05)
    assert 0.1 < ((low > 0) | (high < 0)).mean() < 0.9


def test_the_sign_tests_are_those_over_all_signs():
    random = np.random.default_rng(5)
    unit = random.integers(0, 9, 40)
    differences = random.choice([-1.0, 0, 0, 1, np.nan], (40, 12))
    exact, mid = sign_tests(differences, unit)
    for column, own in enumerate(differences.T):
        totals = np.array([np.nansum(own[unit == each]) for each in range(9)])
        sums = np.array([np.dot(signs, totals) for signs in product((-1, 1), repeat=9)])
        further = (np.abs(sums) >= abs(totals.sum())).mean()
        point = (sums == totals.sum()).mean()
        assert exact[column] == pytest.approx(min(1, further))
        assert mid[column] == pytest.approx(further - point if totals.sum() else 1 - point / 2)


def test_with_one_item_a_unit_the_sign_tests_are_mcnemars():
    random = np.random.default_rng(6)
    differences = random.choice([-1.0, 0, 0, 1], (300, 50))
    exact, mid = sign_tests(differences, np.arange(300))
    b, c = (differences == 1).sum(axis=0), (differences == -1).sum(axis=0)
    assert exact == pytest.approx(mcnemar_exact(b, c))
    assert mid == pytest.approx(mcnemar_mid_p(b, c))


def test_where_nothing_differs_p_is_1():
    exact, mid = sign_tests(np.zeros((4, 1)), np.array([0, 0, 1, 1]))
    assert (exact[0], mid[0]) == (1, 1)
    # differences that a unit's items cancel say nothing either
    assert [each[0] for each in sign_tests([[1.0], [-1.0]], np.array([0, 0]))] == [1, 1]
