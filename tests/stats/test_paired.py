"""McNemar's tests against fractions, statsmodels and a published table; Holm's correction against
statsmodels.
"""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from lm_eval_safescale.stats import discordant, holm, mcnemar_exact, mcnemar_mid_p

unhurried = settings(max_examples=100, deadline=None)
COUNTS = st.integers(0, 400)
NAN = float("nan")


def exact(b: int, c: int) -> Fraction:
    return min(
        Fraction(1),
        2
        * sum((Fraction(comb(b + c, k), 2 ** (b + c)) for k in range(min(b, c) + 1)), Fraction(0)),
    )


@unhurried
@given(COUNTS, COUNTS)
def test_the_exact_test_is_the_sum_of_binomials(b, c):
    assert float(mcnemar_exact(b, c)) == pytest.approx(float(exact(b, c)), rel=1e-9)


@unhurried
@given(COUNTS, COUNTS)
def test_the_exact_test_is_that_of_statsmodels_and_of_scipy(b, c):
    assert float(mcnemar_exact(b, c)) == pytest.approx(
        mcnemar([[5, b], [c, 5]], exact=True).pvalue if b + c else 1, rel=1e-9
    )
    if b + c:
        assert float(mcnemar_exact(b, c)) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-6)


@unhurried
@given(COUNTS, COUNTS)
def test_the_mid_p_is_the_exact_p_less_the_probability_of_what_was_seen(b, c):
    point = Fraction(comb(b + c, b), 2 ** (b + c))
    expected = 1 if b + c == 0 else 1 - point / 2 if b == c else exact(b, c) - point
    assert float(mcnemar_mid_p(b, c)) == pytest.approx(float(expected), rel=1e-9)


def test_the_published_example_of_fagerland_2013_comes_out():
    # airway hyper-responsiveness before and after a transplantation: 1 child lost it, 7 gained it
    assert float(mcnemar_exact(1, 7)) == pytest.approx(0.0703, abs=5e-5)
    assert float(mcnemar_mid_p(1, 7)) == pytest.approx(0.0391, abs=5e-5)


def test_without_a_discordant_item_there_is_nothing_to_find():
    assert float(mcnemar_exact(0, 0)) == 1
    assert float(mcnemar_mid_p(0, 0)) == 1


@pytest.mark.parametrize("test", [mcnemar_exact, mcnemar_mid_p])
def test_sides_may_be_exchanged_and_an_array_has_the_ps_of_its_elements(test):
    b, c = np.arange(30)[:, None], np.arange(30)[None, :]
    table = test(b, c)
    assert (table == table.T).all()
    assert ((table > 0) & (table <= 1)).all()
    assert table[3, 17] == test(3, 17)


def test_far_tails_do_not_vanish():
    assert 0 < float(mcnemar_exact(0, 900)) == pytest.approx(2.0 * 0.5**900, rel=1e-9)


@pytest.mark.parametrize("test", [mcnemar_exact, mcnemar_mid_p])
def test_unknown_counts_stay_unknown_and_impossible_ones_are_refused(test):
    assert np.isnan(test([NAN, 1], [1, 1])).tolist() == [True, False]
    for b, c in ((-1, 2), (2, 0.5)):
        with pytest.raises(ValueError, match="expected whole numbers"):
            test(b, c)


def test_items_scored_on_one_side_only_are_not_compared():
    left = np.array([[1, 1], [1, 0], [0, 1], [NAN, 0], [1, NAN]])
    right = np.array([[0, 1], [1, 1], [1, 0], [1, 1], [0, 0]])
    n, b, c = discordant(left, right)
    assert (n.tolist(), b.tolist(), c.tolist()) == ([4, 4], [2, 1], [1, 2])


def test_shares_are_no_outcomes():
    with pytest.raises(ValueError, match="outcomes 0 and 1"):
        discordant([0.5], [1])


def test_the_mid_p_test_keeps_its_level():
    for n, share in product((50, 200), (0.05, 0.2, 0.5)):
        drawn = np.random.default_rng(1).multinomial(
            n, [share / 2, share / 2, 1 - share], size=20_000
        )
        assert (mcnemar_mid_p(drawn[:, 0], drawn[:, 1]) <= 0.05).mean() < 0.055


# --- Holm -----------------------------------------------------------------------------------------

PS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_a_case_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(max_examples=15, deadline=None)  # statsmodels takes its time
@given(PS)
def test_it_is_that_of_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


@unhurried
@given(PS, st.integers(0, 12))
def test_a_test_that_was_not_made_costs_the_others_nothing(p, place):
    found = holm([*p[:place], NAN, *p[place:]])
    place = min(place, len(p))
    assert np.isnan(found[place])
    assert np.delete(found, place) == pytest.approx(holm(p))


@unhurried
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("ab")), min_size=1, max_size=12))
def test_families_are_corrected_apart(tests):
    p, families = zip(*tests, strict=True)
    found = holm(p, families)
    for family in set(families):
        own = [i for i, name in enumerate(families) if name == family]
        assert found[own] == pytest.approx(holm([p[i] for i in own]))


@pytest.mark.parametrize(
    ("p", "families"), [([1.1], None), ([-0.1], None), ([[0.5]], None), ([0.5], ["a", "b"])]
)
def test_what_are_no_p_values_is_refused(p, families):
    with pytest.raises(ValueError, match="expected"):
        holm(p, families)
