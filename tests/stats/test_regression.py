"""Lines against scipy, variance against statsmodels, risk and coverage against a loop."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import linregress
from scipy.stats import t as student
from statsmodels.api import OLS, add_constant
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from lm_eval_safescale.stats import (
    least_squares,
    resampled_areas,
    resampled_shares,
    selective_risk,
    two_way,
)

unhurried = settings(max_examples=60, deadline=None)
NAN = float("nan")


# --- lines ----------------------------------------------------------------------------------------


@unhurried
@given(st.integers(3, 40), st.integers(0, 10_000))
def test_a_line_is_that_of_scipy(n, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    found, expected = least_squares(x, y), linregress(x, y)
    assert found.n == n
    assert found.slope == pytest.approx(expected.slope, rel=1e-9)
    assert found.intercept == pytest.approx(expected.intercept, rel=1e-6, abs=1e-9)
    assert found.slope_se == pytest.approx(expected.stderr, rel=1e-6)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.r_squared == pytest.approx(expected.rvalue**2, abs=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_interval_of_a_slope_is_that_of_statsmodels(level):
    x, y = np.random.default_rng(2).normal(size=(2, 12))
    expected = OLS(y, add_constant(x)).fit().conf_int(alpha=1 - level)[1]
    found = least_squares(x, y, level=level)
    assert (found.slope_lo, found.slope_hi) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("seed", range(6))
def test_with_a_cluster_for_each_point_it_is_hc2_of_statsmodels(seed):
    x, y = np.random.default_rng(seed).normal(size=(2, 12))
    expected = OLS(y, add_constant(x)).fit().get_robustcov_results("HC2")
    found = least_squares(x, y, clusters=range(12))
    assert found.slope_se == pytest.approx(expected.bse[1])


@pytest.mark.parametrize("seed", range(6))
def test_the_robust_variance_is_unbiased_and_its_degrees_of_freedom_are_those_of_a_quadratic_form(
    seed,
):
    # the variance is y' M y: by unit vectors and a matrix square root of another kind
    random = np.random.default_rng(seed)
    n, sizes = 20, (7, 5, 4, 3, 1)
    x = random.normal(size=n)
    clusters = np.repeat(np.arange(5), sizes)
    design = add_constant(x)
    inverse = np.linalg.inv(design.T @ design)
    rest = np.eye(n) - design @ inverse @ design.T
    form = np.zeros((n, n))
    for cluster in range(5):
        own = clusters == cluster
        block = np.linalg.pinv(sqrtm(rest[np.ix_(own, own)]).real)
        row = rest[:, own] @ block @ (design @ inverse)[own, 1]
        form += np.outer(row, row)
    y = random.normal(size=n)
    found = least_squares(x, y, clusters=clusters.tolist())
    assert found.slope_se**2 == pytest.approx(y @ form @ y)
    own = np.linalg.eigvalsh(form)
    assert own.sum() == pytest.approx(inverse[1, 1])  # unbiased where points are unrelated
    assert found.df == pytest.approx(own.sum() ** 2 / (own**2).sum())
    reach = student.ppf(0.975, found.df) * found.slope_se
    assert (found.slope_lo, found.slope_hi) == pytest.approx(
        (found.slope - reach, found.slope + reach)
    )
    assert found.p == pytest.approx(2 * student.sf(abs(found.slope) / found.slope_se, found.df))


def test_one_cluster_shows_nothing_of_what_its_points_share():
    x, y = np.random.default_rng(1).normal(size=(2, 9))
    assert least_squares(x, y, clusters=["a"] * 9) == least_squares(x, y)
    with pytest.raises(ValueError, match="9 points have 2 clusters"):
        least_squares(x, y, clusters=["a", "b"])


def test_where_points_of_a_cluster_have_an_effect_in_common_the_robust_interval_covers():
    random = np.random.default_rng(4)
    clusters = np.repeat(np.arange(9), (9, 7, 5, 4, 3, 2, 2, 1, 1))
    held = {True: 0, False: 0}
    for _ in range(600):
        x = random.normal(size=9)[clusters] + random.normal(size=34)
        y = random.normal(size=9)[clusters] + random.normal(size=34)  # and a slope of 0
        for robust in held:
            line = least_squares(x, y, clusters=clusters.tolist() if robust else None)
            held[robust] += line.slope_lo <= 0 <= line.slope_hi
    assert held[True] / 600 > 0.925
    assert held[False] / 600 < 0.91


def test_points_not_scored_are_left_out():
    random = np.random.default_rng(8)
    x, y = random.normal(size=(2, 8))
    y[3] = NAN
    clusters = list("aabbccdd")
    assert least_squares(x, y, clusters=clusters) == least_squares(
        np.delete(x, 3), np.delete(y, 3), clusters=list("aabccdd")
    )
    assert least_squares([0, NAN, 1, 2, 3], [1, 5, 3, NAN, 8]) == least_squares(
        [0, 1, 3], [1, 3, 8]
    )


def test_two_points_have_a_slope_without_an_interval_and_one_place_has_none():
    two = least_squares([0, 2], [1, 5])
    assert (two.slope, two.intercept) == (2, 1)
    assert np.isnan([two.slope_lo, two.slope_hi, two.p]).all()
    for x, y in (([1, 1, 1], [1, 2, 3]), ([1], [1]), ([], [])):
        assert np.isnan(least_squares(x, y).slope)


def test_a_flat_line_has_slope_0_and_explains_nothing():
    flat = least_squares([1, 2, 3], [4, 4, 4])
    assert (flat.slope, flat.slope_lo, flat.slope_hi) == (0, 0, 0)
    assert np.isnan([flat.r_squared, flat.p]).all()


@pytest.mark.parametrize(
    "alike", [[0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [0.1, 0.3 - 0.2, 0.7 - 0.6, 0.1, 0.4 - 0.3, 0.1]]
)
def test_values_that_differ_by_rounding_alone_have_nothing_to_explain(alike):
    line = least_squares(range(6), alike)
    assert (line.slope, line.slope_lo, line.slope_hi) == (0, 0, 0)
    assert np.isnan(line.r_squared)
    assert np.isnan(line.p)
    assert two_way(alike, list("aabbcc"), list("xyxyxy")).total == 0


def test_points_that_differ_in_their_last_digit_are_level():
    height = 0.56975
    found = least_squares([1, 2], [height, np.nextafter(height, 1)])
    assert (found.slope, found.intercept) == (0, pytest.approx(height))
    assert np.isnan(found.r_squared)


def test_the_interval_of_a_slope_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    x = np.log10([0.5, 1.5, 3, 7, 14, 32])
    lines = [least_squares(x, 2 * x + rng.normal(size=6)) for _ in range(1000)]
    assert 0.935 <= np.mean([line.slope_lo <= 2 <= line.slope_hi for line in lines]) <= 0.965


# --- variance -------------------------------------------------------------------------------------


def layout(seed: int, *, holes: bool = True):
    rng = np.random.default_rng(seed)
    rows, columns = (part.ravel() for part in np.meshgrid(list("wxyz"), list("abc")))
    times = rng.integers(1, 5, size=len(rows)) if holes else np.full(len(rows), 3)
    rows, columns = np.repeat(rows, times), np.repeat(columns, times)
    y = (
        rng.normal(size=len(rows))
        + (rows == "x") * 2
        + (columns == "b") * 1.5
        + ((rows == "z") & (columns == "c"))
    )
    return y, rows, columns


@pytest.mark.parametrize("seed", range(8))
def test_the_parts_are_type_ii_sums_of_squares_of_statsmodels(seed):
    y, rows, columns = layout(seed)
    frame = pd.DataFrame({"y": y, "r": rows, "c": columns})
    expected = anova_lm(ols("y ~ C(r) * C(c)", frame).fit(), typ=2)
    found = two_way(y, rows, columns)
    assert [found.rows, found.columns, found.interaction, found.residual] == pytest.approx(
        expected["sum_sq"].tolist()
    )
    assert [found.df_rows, found.df_columns, found.df_interaction, found.df_residual] == expected[
        "df"
    ].tolist()
    assert found.total == pytest.approx(((y - y.mean()) ** 2).sum())


@pytest.mark.parametrize("seed", range(3))
def test_in_a_balanced_layout_the_shares_add_up_to_1(seed):
    found = two_way(*layout(seed, holes=False))
    assert sum(
        found.share(part) for part in ("rows", "columns", "interaction", "residual")
    ) == pytest.approx(1)


def test_families_of_unequal_size_under_all_conditions_still_add_up():
    rng = np.random.default_rng(4)
    families = np.repeat(["Qwen", "Llama", "Gemma"], [11, 6, 3])
    found = two_way(rng.random(80), np.repeat(list("abcd"), 20), np.tile(families, 4))
    assert sum(
        found.share(part) for part in ("rows", "columns", "interaction", "residual")
    ) == pytest.approx(1)


def test_an_empty_cell_takes_a_degree_of_freedom_from_the_interaction():
    y, rows, columns = layout(5, holes=False)
    kept = ~((rows == "w") & (columns == "a"))
    found = two_way(y[kept], rows[kept], columns[kept])
    assert (found.df_rows, found.df_columns, found.df_interaction, found.df_residual) == (
        3,
        2,
        5,
        22,
    )
    within = sum(
        ((cell - cell.mean()) ** 2).sum()
        for cell in (y[kept & (rows == r) & (columns == c)] for r in "wxyz" for c in "abc")
        if cell.size
    )
    assert found.residual == pytest.approx(within)


def test_one_model_in_each_cell_leaves_no_residual_and_nothing_varying_has_no_shares():
    found = two_way([1, 2, 4, NAN], ["a", "a", "b", "b"], ["x", "y", "x", "y"])
    assert (found.n, found.residual, found.df_residual) == (3, pytest.approx(0, abs=1e-20), 0)
    assert np.isnan(two_way([1, 1], ["a", "b"], ["x", "y"]).share("rows"))


@pytest.mark.parametrize(("values", "rows"), [([1, 2], ["a"]), ([NAN, NAN], ["a", "b"]), ([], [])])
def test_layouts_without_values_or_levels_are_refused(values, rows):
    with pytest.raises(ValueError, match="expected"):
        two_way(values, rows, rows)


# --- risk and coverage ----------------------------------------------------------------------------


def test_a_curve_by_hand():
    curve = selective_risk([0.9, 0.5, 0.9, NAN, 0.2], [1, 0, 0, 1, 1])
    assert curve.threshold.tolist() == [0.9, 0.5, 0.2]
    assert curve.coverage.tolist() == [0.5, 0.75, 1]
    assert curve.risk == pytest.approx([1 / 2, 1 / 3, 2 / 4])
    assert curve.area == pytest.approx(0.5 * 1 / 2 + 0.25 * 1 / 3 + 0.25 * 1 / 2)


@unhurried
@given(
    st.lists(st.tuples(st.sampled_from([0, 0.3, 0.8, 1]), st.booleans()), min_size=1, max_size=30)
)
def test_a_point_is_the_mean_harm_of_the_answers_kept(answers):
    confidence, harm = np.array(answers, dtype=float).T
    curve = selective_risk(confidence, harm)
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        kept = confidence >= threshold
        assert (coverage, risk) == pytest.approx((kept.mean(), harm[kept].mean()))
    assert curve.risk[-1] == pytest.approx(harm.mean())
    assert min(curve.risk) - 1e-12 <= curve.area <= max(curve.risk) + 1e-12


def test_without_ties_the_area_is_the_mean_risk_over_all_coverages():
    rng = np.random.default_rng(6)
    confidence, harm = rng.random(50), rng.random(50) < 0.3
    ordered = harm[np.argsort(-confidence)]
    assert selective_risk(confidence, harm).area == pytest.approx(
        np.mean(np.cumsum(ordered) / np.arange(1, 51))
    )


def test_nothing_scored_has_no_curve():
    curve = selective_risk([NAN], [1])
    assert curve.risk.size == 0
    assert np.isnan(curve.area)


@unhurried
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 10_000))
def test_the_areas_of_resamples_are_those_of_the_answers_drawn(n, columns, seed):
    rng = np.random.default_rng(seed)
    confidence, harm = (
        rng.choice([0, 0.3, 0.8, 1, NAN], (n, columns)),
        rng.choice([0, 1, 0.5, NAN], (n, columns)),
    )
    weights = rng.integers(0, 3, (n, 8))
    expected = [
        [
            selective_risk(
                np.repeat(confidence[:, column], own), np.repeat(harm[:, column], own)
            ).area
            for own in weights.T
        ]
        for column in range(columns)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lm_eval_safescale.stats.regression.TOGETHER", (1 + seed % 3) * n)
        for kind in (np.float64, np.float32):
            found = resampled_areas(confidence, harm, weights.astype(kind))
            assert found == pytest.approx(np.array(expected), nan_ok=True, abs=1e-12)


def test_resamples_of_one_list_are_refused():
    with pytest.raises(ValueError, match="columns"):
        resampled_areas([0.5], [1], np.ones((1, 3)))


@unhurried
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=14),
    st.integers(0, 10_000),
)
def test_the_shares_of_many_sets_are_those_of_each(cells, seed):
    values = np.random.default_rng(seed).normal(size=(len(cells), 4))
    values[:, 2] = 0.3
    values[0, 3] = NAN
    rows, columns = zip(*cells, strict=True)
    found = resampled_shares(values, rows, columns)
    for number in range(3):
        expected = two_way(values[:, number], rows, columns)
        for part, shares in found.items():
            share = NAN if number == 2 else expected.share(part)
            assert shares[number] == pytest.approx(share, abs=1e-9, nan_ok=True), part
    assert all(np.isnan(shares[3]) for shares in found.values())


def test_sets_of_values_need_a_row_and_a_column_each():
    with pytest.raises(ValueError, match="expected one of each"):
        resampled_shares([[1.0, 2.0]], ["a", "b"], ["x", "y"])
