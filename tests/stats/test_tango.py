"""Tango's score interval and test over every (b, c) at n = 60: against a root-finder on the
constrained likelihood, the closed form's quartic, and figures published elsewhere.
"""

import re
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar

from lm_eval_safescale.stats import (
    mcnemar_mid_p,
    mcnemar_score,
    tango_interval,
    tango_p,
    tango_z,
    wilson,
)

PAGE = " ".join(
    (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text("utf-8").split()
)
N = 60
B, C = (counts.ravel() for counts in np.meshgrid(np.arange(N + 1), np.arange(N + 1)))
B, C = B[B + C <= N], C[B + C <= N]
Z = norm.ppf(0.975)


def constrained(b, c, n, d):
    """The score statistic, with the shares found as the root of the likelihood's slope: they are
    `more` and r, and `less` and r, and the rest agrees."""
    more, less, most = max(0.0, d), max(0.0, -d), (1 - abs(d)) / 2

    def slope(r):
        return b / (more + r) + c / (less + r) - 2 * (n - b - c) / (1 - abs(d) - 2 * r)

    ends = most * 1e-13, most * (1 - 1e-13)
    if slope(ends[0]) <= 0:
        r = 0.0
    elif slope(ends[1]) >= 0:
        r = most
    else:
        r = brentq(slope, *ends, xtol=1e-15)
    return (b - c - n * d) / sqrt(n * (more + less + 2 * r - d * d))


def test_the_statistic_is_that_of_the_constrained_likelihood():
    random = np.random.default_rng(1)
    for b, c in random.permutation(np.stack([B, C], 1))[:300]:
        for d in random.uniform(-0.99, 0.99, 5):
            assert float(tango_z(b, c, N, d)) == pytest.approx(
                constrained(int(b), int(c), N, d), rel=1e-6, abs=1e-6
            )


def test_the_likelihood_is_largest_there():
    # the slope's root is a maximum: minimised by another way, without derivatives
    for b, c, d in ((4, 1, 0.1), (3, 9, 0.02), (2, 7, -0.3)):
        found = minimize_scalar(
            lambda q: (
                -(
                    b * np.log(q + d) + c * np.log(q) + (N - b - c) * np.log(1 - 2 * q - d)  # noqa: B023
                )
            ),
            bounds=(max(0.0, -d) + 1e-9, (1 - d) / 2 - 1e-9),
            method="bounded",
            options={"xatol": 1e-12},
        )
        expected = (b - c - N * d) / sqrt(N * (2 * found.x + d * (1 - d)))
        assert float(tango_z(b, c, N, d)) == pytest.approx(expected, rel=1e-6)


def test_every_bound_of_60_items_is_where_a_root_finder_has_it():
    low, high = tango_interval(B, C, N)
    for b, c, lo, hi in zip(B.tolist(), C.tolist(), low, high, strict=True):
        estimate = (b - c) / N
        if estimate < 1:
            assert hi == pytest.approx(
                brentq(lambda d: constrained(b, c, N, d) + Z, estimate + 1e-12, 1 - 1e-9),  # noqa: B023
                abs=1e-7,
            )
        else:
            assert hi == 1
        if estimate > -1:
            assert lo == pytest.approx(
                brentq(lambda d: constrained(b, c, N, d) - Z, -1 + 1e-9, estimate - 1e-12),  # noqa: B023
                abs=1e-7,
            )
        else:
            assert lo == -1


def test_every_bound_is_a_root_of_the_published_quartic():
    # Yang, Sun and Hardin 2013
    g, n = Z**2, N
    s = B - C
    m = [
        np.full(len(B), n**2 * (n / g + 1) ** 2),
        -n * s * (n / g + 1) * (4 * n / g + 1),
        2 * n * s**2 * (3 * n / g + 2) / g - n**2 * ((B + C) / g + 1),
        n * s * (2 * (B + C) / g + 1) - s**3 * (4 * n / g + 1) / g,
        s**2 * (s**2 / g - (B + C)) / g,
    ]
    for bound in tango_interval(B, C, N):
        value = sum(each * bound ** (4 - power) for power, each in enumerate(m))
        assert np.abs(value / m[0]).max() < 1e-12


@pytest.mark.parametrize(
    ("b", "c", "n", "low", "high"),
    [
        (6, 16, 161, -0.1240, -0.0054),  # R's contingencytables, complete response (Cavo 2012)
        (1, 7, 21, -0.5172, -0.0260),  # the same, airway hyper-responsiveness (Bentur 2009)
    ],
)
def test_published_intervals_come_out(b, c, n, low, high):
    assert [float(each) for each in tango_interval(b, c, n)] == pytest.approx([low, high], abs=5e-5)


def test_sides_can_be_swapped():
    low, high = tango_interval(B, C, N)
    swapped = tango_interval(C, B, N)
    assert np.array_equal(low, -swapped[1])
    assert np.array_equal(high, -swapped[0])
    assert (low <= (B - C) / N).all()
    assert (high >= (B - C) / N).all()
    assert (low >= -1).all()
    assert (high <= 1).all()


def test_without_a_discordant_item_it_is_wilsons_bound():
    for n in (1, 60, 1000):
        bound = float(wilson(0, n)[1])
        assert [float(each) for each in tango_interval(0, 0, n)] == pytest.approx([-bound, bound])


def test_it_leaves_out_0_exactly_where_the_score_test_is_significant():
    low, high = tango_interval(B, C, N)
    assert np.array_equal((low > 0) | (high < 0), mcnemar_score(B, C) < 0.05)


@pytest.mark.parametrize("margin", [-0.3, -0.02, 0.0, 0.02, 0.05, 0.5])
def test_a_one_sided_test_and_a_bound_of_twice_its_level_say_the_same(margin):
    low, high = tango_interval(B, C, N)
    assert np.array_equal(tango_p(B, C, N, margin) < 0.025, high < margin)
    assert np.array_equal(tango_p(C, B, N, -margin) < 0.025, low > margin)


def test_the_score_test_is_mcnemars_without_correction():
    for b, c in ((1, 7), (0, 3), (12, 12), (30, 4)):
        expected = mcnemar([[5, b], [c, 5]], exact=False, correction=False).pvalue
        assert float(mcnemar_score(b, c)) == pytest.approx(expected, rel=1e-9)
    assert float(mcnemar_score(0, 0)) == 1
    assert 2 * tango_p(B, C, N)[C > B] == pytest.approx(mcnemar_score(B, C)[C > B])


def test_thousands_of_items_and_none_are_no_trouble():
    low, high = tango_interval([5, 0, 1, np.nan], [2, 0, 0, 1], [1e6, 1e6, 1, 3])
    assert np.isfinite(low[:3]).all()
    assert np.isfinite(high[:3]).all()
    assert high[2] == 1
    assert np.isnan([low[3], high[3]]).all()
    assert np.isnan(tango_interval(0, 0, 0)).all()
    assert np.isnan(tango_p(0, 0, 0))
    assert low[1] == pytest.approx(-high[1])


@pytest.mark.parametrize(
    ("b", "c", "n", "margin", "message"),
    [
        (-1, 0, 5, 0, "b=-1"),
        (3, 3, 5, 0, r"b \+ c <= n, not b=3, c=3, n=5"),
        (0, 0, float("inf"), 0, "n=inf"),
        (1, 1, 5, 1.0, "margin is 1"),
    ],
)
def test_impossible_counts_and_margins_are_refused(b, c, n, margin, message):
    with pytest.raises(ValueError, match=message):
        tango_p(b, c, n, margin)


def test_the_mid_p_test_and_the_interval_disagree_where_the_page_says():
    b, c = (each.ravel() for each in np.meshgrid(np.arange(201), np.arange(201), indexing="ij"))
    b, c = (each[(b > c) & (b + c <= 200)] for each in (b, c))
    mid, score = mcnemar_mid_p(b, c), mcnemar_score(b, c)
    differ = (mid < 0.05) != (score < 0.05)
    (told,) = re.findall(r"these are all, and their mirror images: (.*?\))\. In each", PAGE)
    numbers = [int(each) for each in re.findall(r"(?<![.\d])\d+(?![.\d])", told)]
    assert list(zip(numbers[::2], numbers[1::2], strict=True)) == list(
        zip(b[differ].tolist(), c[differ].tolist(), strict=True)
    )
    assert (score[differ] < 0.05).all()
    first, *others = mid[differ]
    assert (first, score[differ][0]) == (pytest.approx(0.0625), pytest.approx(0.0455, abs=5e-5))
    assert f"mid-p at most {max(others):.4f}" in told
    assert f"score at least {score[differ][1:].min():.4f}" in told
