"""`safescale runs` as a person sees it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app

FIXTURES = Path(__file__).parent.parent / "fixtures" / "format1"
QUESTIONS = str(FIXTURES / "questions.jsonl")


def run(*arguments):
    return CliRunner().invoke(app, ["runs", *map(str, arguments)])


@pytest.fixture
def stored(tmp_path):
    return Path(shutil.copytree(FIXTURES, tmp_path / "stored"))


def test_whole_runs_of_the_earlier_format_are_whole_and_it_is_said_that_they_bear_no_checksums(
    stored,
):
    shown = run("verify", stored / "imported", stored / "judged", "--dataset", QUESTIONS)
    assert shown.exit_code == 0, shown.output
    assert shown.output.count(": whole") == 2
    assert "of an earlier format, whose files bear no checksums" in shown.output
    assert "12 answers, 12 read again" in shown.output


def test_an_unfinished_run_is_named_among_whole_ones_and_the_status_is_1(stored):
    shown = run("verify", stored / "unfinished", stored / "imported", "--dataset", QUESTIONS)
    assert shown.exit_code == 1
    assert "unfinished: DAMAGED, or not what its texts say" in shown.output
    assert "19 of 24 are missing, the first of clean, item demo-001, draw 0" in shown.output
    assert "imported: whole" in shown.output


def test_runs_whose_data_set_is_not_at_hand_leave_it_open_and_the_status_is_2(stored, monkeypatch):
    monkeypatch.chdir(stored.parent)
    shown = run("verify", stored / "imported")
    assert shown.exit_code == 2
    assert "imported: cannot tell" in shown.output
    assert "--dataset FILE" in shown.output
    both = run("verify", stored / "imported", stored / "unfinished")
    assert both.exit_code == 1  # damage says more


def test_bad_input_has_the_status_3_and_costs_no_other_folder(stored):
    shown = run("verify", stored / "nowhere", stored / "imported", "--dataset", QUESTIONS)
    assert shown.exit_code == 3
    assert "nowhere: no such folder" in shown.output
    assert "imported: whole" in shown.output
    assert run("verify", stored / "imported", "--dataset", "nosuch.jsonl").exit_code == 3
    assert run("verify", stored / "imported", "--data-set", "demo").exit_code == 3
    assert run("verify").exit_code == 3


def test_every_difference_is_named_by_model_condition_item_and_draw(stored):
    folder = stored / "unfinished"
    (shard,) = (folder / "answers").iterdir()
    shard.write_bytes(shard.read_bytes().replace(b'"letter":"A"', b'"letter":"C"'))
    shown = run("verify", folder, "--dataset", QUESTIONS)
    assert shown.exit_code == 1
    assert (
        "stub-model, closed_book, item demo-001, draw 0: stored as C, and its text reads A"
        in shown.output
    )
    assert "it was read by an unknown version of strict" in shown.output


def test_a_damaged_run_is_salvaged_and_what_was_lost_and_the_way_on_are_said(stored, tmp_path):
    folder, new = stored / "unfinished", tmp_path / "new run"
    (shard,) = (folder / "answers").iterdir()
    shard.write_bytes(b"{" + shard.read_bytes())
    shown = run("salvage", folder, "-o", new, "--dataset", QUESTIONS)
    assert shown.exit_code == 0, shown.output
    assert "new run: 4 answers" in shown.output
    assert f"answers/{shard.name}: line 1: " in shown.output
    assert (
        f"Next: the same safescale run command with -o '{new}' asks for what is missing"
        in shown.output
    )
    again = run("salvage", folder, "-o", new)
    assert again.exit_code == 1
    assert "there already, and not empty" in str(again.exception)


def test_answers_that_are_nobody_s_any_more_can_be_analysed(stored, tmp_path):
    (stored / "finished" / "run.json").unlink()
    shown = run("salvage", stored / "finished", "-o", tmp_path / "new")
    assert shown.exit_code == 0
    assert "they can be analysed, and not be added to" in shown.output
    assert f"Next: safescale analyze {tmp_path / 'new'} -o TABLES" in shown.output
