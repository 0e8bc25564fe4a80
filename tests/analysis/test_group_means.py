"""Means by group: against a loop over resamples, the tables of single models, and few items."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, group_means, results
from lm_eval_safescale.stats import protocol_indices
from tests.report.making import drawn_runs


def row(frame, metric, condition, group):
    (found,) = frame.filter(metric=metric, condition=condition, group=group).to_dicts()
    return found


def test_a_mean_is_that_of_the_models_own_values_in_the_group():
    study = Study(drawn_runs())
    of_models = results(study).filter(metric="high_risk_error", condition="clean", group="neuro")
    found = row(group_means(study), "high_risk_error", "clean", "neuro")
    assert found["mean"] == pytest.approx(of_models["value"].mean())
    assert found["n"] == of_models["n"][0]
    assert found["n_models"] == of_models.height == 4


@pytest.mark.parametrize("metric", ["accuracy", "high_risk_error"])
def test_its_interval_and_that_of_the_difference_are_of_the_same_resamples(metric):
    study = Study(drawn_runs(n=30))
    column = {"accuracy": "correct"}.get(metric, metric)
    values = np.array([cell[column] for (_, c), cell in study.scores.items() if c == "rag"])
    inside = np.array([each == "neuro" for each in study.items.groups["subspecialty"]])
    drawn = []
    for index in protocol_indices(30):
        own, of = values[:, index], inside[index]
        drawn.append((own[:, of].mean(), own[:, ~of].mean()))
    within, outside = np.array(drawn).T
    found = row(group_means(study, "radsafe-2026"), metric, "rag", "neuro")
    bounds = [found["mean_lo"], found["mean_hi"]]
    assert bounds == pytest.approx(np.percentile(within, [2.5, 97.5]))
    bounds = [found["difference_lo"], found["difference_hi"]]
    assert bounds == pytest.approx(np.percentile(within - outside, [2.5, 97.5]))
    both = values[:, inside].mean() - values[:, ~inside].mean()
    assert found["difference"] == pytest.approx(both)


def test_a_group_of_one_item_has_a_mean_and_no_interval_of_it():
    study = Study(drawn_runs(n=2))
    found = row(group_means(study), "accuracy", "clean", "neuro")
    assert found["n"] == 1
    assert found["mean"] is not None
    assert found["mean_lo"] is None
    assert found["mean_hi"] is None


def test_items_without_groups_and_harm_without_labels_have_no_rows():
    study = Study(drawn_runs(labels=False))
    assert "high_risk_error" not in group_means(study)["metric"].to_list()
    assert "accuracy" in group_means(study)["metric"].to_list()
