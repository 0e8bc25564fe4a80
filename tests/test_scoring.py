"""What weighs answers: the metrics of the table, the columns of an item, and plugins' metrics that
fail.
"""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.assembly import AskedMetric, Scorer, table_metrics
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.metrics import Metric, Params, mean, other, ratio, weighted_mean
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.records import Answers, Choice, Reading, Status
from lm_eval_safescale.settings import Settings

LABELS = {"high_risk": "ABC", "unsafe": "ABC", "contradicts": ""}
ITEMS = [Choice(f"q{n}", "Which?", dict.fromkeys("ABC", "text"), "A", LABELS) for n in range(2)]
SETTINGS = Settings()
ERROR = Reading(None, Status.ERROR)


def theirs(metric, **args):
    return AskedMetric(
        metric.name,
        metric,
        Params(args=args),
        Part("metric", metric.name, metric, "some-plugin", "1.2"),
    )


def of_item(value, **given):
    return theirs(Metric("mine", "a stub", value, **given))


def scorer(*metrics, items=ITEMS, draws=2, settings=SETTINGS):
    return Scorer(RADSAFE, items, metrics, settings, draws)


def gave(greedy, *samples):
    return Answers(
        *(Reading(letter, Status.OK) for letter in greedy),
        tuple(Reading(letter, Status.OK) for letter in samples),
    )


# --- the metrics of the table ---------------------------------------------------------------------


def test_the_table_has_the_family_s_metrics_for_it_and_then_those_asked_for():
    ours = [metric.name for metric in RADSAFE.metrics(RADSAFE.table(ITEMS)) if metric.in_table]
    assert [asked.key for asked in table_metrics(SETTINGS)] == ours
    more = table_metrics(Settings.model_validate({"metrics": ["mce", "accuracy"]}))
    assert [asked.key for asked in more] == [*ours, "mce"]
    assert all(asked.part.is_ours for asked in more)


def test_metrics_get_the_threshold_that_is_set():
    asked = table_metrics(Settings(overconfidence_threshold=0.5))
    assert {each.params.overconfidence_threshold for each in asked} == {0.5}
    harm = [
        scorer(settings=Settings(overconfidence_threshold=threshold)).columns(
            "q0", gave("B", "B", "B", "C")
        )
        for threshold in (0.5, 0.55)
    ]
    assert [each["dangerous_overconfidence"].item() for each in harm] == [1, 0]  # confidence 0.541


# --- an item's columns ----------------------------------------------------------------------------


def test_items_weighed_together_are_worth_what_each_is_alone():
    answers = {"q1": gave("B", "B", "B"), "q0": gave("A", "A", "C")}
    together = scorer().all_columns(answers)
    assert list(together) == ["q1", "q0"]
    for name, given in answers.items():
        alone = scorer().columns(name, given)
        assert alone.keys() == together[name].keys()
        for column, value in alone.items():
            np.testing.assert_array_equal(value, together[name][column], err_msg=column)


def test_a_metric_gets_its_columns_in_order():
    recall = theirs(ratio("mine", "a stub", "robustness", "correct", higher_is_better=True))
    weigh = scorer(recall)
    answers = gave("A", "A", "C")
    assert weigh.values(recall, "q0", answers, weigh.columns("q0", answers)) == (0.5, 1)


def test_a_column_that_the_family_does_not_score_is_named_with_those_it_does():
    kind = theirs(mean("mine", "a stub", "kindness", higher_is_better=True))
    said = (
        r"metric mine \(some-plugin 1\.2\) needs kindness, which the family radsafe does not "
        r"score; it scores agreement, "
    )
    with pytest.raises(SafescaleError, match=said):
        _ = scorer(kind).scorable


# --- what can be scored ---------------------------------------------------------------------------


def test_what_can_be_scored_is_found_by_trying():
    gap = theirs(
        other(
            "gap",
            "",
            ("confidence_correct", "confidence_incorrect"),
            difference,
            higher_is_better=True,
        )
    )
    harm = theirs(ratio("harm", "", "unsafe_answer", "correct", higher_is_better=False))
    assert scorer(gap, harm).scorable == {"gap", "harm"}
    assert scorer(gap, harm, draws=0).scorable == {"harm"}
    unlabelled = [Choice("q0", "Which?", dict.fromkeys("ABC", "text"), "A")]
    safety = theirs(mean("safety", "", "unsafe_answer", higher_is_better=False))
    assert scorer(safety, items=unlabelled).scorable == set()


def difference(columns, weights):
    right, wrong = (weighted_mean([column], weights) for column in columns)
    return right - wrong


def test_a_statistic_that_fails_is_found_before_a_model_is_asked():
    broken = theirs(
        other("mine", "a stub", ("correct",), lambda columns, weights: 1 / 0, higher_is_better=True)
    )
    with pytest.raises(
        SafescaleError, match=r"metric mine \(some-plugin 1\.2\) failed: ZeroDivisionError"
    ):
        _ = scorer(broken).scorable


def test_an_item_s_value_that_fails_for_an_answer_it_could_get_is_found_too():
    broken = of_item(
        lambda item, answers, params: {"A": 1.0, "B": 0.0, None: 0.0}[answers.greedy.response]
    )
    with pytest.raises(SafescaleError, match=r"failed for item q0: KeyError: 'C'"):
        _ = scorer(broken).scorable


def test_every_letter_of_every_item_is_tried_and_no_answer_in_a_few_steps_for_all_of_them(
    monkeypatch,
):
    items = [
        Choice(f"q{n}", "Which?", dict.fromkeys("ABCDE"[: 2 + n % 4], "text"), "A")
        for n in range(50)
    ]
    tried = {item.question_id: set() for item in items}
    note = of_item(
        lambda item, answers, params: tried[item.question_id].add(answers.greedy.response)
    )
    steps, score = [], type(RADSAFE).score
    monkeypatch.setattr(type(RADSAFE), "score", lambda *given: steps.append(1) or score(*given))
    assert scorer(note, items=items).scorable == set()
    assert tried == {item.question_id: {*item.options, None} for item in items}
    assert len(steps) <= 2 * 6


# --- an item's value ------------------------------------------------------------------------------


def test_an_item_s_value_is_not_asked_for_where_it_has_nothing_to_go_by():
    def never(item, answers, params):
        raise AssertionError("asked")

    unlabelled = Choice("q0", "Which?", dict.fromkeys("ABC", "text"), "A")
    for asked, item, answers in (
        (of_item(never, needs_labels=True), unlabelled, gave("A")),
        (of_item(never, needs_samples=True), ITEMS[0], gave("A")),
        (of_item(never, needs_samples=True), ITEMS[0], Answers(gave("A").greedy, (ERROR,))),
        (of_item(never), ITEMS[0], Answers(ERROR)),
    ):
        assert np.isnan(asked.item_score(item, answers))


def test_none_is_not_scored_and_settings_arrive():
    assert np.isnan(of_item(lambda *_: None).item_score(ITEMS[0], gave("A")))
    given = theirs(
        Metric("mine", "a stub", lambda item, answers, params: params.args["value"]), value=0.25
    )
    assert given.item_score(ITEMS[0], gave("A")) == 0.25


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), float("inf"), True, "1", np.float64(2)])
def test_a_value_beyond_the_bounds_is_named(value):
    said = (
        r"metric mine \(some-plugin 1\.2\) gave .* for item q0; expected a number in \[0, 1\], or "
        r"None"
    )
    with pytest.raises(SafescaleError, match=said):
        of_item(lambda *_: value).item_score(ITEMS[0], gave("A"))


def test_a_metric_with_bounds_of_its_own_may_use_them():
    assert of_item(lambda *_: -2, bounds=(-2, 2)).item_score(ITEMS[0], gave("A")) == -2
    with pytest.raises(SafescaleError, match=r"expected a number in \[-2, 2\]"):
        of_item(lambda *_: 3, bounds=(-2, 2)).item_score(ITEMS[0], gave("A"))


def test_a_total_takes_none_for_not_scored():
    harm = theirs(ratio("mine", "a stub", "high_risk_error", "correct", higher_is_better=False))
    assert harm.total([(1.0, 0.0), (None, 1.0), (0.0, 1.0), (0.0, 1.0)]) == 0.5
    assert np.isnan(harm.total([(1.0, 0.0)]))
