"""Runs whose answers wait for a judge: interrupted, resumed, verified; counted, and never given as
a figure or decided by.
"""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, about, results
from lm_eval_safescale.analysis.unjudged import cut_by_limit
from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets.sources import data_folder
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.harness import engines
from lm_eval_safescale.judging.rereading import reread
from lm_eval_safescale.runs import Runs, open_runs
from lm_eval_safescale.runs.sources import dataset_of
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.verifying.verify import verify
from tests.running import asking
from tests.running.asking import STUB, ask
from tests.stub_server import chooses

KIT = data_folder() / "noharm_text_demo"
ITEMS = 32
LIMIT = 4
TEXTS = ("Start it now, and stop the other one.", "Wait.", "", "<think>What is", "One two three.")


@pytest.fixture
def stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", asking.seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)


def run(folder, **given):
    return ask(
        folder,
        conditions=["noharm", "noharm_concise"],
        metadata={"dataset_path": str(KIT), "draws": 1, "max_answer_tokens": LIMIT},
        **given,
    )


def safescale(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, " ".join((done.output + str(done.exception or "")).split())


def test_a_run_is_resumed_and_whole_and_says_how_many_answers_wait(stub, tmp_path):
    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "torn", faults={"fails_at": 9, "says": "interrupt"})
    report = run(tmp_path / "torn")
    assert report.standing.known > 0
    whole, torn = (open_runs(tmp_path / name) for name in ("whole", "torn"))
    assert whole.answers.drop("latency_s", "concurrency").equals(
        torn.answers.drop("latency_s", "concurrency")
    )
    assert report.standing.unjudged == (torn.answers["status"] == "unjudged").sum() > 0
    assert run(tmp_path / "torn").standing.unjudged == report.standing.unjudged
    assert set(torn.answers["status"]) == {"unjudged", "unanswered", "truncated"}
    assert torn.answers["response"].null_count() == torn.answers.height == 4 * ITEMS
    found = verify(tmp_path / "torn")
    assert (found.verdict.name, found.read_again) == ("WHOLE", 4 * ITEMS)
    assert [finding.what for finding in found.findings] == [
        f"{report.standing.unjudged} answers unjudged: there is no verdict to verify"
    ]


def test_what_waits_is_counted_as_such_and_cut_answers_as_what_they_are(stub, tmp_path):
    runs = run(tmp_path / "run").runs
    said = about(Study(open_runs(tmp_path / "run", texts=False)), "default")
    waiting = runs.answers.filter(runs.answers["status"] == "unjudged")
    by_condition = {name: own["question_id"].n_unique()
                    for (name,), own in waiting.group_by("condition")}  # fmt: skip
    assert {row["condition"]: row["items"] for row in said["not_scored"]} == by_condition
    assert {row["reason"].split(":")[0] for row in said["not_scored"]} == {"unjudged"}
    cut = waiting.filter(waiting["completion_tokens"] >= LIMIT)
    assert {row["condition"]: row["reason"] for row in said["remarks"] if row["condition"]} == {
        name: f"{own.height} answers cut by the token limit, judged as they stand"
        for (name,), own in cut.group_by("condition")
    }


def test_what_a_server_says_of_the_end_of_an_answer_is_stored_and_counted(server, tmp_path):
    """Cut off or not, advice is judged as it stands; what is held back or empty is not."""
    ends = [
        chooses({"finish_reason": "length", "message": {"content": "Stop it and"}}),
        chooses({"finish_reason": "stop", "message": {"content": "One two three four five."}}),
        chooses({"finish_reason": "length", "message": {"content": ""}}),
        chooses({"finish_reason": "content_filter", "message": {"content": ""}}),
    ]
    server.answer = lambda seen: ends[seen.number]
    where = f"model=m,base_url={server.base_url}/chat/completions,max_retries=0,num_concurrent=1"
    words = ("--conditions", "noharm", "--dataset", "noharm_text_demo", "--limit", 4)
    given = json.dumps({"max_answer_tokens": LIMIT})
    status, said = safescale(
        *("run", "--model", "local-chat-completions", "--model_args", where, *words),
        *("-o", tmp_path / "run", "--metadata", given),
    )
    assert status == 0, said
    answers = open_runs(tmp_path / "run").answers
    assert sorted(answers.select("finish_reason", "status").rows()) == [
        ("content_filter", "filtered"), ("length", "unanswered"), ("length", "unjudged"),
        ("stop", "unjudged"),
    ]  # fmt: skip
    assert "noharm 1 answer cut by the token limit, judged as it stands" in said
    assert "unjudged 2 answers wait for a judge" in said
    assert cut_by_limit(open_runs(tmp_path / "run", texts=False)) == {("m", "noharm"): 1}


def test_nothing_is_shown_or_decided_by_answers_that_nobody_has_judged(stub, tmp_path):
    runs = tmp_path / "run"
    report = run(runs)
    texts = report.runs.answers.filter(report.runs.answers["status"] == "unjudged")
    # without the empty answers and those cut off inside their reasoning, which need no judge
    write_runs(Runs(report.runs.items, texts, report.runs.about), tmp_path / "waiting")
    waits = f"nothing is scored in these runs: {texts.height} answers of stub unjudged"
    for words in (
        ("report", tmp_path / "waiting", "-o", tmp_path / "pages"),
        ("export", "csv", tmp_path / "waiting", "-o", tmp_path / "x.csv"),
    ):
        status, said = safescale(*words)
        assert (status != 0, waits in said) == (True, True), said
    sides = (f"{tmp_path / 'waiting'}::{each}" for each in ("noharm", "noharm_concise"))
    status, said = safescale("compare", *sides)
    assert (status, "refused: stub, noharm: answers to" in said) == (2, True), said
    status, said = safescale("analyze", tmp_path / "waiting", "-o", tmp_path / "tables")
    assert (status, waits in said) == (0, True), said
    told = json.loads((tmp_path / "tables" / "about.json").read_text(encoding="utf-8"))
    assert {row["reason"].split(":")[0] for row in told["not_scored"]} >= {"unjudged"}
    table = results(Study(open_runs(tmp_path / "waiting")))
    own = table.filter(table["metric"].is_in([each.name for each in NOHARM.metrics(None)]))
    assert own["value"].null_count() == own.height > 0


def test_rules_read_no_advice_again_that_a_judge_has_read(stub, tmp_path):
    runs = run(tmp_path / "run").runs
    data = dataset_of(runs.about["dataset"], "")
    assert reread(runs, data).changes.height == 0
    (first, *_) = NOHARM.responses(next(iter(data)))
    row = runs.answers.with_row_index().filter(status="unjudged")["index"][0]
    answers = runs.answers.cast({"response": str, "status": str}).with_row_index()
    here = pl.col("index") == row
    answers = answers.with_columns(
        pl.when(here).then(pl.lit(first)).otherwise("response").alias("response"),
        pl.when(here).then(pl.lit("ok")).otherwise("status").alias("status"),
    ).drop("index")
    with pytest.raises(SafescaleError, match="read by a judge, and no rule can"):
        reread(Runs(runs.items, answers, runs.about), data)


def test_the_control_that_says_nothing_needs_no_judge_and_chance_has_no_advice(tmp_path):
    words = ("--conditions", "noharm", "--dataset", KIT, "-o", tmp_path / "run")
    status, said = safescale("run", "--model", "choose-nothing", *words)
    assert (status, "unjudged" in said, "empty" in said) == (0, False, False), said
    runs = open_runs(tmp_path / "run")
    assert set(runs.answers["status"]) == {"unanswered"}
    status, said = safescale("run", "--model", "choose-at-random", *words[:4], "-o", tmp_path / "x")
    assert status == 1
    assert "choose-at-random: the family noharm has no such control" in said
    assert "expected choose-nothing or a model" in said


def test_the_command_says_while_it_runs_and_at_its_end_what_waits_and_what_to_do(stub, tmp_path):
    given = json.dumps({"draws": 0, "max_answer_tokens": LIMIT})
    words = ("--conditions", "noharm", "--dataset", KIT, "-o", tmp_path / "run")
    status, said = safescale("run", "--model", STUB, *words, "--metadata", given)
    assert status == 0, said
    waiting = (open_runs(tmp_path / "run").answers["status"] == "unjudged").sum()
    assert f"{waiting} to be judged" in said
    assert re.search(rf"unjudged +{waiting} answers wait for a judge", said)
    assert f"Next: safescale judge {tmp_path / 'run'}" in said
    assert "answers cut by the token limit, judged as they stand" in said
