"""Stored raw texts read again by rules: the same rules change nothing, others are reported change
by change.
"""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.judging.rereading import reread, write_reread
from lm_eval_safescale.reading import AnswerReader, read_answer
from lm_eval_safescale.runs.store import open_runs
from tests.judging.judging_stub import OPTIONS, dataset, runs

TEXTS = [
    "C",
    "C Pulmonary embolism",
    "Answer: B",
    "It is an embolism.",
    "<think>B or",
    "<think>B?</think>D",
    "A or B",
    "",
]
LAST = AnswerReader(
    "last",
    "the last letter",
    lambda text, options: next((each for each in text[::-1] if each in options), None),
)


def read(text, **how):
    reading = read_answer(text, OPTIONS, **how)
    return reading.response, reading.status.value


def as_run(texts=TEXTS, about=None, **how):
    return runs(*(("q1", n, *read(text, **how), text) for n, text in enumerate(texts)), about=about)


def test_the_same_rules_change_nothing():
    before = as_run()
    found = reread(before, dataset())
    assert found.changes.height == 0
    assert found.runs.answers.drop("rule").equals(before.answers.drop("rule"))
    assert (found.read, found.without_text, found.failed) == (len(TEXTS), 0, 0)


@pytest.mark.parametrize(
    "how", [{"reasoning": "on"}, {"reasoning": "separate"}, {"opened": True}, {"reasoning": "off"}]
)
@pytest.mark.parametrize("known", [True, False])
def test_the_same_rules_change_nothing_however_the_run_told_reasoning_from_answer(how, known):
    about = {"reasoning": how["reasoning"]} if known and "reasoning" in how else None
    assert reread(as_run(about=about, **how), dataset()).changes.height == 0


def test_how_reasoning_is_told_from_answer_can_be_changed():
    truncated = as_run(["The answer is C."], reasoning="on")
    assert truncated.answers["status"].to_list() == ["truncated"]
    assert reread(truncated, dataset(), reasoning="off").runs.answers["response"].to_list() == ["C"]


def test_changes_are_reported_one_by_one_and_counted():
    before = runs(
        ("q1", 0, "B", "ok", "Answer: C"),
        ("q1", 1, None, "unanswered", "Answer: C"),
        ("q2", 0, "C", "ok", "C"),
    )
    found = reread(before, dataset())
    rows = found.changes.select(
        "question_id", "draw", "response_before", "status_before", "response", "status", "text"
    ).rows()
    assert rows == [
        ("q1", 0, "B", "ok", "C", "ok", "Answer: C"),
        ("q1", 1, None, "unanswered", "C", "ok", "Answer: C"),
    ]
    report = json.loads(json.dumps(found.report))
    assert report["changes"] == [
        {"before": "B", "after": "C", "rows": 1},
        {"before": "unanswered", "after": "C", "rows": 1},
    ]
    assert report["changed_by_model"] == [{"model": "m", "rows": 2}]


def test_another_reader_reads():
    found = reread(as_run(["A or B"]), dataset(), LAST)
    assert found.runs.answers["response"].to_list() == ["B"]
    assert found.runs.about["models"]["m"]["settings"]["reading"]["reader"] == "last"


def test_what_a_reader_fails_for_is_not_scored_and_costs_no_other():
    def fail(text, options):
        if "B" in text:
            raise SafescaleError("broken")
        return "C"

    found = reread(
        as_run(["Answer: B", "Answer: C", "so B it is"]),
        dataset(),
        AnswerReader("broken", "", fail),
    )
    assert found.runs.answers["status"].to_list() == ["error", "ok", "error"]
    assert (found.failed, found.failures) == (2, ("broken",))


def test_answers_without_a_text_stay_and_are_counted():
    before = runs(
        ("q1", 0, "B", "ok", None), ("q2", 0, None, "error", ""), ("q3", 0, "C", "ok", "C")
    )
    found = reread(before, dataset())
    assert found.without_text == 2
    assert found.runs.answers.drop("rule").equals(before.answers.drop("rule"))


def test_what_a_filter_held_back_is_not_read_whatever_was_left_of_it():
    before = runs(("q1", 0, None, "filtered", "Answer: C"), ("q2", 0, None, "filtered", ""))
    found = reread(before, dataset())
    assert found.without_text == 2
    assert found.runs.answers.equals(before.answers)


def test_runs_that_were_stored_before_rules_had_names_get_them_for_what_is_read():
    before = runs(
        ("q1", 0, "B", "ok", None), ("q2", 0, None, "error", ""), ("q3", 0, "C", "ok", "C")
    )
    assert before.answers["rule"].null_count() == 3
    assert reread(before, dataset()).runs.answers["rule"].is_null().to_list() == [True, True, False]
    assert reread(before, dataset(), LAST).runs.answers["rule"].to_list() == [None, None, "last"]


def test_runs_without_any_text_are_refused():
    with pytest.raises(SafescaleError, match="hold no raw texts"):
        reread(runs(("q1", 0, "B", "ok", None)), dataset())


def test_the_options_of_another_data_set_are_refused():
    other = dataset(options={**OPTIONS, "D": "Empyema"})
    with pytest.raises(SafescaleError, match="fingerprint"):
        reread(as_run(), other)


def test_an_item_that_the_data_set_does_not_have_is_named():
    before = runs(("q3", 0, "C", "ok", "C"))
    before.about["dataset"].pop("fingerprint")
    with pytest.raises(SafescaleError, match="q3"):
        reread(before, dataset("CC"))


def test_runs_and_changes_are_written(tmp_path):
    found = reread(runs(("q1", 0, "B", "ok", "Answer: C")), dataset())
    write_reread(found, tmp_path)
    assert open_runs(tmp_path).answers["response"].to_list() == ["C"]
    (line,) = (tmp_path / "changes.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["response_before"] == "B"
