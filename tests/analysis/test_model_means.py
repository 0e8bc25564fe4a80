"""Means over models: by a loop over resamples, beside the tables of single models, and of few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, model_means, paired_tests, profile
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.panel import Panel, PanelModel
from lm_eval_safescale.stats import protocol_indices
from tests.analysis.making import item, one_cell, random_plain

PANEL = Panel(
    (PanelModel("model-0", "Big", 70), PanelModel("model-1", "Big", 7), PanelModel("model-2"))
)


def study(**kwargs):
    return Study(
        random_plain(3, models=4, conditions=("closed_book", "clean"), **kwargs).runs(),
        given_panel=PANEL,
    )


def row(frame, metric, condition, family="all"):
    (found,) = frame.filter(metric=metric, condition=condition, family=family).to_dicts()
    return found


def test_a_mean_is_that_of_the_models_and_its_interval_of_items_drawn_for_all_models_together():
    runs = study(n=25, k=3)
    own = profile(runs).filter(condition="clean")["accuracy"].to_numpy()
    found = row(model_means(runs, "radsafe-2026"), "accuracy", "clean")
    assert found["n_models"] == 4
    assert found["mean"] == pytest.approx(own.mean())
    assert found["deviation"] == pytest.approx(own.std(ddof=1))
    assert (found["least"], found["most"]) == (own.min(), own.max())
    values = [cell["correct"] for (_, c), cell in runs.scores.items() if c == "clean"]
    drawn = [
        np.mean([np.nanmean(each[index]) for each in values]) for index in protocol_indices(25)
    ]
    assert [found["mean_lo"], found["mean_hi"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_of_one_model_it_is_what_the_tables_of_models_have():
    runs = Study(random_plain(3, models=1, conditions=("closed_book", "clean"), n=40, k=3).runs())
    means, own, tests = model_means(runs), profile(runs), paired_tests(runs)
    for metric in ("accuracy", "high_risk_error", "dangerous_overconfidence", "confidence"):
        found = row(means, metric, "clean")
        (of_model,) = own.filter(condition="clean").to_dicts()
        assert [found["mean"], found["mean_lo"], found["mean_hi"]] == pytest.approx(
            [of_model[metric], of_model[f"{metric}_lo"], of_model[f"{metric}_hi"]]
        )
        change = row(means, metric, "clean - closed_book")
        decode = {"dangerous_overconfidence": "majority", "confidence": "samples"}
        (test,) = tests.filter(metric=metric, decode=decode.get(metric, "greedy")).to_dicts()
        assert [change["mean"], change["mean_lo"], change["mean_hi"]] == pytest.approx(
            [test["delta"], test["delta_lo"], test["delta_hi"]]
        )
        assert found["deviation"] is None


def test_a_family_has_its_own_models_and_one_that_the_panel_does_not_know_is_in_none():
    found = model_means(study())
    assert set(found["family"]) == {"all", "Big"}
    assert row(found, "accuracy", "clean", "Big")["n_models"] == 2
    assert row(found, "accuracy", "clean")["n_models"] == 4


def test_a_change_is_of_items_scored_under_both_conditions():
    plain = one_cell({"1": item(), "2": item()}, "A!", condition="closed_book")
    plain.answered |= one_cell(plain.items, "BA", condition="clean").answered
    found = model_means(Study(plain.runs()))
    assert row(found, "accuracy", "clean")["mean"] == 0.5
    assert row(found, "accuracy", "clean - closed_book")["mean"] == -1


def test_nothing_scored_is_null_and_no_model():
    found = row(model_means(Study(one_cell({"1": item()}, "!").runs())), "accuracy", "clean")
    assert found == {
        **dict.fromkeys(("mean", "mean_lo", "mean_hi", "deviation", "least", "most")),
        "metric": "accuracy", "condition": "clean", "family": "all", "n_models": 0,
    }  # fmt: skip


def test_it_has_the_metrics_that_the_family_says_of_a_run_or_studies():
    said = set(model_means(study(k=3))["metric"])
    assert said == {*RADSAFE.headlines, *RADSAFE.studied}


def test_of_controls_alone_there_are_none():
    made = one_cell({"1": item(), "2": item()}, "AB").runs()
    about = {"models": {"m": {"settings": {"backend": "choose-at-random"}}}}
    assert model_means(Study(replace(made, about={**made.about, **about}))).is_empty()
