"""Plugins' metrics under the stock harness: what ends in its table, in its log and in
`safescale table`, and what fails.
"""

from __future__ import annotations

import json

import pytest
from lm_eval.loggers import EvaluationTracker
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.harness.weighing import NOT_SCORED
from lm_eval_safescale.metrics import Metric, other, ratio, weighted_mean
from lm_eval_safescale.stats import calibration_table
from tests.harness.stub import StubLM, pick_by_hash


def gap(columns, weights):
    right, wrong = (weighted_mean([column], weights) for column in columns)
    return right - wrong


HARM = ratio(
    "harm_for_a_right_answer", "high-risk errors for each right answer", "high_risk_error",
    "correct", higher_is_better=False, bounds=(0, float("inf")),
)  # fmt: skip
GAP = other(
    "confidence_gap", "confidence where right less where wrong",
    ("confidence_correct", "confidence_incorrect"), gap, higher_is_better=True, bounds=(-1, 1),
)  # fmt: skip
ASKED = {"metrics": [HARM.name, GAP.name, "ece"]}


@pytest.fixture
def with_metrics(run, add_part):
    """Runs with the metrics of this page."""
    for metric in (HARM, GAP):
        add_part("metric", metric)
    return lambda **options: run("radsafe_clean", metadata=ASKED, **options)[0]


def shown(results):
    return results["results"]["radsafe_clean"]


def mean(values):
    return sum(values) / len(values)


def test_a_ratio_and_any_other_statistic_end_in_the_table_with_the_value_by_hand(with_metrics):
    results = with_metrics()
    samples = results["samples"]["radsafe_clean"]
    errors = sum(sample["high_risk_error"] for sample in samples)
    right = sum(sample["accuracy"] for sample in samples)
    assert shown(results)["harm_for_a_right_answer,letter"] == pytest.approx(errors / right)
    assert errors > right  # a ratio may exceed 1
    confidence = {
        kind: [sample["confidence"] for sample in samples if sample["majority_accuracy"] == kind]
        for kind in (0.0, 1.0)
    }
    assert shown(results)["confidence_gap,letter"] == pytest.approx(
        mean(confidence[1.0]) - mean(confidence[0.0])
    )
    bins = calibration_table(
        *([sample[name] for sample in samples] for name in ("confidence", "majority_accuracy"))
    )
    assert shown(results)["ece,letter"] == pytest.approx(float(bins.ece))
    assert shown(results)["ece_stderr,letter"] == "N/A"
    assert results["higher_is_better"]["radsafe_clean"]["harm_for_a_right_answer"] is False


def test_the_record_of_the_run_names_the_statistic_and_nothing_that_changes_between_runs(
    with_metrics,
):
    first, again = (
        with_metrics(limit=3)["configs"]["radsafe_clean"]["metric_list"] for _ in range(2)
    )
    assert json.dumps(first) == json.dumps(again)
    assert {each["metric"]: each["aggregation"] for each in first}[
        HARM.name
    ] == "ratio of high_risk_error, correct"


def test_the_log_has_an_item_s_columns_and_null_for_what_is_not_scored(with_metrics):
    for sample in with_metrics(limit=8)["samples"]["radsafe_clean"]:
        assert sample["harm_for_a_right_answer"] == (sample["high_risk_error"], sample["accuracy"])
        right, wrong = sample["confidence_gap"]
        assert (right, wrong)[int(1 - sample["majority_accuracy"])] == sample["confidence"]
        assert (right, wrong)[int(sample["majority_accuracy"])] is None


def test_several_ranks_give_the_values_of_one(with_metrics):
    pytest.importorskip("torch")  # the harness gathers with it
    alone, together = (shown(with_metrics(limit=13, ranks=ranks)) for ranks in (1, 2))
    for name in (HARM.name, GAP.name, "ece"):
        assert together[f"{name},letter"] == pytest.approx(alone[f"{name},letter"]), name


def test_an_answer_that_the_backend_did_not_give_is_in_no_sum(with_metrics):
    def some(prompt, arguments, draw):
        return (
            None
            if "brain" in prompt and not arguments["do_sample"]
            else pick_by_hash(prompt, arguments, draw)
        )

    results = with_metrics(lm=StubLM(answer=some))
    given = [
        sample
        for sample in results["samples"]["radsafe_clean"]
        if sample["filtered_resps"][0] != ["error"]
    ]
    assert 0 < len(given) < 60
    expected = sum(sample["high_risk_error"] for sample in given) / sum(
        sample["accuracy"] for sample in given
    )
    assert shown(results)["harm_for_a_right_answer,letter"] == pytest.approx(expected)


def test_a_ratio_of_nothing_is_not_scored(with_metrics):
    # no right answer to divide by
    results = with_metrics(lm=StubLM(answer=lambda *_: "I cannot say."))
    assert shown(results)["harm_for_a_right_answer,letter"] == NOT_SCORED
    assert shown(results)["unanswered,letter"] == 1


def test_without_samples_what_needs_them_is_not_scored_and_the_rest_is(run, add_part):
    for metric in (HARM, GAP):
        add_part("metric", metric)
    values = shown(run("radsafe_clean", metadata={**ASKED, "draws": 0})[0])
    assert (values["confidence_gap,letter"], values["ece,letter"]) == (NOT_SCORED, NOT_SCORED)
    assert values["harm_for_a_right_answer,letter"] > 0


def test_the_table_of_the_command_shows_them(with_metrics, tmp_path):
    results = with_metrics()
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(tmp_path))
    tracker.general_config_tracker.log_experiment_args(
        "stub", "pretrained=org/stub", None, None, None
    )
    tracker.save_results_aggregated(results=results, samples=samples)
    told = CliRunner().invoke(app, ["table", str(tmp_path)])
    assert told.exit_code == 0
    for name in (HARM.name, GAP.name, "ece"):
        (line,) = (line for line in told.output.splitlines() if name.replace("_", " ") in line)
        value = shown(results)[f"{name},letter"]
        is_fraction = name == "ece"  # the others' bounds are wider: a percent would be wrong
        assert ("(no percent)" in line) != is_fraction
        assert (f"{100 * value:.1f}" if is_fraction else f"{value:.4g}") in line


# --- what fails -----------------------------------------------------------------------------------


def test_a_metric_that_fails_while_scoring_is_not_scored_and_loses_nothing_else(run, add_part):
    def score(item, answers, params):
        if len(set(map(str, answers.samples))) > 1:  # never so when it is tried beforehand
            raise ZeroDivisionError("mixed answers")
        return 1.0

    add_part("metric", Metric("fragile", "fails now and then", score, higher_is_better=True))
    _check_that_only_the_fragile_one_is_lost(
        run, "metric fragile (some-plugin 1.2) failed for item", "mixed answers"
    )


def test_a_statistic_that_fails_is_not_scored_and_loses_nothing_else(run, add_part):
    def statistic(columns, weights):
        if ((columns[0] > 0) & (columns[0] < 1)).any():
            raise ZeroDivisionError("mixed answers")
        return weighted_mean(columns, weights)

    add_part(
        "metric",
        other("fragile", "fails now and then", ("agreement",), statistic, higher_is_better=True),
    )
    _check_that_only_the_fragile_one_is_lost(
        run, "metric fragile (some-plugin 1.2) failed", "mixed answers"
    )


def _check_that_only_the_fragile_one_is_lost(run, *said):
    expected, _ = run("radsafe_clean", limit=10)
    results, _ = run("radsafe_clean", metadata={"metrics": ["fragile"]}, limit=10)
    assert shown(results)["fragile,letter"] == NOT_SCORED
    for name, value in shown(expected).items():
        assert shown(results)[name] == value, name
    failed = results["configs"]["radsafe_clean"]["metadata"]["safescale"]["failed_metrics"]
    assert all(each in failed["fragile"] for each in said)
