"""A judge reads every raw text once, its verdicts are kept, and what it has no verdict for is not
scored.
"""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.judging.asking import SILENT
from lm_eval_safescale.judging.judging import judge, write_judged
from lm_eval_safescale.runs.store import known_of_model, merge_about, merge_runs, open_runs
from tests.judging.judging_stub import OPTIONS, StubJudge, runs, says

LONG = "I settle on (C), after thinking about B."


def of(judged):
    """(response or status, verdict, rules' letter) of each answer."""
    rows = zip(
        judged.runs.answers.iter_rows(named=True),
        judged.verdicts.iter_rows(named=True),
        strict=True,
    )
    return [
        (row["response"] or row["status"], verdict["verdict"], verdict["letter_before"])
        for row, verdict in rows
    ]


# --- what becomes of an answer --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reads_as", "verdict"),
    [
        (says("C"), "C", "letter"),
        (says("c"), "C", "letter"),
        (f"Here you are:\n{says('B')}", "B", "letter"),
        (says(None), "unanswered", "none"),
        (says("D"), "error", "refused"),
        (says("E"), "error", "refused"),
        (says("B or C"), "error", "failed"),
        ("I cannot help with that.", "error", "failed"),
        ("", "error", "failed"),
        (Reply(None, "HTTP 500"), "error", "failed"),
    ],
)
def test_an_answer_is_what_the_judge_says_or_not_scored(reply, reads_as, verdict):
    judged = judge(runs(("q1", 0, "B", "ok", LONG)), StubJudge(lambda _: reply))
    assert of(judged) == [(reads_as, verdict, "B")]
    assert judged.counts[verdict] == 1
    assert sum(judged.counts.values()) == 1


def test_a_failure_is_neither_the_rules_letter_nor_no_answer():
    judged = judge(
        runs(("q1", 0, "C", "ok", LONG), ("q2", 0, None, "unanswered", LONG)),
        StubJudge(lambda _: "?"),
    )
    assert [row[:2] for row in of(judged)] == [("error", "failed")] * 2
    assert judged.verdicts["status_before"].to_list() == ["ok", "unanswered"]


def test_what_holds_nothing_to_judge_is_not_shown_to_the_judge():
    stub = StubJudge()
    judged = judge(
        runs(
            ("q1", 0, "C", "ok", "(C)"),
            ("q1", 1, None, "unanswered", "It is an embolism."),
            ("q2", 0, None, "truncated", "<think>C or"),
            ("q2", 1, None, "error", None),
            ("q3", 0, None, "error", ""),
            ("q3", 1, "B", "ok", None),
        ),
        stub,
    )
    assert stub.prompts == []
    assert of(judged) == [
        ("C", "bare", "C"),
        ("unanswered", "none", None),
        ("truncated", "truncated", None),
        ("error", "error", None),
        ("error", "error", None),
        ("B", "no_text", "B"),
    ]


def test_a_bare_letter_that_was_read_as_another_is_put_right_and_listed():
    judged = judge(runs(("q1", 0, "B", "ok", "C")), StubJudge())
    assert of(judged) == [("C", "bare", "B")]
    assert judged.disagreements.height == 1


def test_an_answer_that_a_failed_judge_left_unscored_is_judged_by_the_next():
    first = judge(runs(("q1", 0, "B", "ok", LONG)), StubJudge(lambda _: "?"))
    assert of(judge(first.runs, StubJudge()))[0][:2] == ("C", "letter")


def test_runs_without_any_raw_text_are_refused():
    with pytest.raises(SafescaleError, match="hold no raw texts"):
        judge(runs(("q1", 0, "B", "ok", None)), StubJudge())


def test_a_text_of_200_000_characters_is_shown_cut():
    stub = StubJudge()
    judged = judge(runs(("q1", 0, None, "unanswered", "x " * 100_000 + "so (C)")), stub)
    assert of(judged) == [("C", "letter", None)]
    assert len(stub.prompts[0]) < 27_000


# --- disagreements and counts ---------------------------------------------------------------------


def test_disagreements_are_what_reads_otherwise_and_what_was_refused():
    replies = {
        "one (C)": says("C"),
        "two (B)": says("B"),
        "three (B)": says(None),
        "four (A)": says("D"),
        "five": "?",
    }
    rows = [
        ("q1", n, "C", "ok", text if text != "five" else "five (B)")
        for n, text in enumerate(replies)
    ]
    judged = judge(runs(*rows), StubJudge(lambda text: replies.get(text, "?")))
    found = judged.disagreements.select(
        "draw", "letter_before", "judge_letter", "verdict", "text"
    ).rows()
    assert found == [
        (1, "C", "B", "letter", "two (B)"),
        (2, "C", None, "none", "three (B)"),
        (3, "C", None, "refused", "four (A)"),
    ]


def test_what_a_filter_held_back_is_not_shown_to_the_judge_and_stays_so():
    judge_stub = StubJudge()
    judged = judge(
        runs(("q1", 0, None, "filtered", "It may be A or"), ("q2", 0, None, "filtered", "")),
        judge_stub,
    )
    assert judge_stub.prompts == []
    assert judged.counts["filtered"] == 2
    assert judged.runs.answers["status"].to_list() == ["filtered"] * 2


def test_each_answer_names_the_judge_or_the_rule_that_read_it():
    rows = [
        (LONG, "C"),
        ("C", "C"),
        (LONG + " ?", "none"),
        (LONG + " !", "failed"),
        ("<think>", "truncated"),
    ]
    before = runs(
        *(
            ("q1", n, None, "truncated" if text == "<think>" else "unanswered", text)
            for n, (text, _) in enumerate(rows)
        )
    )
    replies = {LONG: says("C"), LONG + " ?": says(None), LONG + " !": "no JSON"}
    judged = judge(before, StubJudge(replies.__getitem__))
    assert judged.runs.answers["rule"].to_list() == ["judge", "bare letter", "judge", None, None]


def test_the_report_counts_failures_by_model_and_reason():
    rows = [
        ("q1", 0, "C", "ok", LONG, "good"),
        *(("q1", n, "C", "ok", f"{LONG} {n}", "bad") for n in range(3)),
    ]
    judged = judge(runs(*rows), StubJudge(lambda text: says("C") if text == LONG else "no JSON"))
    report = json.loads(json.dumps(judged.report))
    assert report["without_verdict_by_model"] == [{"model": "bad", "verdict": "failed", "rows": 3}]
    assert report["reasons"] == [{"reason": "no verdict in the judge's reply: no JSON", "rows": 3}]
    assert (report["letter"], report["failed"], report["answers"], report["texts_asked"]) == (
        1,
        3,
        4,
        4,
    )


def test_who_judged_is_known_of_every_model():
    judged = judge(runs(("q1", 0, "C", "ok", LONG)), StubJudge(name="the judge"))
    settings = judged.runs.about["models"]["m"]["settings"]
    assert settings["reading"]["by"] == "judge"
    assert settings["reading"]["model"] == {"backend": "the judge"}
    assert settings["draws"] == 1


# --- what the judge is told -----------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.lists(
        st.text(alphabet="ABCD abc(){}\"'\n", min_size=1, max_size=30), min_size=1, max_size=6
    ),
    st.text("ABCD", min_size=3, max_size=3),
    st.text("ABCD", min_size=3, max_size=3),
)
def test_no_prompt_depends_on_the_key(texts, keys, other_keys):
    rows = [(f"q{n % 3 + 1}", n // 3, None, "unanswered", text) for n, text in enumerate(texts)]
    one, other = StubJudge(), StubJudge()
    judge(runs(*rows, keys=keys), one)
    judge(runs(*rows, keys=other_keys), other)
    assert one.prompts == other.prompts


def test_no_prompt_holds_question_or_options():
    stub = StubJudge()
    judge(runs(("q1", 0, None, "unanswered", LONG)), stub)
    assert not any(word in stub.prompts[0] for word in (*OPTIONS.values(), "Which one is it", "q1"))


def test_equal_texts_are_asked_about_once_and_answer_alike():
    stub = StubJudge()
    judged = judge(
        runs(
            *(
                (f"q{n}", draw, "B", "ok", LONG, model)
                for n in (1, 2, 3)
                for draw in (0, 1)
                for model in "xy"
            )
        ),
        stub,
    )
    assert len(stub.prompts) == 1
    assert {row[0] for row in of(judged)} == {"C"}


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from(["C", "(b)", "I say D.", "A or B", "none of it", "", None, "x A", "so B"]),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 3),
    st.sampled_from([1, 2, 5]),
)
def test_every_answer_gets_the_verdict_on_its_own_text(texts, kind, batch):
    reply = [
        lambda text: says(text[-1].upper()),
        lambda text: says(None),
        lambda text: "?",
        lambda text: says("D"),
    ][kind]
    rows = [("q1", n, None, "unanswered", text) for n, text in enumerate(texts)]
    if all(text is None for text in texts):
        return
    judged = judge(runs(*rows), StubJudge(reply, batch=batch))
    alone = {
        text: of(judge(runs(("q1", 0, None, "unanswered", text)), StubJudge(reply)))[0]
        for text in texts
        if text is not None
    }
    assert of(judged) == [alone.get(text, ("unanswered", "no_text", None)) for text in texts]
    assert judged.runs.answers["text"].to_list() == texts


# --- interruptions --------------------------------------------------------------------------------

MANY = [("q1", n, None, "unanswered", f"number {n}: (C)") for n in range(10)]


def test_a_killed_judging_goes_on_where_it_stopped(tmp_path):
    steps = tmp_path / "judge.steps.jsonl"
    with pytest.raises(KeyboardInterrupt):
        judge(runs(*MANY), StubJudge(dies_after=6), steps)
    stub = StubJudge()
    judged = judge(runs(*MANY), stub, steps)
    assert len(stub.prompts) == 4
    assert (judged.texts, judged.known) == (10, 6)
    assert of(judged) == of(judge(runs(*MANY), StubJudge()))


def test_a_torn_last_line_is_asked_again(tmp_path):
    steps = tmp_path / "judge.steps.jsonl"
    judge(runs(*MANY), StubJudge(), steps)
    steps.write_bytes(steps.read_bytes()[:-20])
    stub = StubJudge()
    judge(runs(*MANY), stub, steps)
    assert len(stub.prompts) == 1


def test_verdicts_serve_other_runs_with_the_same_texts(tmp_path):
    steps = tmp_path / "judge.steps.jsonl"
    judge(runs(*MANY), StubJudge(), steps)
    stub = StubJudge()
    judge(
        runs(
            *((*row, "another model") for row in reversed(MANY)),
            ("q1", 0, None, "unanswered", "new: (B)"),
        ),
        stub,
        steps,
    )
    assert len(stub.prompts) == 1


def test_what_could_not_be_heard_is_asked_again_and_what_was_said_is_not(tmp_path):
    steps = tmp_path / "judge.steps.jsonl"
    first = judge(
        runs(*MANY),
        StubJudge(lambda text: Reply(None, "HTTP 500") if "number 3" in text else "no JSON"),
        steps,
    )
    assert first.counts["failed"] == 10
    stub = StubJudge()
    assert judge(runs(*MANY), stub, steps).counts == {**first.counts, "failed": 9, "letter": 1}
    assert len(stub.prompts) == 1


def test_the_verdicts_of_another_judge_are_not_taken_for_this_ones(tmp_path):
    steps = tmp_path / "judge.steps.jsonl"
    judge(runs(*MANY), StubJudge(name="one"), steps)
    with pytest.raises(SafescaleError, match="model differ"):
        judge(runs(*MANY), StubJudge(name="other"), steps)
    stub = StubJudge(name="other")
    judge(runs(*MANY), stub, steps, overwrite=True)
    assert len(stub.prompts) == 10


def test_a_judge_that_is_down_stops_the_judging_early():
    rows = [("q1", n, None, "unanswered", f"number {n}: (C)") for n in range(20 * SILENT)]
    stub = StubJudge(lambda _: Reply(None, "connection refused"))
    with pytest.raises(SafescaleError, match=r"no reply to any .* connection refused"):
        judge(runs(*rows), stub)
    assert len(stub.prompts) <= 2 * SILENT


def test_a_judge_that_goes_away_is_given_up_at_once():
    stub = StubJudge(lambda _: "C" if len(stub.prompts) <= 100 else Reply(None, "gone"))
    rows = [("q1", n, None, "unanswered", f"number {n}: (C)") for n in range(20 * SILENT)]
    with pytest.raises(SafescaleError, match=r"no reply to any .* gone"):
        judge(runs(*rows), stub)
    assert len(stub.prompts) == 100 + SILENT


def test_texts_that_fail_again_alone_do_not_pass_for_a_judge_that_is_down():
    def reply(prompt):
        number = int(re.search(r"number (\d+):", prompt)[1])
        return Reply(None, "held back") if number % 3 == 0 else "C"

    stub = StubJudge(reply)
    rows = [("q1", n, None, "unanswered", f"number {n}: (C)") for n in range(6 * SILENT)]
    assert judge(runs(*rows), stub).report["texts_unheard"] == 2 * SILENT
    assert len(stub.prompts) == 8 * SILENT


# --- files ----------------------------------------------------------------------------------------


def test_runs_verdicts_and_disagreements_are_written_and_the_runs_open_again(tmp_path):
    judged = judge(runs(("q1", 0, "B", "ok", LONG), ("q2", 0, "C", "ok", LONG)), StubJudge())
    write_judged(judged, tmp_path / "out")
    again = open_runs(tmp_path / "out")
    assert again.answers.equals(judged.runs.answers)
    assert pl.read_parquet(tmp_path / "out" / "verdicts.parquet").equals(
        judged.verdicts.drop("text")
    )
    lines = [
        json.loads(line)
        for line in (tmp_path / "out" / "disagreements.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    assert [
        (each["question_id"], each["letter_before"], each["judge_letter"], each["text"])
        for each in lines
    ] == [("q1", "B", "C", LONG)]
    assert {"model", "condition", "draw", "verdict", "reason"} <= lines[0].keys()


def test_judged_runs_of_several_models_merge():
    one, other = (judge(runs(("q1", 0, "B", "ok", LONG, name)), StubJudge()).runs for name in "xy")
    assert (
        merge_runs({"one": one, "other": other}).about["models"]["y"]["settings"]["reading"]["by"]
        == "judge"
    )


def test_models_of_one_name_and_other_weights_are_not_merged():
    def about(condition: str, pretrained: str) -> dict[str, object]:
        model = known_of_model(
            "x", {condition: {"model_args": {"pretrained": pretrained}}}, RADSAFE
        )
        return {"dataset": {}, "models": {"final": model}}

    merged = merge_about([about("clean", "/llama/final"), about("rag", "/llama/final")])
    assert merged["models"]["final"]["conditions"] == ["clean", "rag"]
    with pytest.raises(SafescaleError, match="/llama/final and /qwen/final"):
        merge_about([about("clean", "/llama/final"), about("rag", "/qwen/final")])
