"""A data file is told by what is in it: renamed or moved it is the same, and of another content
under the same name it is not.
"""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.chat.asks import Ask
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.checksums import are_alike
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.verify import verify
from tests.running.asking import ask, asked_of, seeded, write_questions

ITEMS, DRAWS = 3, 2
ANSWERS = 2 * ITEMS * (1 + DRAWS)


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)


def go(folder, questions, **options):
    given = {"dataset_path": str(questions), "draws": DRAWS} | options.pop("metadata", {})
    return ask(folder, metadata=given, batch_size=1, **options)


def test_a_run_goes_on_after_its_data_file_was_renamed_and_moved(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", ITEMS)
    with pytest.raises(SafescaleError):
        go(tmp_path / "runs", questions, faults={"fails_at": 7})
    (tmp_path / "elsewhere").mkdir()
    moved = questions.rename(tmp_path / "elsewhere" / "exam.jsonl")
    report = go(tmp_path / "runs", moved)
    assert 0 < report.standing.known < ANSWERS
    assert report.standing.known + report.standing.done == ANSWERS
    assert set(asked_of(tmp_path / "runs").values()) == {1}
    assert open_runs(tmp_path / "runs").answers.height == ANSWERS
    assert verify(tmp_path / "runs").verdict is Verdict.WHOLE
    assert go(tmp_path / "runs", moved.rename(questions)).standing.done == 0


def test_a_file_of_the_same_questions_in_another_order_is_the_same(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", ITEMS)
    go(tmp_path / "runs", questions)
    lines = questions.read_text().splitlines()
    (tmp_path / "turned.jsonl").write_text("\n".join(reversed(lines)) + "\n")
    assert go(tmp_path / "runs", tmp_path / "turned.jsonl").standing.done == 0


def test_a_file_of_another_content_is_refused_and_both_are_named(tmp_path):
    go(tmp_path / "runs", write_questions(tmp_path / "questions.jsonl", ITEMS))
    with pytest.raises(
        SafescaleError, match="holds answers that were asked for otherwise"
    ) as refused:
        go(tmp_path / "runs", write_questions(tmp_path / "exam.jsonl", ITEMS + 1))
    assert 'dataset.name: there "questions.jsonl", now "exam.jsonl"' in str(refused.value)
    assert "dataset.fingerprint: there " in str(refused.value)


def test_a_name_alone_is_never_told_as_a_difference(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", ITEMS)
    go(tmp_path / "runs", questions)
    with pytest.raises(SafescaleError, match=r"settings\.draws: there 2, now 1") as refused:
        go(tmp_path / "runs", questions.rename(tmp_path / "exam.jsonl"), metadata={"draws": 1})
    assert "exam" not in str(refused.value)


def test_a_prompt_file_is_told_by_its_content(tmp_path):
    questions, prompt = (
        write_questions(tmp_path / "questions.jsonl", ITEMS),
        tmp_path / "prompt.yaml",
    )
    prompt.write_text(
        "user: |\n  {context}\n\n  {question}\n  {options}\nsystem: Another system turn.\n"
    )
    go(tmp_path / "runs", questions, metadata={"prompt_file": str(prompt)})
    moved = prompt.rename(tmp_path / "words.yaml")
    assert go(tmp_path / "runs", questions, metadata={"prompt_file": str(moved)}).standing.done == 0
    moved.write_text(moved.read_text().replace("Another", "A third"))
    with pytest.raises(SafescaleError, match="prompt_template: there"):
        go(tmp_path / "runs", questions, metadata={"prompt_file": str(moved)})


def test_articles_are_told_by_their_content(tmp_path):
    questions, corpus = (
        write_questions(tmp_path / "questions.jsonl", ITEMS),
        tmp_path / "articles.jsonl",
    )
    corpus.write_text(
        json.dumps(
            {"id": "one", "title": "Emboli", "text": "A patient with an embolus of the lung."}
        )
        + "\n"
    )
    given = {"index_dir": str(tmp_path / "indexes")}
    go(
        tmp_path / "runs",
        questions,
        conditions=("rag",),
        metadata=given | {"corpus_path": str(corpus)},
    )
    moved = corpus.rename(tmp_path / "texts.jsonl")
    again = go(
        tmp_path / "runs",
        questions,
        conditions=("rag",),
        metadata=given | {"corpus_path": str(moved)},
    )
    assert again.standing.done == 0


def test_the_steps_of_a_build_go_on_where_only_files_have_other_names(tmp_path):
    def about(name, of="f", tokenizer="words"):
        return {
            "dataset": {"name": name, "version": name, "fingerprint": of},
            "corpus": {
                "corpus": name,
                "corpus_fingerprint": of,
                "tokenizer": tokenizer,
                "tokenizer_fingerprint": tokenizer,
            },
        }

    path, asked = tmp_path / "steps.jsonl", Ask("q1", "queries", "write", (), 9)
    steps = StepLog(path, about("here.jsonl"))
    steps.replied(asked, Reply("text", ""), 1)
    steps.close()
    again = StepLog(path, about("there.jsonl"))
    assert again.known(asked) is not None
    again.close()
    for other in (about("here.jsonl", of="g"), about("here.jsonl", tokenizer="cl100k")):
        with pytest.raises(SafescaleError, match="taken otherwise"):
            StepLog(path, other)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"name": "b", "fingerprint": "f", "family": "x"}, True),
        ({"name": "a", "fingerprint": "f", "family": "y"}, False),
        ({"name": "a", "fingerprint": "g", "family": "x"}, False),
        ({"name": "b", "family": "x"}, False),
    ],
)
def test_descriptions_are_alike_by_fingerprint_and_all_that_it_does_not_cover(other, expected):
    assert (
        are_alike({"data": {"name": "a", "fingerprint": "f", "family": "x"}}, {"data": other})
        is expected
    )


def test_names_tell_apart_what_has_no_fingerprint():
    assert not are_alike({"name": "a", "fingerprint": None}, {"name": "b", "fingerprint": None})
