"""Any change of an answer, of the manifest or of a fingerprint is found, whether the hashes are
made again or not; but for claims that nothing recomputes, which the docs list.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lm_eval_safescale.leaderboard.archive import Refusal
from lm_eval_safescale.leaderboard.pack import pack
from lm_eval_safescale.leaderboard.verify import Level, SubmissionKind, Verdicts, verify_submission
from lm_eval_safescale.verifying.findings import Kind, Verdict
from tests.leaderboard.making import (
    as_lines,
    everything_again,
    files_of,
    lines_of,
    load_of,
    rezipped,
    sealed_again,
    sums,
)

PAGE = Path(__file__).parents[2] / "docs" / "submitting.md"


def kinds(report):
    return {str(each.kind) for each in report.found.findings if each.verdict is not Verdict.WHOLE}


def test_what_was_packed_is_verified_and_every_number_is_computed_again(made):
    report = verify_submission(made / "submission.zip", load_of(made))
    assert report.found.findings == []
    assert (report.verdict, report.level) == (Verdicts.VERIFIED, Level.RECOMPUTED)
    assert (report.found.answers, report.found.read_again) == (18, 18)
    assert (report.found.prompts, report.found.prompts_left) == (6, {})
    assert [row["condition"] for row in report.results] == ["closed_book", "clean"]
    told = report.as_json()
    assert (told["verdict"], told["level"], told["findings"]) == ("verified", "recomputed", [])
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_without_the_data_set_it_cannot_be_told(made):
    report = verify_submission(made / "submission.zip")
    assert (report.verdict, report.level, int(report.found.verdict)) == (Verdicts.UNKNOWN, None, 2)
    assert kinds(report) == {Kind.DATA, SubmissionKind.UNREAD}


def test_every_stored_letter_set_to_the_key_is_found_whatever_else_was_made_again(
    made, files, tmp_path
):
    keys = {row["question_id"]: row["answer"] for row in lines_of(files["items.jsonl"])}
    rows = lines_of(files["answers.jsonl"])
    for row in rows:
        row |= {"response": keys[row["question_id"]], "status": "ok"}
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, tmp_path)
    results = json.loads(changed["results.json"])
    assert [row["accuracy"] for row in results] == [1.0, 1.0]
    report = verify_submission(sealed_again(tmp_path / "x.zip", changed), load_of(made))
    assert (report.verdict, kinds(report)) == (Verdicts.REFUSED, {Kind.READING})
    assert all("its text reads" in each.what for each in report.found.findings)


# --- answers --------------------------------------------------------------------------------------

OTHER: dict[str, list[Any]] = {
    "condition": ["closed_book", "clean", "conflict", "nosuch"],
    "question_id": ["q0", "q1", "q2", "q9"],
    "draw": [0, 1, 2, 3],
    "status": ["ok", "unanswered", "truncated", "filtered", "error"],
    "response": ["A", "B", "C", "D", None],
    "rule": ["bare letter", "label", "no choice", None],
    "text": ["A", "B", "Answer: D", "The answer is C.", "<think>", "none", None],
    "seed": [1, 2**31, None],
    "prompt_sha256": ["0" * 64, "", None],
    "context_fingerprint": ["0" * 64, None],
    "read_as": ["cut", "refusal", "reasoning", "other"],
    "completion_tokens": [-1, 10**6],
    "latency_s": [-1.0, 1e12],
}
AGAIN = ("nothing", "hashes", "everything")


def written(path: Path, files: dict[str, bytes], changed: dict[str, bytes], again: str) -> Path:
    if again == "nothing":
        return rezipped(path, changed, checksums=sums(files))
    if again == "everything":
        changed = everything_again(changed, path.parent)
    return sealed_again(path, changed)


@given(data=st.data())
def test_any_change_of_an_answer_is_found(made, files, tmp_path_factory, data):
    rows = lines_of(files["answers.jsonl"])
    number = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(sorted(OTHER)))
    value = data.draw(st.sampled_from(OTHER[name]))
    before = rows[number]
    assume(before.get(name) != value)
    is_greedy_seed = name == "seed" and before["draw"] == 0 and value is None
    assume(not is_greedy_seed)
    rows[number] = {**before, name: value}
    if name == "text":  # one that reads the same is a text rewritten with all that follows
        from lm_eval_safescale.reading import read_answer
        from tests.running.asking import OPTIONS

        reading = read_answer(value, OPTIONS)
        assume(
            (reading.response, reading.status.value) != (before.get("response"), before["status"])
        )
    again = data.draw(st.sampled_from(AGAIN))
    path = tmp_path_factory.mktemp("changed") / "changed.zip"
    written(path, files, {**files, "answers.jsonl": as_lines(rows)}, again)
    report = verify_submission(path, load_of(made))
    assert report.verdict is not Verdicts.VERIFIED, (number, name, before.get(name), value, again)
    if again == "nothing":
        assert kinds(report) == {Refusal.CHECKSUM}


@given(data=st.data())
def test_answers_that_are_left_out_added_or_exchanged_are_found(
    made, files, tmp_path_factory, data
):
    rows = lines_of(files["answers.jsonl"])
    how = data.draw(st.sampled_from(["left out", "twice", "exchanged", "an item left out"]))
    one, other = (data.draw(st.integers(0, len(rows) - 1)) for _ in range(2))
    if how == "left out":
        del rows[one]
    elif how == "twice":
        rows.append(rows[one])
    elif how == "an item left out":
        item, condition = rows[one]["question_id"], rows[one]["condition"]
        assume(item != "q2")  # the first two are a subset, and called one
        rows = [row for row in rows if (row["question_id"], row["condition"]) != (item, condition)]
    else:
        key = ("condition", "question_id", "draw")
        assume(rows[one]["prompt_sha256"] != rows[other]["prompt_sha256"])
        first = {name: rows[one][name] for name in key}
        second = {name: rows[other][name] for name in key}
        rows[one], rows[other] = {**rows[one], **second}, {**rows[other], **first}
    again = data.draw(st.sampled_from(AGAIN))
    path = tmp_path_factory.mktemp("changed") / "changed.zip"
    written(path, files, {**files, "answers.jsonl": as_lines(rows)}, again)
    report = verify_submission(path, load_of(made))
    assert report.verdict is not Verdicts.VERIFIED


def test_a_subset_is_called_one_and_not_refused(made, files, tmp_path):
    rows = [row for row in lines_of(files["answers.jsonl"]) if row["question_id"] != "q2"]
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, tmp_path)
    report = verify_submission(sealed_again(tmp_path / "x.zip", changed), load_of(made))
    assert report.verdict is Verdicts.VERIFIED
    assert report.as_json()["subsets"]["clean"] == {"items": 2, "of": 3}


def told_otherwise(files: dict[str, bytes], **settings: Any) -> dict[str, bytes]:
    told = json.loads(files["manifest.json"])
    told["model"]["settings"] |= settings
    return {**files, "manifest.json": json.dumps(told).encode()}


def test_verdicts_of_a_judge_whose_replies_are_not_there_are_claims(made, files, tmp_path):
    """Every response set to the key, by verdicts that nothing stands behind."""
    keys = {row["question_id"]: row["answer"] for row in lines_of(files["items.jsonl"])}
    rows, verdicts = lines_of(files["answers.jsonl"]), []
    for row in rows:
        key = keys[row["question_id"]]
        verdicts.append(
            {name: row[name] for name in ("condition", "question_id", "draw")}
            | {"letter_before": row.get("response"), "status_before": row["status"]}
            | {"judge_letter": key, "verdict": "letter"}
        )
        row |= {"response": key, "status": "ok", "rule": "judge"}
    reading = {"by": "judge", "reader_version": "1"}
    changed = told_otherwise(files, reading=reading) | {
        "answers.jsonl": as_lines(rows),
        "verdicts.jsonl": as_lines(verdicts),
    }
    for more in ({}, {"judge.steps.jsonl": b""}):
        path = sealed_again(tmp_path / "x.zip", everything_again({**changed, **more}, tmp_path))
        report = verify_submission(path, load_of(made))
        assert report.results[0]["accuracy"] == 1.0
        assert (report.verdict, kinds(report)) == (Verdicts.UNKNOWN, {SubmissionKind.UNREAD})
        assert report.found.read_again == 0


def test_chosen_items_of_another_runner_are_no_subset_that_can_be_verified(made, files, tmp_path):
    told = json.loads(files["manifest.json"])
    told["model"]["source"] = "another runner"
    rows = [row for row in lines_of(files["answers.jsonl"]) if row["question_id"] != "q0"]
    changed = {
        **files,
        "manifest.json": json.dumps(told).encode(),
        "answers.jsonl": as_lines(rows),
    }
    path = sealed_again(tmp_path / "x.zip", everything_again(changed, tmp_path))
    report = verify_submission(path, load_of(made))
    assert (report.verdict, kinds(report)) == (Verdicts.UNKNOWN, {Kind.MISSING})


def test_wrong_answers_that_a_server_is_said_to_have_refused_are_counted(made, files, tmp_path):
    rows = lines_of(files["answers.jsonl"])
    wrong = [row for row in rows if row.get("response") == "B"]
    for row in wrong:
        row |= {"status": "unanswered", "read_as": "refusal", "response": None, "rule": None}
    changed = told_otherwise(files, backend="local-chat-completions")
    changed |= {"answers.jsonl": as_lines(rows)}
    path = sealed_again(tmp_path / "x.zip", everything_again(changed, tmp_path))
    report = verify_submission(path, load_of(made))
    assert report.verdict is Verdicts.VERIFIED
    assert any(each.startswith(f"what {len(wrong)} answers are") for each in report.not_shown)


def test_a_condition_that_was_asked_and_is_not_handed_in_is_found(made, files, tmp_path):
    rows = [row for row in lines_of(files["answers.jsonl"]) if row["condition"] == "clean"]
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, tmp_path)
    report = verify_submission(sealed_again(tmp_path / "x.zip", changed), load_of(made))
    assert (report.verdict, kinds(report)) == (Verdicts.REFUSED, {Kind.MISSING})
    told = json.loads(changed["manifest.json"])
    told["left_out"] = [{"model": "stub", "condition": "closed_book", "reason": "the power failed"}]
    changed["manifest.json"] = json.dumps(told).encode()
    report = verify_submission(sealed_again(tmp_path / "x.zip", changed), load_of(made))
    assert report.verdict is Verdicts.VERIFIED


def test_answers_that_are_said_to_have_been_cut_off_are_counted(made, files, tmp_path):
    rows = lines_of(files["answers.jsonl"])
    for row in rows[:2]:
        row |= {"status": "truncated", "read_as": "cut", "finish_reason": "length"}
        row |= {"response": None, "rule": None, "completion_tokens": 10, "text": "so"}
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, tmp_path)
    report = verify_submission(sealed_again(tmp_path / "x.zip", changed), load_of(made))
    assert any(
        each.startswith("what 2 answers") and each.endswith("cut off") for each in report.not_shown
    )


def test_prompts_that_could_not_be_rendered_are_said_not_to_be_shown(made, files, tmp_path):
    path = sealed_again(tmp_path / "x.zip", told_otherwise(files, prompt_frame=None))
    report = verify_submission(path, load_of(made))
    assert report.found.prompts == 0
    assert any(each.startswith("that 6 prompts were what") for each in report.not_shown)


def test_data_that_come_with_a_submission_do_not_stand_for_registered_ones(made, tmp_path):
    packed = pack([made / "run"], tmp_path / "x.zip", made / "card.yaml", include_data=True)
    files = files_of(packed.path)
    report = verify_submission(packed.path)
    assert (report.verdict, [each.where for each in report.found.findings]) == (
        Verdicts.VERIFIED,
        ["data.jsonl"],
    )
    told = json.loads(files["manifest.json"])
    told["dataset"]["name"] = "RadSaFE-200"
    changed = {**files, "manifest.json": json.dumps(told).encode()}
    report = verify_submission(sealed_again(tmp_path / "y.zip", changed))
    assert (report.verdict, kinds(report)) == (Verdicts.UNKNOWN, {Kind.DATA, SubmissionKind.UNREAD})


def test_copies_are_long_by_their_words_whatever_tokens_are_claimed(made, files, tmp_path):
    rows = lines_of(files["answers.jsonl"])
    for row in rows:
        if row["draw"]:
            row |= {"text": "so " * 60 + "I cannot say.", "completion_tokens": 3, "response": None}
            row |= {"status": "unanswered", "rule": "no choice"}
    changed = told_otherwise(files, max_answer_tokens=100) | {"answers.jsonl": as_lines(rows)}
    path = sealed_again(tmp_path / "x.zip", everything_again(changed, tmp_path))
    assert Kind.COPY in kinds(verify_submission(path, load_of(made)))


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": ["hf"]},
        {"model_args": ["files"]},
        {"overconfidence_threshold": "high"},
        {"temperature": -1},
        {"reading": "judge"},
        {"prompt_frame": 5},
        {"reasoning_opened": "yes"},
    ],
    ids=str,
)
def test_settings_of_another_kind_are_refused_before_anything_is_computed_with_them(
    made, files, tmp_path, settings
):
    path = sealed_again(tmp_path / "x.zip", told_otherwise(files, **settings))
    report = verify_submission(path, load_of(made))
    assert (report.runs, kinds(report)) == (None, {SubmissionKind.MANIFEST})


def test_what_was_left_out_has_a_reason(made, files, tmp_path):
    told = json.loads(files["manifest.json"])
    told["left_out"] = [{"why": "=1+1"}]
    path = sealed_again(tmp_path / "x.zip", {**files, "manifest.json": json.dumps(told).encode()})
    assert kinds(verify_submission(path, load_of(made))) == {SubmissionKind.MANIFEST}


# --- items and the manifest -----------------------------------------------------------------------


@given(data=st.data())
def test_any_change_of_an_item_is_found(made, files, tmp_path_factory, data):
    rows = lines_of(files["items.jsonl"])
    number = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(sorted(rows[0])))
    value = data.draw(st.sampled_from(["A", "B", "", "ABC", "q7", None, 5]))
    assume(rows[number][name] != value)
    rows[number][name] = value
    again = data.draw(st.sampled_from(AGAIN))
    path = tmp_path_factory.mktemp("changed") / "changed.zip"
    written(path, files, {**files, "items.jsonl": as_lines(rows)}, again)
    assert verify_submission(path, load_of(made)).verdict is not Verdicts.VERIFIED


def leaves(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for name in value for leaf in leaves(value[name], (*where, name))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for place, each in enumerate(value) for leaf in leaves(each, (*where, place))]
    return [where]


def said(where: tuple[Any, ...]) -> str:
    return ".".join("START" if isinstance(part, int) else part for part in where)


def claims() -> set[str]:
    """What of a manifest nothing recomputes, as the docs list it."""
    (block,) = re.findall(r"```claims\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return set(block.split())


def other_than(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 0.125
    if isinstance(value, str):
        return f"{value} or so"
    if isinstance(value, list):
        return [*value, "more"]
    return "something" if value is None else {"more": 1}


def test_a_manifest_that_lies_about_any_field_is_found_but_for_claims(made, files, tmp_path):
    """Each field in turn, with the hashes made again; and no field is called a claim that is
    none."""
    told = json.loads(files["manifest.json"])
    unseen = set()
    every = leaves(told)
    assert len(every) > 50
    for where in every:
        changed = json.loads(files["manifest.json"])
        inner = changed
        for part in where[:-1]:
            inner = inner[part]
        inner[where[-1]] = other_than(inner[where[-1]])
        content = {**files, "manifest.json": json.dumps(changed).encode()}
        path = tmp_path / "changed.zip"
        report = verify_submission(sealed_again(path, content), load_of(made))
        if report.verdict is Verdicts.VERIFIED:
            unseen.add(said(where))
        report = verify_submission(rezipped(path, content, checksums=sums(files)), load_of(made))
        assert kinds(report) == {Refusal.CHECKSUM}
    assert unseen == claims()


@pytest.mark.parametrize("name", ["accuracy", "high_risk_error", "n", "condition"])
def test_a_number_that_is_not_that_of_the_answers_is_found(made, files, tmp_path, name):
    rows = json.loads(files["results.json"])
    rows[0][name] = other_than(rows[0][name])
    path = sealed_again(tmp_path / "x.zip", {**files, "results.json": json.dumps(rows).encode()})
    report = verify_submission(path, load_of(made))
    assert (report.verdict, kinds(report)) == (Verdicts.REFUSED, {SubmissionKind.NUMBER})


def test_a_root_hash_that_was_published_finds_texts_that_were_rewritten(made, files, tmp_path):
    root = verify_submission(made / "submission.zip", load_of(made)).root
    rows = lines_of(files["answers.jsonl"])
    letter = next(row for row in rows if row["text"] == "A")
    letter |= {"text": "C", "response": "C", "status": "ok"}
    changed = everything_again({**files, "answers.jsonl": as_lines(rows)}, tmp_path)
    path = sealed_again(tmp_path / "x.zip", changed)
    report = verify_submission(path, load_of(made))
    assert report.verdict is Verdicts.VERIFIED
    assert any("rewritten" in each for each in report.not_shown)
    assert kinds(verify_submission(path, load_of(made), root=root)) == {Refusal.ROOT}


def test_a_submission_of_a_format_to_come_is_refused_as_such(made, files, tmp_path):
    told = json.loads(files["manifest.json"]) | {"safescale_submission": 2, "new": 1}
    path = sealed_again(tmp_path / "x.zip", {**files, "manifest.json": json.dumps(told).encode()})
    assert kinds(verify_submission(path, load_of(made))) == {Kind.VERSION}


def test_files_of_a_submission_are_those_that_were_packed(made, files):
    assert files_of(made / "submission.zip") == files
