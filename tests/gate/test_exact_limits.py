"""Limits on shares: every count through the gate, against bounds found another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import beta, binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from lm_eval_safescale.analysis import Study, results
from lm_eval_safescale.gate import Outcome
from lm_eval_safescale.stats import (
    binomial_tail,
    fewest_items,
    most_allowed,
    pass_power,
    pass_sample_size,
    upper_bound,
)
from lm_eval_safescale.stats.one_sided import unseen_share
from tests.gate.making import greedy, judged, letters, made

FIVE = "high_risk_error < 5 % @ 95 %"


@pytest.fixture(scope="module")
def every_count():
    """The gate's row of each number of harmful answers among 200."""
    return {k: judged(greedy(k, 200), FIVE).rows[0] for k in range(201)}


def test_five_percent_of_200_passes_for_up_to_four_and_for_no_other_count(every_count):
    passed = [k for k, row in every_count.items() if row.outcome is Outcome.PASSED]
    assert passed == [0, 1, 2, 3, 4]
    failed = {row.outcome for k, row in every_count.items() if k > 4}
    assert failed == {Outcome.FAILED}
    assert {row.allowed for row in every_count.values()} == {4}


def test_every_bound_is_that_of_statsmodels_and_of_scipy(every_count):
    for k, row in every_count.items():
        ours = row.bound
        theirs = proportion_confint(k, 200, alpha=0.1, method="beta")[1] if k < 200 else 1.0
        assert ours == pytest.approx(theirs, abs=1e-10)
        scipys = binomtest(k, 200, alternative="less").proportion_ci(0.95, method="exact").high
        assert ours == pytest.approx(scipys, abs=1e-9)
        assert row.gap == pytest.approx(0.05 - ours)
        assert (row.outcome is Outcome.PASSED) == (ours < 0.05)


def test_a_limit_that_no_count_could_pass_is_refused_with_the_number_of_items_it_takes():
    decision = judged(greedy(0, 200), "high_risk_error < 1 % @ 95 %")
    assert decision.outcome is Outcome.UNDECIDED
    assert decision.rows == ()
    assert "no outcome of 200 items could pass; it takes 299 items" in decision.refused[0]
    assert judged(greedy(0, 298), "high_risk_error < 1 % @ 95 %").refused
    assert judged(greedy(0, 299), "high_risk_error < 1 % @ 95 %").outcome is Outcome.PASSED


def test_a_limit_near_nothing_takes_more_items_than_there_are_and_no_end_of_counting():
    for limit in (1e-9, 1e-16, 1e-302):
        assert fewest_items(limit, 0.05) > 1e9
    assert judged(greedy(0, 200), "high_risk_error < 1e-300 %").refused


def test_the_figures_that_the_limits_of_decisions_state():
    assert [round(100 * float(upper_bound(k, 200, 0.05)), 2) for k in (0, 1, 2, 5)] == [
        1.49, 2.35, 3.11, 5.18,
    ]  # fmt: skip
    assert fewest_items(0.03, 0.05) == 99
    assert most_allowed(200, 0.026, 0.05) == 1
    for limit, chance in ((0.01, 0.0), (0.026, 3.3), (0.05, 2.6)):
        assert 100 * pass_power(200, limit, limit, 0.05) == pytest.approx(chance, abs=0.05)


def test_exact_tails_and_bounds_are_those_of_scipy():
    k, n, share = (
        axis.ravel() for axis in np.meshgrid([0, 1, 3, 40], [1, 40, 2_000], [1e-4, 0.3, 1.0])
    )
    k = np.minimum(k, n)
    assert binomial_tail(k, n, share) == pytest.approx(binom.cdf(k, n, share), abs=1e-12)
    assert upper_bound([0, 3], 40, 0.025) == pytest.approx(beta.ppf(0.975, [1, 4], [40, 37]))
    assert binomial_tail(0, 0, 0.5) == 1
    with pytest.raises(ValueError, match="successes"):
        binomial_tail(3, 2, 0.5)


def test_the_number_of_items_planned_for_a_rate_has_the_power_that_was_asked_for():
    n = pass_sample_size(0.05, 0.02, 0.05, 0.8)
    assert n == 260
    assert binom.cdf(most_allowed(n, 0.05, 0.05), n, 0.02) >= 0.8
    assert pass_sample_size(0.05, 0.05, 0.05, 0.8) is None


def test_a_lower_limit_is_the_same_of_what_lacks_the_outcome():
    passed = [
        right
        for right in range(150, 201)
        if judged(greedy(200 - right, 200), "accuracy > 95 % @ 95 %").outcome is Outcome.PASSED
    ]
    assert passed == [196, 197, 198, 199, 200]


@pytest.mark.parametrize(
    ("harmful", "missing", "outcome"),
    [
        (2, 2, Outcome.PASSED),  # 4 of 200 at the worst
        (3, 2, Outcome.UNDECIDED),
        (4, 1, Outcome.UNDECIDED),
        (0, 200, Outcome.UNDECIDED),
        (5, 0, Outcome.FAILED),
        (5, 100, Outcome.FAILED),  # whatever the missing ones are
    ],
)
def test_undecided_is_only_what_would_pass_were_all_missing_harmless_and_fails_were_all_harmful(
    harmful, missing, outcome
):
    row = judged(greedy(harmful, 200, missing), FIVE).rows[0]
    assert row.outcome is outcome
    own = row.evidence
    assert (own.hits, own.answered, own.n) == (harmful, 200 - missing, 200)
    assert row.bound == pytest.approx(float(upper_bound(harmful + missing, 200, 0.05)))
    assert (len(own.decided_by), len(own.missing)) == (harmful, missing)


def test_the_worst_and_the_best_case_are_those_of_the_table_of_results():
    runs = greedy(3, 200, 5)
    (row,) = judged(runs, FIVE).rows
    told = next(
        each
        for each in results(Study(runs)).rows(named=True)
        if each["metric"] == "high_risk_error" and each["group"] is None
    )
    own = row.evidence
    assert (own.answered, own.n - own.answered) == (told["n"], told["not_scored"])
    assert own.value == told["value"]
    assert own.hits / own.n == told["value_lo_missing"]
    assert (own.hits + own.n - own.answered) / own.n == told["value_hi_missing"]


def test_missing_answers_are_counted_against_their_own_limit():
    assert judged(greedy(0, 200, 3), FIVE, "missing < 2 %").outcome is Outcome.PASSED
    decision = judged(greedy(0, 200, 4), FIVE, "missing < 2 %")
    assert decision.outcome is Outcome.FAILED
    assert [row.outcome for row in decision.rows] == [Outcome.PASSED, Outcome.FAILED]
    assert decision.rows[1].evidence.value == 0.02
    (alone,) = judged(greedy(0, 200, 4), "missing < 2 %").rows
    assert (alone.outcome, alone.evidence.value) == (Outcome.FAILED, 0.02)


def test_a_clause_holds_for_every_model_condition_and_group_and_each_is_told():
    group = ["a"] * 100 + ["b"] * 100
    runs = made(
        {("m", "closed_book"): [letters(1, 200)], ("m", "clean"): [letters(9, 200)]},
        subspecialty=group,
    )
    decision = judged(runs, FIVE)
    assert [(row.condition, row.outcome) for row in decision.rows] == [
        ("closed_book", Outcome.PASSED),
        ("clean", Outcome.FAILED),
    ]
    assert decision.rows[1].items_against == [f"q{number:02}" for number in range(1, 10)]


@pytest.mark.parametrize("sizes", [(7,), (1, 59), (1, *[6] * 9), (2, 3, 30), (5, 5, 1)])
def test_what_no_unit_of_parts_shows_is_bounded_by_what_hides_it_best(sizes):
    """Against a search over all shares that hide the outcome with probability alpha."""
    n, alpha = np.array(sizes), 0.05
    found = minimize(
        lambda p: p.mean(),
        np.full(len(n), alpha ** (1 / n.sum())),
        bounds=[(1e-9, 1)] * len(n),
        constraints={"type": "ineq", "fun": lambda p: (n * np.log(p)).sum() - np.log(alpha)},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert unseen_share(sizes, alpha) == pytest.approx(1 - found.fun, abs=1e-5)
    if len(sizes) == 1:
        assert unseen_share(sizes, alpha) == pytest.approx(float(upper_bound(0, 7, alpha)))


@pytest.mark.parametrize("sizes", [(), (3, 0)])
def test_a_part_has_a_unit(sizes):
    with pytest.raises(ValueError, match="at least one unit"):
        unseen_share(sizes, 0.05)
