"""Submissions of judged advice: the judge's replies are packed, verdicts and scores follow from
them alone, and whatever is changed is found. Boards keep judges apart."""

from __future__ import annotations

import csv
import json
import re

import polars as pl
import pytest

from lm_eval_safescale.families.noharm_text import load_demo
from lm_eval_safescale.families.noharm_text.verdicts import Verdicts
from lm_eval_safescale.harness import engines
from lm_eval_safescale.judging.advice import judge_advice, write_judged_advice
from lm_eval_safescale.judging.corrections import correct_from
from lm_eval_safescale.leaderboard.board.building import Wanted, build_board
from lm_eval_safescale.leaderboard.board.pages import BoardPages
from lm_eval_safescale.leaderboard.pack import pack
from lm_eval_safescale.leaderboard.repeat import repeat
from lm_eval_safescale.leaderboard.verify import Verdicts as Verdict
from lm_eval_safescale.leaderboard.verify import verify_submission
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import open_runs
from tests.judging.advice_stub import Stub, shown
from tests.leaderboard.making import (
    as_lines,
    everything_again,
    files_of,
    lines_of,
    sealed_again,
    write_card,
)
from tests.running import asking
from tests.running.asking import ask

ADVICE = ("Stop naproxen. Refer to the clinic.", "Do nothing.", "Repeat the test in two weeks.")
ITEMS = 6


def actions(prompt):
    lines = [json.dumps({"action": "Something to do", "category": "Other"})]
    return "\n".join([*lines, "END"])


def numbers(prompt):
    """Of the options that a prompt asks about."""
    return [int(each) for each in re.findall(r"^(\d+)\. ", shown(prompt, 3), re.MULTILINE)]


def options(prompt):
    """Options with even numbers, by the first action."""
    return "\n".join(
        json.dumps(
            {"option": number, "match": "no" if number % 2 else "yes"}
            | {"actions": [] if number % 2 else [1]}
        )
        for number in numbers(prompt)
    )


def review(prompt):
    return "\n".join(json.dumps({"option": number, "review": "keep"}) for number in numbers(prompt))


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory):
    """A run of advice that nobody has judged."""
    folder = tmp_path_factory.mktemp("advice") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "sys", asking.seeded)
        patch.setattr(asking, "TEXTS", ADVICE)
        metadata = {"dataset": "noharm_text_demo", "draws": 1}
        ask(folder, conditions=["noharm"], metadata=metadata, limit=ITEMS)
    return folder


def judged(unjudged, folder, name="stub", team=None, **more):
    """The same, as a judge has read it."""
    folder.mkdir()
    stub = Stub(name=name, actions=actions, options=options, review=review)
    runs = open_runs(unjudged)
    if team is not None:
        known = {model: {**own, "team": team} for model, own in runs.about["models"].items()}
        runs = Runs(runs.items, runs.answers, {**runs.about, "models": known})
    found = judge_advice(runs, load_demo(), stub, folder / "judge.steps.jsonl", **more)
    write_judged_advice(found, folder)
    return folder


@pytest.fixture(scope="module")
def packed(unjudged, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    runs = judged(unjudged, folder / "judged", repeats=1)
    card = write_card(folder / "card.yaml", name="Another name")
    return pack([runs], folder / "it.zip", card, allow_demo=True).path


def verified(path):
    return verify_submission(path, allow_demo=True)


def test_verdicts_and_scores_follow_from_the_replies_that_are_packed(packed):
    files = files_of(packed)
    assert "judge.steps.jsonl" in files
    assert "verdicts.jsonl" not in files
    report = verified(packed)
    assert report.found.findings == []
    assert (report.verdict, report.found.read_again) == (Verdict.VERIFIED, 2 * ITEMS)
    assert "that the judge replied what is handed in" in report.not_shown
    (row,) = report.results
    assert row["severe_rate"] is not None


def test_no_text_of_the_data_is_packed(packed):
    content = b"".join(files_of(packed).values()).decode()
    for item in load_demo():
        assert item.question[:60] not in content
        assert item.guidance.splitlines()[-1].strip() not in content
        assert not any(option.text in content for option in item.options if len(option.text) > 30)


def changed_response(rows, change):
    row = next(row for row in rows if row.get("response"))
    told = json.loads(row["response"])
    change(told)
    row["response"] = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    Verdicts.read(row["response"])  # whole, and no contradiction


def turn_a_verdict(told):
    option = next(each for each in told["options"] if each[1] == "yes")
    option[1] = "partial"


def change_an_action(told):
    told["actions"][0]["action"] = "Something quite other"


def change_evidence(told):
    told["options"][0][3] = "never said"


def turn_a_further_judging(told):
    next(each for each in told["again"][0]["options"] if each[1] == "yes")[1] = "partial"


@pytest.mark.parametrize(
    "change", [turn_a_verdict, change_an_action, change_evidence, turn_a_further_judging]
)
@pytest.mark.parametrize("all_that_follows", [False, True])
def test_a_changed_verdict_is_found_also_with_all_that_follows(
    change, all_that_follows, packed, tmp_path
):
    files = files_of(packed)
    rows = lines_of(files["answers.jsonl"])
    changed_response(rows, change)
    files = {**files, "answers.jsonl": as_lines(rows)}
    if all_that_follows:
        files = everything_again(files, tmp_path)
    report = verified(sealed_again(tmp_path / "x.zip", files))
    assert report.verdict is Verdict.REFUSED
    assert any("the judge's stored replies give" in each.what for each in report.found.findings)


def test_a_changed_reply_is_found(packed, tmp_path):
    files = files_of(packed)
    lines = files["judge.steps.jsonl"].splitlines()
    place = next(at for at, line in enumerate(lines) if b'\\"match\\": \\"yes\\"' in line)
    step = json.loads(lines[place])
    step.pop("line", None)
    step["text"] = step["text"].replace('"match": "yes"', '"match": "partial"', 1)
    lines[place] = json.dumps({name: each for name, each in step.items() if name != "crc"}).encode()
    changed = {**files, "judge.steps.jsonl": b"".join(line + b"\n" for line in lines)}
    report = verified(sealed_again(tmp_path / "x.zip", changed))
    assert report.verdict is Verdict.REFUSED


@pytest.mark.parametrize("status", ["truncated", "unanswered", "error"])
def test_an_answer_that_is_said_not_to_have_been_judged_is_not_verified(status, packed, tmp_path):
    files = files_of(packed)
    rows = lines_of(files["answers.jsonl"])
    row = next(row for row in rows if row.get("response"))
    row |= {"status": status, "response": None, "rule": None}
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, tmp_path)
    assert verified(sealed_again(tmp_path / "x.zip", changed)).verdict is not Verdict.VERIFIED


def test_another_judges_name_is_found_also_with_all_that_follows(packed, tmp_path):
    files = files_of(packed)
    rows = lines_of(files["answers.jsonl"])
    for row in rows:
        if row.get("response"):
            row["response"] = row["response"].replace('"judge":"stub"', '"judge":"another"')
    manifest = json.loads(files["manifest.json"])
    manifest["model"]["settings"]["reading"]["judge"]["name"] = "another"
    files |= {"answers.jsonl": as_lines(rows), "manifest.json": json.dumps(manifest).encode()}
    report = verified(sealed_again(tmp_path / "x.zip", everything_again(files, tmp_path)))
    assert report.verdict is Verdict.REFUSED
    assert [each.what for each in report.found.findings] == [
        "holds the replies of another judge than the runs name"
    ]


def test_more_further_judgings_than_anybody_has_done_are_not_looked_for(packed, tmp_path):
    files = files_of(packed)
    manifest = json.loads(files["manifest.json"])
    manifest["model"]["settings"]["reading"]["repeats"] = 10**9
    files |= {"manifest.json": json.dumps(manifest).encode()}
    report = verified(sealed_again(tmp_path / "x.zip", files))
    assert report.verdict is Verdict.REFUSED
    assert any("expected at most 100" in each.what for each in report.found.findings)


def test_verdicts_without_the_replies_are_claims(packed, tmp_path):
    files = files_of(packed)
    del files["judge.steps.jsonl"]
    report = verified(sealed_again(tmp_path / "x.zip", files))
    assert report.verdict is Verdict.UNKNOWN


def test_a_persons_corrections_are_packed_and_count(unjudged, tmp_path):
    runs = judged(unjudged, tmp_path / "judged")
    rows = open_runs(runs).answers
    row = rows.filter(pl.col("response").is_not_null()).row(0, named=True)
    file = tmp_path / "by hand.jsonl"
    verdict = {"question_id": str(row["question_id"]), "draw": row["draw"], "option": 1}
    verdict |= {"verdict": "yes", "reason": "it is there", "note": "for nobody's eyes"}
    file.write_text(json.dumps(verdict) + "\n")
    folder = tmp_path / "corrected"
    write_judged_advice(correct_from(runs, file, folder)[0], folder)
    card = write_card(tmp_path / "card.yaml", name="Another name")
    path = pack([folder], tmp_path / "it.zip", card, allow_demo=True).path
    files = files_of(path)
    assert b"nobody's eyes" not in b"".join(files.values())
    assert verified(path).verdict is Verdict.VERIFIED
    del files["corrections.jsonl"]
    assert verified(sealed_again(tmp_path / "x.zip", files)).verdict is Verdict.REFUSED


def test_corrections_of_an_earlier_judging_in_the_folder_are_no_part_of_a_submission(
    unjudged, tmp_path
):
    runs = judged(unjudged, tmp_path / "judged")
    (runs / "corrections.jsonl").write_text('{"reason": "for nobody\'s eyes"}\n')
    path = pack(
        [runs], tmp_path / "it.zip", write_card(tmp_path / "card.yaml"), allow_demo=True
    ).path
    assert "corrections.jsonl" not in files_of(path)
    assert verified(path).verdict is Verdict.VERIFIED


def test_a_judge_of_files_is_named_without_where_they_lie(unjudged, tmp_path):
    runs = judged(unjudged, tmp_path / "judged", name="/home/somebody/models/judge-7B")
    card = write_card(tmp_path / "card.yaml")
    path = pack([runs], tmp_path / "it.zip", card, allow_demo=True).path
    content = b"".join(files_of(path).values())
    assert b"somebody" not in content
    assert b"judge-7B" in content
    assert verified(path).verdict is Verdict.VERIFIED


def test_what_is_known_of_a_team_is_packed_without_where_its_models_lie(unjudged, tmp_path):
    team = {"members": [{"role": "advisor", "name": "/home/somebody/models/small"}], "steps": 12}
    runs = judged(unjudged, tmp_path / "judged", team=team)
    path = pack(
        [runs], tmp_path / "it.zip", write_card(tmp_path / "card.yaml"), allow_demo=True
    ).path
    report = verified(path)
    assert report.verdict is Verdict.VERIFIED
    assert report.manifest.model.team == {
        "members": [{"role": "advisor", "name": "small"}], "steps": 12,
    }  # fmt: skip


def test_a_sample_asked_again_is_compared_by_what_was_said_before_the_judge(packed, monkeypatch):
    monkeypatch.setattr(engines, "sys", asking.seeded)
    monkeypatch.setattr(asking, "TEXTS", ADVICE)
    monkeypatch.setenv(asking.FAULTS, "{}")
    record = repeat(verified(packed), asking.STUB, {}, items=3, seed=1)
    assert record["repeated"]
    assert record["responses"]["stored"]["value"] == 1


# --- boards ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def board(unjudged, tmp_path_factory):
    """Two submissions by one judge, one by another, and one by the rule-based matcher."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "given").mkdir()
    for name, judge in {"one": "a", "two": "a", "three": "b", "four": None}.items():
        runs = folder / name
        if judge is None:
            runs.mkdir()
            write_judged_advice(judge_advice(open_runs(unjudged), load_demo(), None), runs)
        else:
            judged(unjudged, runs, name=judge)
        card = write_card(folder / f"{name}.yaml", name=name)
        pack([runs], folder / "given" / f"{name}.zip", card, allow_demo=True)
    pages = BoardPages()
    built = build_board(folder / "given", folder / "site", Wanted(allow_demo=True), pages)
    return built.board, folder / "site"


def test_what_one_judge_has_judged_is_ranked_apart_from_what_another_has(board):
    found, site = board
    entries = {each.judge: set(each.entries) for each in found.comparisons}
    assert entries == {"the judge a": {"one", "two"}, "the judge b": {"three"}}
    assert {each.label: each.judge for each in found.verified} == {
        "one": "the judge a", "two": "the judge a", "three": "the judge b",
    }  # fmt: skip
    index = (site / "index.html").read_text()
    assert "by the judge a" in index
    assert "by the judge b" in index
    for comparison in found.comparisons:
        page = (site / f"{comparison.key}-noharm.html").read_text()
        assert f"All answers were judged by {comparison.judge}" in page
    (front,) = [each for each in found.comparisons[0].fronts if each.x == "omission"]
    assert len(front.points) == len(found.comparisons[0].entries)
    rows = csv_rows(site / "board.csv")
    assert {row["judge"] for row in rows if row["name"] == "three"} == {"the judge b"}


def test_what_the_rule_based_matcher_has_judged_is_refused(board):
    found, _ = board
    (entry,) = found.not_verified
    assert (entry.file, entry.results) == ("four.zip", ())
    reasons = [each.what for each in entry.reasons if each.verdict == "refused"]
    assert any("rule-based matcher" in each for each in reasons)


def csv_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
