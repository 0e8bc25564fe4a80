"""A metric is a statistic of weighted rows: by hand, against repeated rows, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.families.radsafe.metrics import metrics_of
from lm_eval_safescale.metrics import KINDS, Metric, mean, other, ratio, share, weighted_mean

NAN = float("nan")


def f1(columns, weights):
    """Of summed hits, extras and misses."""
    hits, extras, misses = ((np.nan_to_num(column).T @ weights) for column in columns)
    with np.errstate(invalid="ignore"):
        return 2 * hits / (2 * hits + extras + misses)


ECE, MCE = (metric for metric in metrics_of(()) if metric.name in ("ece", "mce"))
EVERY_KIND = {
    "share": share("s", "a share", higher_is_better=True),
    "mean": mean("m", "a mean", higher_is_better=True),
    "ratio": ratio("r", "a ratio", "hits", "wanted", higher_is_better=True),
    "f1": other("f", "an F1", ("hits", "extras", "misses"), f1, higher_is_better=True),
    "ece": ECE,
    "mce": MCE,
}
every_kind = pytest.mark.parametrize("metric", EVERY_KIND.values(), ids=EVERY_KIND)


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


# --- the usual ones -------------------------------------------------------------------------------


def test_the_builders_make_one_metric_of_each_kind():
    made = [EVERY_KIND[name] for name in ("share", "mean", "ratio", "f1")]
    assert [metric.kind for metric in made] == list(KINDS)
    assert [metric.is_mean for metric in made] == [True, True, False, False]
    assert [metric.sources for metric in made] == [
        ("s",),
        ("m",),
        ("hits", "wanted"),
        ("hits", "extras", "misses"),
    ]


def test_a_mean_is_of_the_column_of_its_name_unless_another_is_named():
    assert share("accuracy", "", "correct", higher_is_better=True).sources == ("correct",)
    assert mean("harm", "", "weight", higher_is_better=False, bounds=(0, 4)).bounds == (0, 4)


@pytest.mark.parametrize("kind", ["share", "mean"])
def test_a_mean_is_over_the_scored_units(kind):
    metric = EVERY_KIND[kind]
    assert metric.value([column(1, NAN, 0, 1)]).tolist() == [pytest.approx(2 / 3)]
    assert np.isnan(metric.value([column(NAN, NAN)])).all()


def test_a_ratio_is_of_the_sums_and_not_the_mean_of_ratios():
    recall = EVERY_KIND["ratio"]
    # the mean of ratios is 1/2
    assert recall.value([column(1, 0, 2), column(2, 1, 2)]).tolist() == [3 / 5]
    # scored in both or not at all
    assert recall.value([column(1, 0, NAN, 2), column(2, 1, 9, NAN)]).tolist() == [1 / 3]
    assert np.isnan(recall.value([column(0, 0), column(0, 0)])).all()
    assert np.isnan(recall.value([column(NAN), column(1)])).all()


def test_a_weight_counts_a_unit_so_often():
    recall, weights = EVERY_KIND["ratio"], np.array([[1.0, 0, 2], [1, 2, 0], [1, 0, 1]])
    # all once; the second twice, which wants one and hits none; the first twice and the last
    assert recall.value([column(1, 0, 2), column(2, 1, 2)], weights).tolist() == [[3 / 5, 0, 4 / 6]]


def test_one_column_a_model_gives_one_value_a_model():
    values = np.array([[1, 0, NAN], [0, 0, NAN]])
    assert EVERY_KIND["share"].value([values]).tolist()[:2] == [0.5, 0]
    assert EVERY_KIND["share"].value([values], np.ones((2, 4))).shape == (3, 4)


# --- any of them ----------------------------------------------------------------------------------

CELL = st.sampled_from([0.0, 0.25, 0.5, 1.0, NAN])


@every_kind
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_weighted_value_is_that_of_the_repeated_units(metric, data):
    n, m = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 3))
    columns = [
        np.array(data.draw(st.lists(CELL, min_size=n * m, max_size=n * m))).reshape(n, m)
        for _ in metric.sources
    ]
    if metric in (ECE, MCE):
        columns[1] = np.where(
            np.isnan(columns[0]), NAN, np.nan_to_num(np.round(columns[1]))
        )  # right or wrong, and scored with it
    weights = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=2 * n, max_size=2 * n))
    ).reshape(n, 2)
    found = metric.value(columns, weights.astype(np.float64))
    for draw in range(2):
        repeated = [np.repeat(column, weights[:, draw], axis=0) for column in columns]
        assert found[:, draw] == pytest.approx(metric.value(repeated), abs=1e-12, nan_ok=True)


@every_kind
def test_of_no_units_nothing_is_scored(metric):
    assert np.isnan(metric.value([np.empty((0, 3))] * len(metric.sources))).tolist() == [True] * 3


def test_an_item_s_value_is_a_column_under_the_metric_s_name():
    metric = Metric("mine", "always a half", lambda item, answers, params: 0.5)
    assert (metric.sources, metric.kind, metric.is_mean) == (("mine",), "mean", True)
    assert metric.value([column(0.5, NAN, 1)]).tolist() == [0.75]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "metric mine: expected either item_value or columns with a statistic, not neither"),
        ({"item_value": lambda *_: 1.0, "columns": ("a",), "statistic": weighted_mean}, "not both"),
        (
            {"item_value": lambda *_: 1.0, "kind": "ratio"},
            "item_value makes a mean over items, and no ratio",
        ),
        ({"columns": ("a",)}, r"columns without a statistic; mean\(...\)"),
        (
            {"columns": ("a",), "statistic": weighted_mean, "kind": "rate"},
            "the kind is 'rate'; expected one of share, mean, ratio",
        ),
    ],
)
def test_a_metric_that_is_written_neither_way_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Metric("mine", "a stub", **given)


@pytest.mark.parametrize(
    "statistic", [lambda columns, weights: 0.5, lambda columns, weights: columns[0].mean(axis=0)]
)
def test_a_statistic_of_another_shape_is_refused(statistic):
    metric = other("mine", "a stub", ("a",), statistic, higher_is_better=True)
    with pytest.raises(
        ValueError,
        match=r"metric mine: the statistic gave an array of shape \(.*\); expected \(1, 2\)",
    ):
        metric.value([column(1, 0, 1)], np.ones((3, 2)))


# --- over trials ----------------------------------------------------------------------------------

RECALL = ratio("recall", "hits of wanted", "hits", "wanted", higher_is_better=True, decode="trials")


def test_a_metric_over_trials_is_the_mean_of_the_trials_and_never_pools_their_counts():
    """Trial 0: 1 of 2 hit; trial 1: 2 of 8. The mean is 0.375; pooled it would be 3 of 10."""
    hits, wanted = np.array([[[1.0, 1.0]], [[0.0, 1.0]]]), np.array([[[1.0, 4.0]], [[1.0, 4.0]]])
    assert RECALL.by_trial([hits, wanted]).tolist() == [[0.5, 0.25]]
    assert RECALL.value([hits, wanted]).tolist() == [0.375]


def test_a_figure_that_one_trial_does_not_define_is_not_given():
    hits, wanted = np.array([[[1.0, 0.0]]]), np.array([[[2.0, 0.0]]])
    assert RECALL.by_trial([hits, wanted]).tolist() == [[0.5, pytest.approx(NAN, nan_ok=True)]]
    assert np.isnan(RECALL.value([hits, wanted])).all()


def test_a_draw_that_was_not_asked_for_is_no_trial():
    hits, wanted = np.array([[[1.0, NAN]]]), np.array([[[2.0, NAN]]])
    assert RECALL.value([hits, wanted]).tolist() == [0.5]
    assert np.isnan(RECALL.value([hits * NAN, wanted * NAN])).all()


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_trials_are_weighed_like_each_alone(units, m, draws, seed):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, 4, (units, m, draws)).astype(float) for _ in range(2)]
    weights = rng.integers(0, 3, (units, 2)).astype(float)
    alone = [RECALL.value([each[..., draw] for each in columns], weights) for draw in range(draws)]
    np.testing.assert_allclose(
        RECALL.value(columns, weights), np.mean(alone, axis=0), equal_nan=True
    )
