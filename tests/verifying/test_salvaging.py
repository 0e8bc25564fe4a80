"""A damaged run: what is left of it makes a good folder, nothing of the old one is changed, and
what was lost is said.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale.checksums import sha256_of, with_checksum
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.salvage import salvage
from lm_eval_safescale.verifying.verify import verify
from tests.running.asking import answers_of, ask, asked_of, seeded, write_questions

FIXTURES = Path(__file__).parent.parent / "fixtures" / "format1"
UNTIMED = pl.exclude("latency_s", "concurrency")
ITEMS, DRAWS = 3, 2
ANSWERS = 2 * ITEMS * (1 + DRAWS)


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)


@pytest.fixture
def given(tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", ITEMS)
    return {
        "metadata": {"dataset_path": str(questions), "draws": DRAWS},
        "batch_size": 1,
        "args": {"pretrained": "m"},
    }


@pytest.fixture
def finished(tmp_path, given):
    ask(tmp_path / "run", **given)
    return tmp_path / "run"


@pytest.fixture
def unfinished(tmp_path, given):
    with pytest.raises(SafescaleError):
        ask(tmp_path / "part", faults={"fails_at": 9}, **given)
    return tmp_path / "part"


@pytest.fixture
def new(tmp_path):
    return tmp_path / "new"


def flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def shard_of(folder):
    (shard,) = (folder / "answers").glob("*.jsonl")
    return shard


def files_of(folder):
    return {path: sha256_of(path) for path in folder.rglob("*") if path.is_file()}


def salvaged(folder, new, *how):
    """What is made of a folder, which must not change."""
    before = files_of(folder)
    made = salvage(folder, new, *how)
    assert files_of(folder) == before
    return made


@pytest.mark.parametrize("damage", ["flipped", "cut off", "gone"])
def test_a_finished_run_without_its_description_is_whole_again_and_nothing_is_asked(
    finished, new, given, damage
):
    path, table = finished / "run.json", open_runs(finished).answers
    if damage == "flipped":
        flip(path)
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    made = salvaged(finished, new)
    assert (made.answers, made.from_tables, made.goes_on, made.has_tables) == (
        ANSWERS,
        0,
        True,
        True,
    )
    assert len(made.lost) == 1
    assert "run.json" in made.lost[0]
    assert verify(new).verdict is Verdict.WHOLE
    assert open_runs(new).answers.equals(table)
    assert ask(new, **given).standing.done == 0
    assert open_runs(new).answers.equals(table)


def test_answers_whose_lines_are_damaged_are_taken_from_whole_tables(finished, new, given):
    table = open_runs(finished).answers
    shard = shard_of(finished)
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(
        b"".join(line if number % 3 else b"x" + line for number, line in enumerate(lines))
    )
    made = salvaged(finished, new)
    assert made.answers == ANSWERS
    assert made.from_tables == len([number for number in range(1, len(lines)) if number % 3 == 0])
    assert len(made.lost) == len([number for number in range(len(lines)) if number % 3 == 0])
    assert verify(new).verdict is Verdict.WHOLE
    assert ask(new, **given).standing.done == 0
    assert open_runs(new).answers.equals(table)


def test_a_file_of_answers_that_is_gone_is_made_again_of_whole_tables(finished, new, given):
    ask(finished, conditions=("conflict",), **given)
    table = open_runs(finished).answers
    min((finished / "answers").iterdir()).unlink()
    made = salvaged(finished, new)
    assert made.from_tables == ANSWERS
    assert any("no such file" in each for each in made.lost)
    assert open_runs(new).answers.equals(table)
    assert verify(new).verdict is Verdict.WHOLE


def test_a_condition_whose_headers_are_damaged_with_the_description_is_known_from_the_tables(
    finished, new, given
):
    ask(finished, conditions=("conflict",), **given)
    table = open_runs(finished).answers
    (finished / "run.json").unlink()
    shard = max((finished / "answers").iterdir())
    _header, *lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"".join([b"x\n", *lines[:-1]]))
    made = salvaged(finished, new)
    assert (made.answers, made.from_tables, made.goes_on) == (table.height, 1, True)
    assert open_runs(new).answers.equals(table)
    assert verify(new).verdict is Verdict.WHOLE
    assert ask(new, conditions=("conflict",), **given).standing.done == 0


def test_of_an_unfinished_run_what_was_lost_is_asked_again_and_nothing_else(
    unfinished, new, given, tmp_path
):
    known = answers_of(unfinished)
    (unfinished / "run.json").unlink()
    shard = shard_of(unfinished)
    header, first, *lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(header + first[:-20] + b"\n" + b"".join(lines))
    made = salvaged(unfinished, new)
    assert (made.answers, made.goes_on) == (len(known) - 1, True)
    assert any("line 2: torn, or not what its checksum was made of" in each for each in made.lost)
    assert len(open_runs(new).about["left_out"]) == 1
    assert verify(new).verdict is Verdict.DAMAGED  # not whole, and it says so
    report = ask(new, **given)
    assert report.standing.done == ANSWERS - len(known) + 1
    ask(tmp_path / "undisturbed", **given)
    assert (
        open_runs(new)
        .answers.select(UNTIMED)
        .equals(open_runs(tmp_path / "undisturbed").answers.select(UNTIMED))
    )
    assert open_runs(new).about["left_out"] == []
    assert verify(new).findings == []


def test_a_line_of_an_item_that_was_not_asked_is_left_out_and_named(finished, new):
    shard = shard_of(finished)
    odd = {
        "condition": "clean",
        "question_id": "q9",
        "draws": [{"draw": 0, "status": "ok", "text": "C", "response": "C"}],
    }
    with shard.open("ab") as file:
        file.write(with_checksum(json.dumps(odd).encode()) + b"\n")
    made = salvaged(finished, new)
    number = len(shard.read_bytes().splitlines())
    assert f"answers/{shard.name}: line {number}: no item 'q9' under 'clean' was asked" in made.lost
    assert made.answers == ANSWERS


def test_damaged_tables_are_made_again_of_a_whole_journal(finished, new):
    table = open_runs(finished).answers
    for name in ("about.json", "answers.parquet"):
        flip(finished / name)
    made = salvaged(finished, new)
    assert made.answers == ANSWERS
    assert open_runs(new).answers.equals(table)


def test_answers_of_another_run_are_left_out(finished, new, given, tmp_path):
    ask(tmp_path / "other", **given | {"args": {"pretrained": "other"}})
    shutil.copy(shard_of(tmp_path / "other"), finished / "answers" / "000007-00000000.jsonl")
    flip(finished / "run.json")
    made = salvaged(finished, new)
    assert made.answers == ANSWERS
    assert any("000007-00000000.jsonl: of another run" in each for each in made.lost)
    assert verify(new).verdict is Verdict.WHOLE


def test_answers_that_failed_stay_failed_and_are_asked_again(tmp_path, new, given):
    ask(tmp_path / "run", faults={"silent": "image 1"}, **given)
    table = open_runs(tmp_path / "run").answers
    shard_of(tmp_path / "run").write_bytes(b"")
    made = salvaged(tmp_path / "run", new)
    assert made.from_tables == ANSWERS - 2 * (1 + DRAWS)
    assert open_runs(new).answers.equals(table)
    assert ask(new, **given).standing.done == 2 * (1 + DRAWS)


# --- earlier format -------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    return Path(shutil.copytree(FIXTURES, tmp_path / "stored"))


def test_a_finished_run_of_the_earlier_format_without_its_description_can_still_be_analysed(
    stored, new
):
    """Whose answers they are stood there alone: they are not added to."""
    (stored / "finished" / "run.json").unlink()
    made = salvaged(stored / "finished", new)
    assert (made.answers, made.goes_on, made.has_tables) == (24, False, True)
    assert open_runs(new).answers.equals(open_runs(FIXTURES / "finished").answers)
    assert verify(new, RADSAFE.load(FIXTURES / "questions.jsonl")).verdict is Verdict.WHOLE


def test_an_unfinished_run_of_the_earlier_format_without_its_description_needs_its_data_set(
    stored, new
):
    (stored / "unfinished" / "run.json").write_bytes(b"{")
    with pytest.raises(
        SafescaleError, match=r"name the data set \(dataset=FILE\), and the answers can be analysed"
    ):
        salvage(stored / "unfinished", new)
    assert not new.exists()
    made = salvaged(stored / "unfinished", new, RADSAFE.load(FIXTURES / "questions.jsonl"))
    assert (made.answers, made.goes_on, made.has_tables) == (5, False, True)
    assert open_runs(new).models == ("unfinished",)


def test_a_run_of_the_earlier_format_with_damaged_lines_goes_on(stored, new):
    folder = stored / "unfinished"
    shard = shard_of(folder)
    shard.write_bytes(b"{" + shard.read_bytes())
    made = salvaged(folder, new, RADSAFE.load(FIXTURES / "questions.jsonl"))
    assert (made.answers, made.goes_on) == (4, True)
    metadata = {"dataset_path": str(FIXTURES / "questions.jsonl"), "draws": 2}
    assert (
        ask(new, metadata=metadata, batch_size=1, args={"pretrained": "stub-model"}).standing.done
        == 20
    )
    assert asked_of(new).total() == 20


# --- bad input ------------------------------------------------------------------------------------


def test_where_nothing_can_be_saved_it_is_said(tmp_path, stored, finished, new):
    with pytest.raises(SafescaleError, match="no such folder"):
        salvage(tmp_path / "nowhere", new)
    with pytest.raises(SafescaleError, match="holds no answers as they came"):
        salvage(stored / "imported", new)
    for name in ("answers.parquet", "run.json"):
        (finished / name).write_bytes(b"")
    shard_of(finished).write_bytes(b"\0" * 500)
    with pytest.raises(SafescaleError, match="not one whole answer is left"):
        salvage(finished, new)
    assert not new.exists()


def test_another_data_set_than_the_run_is_of_is_refused(finished, new, tmp_path):
    other = RADSAFE.load(write_questions(tmp_path / "other.jsonl", ITEMS + 1))
    with pytest.raises(
        SafescaleError, match=r"is not the one that the runs are of, .* name theirs: dataset=FILE"
    ):
        salvage(finished, new, other)
    assert not new.exists()
    assert salvaged(finished, new, RADSAFE.load(tmp_path / "questions.jsonl")).answers == ANSWERS


def test_the_new_folder_must_be_free_and_outside_the_damaged_one(finished, new, tmp_path):
    for target in (finished, finished / "new"):
        with pytest.raises(SafescaleError, match="within the damaged folder, which stays as it is"):
            salvage(finished, target)
    new.mkdir()
    (new / "notes.txt").write_text("mine")
    for target in (new, tmp_path / "questions.jsonl"):
        with pytest.raises(SafescaleError, match="there already, and not empty"):
            salvage(finished, target)
