"""Resamples within strata, and intervals over trials: by hand, and against what must hold of
any.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.stats import protocol_indices, strata_of, stratified_indices
from lm_eval_safescale.stats.presets import trials_interval


def test_strata_follow_their_first_appearance_and_small_ones_are_one_which_comes_last():
    labels = ["b", "a", "b", "c", "b", "d", "a", "a", None]
    assert strata_of(labels) == (0, 1, 0, 2, 0, 2, 1, 1, 2)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
@settings(deadline=None)
def test_each_resample_draws_as_many_of_a_stratum_as_it_has(labels):
    strata = strata_of(labels)
    drawn = stratified_indices(strata, b=20)
    for resample in drawn:
        assert Counter(strata[place] for place in resample) == Counter(strata)
    assert np.array_equal(drawn, stratified_indices(strata, b=20))


def test_one_stratum_is_the_protocols_own_resamples():
    assert np.array_equal(stratified_indices((0,) * 12), protocol_indices(12))


def test_no_item_and_no_resample_are_refused():
    for strata, b in (((), 5), ((0,), 0)):
        with pytest.raises(ValueError, match="at least one of each"):
            stratified_indices(strata, b)


def test_the_interval_over_trials_by_hand():
    """0.2, 0.4, 0.6: mean 0.4, sd 0.2 (n - 1), 1.96 * 0.2 / sqrt(3) = 0.226321."""
    low, high = trials_interval(np.array([[0.2, 0.4, 0.6], [0.9, 1.0, 1.0]]))
    assert low[0] == pytest.approx(0.4 - 0.226321, abs=1e-6)
    assert high[0] == pytest.approx(0.4 + 0.226321, abs=1e-6)
    assert high[1] > 1  # not clipped


def test_one_trial_has_no_interval_and_an_undefined_trial_none_either():
    assert np.isnan(trials_interval(np.array([[0.5]]))).all()
    assert np.isnan(trials_interval(np.array([[0.5, np.nan, 0.7]]))).all()
