"""Calibration error in bins: edges to the last bit, hand-worked cases, numpy, and the second implementation."""

from math import nextafter

import numpy as np
import pytest
import second_implementation as second
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.metrics import CalibrationBin, calibration_bins, calibration_errors

EDGES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
NEAR_EDGES = [value for edge in EDGES[1:] for value in (nextafter(edge, 0), edge, nextafter(edge, 1))]
CONFIDENCES = st.floats(0, 1) | st.sampled_from([-0.0, 1.0, nextafter(1, 0), *NEAR_EDGES])
OUTCOMES = st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=40)
unhurried = settings(max_examples=100, deadline=None)


def bin_of(confidence, bins=10):
    (place,) = [i for i, b in enumerate(calibration_bins([confidence], [True], bins=bins)) if b.n]
    return place


def errors(outcomes):
    return calibration_errors(calibration_bins(*zip(*outcomes, strict=True)))


@pytest.mark.parametrize("place", range(10))
def test_an_edge_opens_its_own_bin_and_one_float_below_belongs_to_the_bin_before(place):
    edge = EDGES[place]
    assert bin_of(edge) == place
    assert bin_of(nextafter(edge, 1)) == place
    if place:
        assert bin_of(nextafter(edge, 0)) == place - 1


@pytest.mark.parametrize(("confidence", "place"), [(1.0, 9), (nextafter(1, 0), 9), (-0.0, 0), (5e-324, 0), (0.1 + 0.2, 3)])
def test_the_last_bin_is_closed_and_negative_zero_is_zero(confidence, place):
    assert bin_of(confidence) == place


@unhurried
@given(st.integers(1, 200).flatmap(lambda bins: st.tuples(st.integers(0, bins - 1), st.just(bins))))
def test_every_edge_of_any_number_of_bins_opens_its_bin(edge):
    place, bins = edge
    assert bin_of(place / bins, bins) == place
    assert place == 0 or bin_of(nextafter(place / bins, 0), bins) == place - 1


@unhurried
@given(st.lists(CONFIDENCES, min_size=1, max_size=40), st.integers(1, 30))
def test_bins_hold_as_many_items_as_the_histogram_of_numpy(confidences, bins):
    found = calibration_bins(confidences, [False] * len(confidences), bins=bins)
    edges = [found[0].lo, *(b.hi for b in found)]
    assert edges == pytest.approx(np.linspace(0, 1, bins + 1))
    assert [b.lo for b in found[1:]] == edges[1:-1]
    assert [b.n for b in found] == np.histogram(confidences, edges)[0].tolist()


def test_a_bin_has_the_mean_confidence_and_accuracy_of_its_items_and_an_empty_one_has_none():
    found = calibration_bins([0.1, 0.2, 0.6, 1.0], [True, False, False, True], bins=4)
    assert found == [
        CalibrationBin(0.0, 0.25, 2, pytest.approx(0.15), 0.5),
        CalibrationBin(0.25, 0.5, 0, None, None),
        CalibrationBin(0.5, 0.75, 1, 0.6, 0.0),
        CalibrationBin(0.75, 1.0, 1, 1.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("outcomes", "ece", "mce"),
    [
        ([(1.0, True), (1.0, True)], 0.0, 0.0),
        ([(1.0, False)], 1.0, 1.0),
        ([(0.0, False)], 0.0, 0.0),
        ([(0.75, True)] * 3 + [(0.75, False)], 0.0, 0.0),  # right as often as it is sure
        ([(0.9, True)] * 3 + [(0.2, True)], (3 * 0.1 + 0.8) / 4, 0.8),  # under-confidence counts like over-confidence
        ([(0.92, True), (0.98, False)], 0.45, 0.45),  # within a bin the gap is that of the means
    ],
)
def test_hand_worked_errors(outcomes, ece, mce):
    assert errors(outcomes) == pytest.approx((ece, mce), abs=1e-12)


@unhurried
@given(OUTCOMES)
def test_errors_agree_with_the_second_implementation(outcomes):
    confidences, hits = np.array(outcomes, dtype=float).T
    assert errors(outcomes) == pytest.approx(second.calibration_gaps(confidences, hits), abs=1e-12)


@unhurried
@given(OUTCOMES)
def test_the_expected_error_is_between_0_and_the_maximum_error(outcomes):
    ece, mce = errors(outcomes)
    assert 0 <= ece <= mce + 1e-12 <= 1 + 1e-12


@unhurried
@given(OUTCOMES.flatmap(lambda outcomes: st.tuples(st.just(outcomes), st.permutations(outcomes))))
def test_the_order_of_items_changes_nothing_to_the_last_bit(pair):
    assert len({errors(outcomes) for outcomes in pair}) == 1


def test_without_items_there_is_no_error_to_report():
    assert calibration_errors(calibration_bins([], [])) is None
    assert calibration_errors([]) is None


@pytest.mark.parametrize(
    ("confidences", "correct", "bins"),
    [
        ([0.5], [True, False], 10),
        ([0.5, 0.5], [True], 10),
        ([nextafter(1, 2)], [True], 10),
        ([-5e-324], [True], 10),
        ([float("nan")], [True], 10),
        ([0.5], [True], 0),
        ([0.5], [True], -1),
    ],
)
def test_impossible_input_is_refused(confidences, correct, bins):
    with pytest.raises(ValueError, match=r"confidences in \[0, 1\]"):
        calibration_bins(confidences, correct, bins=bins)
