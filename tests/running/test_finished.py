"""A run that has nothing left to ask says so before a model is loaded, and only then."""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines, loading
from lm_eval_safescale.harness.requests import ConditionRequests
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.running.finished import NOTE, note_of
from lm_eval_safescale.runs import open_runs
from tests.altering import alter_lines
from tests.running.asking import ask, asked_of, seeded, write_questions

ITEMS, DRAWS = 3, 2
ANSWERS = 2 * ITEMS * (1 + DRAWS)


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)


@pytest.fixture
def loaded(monkeypatch):
    """Notes each model that is loaded."""
    names, load = [], loading.load_backend
    monkeypatch.setattr(
        loading,
        "load_backend",
        lambda *args, **options: (names.append(args[0]), load(*args, **options))[1],
    )
    return names


@pytest.fixture
def go(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", ITEMS)

    def go(*, metadata=None, **options):
        return ask(
            tmp_path / "runs",
            metadata={"dataset_path": str(questions), "draws": DRAWS} | (metadata or {}),
            **options,
        )

    return go


def test_a_finished_run_is_told_without_its_model(go, loaded, tmp_path):
    assert not go().was_finished
    before, said = open_runs(tmp_path / "runs").answers, []
    loaded.clear()
    report = go(on_progress=lambda now: said.append(now.what), device="cuda:7", batch_size=64)
    assert (report.was_finished, report.standing.known, report.standing.of, report.failures) == (
        True,
        ANSWERS,
        ANSWERS,
        {},
    )
    assert loaded == []
    assert said[-1] == f"nothing is left to ask ({ANSWERS} answers): the model is not loaded"
    assert report.runs.answers.equals(before)
    assert set(asked_of(tmp_path / "runs").values()) == {1}


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 2},
        {"latency": "isolated"},
        {"conditions": ("closed_book",)},
        {"conditions": ("closed_book", "clean", "conflict")},
        {"metadata": {"overconfidence_threshold": 0.5}},
        {"name": "another name"},
        {"args": {"max_model_len": 30_000}},
    ],
)
def test_what_is_asked_in_any_other_way_loads_the_model_to_see(go, loaded, options):
    go()
    loaded.clear()
    assert not go(**options).was_finished
    assert len(loaded) == 1


@pytest.mark.parametrize(
    "options", [{"metadata": {"draws": 3}}, {"args": {"pretrained": "m"}}, {"chat_template": False}]
)
def test_what_is_refused_is_refused_as_before(go, options):
    go()
    with pytest.raises(SafescaleError, match="asked for otherwise"):
        go(**options)


def test_a_name_of_an_argument_that_is_wrong_is_told_of_a_finished_run_too(go):
    go()
    with pytest.raises(SafescaleError, match="no-such-backend"):
        go(backend="no-such-backend")


def test_a_run_that_lacks_answers_leaves_no_note(go, tmp_path):
    assert go(faults={"silent": "image 1"}).failures
    assert not (tmp_path / "runs" / NOTE).exists()


@pytest.mark.parametrize("damage", ["journal", "tables", "run.json", "note"])
def test_a_damaged_run_is_not_finished(go, loaded, tmp_path, damage):
    go()
    folder = tmp_path / "runs"
    if damage == "journal":
        (shard,) = (folder / "answers").iterdir()
        lines = shard.read_bytes().splitlines(keepends=True)
        shard.write_bytes(b"".join(lines[:-1]))
    else:
        path = folder / {"tables": "answers.parquet", "note": NOTE}.get(damage, damage)
        path.write_bytes(path.read_bytes()[:-9])
    loaded.clear()
    if damage == "run.json":
        with pytest.raises(SafescaleError, match="damaged"):
            go()
        return
    report = go()
    assert (report.was_finished, len(loaded)) == (False, 1)
    assert report.runs.answers.height == ANSWERS


def test_an_answer_to_another_context_is_not_counted(go, tmp_path):
    """The journal says what stood above each question."""
    go()
    for shard in (tmp_path / "runs" / "answers").iterdir():
        alter_lines(
            shard,
            lambda line: (
                line.update(context_fingerprint="f" * 64)
                if line.get("context_fingerprint")
                else None
            ),
        )
    assert not go().was_finished


def test_contexts_that_depend_on_the_model_are_told_by_what_they_are_made_of(tmp_path):
    corpus = tmp_path / "corpus.jsonl"

    def note(conditions=("max_context",), args=None, **settings):
        given = {"dataset": "demo", "corpus_path": str(corpus), "draws": 2, **settings}
        asked = [ConditionRequests(plugins().find("condition", name), given) for name in conditions]
        return note_of(asked, conditions, {"model": "m"}, args or {}, limit=None, latency="loaded")

    def write(text):
        corpus.write_text(json.dumps({"id": "a", "title": "T", "text": text}) + "\n")

    write("The vein is dilated.")
    first = note()
    assert note() == first
    others = [
        note(args={"max_model_len": 9000}),
        note(draws=3),
        note(("max_context", "closed_book")),
    ]
    write("The vein is narrow.")
    assert len({first, *others, note()}) == 5
