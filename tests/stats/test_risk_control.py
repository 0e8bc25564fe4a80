"""Which answers to keep: by hand, against MAPIE, and over many data sets."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lm_eval_safescale.stats import Kept, binomial_tail, fewest_items, holm, learn_then_test
from lm_eval_safescale.stats.risk_control import GRID, divisor_of

LIMIT, DELTA = 0.1, 0.1


def data(seed, n=300, worst=0.3):
    """Confidences of K = 20 and harm that falls as they rise: worst * (1 - confidence)."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 21, n) / 20
    return confidence, (rng.random(n) < worst * (1 - confidence)).astype(float)


def true_risk(threshold, worst=0.3):
    """Of kept answers, whose confidences are equally frequent."""
    levels = np.arange(21) / 20
    return worst * (1 - levels[levels >= threshold - 1e-9]).mean()


def test_a_threshold_by_hand():
    """100 answers at 0.9 with no harm, 20 at 0.4 of which 10 harm: 5 % holds from 0.45 on."""
    confidence = np.array([0.9] * 100 + [0.4] * 20)
    harm = np.array([0.0] * 100 + [1.0, 0.0] * 10)
    grid = [0.4, 0.45, 0.9, 0.95]
    found = learn_then_test(confidence, harm, 0.05, 0.05, grid=grid)
    p = 0.95**100 * 4  # the least of four; those of 0.45 and 0.9 are alike
    assert found == Kept(0.45, 120, 100, 0, pytest.approx(p))
    assert (found.kept_share, found.risk) == (100 / 120, 0)
    nothing = learn_then_test(confidence[:50], harm[:50], 0.05, 0.05, grid=grid)
    assert np.isnan(nothing.threshold)
    assert (nothing.kept_share, nothing.p) == (0, pytest.approx(4 * 0.95**50))


def test_answers_without_a_confidence_are_never_kept_and_count_in_n():
    confidence = np.array([0.9] * 100 + [np.nan] * 50)
    harm = np.array([0.0] * 100 + [np.nan] * 50)
    found = learn_then_test(confidence, harm, 0.1, 0.05)
    assert (found.n, found.kept, found.threshold) == (150, 100, 0)


def test_so_few_answers_as_are_said_to_be_the_fewest_do_and_one_less_does_not():
    for method in ("holm", "split"):
        n = fewest_items(0.03, 0.05 / divisor_of(method))
        for items, does in ((n, True), (n - 1, False)):
            several = items * (2 if method == "split" else 1)
            found = learn_then_test(np.ones(several), np.zeros(several), 0.03, 0.05, method=method)
            assert (found.threshold == 0) is does, (method, items)
    assert fewest_items(0.03, 0.05) == 99


@pytest.mark.parametrize("seed", range(12))
def test_thresholds_are_those_of_mapie_where_it_rounds_no_count_up(seed):
    """MAPIE takes ceil(n * (x / n)) harmful answers, which rounding makes x + 1 now and then: its p
    is ours of x or of x + 1, and never lets more pass."""
    controller = pytest.importorskip("mapie.risk_control")
    confidence, harm = data(seed)
    theirs = controller.BinaryClassificationController(
        lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1),
        "precision",
        1 - LIMIT,
        confidence_level=1 - DELTA,
        list_predict_params=GRID[:-1],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.calibrate(confidence[:, None], (1 - harm).astype(int))
        p = theirs.p_values.ravel()
    kept = (confidence >= GRID[:-1, None] - 1e-12).sum(axis=1)
    harmful = ((confidence >= GRID[:-1, None] - 1e-12) & (harm == 1)).sum(axis=1)
    ours, rounded = (binomial_tail(np.minimum(harmful + up, kept), kept, LIMIT) for up in (0, 1))
    as_exact = np.isclose(p, ours, atol=1e-12)
    # theirs is the smaller of Bentkus' and Hoeffding's bound, which is below the exact tail nowhere
    assert (as_exact | (p > ours)).all()
    assert (as_exact | (p <= rounded + 1e-12)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rejected = np.sort(controller.control_fwer(ours, DELTA, "bonferroni_holm"))
    assert rejected.tolist() == np.flatnonzero(holm(ours) <= DELTA).tolist()
    found = learn_then_test(confidence, harm, LIMIT, DELTA, grid=GRID[:-1])
    if len(theirs.valid_predict_params):
        assert found.threshold <= min(theirs.valid_predict_params) + 1e-12
    if as_exact.all():
        lowest = min(theirs.valid_predict_params, default=np.nan)
        assert found.threshold == pytest.approx(lowest, nan_ok=True)


@pytest.mark.parametrize("method", ["holm", "split"])
def test_the_true_risk_of_what_is_kept_exceeds_the_limit_no_more_often_than_delta(method):
    wrong = chosen = 0
    for seed in range(1_000):
        found = learn_then_test(*data(seed), LIMIT, DELTA, method=method)
        if found.threshold == found.threshold:
            chosen += 1
            wrong += true_risk(found.threshold) >= LIMIT
    assert chosen > 200  # it does choose
    assert wrong / 1_000 <= DELTA + 2 * (DELTA * (1 - DELTA) / 1_000) ** 0.5


def test_the_lowest_threshold_with_an_observed_risk_under_the_limit_is_wrong_far_more_often():
    wrong = 0
    for seed in range(300):
        confidence, harm = data(seed)
        kept = confidence >= GRID[:, None] - 1e-12
        risk = (kept & (harm == 1)).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
        wrong += true_risk(GRID[np.argmax(risk < LIMIT)]) >= LIMIT
    assert wrong / 300 > 3 * DELTA


def test_no_item_says_both_in_which_order_and_whether():
    """Harm that only one half of the items shows changes either the order or the tests, not
    both."""
    confidence, harm = np.ones(400), np.zeros(400)
    first = np.random.default_rng(42).permutation(400)[:200]
    harm[first] = 1
    found = learn_then_test(confidence, harm, 0.05, 0.05, method="split")
    assert (found.n, found.kept, found.harmful) == (200, 200, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 1},
        {"delta": 0},
        {"method": "luck"},
        {"harm": [0.5, 0]},
        {"harm": [0]},
        {"grid": []},
    ],
)
def test_what_cannot_be_asked_is_refused(wrong):
    given = {"confidence": [0.5, 1.0], "harm": [0, 1], "limit": 0.1, "delta": 0.1, **wrong}
    with pytest.raises(ValueError, match=r"expected|between"):
        learn_then_test(**given)
