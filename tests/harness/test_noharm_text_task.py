"""Tasks whose answers a judge must read: the harness stores them and shows how many wait, and its
logs become the runs that `safescale run` makes of the same answers.
"""

from __future__ import annotations

import json

import pytest
from lm_eval.loggers import EvaluationTracker

from lm_eval_safescale.analysis.unjudged import unjudged
from lm_eval_safescale.datasets.sources import data_folder
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.families.noharm_text.verdicts import no_actions
from lm_eval_safescale.importing import import_lm_eval
from lm_eval_safescale.judging.advice import judge_advice
from lm_eval_safescale.runs.sources import dataset_of
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.verifying.verify import verify
from tests.running import asking

KIT = str(data_folder() / "noharm_text_demo")
ITEMS_FILE = data_folder() / "noharm_text_demo" / "dataset" / "items.jsonl"
CASES = [json.loads(line) for line in ITEMS_FILE.read_text(encoding="utf-8").splitlines()]
TASKS = [condition.name for condition in NOHARM.conditions]
TEXTS = ("Start an anticoagulant.", "", "<think>What is", no_actions([1, 2], "me").as_text())
"""What a model writes: the last are verdicts on itself, which it must not give."""
STATUSES = ("unjudged", "unanswered", "truncated", "unjudged")
ITEMS = 20


@pytest.fixture
def logged(run, tmp_path, monkeypatch):
    """Tasks asked of a stub by the harness: what it shows, and where it logs."""
    monkeypatch.setattr(asking, "TEXTS", TEXTS)

    def ask(*tasks, **given):
        metadata = {"dataset": None, "dataset_path": KIT, "draws": 0, **given.pop("metadata", {})}
        results, _ = run(
            list(tasks), asking.Stub(), log_samples=True, limit=ITEMS, metadata=metadata, **given
        )
        samples = results.pop("samples")
        tracker = EvaluationTracker(output_path=str(tmp_path / "logs"))
        args = "stub", "pretrained=org/stub", None, None, None
        tracker.general_config_tracker.log_experiment_args(*args)
        results["config"] |= {"model_args": args[1]}
        tracker.save_results_aggregated(results=results, samples=samples)
        for task in results["configs"]:
            tracker.save_results_samples(task_name=task, samples=samples[task])
        return results, tmp_path / "logs"

    return ask


@pytest.mark.parametrize("draws", [0, 2])
def test_the_table_shows_how_many_answers_wait_and_no_figure_in_the_place_of_a_score(logged, draws):
    results, folder = logged("noharm", metadata={"draws": draws})
    table = results["results"]["noharm"]
    runs = import_lm_eval([folder])
    assert runs.answers.height == ITEMS * (1 + draws)
    waiting = (runs.answers["status"] == "unjudged").sum()
    assert 0 < waiting < runs.answers.height
    assert table["unjudged,letter"] == pytest.approx(waiting / runs.answers.height)
    shown = {name.split(",")[0]: value for name, value in table.items() if name.endswith(",letter")}
    own = {each.name for each in NOHARM.metrics(NOHARM.table(())) if each.in_table}
    assert {shown[name] for name in own} == {"not scored"}
    counted = results["configs"]["noharm"]["metadata"]["safescale"]["statuses"]
    assert (counted["unjudged"], sum(counted.values())) == (
        (runs.answers.filter(draw=0)["status"] == "unjudged").sum(),
        ITEMS,
    )


def test_every_task_asks_the_case_in_one_turn_and_says_what_to_do_next(logged, warnings):
    results, folder = logged(*TASKS)
    assert list(results["results"]) == TASKS
    assert sum("safescale judge" in warning for warning in warnings) == len(TASKS)
    runs = import_lm_eval([folder])
    assert runs.conditions == tuple(TASKS)
    for sample in map(json.loads, next(folder.rglob("samples_noharm_2*")).open(encoding="utf-8")):
        (case,) = (each for each in CASES if each["id"] == sample["doc"]["question_id"])
        prompt = sample["arguments"]["gen_args_0"]["arg_0"]
        assert prompt == f"<user>{case['prompt']}"


def test_both_ways_in_give_the_same_answers_and_items(logged, tmp_path):
    _, folder = logged("noharm", "noharm_zero")
    imported = import_lm_eval([folder])
    asked = asking.ask(
        tmp_path / "run",
        conditions=["noharm", "noharm_zero"],
        metadata={"dataset_path": KIT, "draws": 0},
        chat_template=True,
        limit=ITEMS,
    ).runs
    shared = ["condition", "question_id", "draw", "response", "status", "text"]
    rows = [
        runs.answers.select(shared).cast({"question_id": str, "response": str})
        for runs in (imported, asked)
    ]
    assert rows[0].equals(rows[1])
    found = set(zip(rows[0]["text"], rows[0]["status"], strict=True))
    assert found == set(zip(TEXTS, STATUSES, strict=True))
    assert rows[0]["response"].null_count() == rows[0].height
    told = {
        name: {row["question_id"]: row for row in runs.items.iter_rows(named=True)}
        for name, runs in (("imported", imported), ("asked", asked))
    }
    assert told["imported"].items() <= told["asked"].items()
    assert len(told["imported"]) == ITEMS
    assert imported.about["dataset"]["fingerprint"] == asked.about["dataset"]["fingerprint"]
    waiting = unjudged(imported)
    assert unjudged(asked) == {("stub", name): n for (_, name), n in waiting.items()}
    judged = [
        judge_advice(runs, dataset_of(runs.about["dataset"], ""), None, tmp_path / name).runs
        for name, runs in (("one", imported), ("other", asked))
    ]
    rows = [runs.answers.select(shared).cast({"response": str}).to_dicts() for runs in judged]
    assert rows[0] == rows[1]
    assert {row["status"] for row in rows[0]} == {"ok", "unanswered", "truncated"}
    write_runs(imported, tmp_path / "imported")
    for each in ("imported", "run"):
        found = verify(tmp_path / each)
        assert (found.verdict.name, found.read_again) == ("WHOLE", 2 * ITEMS), found.findings


def test_a_log_that_says_what_its_answers_are_worth_is_refused(logged):
    _, folder = logged("noharm")
    (file,) = folder.rglob("samples_*")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    options = [option["id"] for option in lines[0]["doc"]["options"]]
    lines[0]["filtered_resps"] = [[no_actions(options, "nobody").as_text()]]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(SafescaleError, match=r"has the reading .*; expected one of .*unjudged"):
        import_lm_eval([folder])


def test_two_ranks_show_the_share_of_one_and_predicting_alone_shows_nothing(run):
    given = {"metadata": {"dataset": None, "dataset_path": KIT, "draws": 0}, "limit": ITEMS}
    (alone, _), (shared, _) = (run("noharm", ranks=ranks, **given) for ranks in (1, 2))
    for each in (alone, shared):
        table = each["results"]["noharm"]
        assert table["unjudged,letter"] == 1
        assert table["severe_rate,letter"] == "not scored"
    table = run("noharm", predict_only=True, **given)[0]["results"]["noharm"]
    assert "unjudged,letter" not in table
