"""Calibration tables against the single-model definition, a loop, and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from lm_eval_safescale.metrics.calibration import calibration_bins, calibration_errors
from lm_eval_safescale.stats import calibration_table, protocol_indices, resampled_errors, times_drawn

unhurried = settings(max_examples=100, deadline=None)
NAN = float("nan")
EDGES = [i / 10 for i in range(11)] + [np.nextafter(i / 10, 0) for i in range(1, 11)]
ANSWERS = st.lists(st.tuples(st.one_of(st.floats(0, 1), st.sampled_from(EDGES)), st.booleans()), min_size=1, max_size=60)


@unhurried
@given(ANSWERS, st.integers(1, 12))
def test_it_is_the_definition_for_a_single_model(answers, bins):
    confidence, correct = zip(*answers, strict=True)
    table, expected = calibration_table(confidence, correct, bins=bins), calibration_bins(confidence, correct, bins=bins)
    assert table.n.tolist() == [each.n for each in expected]
    assert list(zip(table.edges[:-1], table.edges[1:], strict=True)) == [(each.lo, each.hi) for each in expected]
    for name in ("confidence", "accuracy"):
        values = [NAN if getattr(each, name) is None else getattr(each, name) for each in expected]
        assert getattr(table, name) == pytest.approx(values, abs=1e-12, nan_ok=True)
    assert (float(table.ece), float(table.mce)) == pytest.approx(calibration_errors(expected), abs=1e-12)


def test_a_case_by_hand():
    table = calibration_table([0.05, 0.92, 0.98, 1.0, 0.9], [0, 1, 1, 0, 1])
    assert table.n.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 4]
    assert float(table.ece) == pytest.approx((0.05 + 4 * (0.95 - 0.75)) / 5)
    assert float(table.mce) == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(5))
def test_its_bins_hold_what_those_of_scikit_learn_hold(seed):
    # scikit-learn's bins are (lo, hi]; away from the edges they are the same
    rng = np.random.default_rng(seed)
    confidence = rng.random(300)
    correct = rng.random(300) < confidence
    table = calibration_table(confidence, correct)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=10)
    held = table.n > 0
    assert table.accuracy[held] == pytest.approx(accuracy)
    assert table.confidence[held] == pytest.approx(mean)


@unhurried
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_models_side_by_side_are_as_each_alone(models):
    longest = max(map(len, models))
    confidence, correct = np.full((2, longest, len(models)), NAN)
    for column, answers in enumerate(models):
        confidence[: len(answers), column], correct[: len(answers), column] = zip(*answers, strict=True)
    table = calibration_table(confidence, correct)
    for column, answers in enumerate(models):
        alone = calibration_table(*zip(*answers, strict=True))
        assert table.n[:, column].tolist() == alone.n.tolist()
        assert table.ece[column] == pytest.approx(float(alone.ece), abs=1e-12)
        assert table.mce[column] == pytest.approx(float(alone.mce), abs=1e-12)


def test_no_item_has_no_error():
    table = calibration_table([[NAN, 0.5]], [[NAN, 1]])
    assert np.isnan(table.ece).tolist() == np.isnan(table.mce).tolist() == [True, False]
    assert table.n[:, 0].sum() == 0


@pytest.mark.parametrize(
    ("confidence", "correct", "bins"),
    [([0.5], [1, 0], 10), ([1.1], [1], 10), ([-0.1], [1], 10), ([0.5], [0.5], 10), ([0.5], [1], 0)],
)
def test_what_cannot_be_binned_is_refused(confidence, correct, bins):
    with pytest.raises(ValueError, match="expected"):
        calibration_table(confidence, correct, bins=bins)


@pytest.mark.parametrize("block", [1, 3000, 1 << 22])
def test_the_errors_of_resamples_are_those_of_the_items_drawn(monkeypatch, block):
    monkeypatch.setattr("lm_eval_safescale.stats.calibration.BLOCK", block)
    rng = np.random.default_rng(8)
    confidence, correct = rng.choice([*EDGES, 0.33], (9, 5)), rng.integers(0, 2, (9, 5))
    confidence[rng.random((9, 5)) < 0.4] = NAN
    confidence[:, 2], confidence[1:, 3] = NAN, NAN
    indices = protocol_indices(9, 40)
    ece, mce = resampled_errors(confidence, correct, times_drawn(indices, 9))
    for number, drawn in enumerate(indices):
        table = calibration_table(confidence[drawn], correct[drawn])
        assert ece[:, number] == pytest.approx(table.ece, abs=1e-12, nan_ok=True)
        assert mce[:, number] == pytest.approx(table.mce, abs=1e-12, nan_ok=True)


def test_resamples_need_columns():
    with pytest.raises(ValueError, match=r"\(items, columns\)"):
        resampled_errors([0.5], [1], np.ones((1, 2)))
