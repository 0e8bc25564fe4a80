"""Runs of the version before, which spoke of letters and had RadSaFE's labels as columns, open, are
whole, and are gone on with.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.harness import engines
from lm_eval_safescale.judging.judging import judge, write_judged
from lm_eval_safescale.judging.rereading import reread, write_reread
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.salvage import salvage
from lm_eval_safescale.verifying.verify import verify
from tests.altering import alter_document, alter_lines, make_sums_again
from tests.judging.judging_stub import StubJudge, says
from tests.running.asking import ask, asked_of, seeded, write_questions

ITEMS, DRAWS = 3, 2
ANSWERS = 2 * ITEMS * (1 + DRAWS)
UNTIMED = pl.exclude("latency_s", "concurrency")
ITEM_COLUMNS = (
    "question_id",
    "answer",
    "letters",
    "high_risk",
    "unsafe",
    "contradicts",
    "subspecialty",
    "question_type",
)
"""Of the version before, whether any item had them or not."""
KINDS = ("run", "unfinished", "judged", "reread", "unlabelled")


def as_before(folder: Path) -> Path:
    """The folder as the version before would have written it; it stays where it is."""
    for shard in (folder / "answers").glob("*.jsonl"):
        alter_lines(shard, lambda line: [_letters(draw) for draw in line.get("draws", ())])
        assert b'"letter":' in shard.read_bytes()
        assert b'"response"' not in shard.read_bytes()
    if (folder / "changes.jsonl").exists():
        alter_lines(folder / "changes.jsonl", _letters)
    if (folder / "about.json").exists():
        _alter_table(folder / "answers.parquet", lambda frame: frame.rename({"response": "letter"}))
        _alter_table(folder / "items.parquet", _items_before)
        alter_document(folder / "about.json", lambda about: _about_before(about, folder))
        make_sums_again(folder)
    return folder


def _items_before(frame):
    frame = frame.rename({new: old for old, new in RADSAFE.old_columns.items()}, strict=False)
    missing = [
        pl.lit(None, pl.String).alias(name) for name in ITEM_COLUMNS if name not in frame.columns
    ]
    return frame.with_columns(missing).select(ITEM_COLUMNS)


def _letters(fields):
    for old, new in (("letter", "response"), ("letter_before", "response_before")):
        if new in fields:
            fields[old] = fields.pop(new)


def _alter_table(path, change):
    change(pl.read_parquet(path)).write_parquet(path, metadata=pl.read_parquet_metadata(path))


def _about_before(about, folder):
    for name in ("family", "family_version"):
        about["dataset"].pop(name, None)
    if "journal_bytes" in about:
        about["journal_bytes"] = sum(path.stat().st_size for path in (folder / "answers").iterdir())


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)


@pytest.fixture
def questions(tmp_path):
    path = write_questions(tmp_path / "questions.jsonl", ITEMS)
    first, *others = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    items = [first | {"subspecialty": "chest"}, *others]
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


@pytest.fixture
def given(questions):
    return {
        "metadata": {"dataset_path": str(questions), "draws": DRAWS},
        "batch_size": 1,
        "args": {"pretrained": "m"},
    }


@pytest.fixture
def make(tmp_path, questions, given):
    """Makes a folder of some kind as this version writes it."""

    def make(kind: str) -> Path:
        folder = tmp_path / kind
        if kind == "unlabelled":
            path = write_questions(tmp_path / "unlabelled.jsonl", ITEMS, labelled=False)
            ask(folder, **given | {"metadata": {"dataset_path": str(path), "draws": DRAWS}})
        elif kind == "unfinished":
            with pytest.raises(SafescaleError):
                ask(folder, faults={"fails_at": 9}, **given)
        elif kind == "run":
            ask(folder, **given)
        else:
            runs = open_runs(make("run"))
            folder.mkdir()
            if kind == "judged":
                judged = judge(
                    runs,
                    StubJudge(lambda text: says("B" if "B" in text else None)),
                    folder / "judge.steps.jsonl",
                )
                write_judged(judged, folder)
            else:
                write_reread(reread(runs, RADSAFE.load(questions)), folder)
        return folder

    return make


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unfinished"])
def test_its_runs_open_and_are_whole(make, kind):
    folder = make(kind)
    runs = open_runs(folder)
    as_before(folder)
    old = pl.read_parquet(folder / "items.parquet")
    assert (tuple(old.columns), "letter" in pl.read_parquet_schema(folder / "answers.parquet")) == (
        ITEM_COLUMNS,
        True,
    )
    opened = open_runs(folder)
    assert opened.answers.equals(runs.answers)
    assert opened.items.equals(runs.items.select(opened.items.columns))
    assert set(opened.items.columns) == set(runs.items.columns)
    assert (opened.family, opened.about["models"]) == (RADSAFE, runs.about["models"])
    found = verify(folder)
    assert (found.findings, found.verdict, found.answers, found.read_again) == (
        [],
        Verdict.WHOLE,
        ANSWERS,
        ANSWERS,
    )


def test_its_runs_stand_in_one_table_with_runs_of_now(make, tmp_path, given):
    as_before(make("run"))
    ask(tmp_path / "more", conditions=("conflict",), **given)
    runs = open_runs(tmp_path / "run", tmp_path / "more")
    assert runs.answers.height == ANSWERS + ITEMS * (1 + DRAWS)
    assert runs.items.equals(open_runs(tmp_path / "more").items.select(runs.items.columns))


def test_an_unfinished_run_is_gone_on_with_and_nothing_is_asked_twice(make, given):
    folder, whole = as_before(make("unfinished")), make("run")
    report = ask(folder, **given)
    assert (
        report.damaged,
        report.standing.known > 0,
        report.standing.known + report.standing.done,
    ) == (0, True, ANSWERS)
    assert asked_of(folder) == asked_of(whole)
    answers = open_runs(folder).answers
    assert answers.select(UNTIMED).equals(open_runs(whole).answers.select(UNTIMED))
    old, new = sorted((folder / "answers").iterdir())
    assert b'"letter":' in old.read_bytes()
    assert b'"letter":' not in new.read_bytes()
    assert b'"response":' in new.read_bytes()
    found = verify(folder)
    assert (found.findings, found.verdict) == ([], Verdict.WHOLE)


def test_a_finished_run_is_not_asked_again_and_takes_further_conditions(make, given):
    folder = as_before(make("run"))
    before = open_runs(folder).answers
    report = ask(folder, **given)
    assert (report.standing.known, report.standing.done, report.damaged) == (ANSWERS, 0, 0)
    assert open_runs(folder).answers.equals(before)
    ask(folder, conditions=("conflict",), **given)
    assert open_runs(folder).conditions == ("closed_book", "clean", "conflict")
    assert verify(folder).verdict is Verdict.WHOLE


def test_its_letters_that_were_changed_are_found(make):
    folder = as_before(make("run"))
    (shard,) = (folder / "answers").iterdir()
    turned = {"A": "B", "B": "A", "C": "D", "D": "C"}

    def turn(line):
        for draw in line.get("draws", ()):
            if "letter" in draw:
                draw["letter"] = turned[draw["letter"]]

    alter_lines(shard, turn)
    make_sums_again(folder)
    assert verify(folder).verdict is Verdict.DAMAGED


def test_a_damaged_run_is_salvaged_and_gone_on_with(make, given, tmp_path):
    folder = as_before(make("run"))
    runs = open_runs(folder)
    (folder / "run.json").unlink()
    (shard,) = (folder / "answers").iterdir()
    header, first, *lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"".join([header, b"?" + first[1:], *lines]))
    made = salvage(folder, tmp_path / "new")
    assert (made.answers, made.from_tables, made.goes_on, made.has_tables) == (
        ANSWERS,
        1,
        True,
        True,
    )
    report = ask(tmp_path / "new", **given)
    assert (report.standing.known, report.standing.done) == (ANSWERS, 0)
    assert open_runs(tmp_path / "new").answers.select(UNTIMED).equals(runs.answers.select(UNTIMED))
    assert verify(tmp_path / "new").verdict is Verdict.WHOLE


def test_its_runs_are_read_again_and_judged(make, questions, tmp_path):
    folder, now = as_before(shutil.copytree(make("run"), tmp_path / "before")), tmp_path / "run"
    data = RADSAFE.load(questions)
    assert reread(open_runs(folder), data).changes.height == 0
    one, other = (judge(open_runs(each), StubJudge()).runs.answers for each in (folder, now))
    assert one.equals(other)
