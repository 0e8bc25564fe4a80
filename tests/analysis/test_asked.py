"""Metrics that runs asked for: plugins' beside ours, in the tables or named with the reason why
not.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, paired_tests, profile, results
from lm_eval_safescale.assembly import scoring
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.metrics import Metric, mean, share
from lm_eval_safescale.plugins import Plugin, Plugins, _built_in
from tests.analysis.making import random_plain


@pytest.fixture
def asking(monkeypatch):
    """`asking(metrics...)`: a study of random runs that asked for these metrics of a package
    `theirs`; names are of ours."""

    def asking(*asked: Metric | str, groups=()) -> Study:
        module = ModuleType("theirs")
        module.safescale_register_metrics = hookimpl(
            lambda register: [register(each) for each in asked if isinstance(each, Metric)]
        )
        known = Plugins([*_built_in(), Plugin("theirs", "1.0", "theirs", lambda: module)])
        monkeypatch.setattr(scoring, "plugins", lambda: known)
        plain = random_plain(3, models=2, n=12, k=3)
        for place, item in enumerate(sorted(plain.items)):
            plain.items[item] |= {name: members[place] for name, members in dict(groups).items()}
        runs = plain.runs()
        names = {each if isinstance(each, str) else f"theirs/{each.name}": {} for each in asked}
        for known_of_model in runs.about["models"].values():
            known_of_model["settings"]["metrics"] = names
        return Study(runs)

    return asking


def of_item(name: str, value=lambda *_: 0.25, **given) -> Metric:
    return Metric(name, "a stub", value, **given)


@pytest.mark.parametrize(
    "name", ["correct", "majority", "truncated", "latency_s", "accuracy", "mce", "n", "accuracy_lo"]
)
def test_a_plugin_s_metric_named_like_a_column_or_metric_of_ours_leaves_ours_as_it_is(asking, name):
    without, beside = asking(), asking(of_item(name))
    for pair, cell in without.scores.items():
        for column, values in cell.values.items():
            np.testing.assert_array_equal(beside.scores[pair][column], values, err_msg=column)
    assert [metric.name for metric in beside.asked_metrics] == [f"theirs/{name}"]
    own, both = profile(without), profile(beside)
    assert both.select(own.columns).equals(own)
    assert set(both[f"theirs/{name}"]) == {0.25}


def test_a_metric_of_ours_that_is_asked_for_stands_once_in_every_table(asking):
    without, beside = asking(), asking("ece", "robustness")
    assert [metric.name for metric in beside.asked_metrics] == ["ece", "robustness"]
    for table in (results, paired_tests, profile):
        assert table(beside).equals(table(without)), table.__name__


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (share("steady", "", "agreement", higher_is_better=True), "0 or 1, as it is a share"),
        (of_item("steady", kind="share"), "0 or 1, as it is a share"),
        (mean("steady", "", "majority", higher_is_better=True), "a number in [0, 1]"),
    ],
)
def test_item_values_that_do_not_fit_their_kind_cost_their_own_metric_alone(asking, metric, reason):
    without, beside = asking(), asking(metric, of_item("good"))
    assert list(beside.not_computed) == ["theirs/steady"]
    said = beside.not_computed["theirs/steady"]
    assert said.startswith("metric steady (theirs 1.0) has ")
    assert said.endswith(f"; expected {reason}")
    assert {row["metric"] for row in paired_tests(beside).to_dicts()} == {
        "good",
        *paired_tests(without)["metric"],
    }
    assert set(profile(beside)["good"]) == {0.25}


def test_a_metric_sees_an_item_s_groups_as_it_does_under_the_harness(asking):
    groups = {"subspecialty": ["chest", None, *["neuro"] * 10], "question_type": ["recall"] * 12}
    seen = [
        of_item(
            name,
            lambda item, answers, params, name=name: float(
                item.groups.get(name) in ("chest", "recall")
            ),
        )
        for name in groups
    ]
    study = asking(*seen, groups=groups)
    for cell in study.scores.values():
        assert cell["subspecialty"].tolist() == [1, *[0] * 11]
        assert cell["question_type"].tolist() == [1] * 12
