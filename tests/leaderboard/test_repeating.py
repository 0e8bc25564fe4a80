"""A sample that is asked again: what a model said, it says again; what it never said shows, beside
what the engine itself does not say twice.
"""

from __future__ import annotations

import json
import os

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.leaderboard.pack import pack
from lm_eval_safescale.leaderboard.repeat import Asked, Given, _agreement, read_record, write_record
from lm_eval_safescale.leaderboard.repeat import repeat as repeat_sample
from lm_eval_safescale.leaderboard.verify import Level, SubmissionKind, Verdicts, verify_submission
from lm_eval_safescale.reading import read_answer
from lm_eval_safescale.verifying.findings import Verdict
from tests.leaderboard.conftest import TEXTS
from tests.leaderboard.making import as_lines, files_of, lines_of, sealed_again, write_card
from tests.leaderboard.test_verifying_submissions import everything_again
from tests.running import asking
from tests.running.asking import OPTIONS, STUB, seeded


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)
    monkeypatch.setenv(asking.FAULTS, "{}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A submission of twenty demo questions."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "sys", seeded)
        patch.setattr(asking, "TEXTS", TEXTS)
        asking.ask(folder / "run", metadata={"dataset": "demo", "draws": 1}, limit=20)
    card = write_card(folder / "card.yaml")
    return pack([folder / "run"], folder / "it.zip", card, allow_demo=True).path


def asked_again(path, **given):
    report = verify_submission(path, allow_demo=True)
    assert report.verdict is Verdicts.VERIFIED, report.found.findings
    return repeat_sample(report, STUB, given.pop("args", {}), **given)


def rewritten(path, folder, share):
    """Every so-manieth greedy answer is a right one, with everything that follows from it."""
    files = files_of(path)
    keys = {row["question_id"]: row["answer"] for row in lines_of(files["items.jsonl"])}
    rows = lines_of(files["answers.jsonl"])
    greedy = [row for row in rows if row["draw"] == 0]
    for row in greedy[::share]:
        key = keys[row["question_id"]]
        reading = read_answer(key, dict.fromkeys("ABCDE", "") | OPTIONS)
        row |= {"text": key, "response": key, "status": "ok", "rule": reading.rule}
        row.pop("completion_tokens", None)
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, folder)
    return sealed_again(folder / "rewritten.zip", changed)


def test_the_same_model_says_the_same_again(demo, tmp_path):
    record = asked_again(demo, items=5, seed=1, by="the board")
    assert record["repeated"] is True
    assert record["answers"] == 10
    assert record["prompts"] == {"alike": 10, "of": 10}
    assert record["texts"]["stored"]["k"] == record["texts"]["engine"]["k"] == 10
    assert record["texts"]["stored"]["lo"] == pytest.approx(0.025 ** (1 / 10))
    assert (record["by"], record["demo"], record["differing"]) == ("the board", True, [])
    write_record(record, tmp_path / "repeat.json")
    report = verify_submission(demo, allow_demo=True, record=read_record(tmp_path / "repeat.json"))
    assert (report.verdict, report.level) == (Verdicts.VERIFIED, Level.REPEATED)
    told = report.as_json()
    assert told["repeated"]["answers"] == 10
    assert (told["repeated"]["left_out"], len(told["repeated"]["items"])) == ({}, 5)
    assert (
        "of a sample of 5 items it said the same when asked again (10 answers)"
        in report.not_shown[0]
    )
    report = verify_submission(demo, allow_demo=True, by_organiser=True)
    assert report.level is Level.BY_ORGANISER


def test_the_sample_follows_from_the_seed(demo):
    one, same, other = (asked_again(demo, items=5, seed=seed)["items"] for seed in (1, 1, 2))
    assert one == same != other


def test_without_a_seed_nobody_knows_the_sample_beforehand(demo):
    seeds = {asked_again(demo, items=1)["seed"] for _ in range(3)}
    assert len(seeds) == 3


def test_texts_that_were_rewritten_with_all_that_follows_show(demo, tmp_path):
    path = rewritten(demo, tmp_path, 2)
    record = asked_again(path, items=20)
    assert record["repeated"] is False
    assert record["texts"]["is_lower"] is True
    assert len(record["differing"]) > 10
    report = verify_submission(path, allow_demo=True, record=record)
    assert {str(each.kind) for each in report.found.of(Verdict.DAMAGED)} == {SubmissionKind.REPEAT}


def test_another_prompt_than_was_said_shows(demo, tmp_path):
    """The frame of the prompts is a claim: they are made again by the model's own template."""
    record = asked_again(demo, items=3, args={"template": "<<{role}>> Mind the harm. "})
    assert record["prompts"] == {"alike": 0, "of": 6}
    assert record["repeated"] is False


def test_a_record_of_another_submission_counts_for_nothing(demo, tmp_path):
    record = asked_again(demo, items=2) | {"root": "0" * 64}
    report = verify_submission(demo, allow_demo=True, record=record)
    assert {str(each.kind) for each in report.found.of(Verdict.DAMAGED)} == {SubmissionKind.REPEAT}


def test_a_record_that_tells_no_sample_counts_for_nothing(demo):
    record = asked_again(demo, items=2)
    for odd in ({"items": None}, {"answers": "many"}, {"left_out": [1]}):
        report = verify_submission(demo, allow_demo=True, record=record | odd)
        (found,) = report.found.of(Verdict.DAMAGED)
        assert found.kind is SubmissionKind.REPEAT
        assert report.level is None


def test_a_record_that_was_changed_is_refused(demo, tmp_path):
    path = tmp_path / "repeat.json"
    write_record(asked_again(demo, items=2) | {"repeated": False}, path)
    path.write_text(path.read_text().replace('"repeated": false', '"repeated": true'))
    with pytest.raises(SafescaleError, match="no record"):
        read_record(path)
    path.write_text("[]")
    with pytest.raises(SafescaleError, match="no record"):
        read_record(path)


@pytest.mark.parametrize(
    ("stored", "engine", "is_lower"),
    [
        (20, 20, False),
        (16, 20, False),
        (15, 20, True),
        (0, 20, True),
        (15, 15, False),
        (0, 0, False),
    ],
)
def test_agreement_is_held_against_that_of_the_engine_with_itself(stored, engine, is_lower):
    keys = [("c", str(number)) for number in range(20)]
    asked = Asked()
    for number, key in enumerate(keys):
        asked.first[key] = Given("x", "x")
        asked.stored[key] = Given("x" if number < stored else "y", "A")
        asked.second[key] = Given("x" if number < engine else "z", "A")
    found = _agreement(keys, asked, "text")
    assert (found["stored"]["k"], found["engine"]["k"]) == (stored, engine)
    assert found["is_lower"] is is_lower
    if stored == engine == 20:
        assert found["unseen"] == 4


def command(*words):
    return CliRunner().invoke(app, ["submit", "repeat", *map(str, words)])


def test_the_command_says_it_and_exits_accordingly(demo, tmp_path):
    path = rewritten(demo, tmp_path, 2)
    out = tmp_path / "repeat.json"
    for file, status, words in ((demo, 0, "repeated"), (path, 1, "NOT REPEATED")):
        shown = command(file, "--model", STUB, "--allow-demo", "-o", out)
        assert (shown.exit_code, words in shown.output) == (status, True), shown.output
        assert json.loads(out.read_text())["repeated"] is (status == 0)
        assert "DEMO" in shown.output
    assert command(demo, "--model", STUB, "-o", out).exit_code == 1
    assert command(demo, "--model", "nosuch", "--allow-demo", "-o", out).exit_code == 3
    assert command(tmp_path / "nosuch.zip", "--model", STUB, "-o", out).exit_code == 3


# --- the small model ------------------------------------------------------------------------------


@pytest.mark.model
def test_a_real_run_is_packed_verified_repeated_and_tampered_with(
    small_model, tmp_path, monkeypatch
):
    from lm_eval_safescale.running.runner import Model, run

    monkeypatch.undo()
    monkeypatch.setattr(os, "environ", {**os.environ, "HF_HUB_OFFLINE": "1"})
    args = {"pretrained": str(small_model), "dtype": "float32"}
    run(
        Model("hf", args), tmp_path / "run", ["closed_book"],
        metadata={"dataset": "demo", "draws": 1}, limit=4,
    )  # fmt: skip
    card = write_card(tmp_path / "card.yaml")
    path = pack([tmp_path / "run"], tmp_path / "it.zip", card, allow_demo=True).path
    report = verify_submission(path, allow_demo=True)
    assert (report.verdict, report.found.findings) == (Verdicts.VERIFIED, [])
    assert (report.found.answers, report.found.prompts) == (8, 4)
    record = repeat_sample(report, "hf", args, items=2)
    assert (record["repeated"], record["same_weights"]) == (True, True)
    assert record["prompts"] == {"alike": 2, "of": 2}
    assert record["texts"]["stored"]["k"] == record["texts"]["engine"]["k"] == 2
    files = files_of(path)
    rows = lines_of(files["answers.jsonl"])
    rows[0]["text"] = "Answer: D" if rows[0].get("response") != "D" else "Answer: A"
    changed = sealed_again(tmp_path / "changed.zip", {**files, "answers.jsonl": as_lines(rows)})
    assert verify_submission(changed, allow_demo=True).verdict is Verdicts.REFUSED
