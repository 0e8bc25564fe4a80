"""Agreement of raters by hand, against scikit-learn, statsmodels and krippendorff, and by what must
not change it.
"""

from __future__ import annotations

import warnings

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_statsmodels

from lm_eval_safescale.stats import cohen_kappa, fleiss_kappa, krippendorff_alpha

unhurried = settings(max_examples=100, deadline=None)
NAN = np.nan
RATINGS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(2, 5)),
    elements=st.sampled_from([0.0, 1.0, 2.0, 7.0, NAN]),
)
COEFFICIENTS = (cohen_kappa, fleiss_kappa, krippendorff_alpha)


def of_raters(coefficient, ratings):
    """The ratings that a coefficient can be asked about."""
    return ratings[:, :2] if coefficient is cohen_kappa else ratings


def coded(*raters: str):
    """Raters as strings, an item a letter, "." for none."""
    return np.array([[NAN if each == "." else ord(each) for each in items] for items in raters]).T


def test_cohens_kappa_by_hand():
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance
    25/50 * 30/50 + 25/50 * 20/50 = 0.5."""
    ratings = coded("y" * 25 + "n" * 25, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15)
    found = cohen_kappa(ratings)
    assert (found.n, *map(float, (found.observed, found.expected))) == (50, 0.7, 0.5)
    assert float(found.coefficient) == pytest.approx(0.4)


def test_fleiss_kappa_of_the_published_example():
    """Fleiss 1971's form, as worked in many textbooks: 10 items, 14 raters, kappa 0.210."""
    counts = np.array(
        [
            [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
        ]
    )  # fmt: skip
    ratings = np.array([np.repeat(np.arange(5), row) for row in counts], dtype=float)
    found = fleiss_kappa(ratings)
    assert float(found.observed) == pytest.approx(0.378, abs=5e-4)
    assert float(found.expected) == pytest.approx(0.213, abs=5e-4)
    assert float(found.coefficient) == pytest.approx(0.210, abs=5e-4)


def test_krippendorffs_alpha_of_the_published_example():
    """Krippendorff 2011, section C: four observers, 12 units of which the last has one value,
    nominal: 0.743."""
    found = krippendorff_alpha(
        coded("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    )
    assert found.n == 11
    assert float(found.coefficient) == pytest.approx(0.743, abs=5e-4)


@unhurried
@given(RATINGS)
def test_cohens_kappa_is_that_of_scikit_learn_on_the_items_that_both_rated(ratings):
    found = cohen_kappa(ratings[:, :2])
    both = ratings[~np.isnan(ratings[:, :2]).any(axis=1), :2]
    assert found.n == len(both)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cohen_kappa_score(*both.astype(int).T) if len(both) else NAN
    assert float(found.coefficient) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@unhurried
@given(RATINGS)
def test_fleiss_kappa_is_that_of_statsmodels_on_the_items_that_all_rated(ratings):
    found = fleiss_kappa(ratings)
    whole = ratings[~np.isnan(ratings).any(axis=1)]
    assert found.n == len(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = fleiss_of_statsmodels(aggregate_raters(whole)[0]) if len(whole) else NAN
    assert float(found.coefficient) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@unhurried
@given(RATINGS)
def test_krippendorffs_alpha_is_that_of_the_package_of_this_name(ratings):
    found = krippendorff_alpha(ratings)
    rated_twice = (~np.isnan(ratings)).sum(axis=1) > 1
    assert found.n == rated_twice.sum()
    pairable = ratings[rated_twice]
    if len(np.unique(pairable[~np.isnan(pairable)])) < 2:  # which it refuses
        assert np.isnan(found.coefficient)
    else:
        expected = krippendorff.alpha(pairable.T, level_of_measurement="nominal")
        assert float(found.coefficient) == pytest.approx(expected, abs=1e-12)


@unhurried
@given(RATINGS, st.randoms(), st.sampled_from(COEFFICIENTS))
def test_neither_names_of_categories_nor_order_of_items_or_raters_matter(
    ratings, random, coefficient
):
    given_ratings = of_raters(coefficient, ratings)
    items, raters = (
        random.sample(range(size), size) for size in (len(ratings), given_ratings.shape[1])
    )
    renamed = np.where(given_ratings == 0, 99, -given_ratings)
    first, second = coefficient(given_ratings), coefficient(renamed[items][:, raters])
    assert first.n == second.n
    for part in ("observed", "expected", "coefficient"):
        assert getattr(first, part) == pytest.approx(getattr(second, part), abs=1e-12, nan_ok=True)
    assert np.isnan(first.coefficient) or -1 <= first.coefficient <= 1


@unhurried
@given(RATINGS, st.integers(0, 10_000), st.sampled_from(COEFFICIENTS))
def test_a_resample_agrees_as_the_items_drawn(ratings, seed, coefficient):
    own = of_raters(coefficient, ratings)
    weights = np.random.default_rng(seed).integers(0, 3, (len(own), 5)).astype(float)
    found = coefficient(own, weights).coefficient
    for number, times in enumerate(weights.T.astype(int)):
        drawn = np.repeat(own, times, axis=0)
        expected = coefficient(drawn).coefficient if len(drawn) else NAN
        assert found[number] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_agreement_that_could_not_have_failed_is_no_coefficient(coefficient):
    found = coefficient(coded("AAAA", "AAAA"))
    assert (found.n, float(found.observed), float(found.expected)) == (4, 1, 1)
    assert np.isnan(found.coefficient)
    never = coefficient(coded("A.", ".B"))
    assert never.n == 0
    assert np.isnan([never.observed, never.expected, never.coefficient]).all()


def test_one_rater_who_always_gives_the_same_agrees_as_by_chance():
    assert float(cohen_kappa(coded("AAAA", "AABB")).coefficient) == 0


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
def test_always_agreeing_is_1(coefficient):
    assert float(coefficient(coded("ABCA", "ABCA")).coefficient) == 1


@pytest.mark.parametrize("coefficient", COEFFICIENTS)
@pytest.mark.parametrize("ratings", [[], [1, 2], [[1], [2]], np.empty((0, 2))])
def test_what_are_no_ratings_is_refused(coefficient, ratings):
    with pytest.raises(ValueError, match="expected ratings"):
        coefficient(ratings)


def test_cohens_kappa_is_of_two_raters_and_weights_are_of_the_items():
    with pytest.raises(ValueError, match="two raters, not 3"):
        cohen_kappa([[1, 2, 3]])
    with pytest.raises(ValueError, match="each of 1 items"):
        fleiss_kappa([[1, 2, 3]], np.ones((2, 4)))
