"""`safescale judge` on advice, through a stub of a server: killed with -9 in every stage, many
answers in flight, and with the small real model, whose verdicts are bad and counted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import polars as pl
import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.verify import verify
from tests.judging import advice_stub
from tests.judging.advice_stub import Stub, record, runs, stage
from tests.stub_server import says

run = CliRunner().invoke
ADVICE = "Give drug 1. Give drug 5."


@pytest.fixture
def server(server):
    """A judge that finds what an answer says."""
    stages = Stub().stages
    server.answer = lambda seen: says(stages[stage(seen.prompt)](seen.prompt))
    return server


@pytest.fixture
def asked(tmp_path):
    """`asked(cases, options)` writes a data file and runs of an answer to each."""

    def write(cases=2, options=7):
        path = tmp_path / "cases.jsonl"
        records = [record(f"Card{n}", f"Case {n}.", options) for n in range(cases)]
        path.write_text("".join(json.dumps(each) + "\n" for each in records))
        data = NOHARM.load(path)
        write_runs(runs(data, ADVICE), tmp_path / "runs")
        return data

    return write


def command(tmp_path, server, *more):
    return [
        *("judge", str(tmp_path / "runs"), "--dataset-path", str(tmp_path / "cases.jsonl")),
        *("--base-url", server.base_url, "--model", "j", "-o", str(tmp_path / "out"), *more),
    ]


def test_advice_is_judged_through_a_server_and_verified(asked, server, tmp_path):
    data = asked()
    shown = run(app, command(tmp_path, server, "--repeat", "1"))
    assert shown.exit_code == 0, shown.output
    assert "2  judged" in shown.output
    assert "judged again, 0.0% of 14 verdicts differ; kappa 1.000" in shown.output
    assert verify(tmp_path / "out", data).verdict is Verdict.WHOLE
    assert {seen.body["temperature"] for seen in server.seen} == {0}


def test_what_a_review_leaves_out_is_told(asked, server, tmp_path):
    asked()
    stages = Stub(review=lambda prompt: advice_stub.review(prompt).rpartition("\n")[0]).stages
    server.answer = lambda seen: says(stages[stage(seen.prompt)](seen.prompt))
    shown = run(app, command(tmp_path, server))
    assert "2    of them the review did not mention" in shown.output


def test_a_judge_that_fails_on_most_is_no_success(asked, server, tmp_path):
    asked()
    server.answer = lambda seen: says("I would rather not say.")
    shown = run(app, command(tmp_path, server))
    assert shown.exit_code == 1
    assert "the judge failed" in shown.output
    assert "with --force, the same command asks again" in shown.output
    assert open_runs(tmp_path / "out").answers["rule"].to_list() == ["judge failed"] * 2


def test_the_rule_based_matcher_is_asked_once(asked, tmp_path):
    asked()
    plain = ["judge", str(tmp_path / "runs"), "--rule-based"]
    plain += ["--dataset-path", str(tmp_path / "cases.jsonl"), "-o", str(tmp_path / "out")]
    refused = run(app, [*plain, "--repeat", "2"])
    assert "leave --repeat out" in str(refused.exception)
    shown = run(app, plain)
    assert shown.exit_code == 0, shown.output
    assert "14  verdicts on options\n" in shown.output


@pytest.mark.parametrize("more", [["--rule-based"], ["--corrections", "x.jsonl"]])
def test_one_judge_is_named(asked, server, tmp_path, more):
    asked()
    done = run(app, command(tmp_path, server, *more))
    assert done.exit_code == 1
    assert "name one judge" in str(done.exception)


def test_a_judging_killed_in_every_stage_goes_on_and_asks_nothing_twice(asked, server, tmp_path):
    asked()
    stages, before = Stub().stages, server.answer
    victim: list[subprocess.Popen] = []
    killed = []
    deadly = {("actions", 1), ("options", 2), ("review", 3)}
    seen_of: Counter[str] = Counter()

    def answer(seen):
        which = stage(seen.prompt)
        seen_of[which] += 1
        if (which, seen_of[which]) in deadly:
            killed.append(seen.prompt)
            victim[-1].send_signal(signal.SIGKILL)
            victim[-1].wait()
        return says(stages[which](seen.prompt))

    server.answer = answer
    words = command(tmp_path, server, "--repeat", "1", "--concurrency", "1")
    for _ in range(len(deadly) + 1):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        victim.append(
            subprocess.Popen(
                [sys.executable, "-m", "lm_eval_safescale", *words],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        if victim[-1].wait(120) == 0:
            break
    assert [each.returncode for each in victim] == [-9, -9, -9, 0]
    # what a kill has left without a reply is asked again, nothing else
    times = Counter(seen.prompt for seen in server.seen)
    replied = len(set(times))
    assert len(server.seen) == replied + len(killed) + _same_prompts(server)
    server.answer, out = before, tmp_path / "out"
    out.rename(tmp_path / "killed")
    assert run(app, words).exit_code == 0
    one, other = (open_runs(each).answers for each in (out, tmp_path / "killed"))
    assert one.drop("latency_s").equals(other.drop("latency_s"))


def _same_prompts(server):
    """Actions are asked for in the same words when an answer is judged again."""
    return 2


def test_as_many_answers_are_in_flight_as_the_server_is_given(asked, server, tmp_path):
    stages = Stub().stages

    def answer(seen):
        time.sleep(0.02)  # so that they meet
        return says(stages[stage(seen.prompt)](seen.prompt))

    asked(cases=330)
    server.answer = answer
    assert run(app, command(tmp_path, server)).exit_code == 0
    assert len(server.seen) == 330 * 3
    assert server.most_in_flight == 32


@pytest.mark.model
def test_the_small_model_judges_to_the_end_and_what_it_gets_wrong_is_counted(
    asked, small_model, tmp_path
):
    data = asked(cases=2, options=4)
    words = [
        *("judge", str(tmp_path / "runs"), "--dataset-path", str(tmp_path / "cases.jsonl")),
        *("--backend", "hf", "--model_args", f"pretrained={small_model},dtype=float32"),
        *("--max-tokens", "96", "--batch_size", "1", "-o", str(tmp_path / "out")),
    ]
    shown = run(app, words)
    assert shown.exit_code in (0, 1), shown.output
    rows = pl.read_parquet(tmp_path / "out" / "verdicts.parquet")
    assert set(rows["verdict"]) <= {"judged", "failed"}
    judged = rows.filter(pl.col("verdict") == "judged")
    assert judged.height == 4 * (2 - rows.filter(pl.col("verdict") == "failed").height)
    assert verify(tmp_path / "out", data).verdict is Verdict.WHOLE
