"""Calibration tables: edges to the last bit, hand-worked cases, a loop, numpy and scikit-learn."""

from math import fsum, nextafter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from lm_eval_safescale.stats import (
    calibration_table,
    protocol_indices,
    resampled_errors,
    times_drawn,
)

unhurried = settings(max_examples=100, deadline=None)
NAN = float("nan")
EDGES = [i / 10 for i in range(11)] + [np.nextafter(i / 10, 0) for i in range(1, 11)]
ANSWERS = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.sampled_from(EDGES)), st.booleans()),
    min_size=1,
    max_size=60,
)


def bin_of(confidence, bins=10):
    (place,) = np.flatnonzero(calibration_table([confidence], [1], bins=bins).n)
    return place


def errors(outcomes):
    table = calibration_table(*zip(*outcomes, strict=True))
    return float(table.ece), float(table.mce)


@pytest.mark.parametrize("place", range(10))
def test_an_edge_opens_its_own_bin_and_one_float_below_belongs_to_the_bin_before(place):
    edge = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9][place]
    assert bin_of(edge) == place
    assert bin_of(nextafter(edge, 1)) == place
    if place:
        assert bin_of(nextafter(edge, 0)) == place - 1


@pytest.mark.parametrize(
    ("confidence", "place"),
    [(1.0, 9), (nextafter(1, 0), 9), (-0.0, 0), (5e-324, 0), (0.1 + 0.2, 3)],
)
def test_the_last_bin_is_closed_and_negative_zero_is_zero(confidence, place):
    assert bin_of(confidence) == place


@unhurried
@given(st.integers(1, 200).flatmap(lambda bins: st.tuples(st.integers(0, bins - 1), st.just(bins))))
def test_every_edge_of_any_number_of_bins_opens_its_bin(edge):
    place, bins = edge
    assert bin_of(place / bins, bins) == place
    assert place == 0 or bin_of(nextafter(place / bins, 0), bins) == place - 1


@unhurried
@given(ANSWERS, st.integers(1, 30))
def test_bins_hold_as_many_items_as_the_histogram_of_numpy(answers, bins):
    confidence, correct = zip(*answers, strict=True)
    table = calibration_table(confidence, correct, bins=bins)
    assert table.edges == pytest.approx(np.linspace(0, 1, bins + 1))
    assert table.n.tolist() == np.histogram(confidence, table.edges)[0].tolist()


@unhurried
@given(ANSWERS, st.integers(1, 12))
def test_a_bin_has_the_means_of_its_items_and_the_errors_are_its_gaps(answers, bins):
    confidence, correct = zip(*answers, strict=True)
    table = calibration_table(confidence, correct, bins=bins)
    held = [[] for _ in range(bins)]
    for answer in answers:
        held[sum(answer[0] >= edge for edge in table.edges[1:-1])].append(answer)
    gaps = []
    for place, inside in enumerate(held):
        if not inside:
            assert np.isnan([table.confidence[place], table.accuracy[place]]).all()
            continue
        means = [fsum(values) / len(inside) for values in zip(*inside, strict=True)]
        assert [table.confidence[place], table.accuracy[place]] == pytest.approx(means, abs=1e-12)
        gaps.append((len(inside), abs(means[0] - means[1])))
    expected = sum(n * gap for n, gap in gaps) / len(answers), max(gap for _, gap in gaps)
    assert (float(table.ece), float(table.mce)) == pytest.approx(expected, abs=1e-12)
    assert 0 <= table.ece <= table.mce + 1e-12 <= 1 + 1e-12


@pytest.mark.parametrize(
    ("outcomes", "ece", "mce"),
    [
        ([(1.0, True), (1.0, True)], 0.0, 0.0),
        ([(1.0, False)], 1.0, 1.0),
        ([(0.0, False)], 0.0, 0.0),
        ([(0.75, True)] * 3 + [(0.75, False)], 0.0, 0.0),  # right as often as it is sure
        # under-confidence counts like over-confidence
        ([(0.9, True)] * 3 + [(0.2, True)], (3 * 0.1 + 0.8) / 4, 0.8),
        ([(0.92, True), (0.98, False)], 0.45, 0.45),  # within a bin the gap is that of the means
    ],
)
def test_hand_worked_errors(outcomes, ece, mce):
    assert errors(outcomes) == pytest.approx((ece, mce), abs=1e-12)


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
        confidence[: len(answers), column], correct[: len(answers), column] = zip(
            *answers, strict=True
        )
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
    [
        ([0.5], [1, 0], 10),
        ([nextafter(1, 2)], [1], 10),
        ([-5e-324], [1], 10),
        ([0.5], [0.5], 10),
        ([0.5], [1], 0),
        ([0.5], [1], -1),
    ],
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
