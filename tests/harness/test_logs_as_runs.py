"""What the harness itself writes of our tasks is imported whole: the rates of its table come out of
the runs again.
"""

from __future__ import annotations

import json

import pytest
from lm_eval.loggers import EvaluationTracker

from lm_eval_safescale.families.choice import facts_of
from lm_eval_safescale.importing import import_lm_eval
from lm_eval_safescale.runs import answer_arrays, item_table

from .stub import StubLM


@pytest.fixture
def logged(run, tmp_path, monkeypatch):
    """Two tasks run on the stub, and their logs, written by the harness."""
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "indexes"))
    asked = {"metadata": {"corpus": "demo"}, "log_samples": True, "limit": 12}
    results, _ = run(["radsafe_rag", "radsafe_closed_book"], StubLM(), **asked)
    samples = results.pop("samples")
    results["config"] |= {"model_args": "pretrained=org/stub"}  # as the command line records it
    tracker = EvaluationTracker(output_path=str(tmp_path))
    tracker.general_config_tracker.log_experiment_args(
        "stub", "pretrained=org/stub", None, None, None
    )
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    return results, samples, import_lm_eval([tmp_path])


def test_the_rates_of_the_harness_come_out_of_the_runs(logged):
    results, _, runs = logged
    assert (runs.models, runs.conditions) == (("org/stub",), ("closed_book", "rag"))
    facts, answers = facts_of(item_table(runs)), answer_arrays(runs)
    for condition in runs.conditions:
        given = answers["org/stub", condition]
        table = results["results"][f"radsafe_{condition}"]
        assert (given.greedy == facts.key).mean() == pytest.approx(table["accuracy,letter"])
        assert (given.greedy == -1).mean() == pytest.approx(table["unanswered,letter"])
        wrong = [
            n for n, letter in enumerate(given.greedy) if letter >= 0 and letter != facts.key[n]
        ]
        harm = sum(facts.labels["high_risk"][n, given.greedy[n]] for n in wrong) / len(facts.key)
        assert harm == pytest.approx(table["high_risk_error,letter"])
        assert len(set(given.greedy.tolist())) > 2
        assert given.samples.shape == (12, 3)


def test_every_text_and_context_is_that_of_the_log(logged):
    _, samples, runs = logged
    for task, own in samples.items():
        rows = runs.answers.filter(condition=task.removeprefix("radsafe_"))
        for sample in own:
            answers = rows.filter(question_id=sample["doc"]["question_id"])
            assert answers["text"].to_list() == [
                text for texts in sample["resps"] for text in texts
            ]
            assert set(answers["context_fingerprint"]) == {sample["doc"]["context_fingerprint"]}
            context = json.loads(json.dumps(sample["doc"]["context"]))
            assert set(answers["context_tokens"]) == {context["tokens"] if context else None}
            assert set(answers["evidence_coverage"]) == {
                context["measures"]["evidence_coverage"] if context else None
            }
            assert set(answers["recall"]) == {context["measures"]["recall"] if context else None}
