"""Standard errors: by hand for means, by plain loops over the resamples for all else."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.analysis.standard_errors import standard_errors_of
from lm_eval_safescale.metrics.metric import mean, ratio, share
from lm_eval_safescale.stats.bootstrap import protocol_indices
from lm_eval_safescale.stats.design import Design

NAN = np.nan
COLUMNS = {
    "hit": np.array([[1.0, 0.0], [0.0, 0.0], [1.0, NAN], [1.0, NAN]]),
    "wanted": np.array([[2.0, 1.0], [1.0, 1.0], [1.0, 1.0], [3.0, 1.0]]),
}
METRICS = [
    share("hits", "", "hit", higher_is_better=True),
    mean("wants", "", "wanted", higher_is_better=True, bounds=(0, 9)),
    ratio("recall", "", "hit", "wanted", higher_is_better=True),
]


def errors(design):
    return standard_errors_of(METRICS, COLUMNS.__getitem__, design)


def test_of_a_mean_it_is_the_deviation_of_its_items_over_the_root_of_n():
    found = errors(Design(4))
    assert found["hits"].values == pytest.approx([np.std([1, 0, 1, 1], ddof=1) / 2, 0])
    assert found["wants"].values == pytest.approx([np.std([2, 1, 1, 3], ddof=1) / 2, 0])
    assert found["hits"].deviations == pytest.approx([np.std([1, 0, 1, 1], ddof=1), 0])
    assert {found[name].method for name in ("hits", "wants")} == {"analytic"}
    (alone,) = standard_errors_of(
        [METRICS[0]], lambda _: np.array([[1.0], [NAN]]), Design(2)
    ).values()
    assert np.isnan(alone.values).all()


def test_of_any_other_statistic_it_is_the_deviation_over_the_resamples():
    hits, wanted = (COLUMNS[name][:, 0] for name in ("hit", "wanted"))
    drawn = [hits[places].sum() / wanted[places].sum() for places in protocol_indices(4)]
    found = errors(Design(4))["recall"]
    assert found.values[0] == pytest.approx(np.std(drawn, ddof=1))
    assert (found.method, found.deviations) == ("bootstrap", None)


def test_items_of_one_unit_are_drawn_together():
    """Two units of two items each: a resample holds one of them twice, or both."""
    hits = COLUMNS["hit"][:, 0].reshape(2, 2)
    drawn = [hits[places].mean() for places in protocol_indices(2)]
    found = errors(Design(4, units=(0, 0, 1, 1)))["hits"]
    assert (found.values[0], found.method) == (pytest.approx(np.std(drawn, ddof=1)), "bootstrap")


def test_a_share_looks_at_no_strata_and_a_mean_does():
    found = errors(Design(4, strata=(0, 0, 0, 1)))
    assert {name: each.method for name, each in found.items()} == {
        "hits": "analytic",
        "wants": "bootstrap",
        "recall": "bootstrap",
    }
