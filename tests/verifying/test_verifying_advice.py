"""Verdicts on advice are made again from the judge's stored replies: what was changed is found
where it stands.
"""

from __future__ import annotations

import polars as pl
import pytest

from lm_eval_safescale.judging.advice import FILES, judge_advice, write_judged_advice
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.verify import verify
from tests.altering import alter_document, alter_lines, make_sums_again
from tests.judging.advice_stub import Stub, dataset, runs

DATA = dataset()
ADVICE = "Give drug 1. Give drug 5."


@pytest.fixture(params=["model", "rules"])
def judged(tmp_path, request):
    folder = tmp_path / "judged"
    stub = Stub() if request.param == "model" else None
    given = runs(DATA, ADVICE, "")
    steps = folder / "judge.steps.jsonl"
    write_judged_advice(judge_advice(given, DATA, stub, steps, repeats=1), folder)
    return folder


def whats(found, verdict=Verdict.DAMAGED):
    return [f"{each.where}: {each.what}" for each in found.of(verdict)]


def test_runs_as_they_were_judged_are_whole(judged):
    found = verify(judged, DATA)
    assert (found.verdict, found.read_again) == (Verdict.WHOLE, 4)


@pytest.mark.parametrize(
    ("judged", "old", "new"),
    [
        ("model", '[2,"no"', '[2,"yes"'),
        ("model", '"match":[5]', '"match":[]'),
        ("rules", '[1,"yes"', '[1,"partial"'),
        ("rules", '"flags":[]', '"flags":["?"]'),
    ],
    indirect=["judged"],
)
def test_a_verdict_or_an_action_that_was_changed_is_found(judged, old, new):
    opened = open_runs(judged)
    rows = opened.answers.with_columns(pl.col("response", "question_id").cast(pl.String))
    changed = pl.col("response").str.replace(old, new, literal=True, n=1)
    is_other = pl.col("question_id") == "Card2"
    rows = rows.with_columns(
        pl.when(is_other).then(changed).otherwise("response").alias("response")
    )
    others = [name for name in FILES if (judged / name).is_file()]
    write_runs(Runs(opened.items, rows, opened.about), judged, others)
    assert whats(verify(judged, DATA)) == [
        "m, noharm, item Card2, draw 0: the judge's stored replies give other verdicts"
    ]


@pytest.mark.parametrize("judged", ["model"], indirect=True)
def test_a_reply_that_was_changed_is_found(judged):
    steps = judged / "judge.steps.jsonl"

    def change(line):
        if line.get("step") == "options, part 1" and "yes" in line["text"]:
            line["text"] = line["text"].replace("yes", "partial")

    alter_lines(steps, change)
    make_sums_again(judged)
    said = whats(verify(judged, DATA))
    assert len(said) == 2
    assert all("other verdicts" in each for each in said)


@pytest.mark.parametrize("judged", ["model"], indirect=True)
def test_replies_that_are_not_there_leave_the_verdicts_to_stand_for_them(judged):
    (judged / "judge.steps.jsonl").unlink()
    alter_document(judged / "about.json", lambda about: about["files"].pop("judge.steps.jsonl"))
    found = verify(judged, DATA)
    assert sum(found.not_read_again.values()) == 4
    assert any("stand for the judge's replies" in each for each in whats(found, Verdict.WHOLE))


def test_without_the_data_set_nothing_can_be_judged_again(judged):
    found = verify(judged)
    assert found.verdict is Verdict.UNKNOWN
    assert sum(found.not_read_again.values()) == 4
    assert open_runs(judged).answers.height == 4
