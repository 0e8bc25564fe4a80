"""`safescale export` as a person sees it: files, what is said, and bad input."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.radsafe.data import load_demo
from lm_eval_safescale.runs.store import write_runs
from tests.analysis.making import random_plain
from tests.exporting.making import runs_of

FORMATS = {
    "every-eval-ever": (),
    "hf-eval-results": ("--hub-dataset", "org/data"),
    "model-index": (),
    "csv": (),
}


@pytest.fixture
def demo(tmp_path):
    write_runs(runs_of(load_demo(), RADSAFE), tmp_path / "runs")
    return tmp_path / "runs"


def export(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def contents(folder):
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_says_demo_writes_its_files_and_keeps_what_is_there(demo, tmp_path, name):
    out = tmp_path / "out" / "file.csv" if name == "csv" else tmp_path / "out"
    words = (name, demo, *FORMATS[name], "-o", out)
    done = export(*words)
    assert done.exit_code == 0, done.output
    assert "DEMO data: no clinical claim may rest on it" in done.output
    made = contents(tmp_path / "out")
    assert all(b"DEMO" in content for content in made.values())
    assert len(made) == (2 if name == "every-eval-ever" else 1)
    again = export(*words)
    assert (again.exit_code, contents(tmp_path / "out")) == (1, made)
    assert "there already, and kept" in str(again.exception)
    assert export(*words, "--overwrite").exit_code == 0
    assert contents(tmp_path / "out") == made


def test_questions_are_in_the_lines_only_when_asked_for(demo, tmp_path):
    question = next(iter(load_demo())).question
    for words, is_there in (((), False), (("--texts", "--dataset", "demo"), True)):
        out = tmp_path / str(is_there)
        done = export("every-eval-ever", demo, "-o", out, *words)
        assert done.exit_code == 0, done.output
        (lines,) = out.rglob("*.jsonl")
        told = [json.loads(line)["input"] for line in lines.read_text("ascii").splitlines()]
        assert any(question in each["raw"] for each in told) == is_there
        assert any(each["reference"] for each in told) == is_there
    done = export("every-eval-ever", demo, "-o", tmp_path / "none", "--no-instances")
    assert [each.suffix for each in (tmp_path / "none").rglob("*.json*")] == [".json"]


def test_other_data_are_not_shown_as_those_of_the_runs(demo, tmp_path):
    done = export(
        "every-eval-ever", demo, "-o", tmp_path / "out", "--texts", "--dataset", "noharm_demo"
    )
    assert done.exit_code == 1
    assert "is not the one that the runs are of" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_runs_of_several_data_sets_stand_in_one_csv_and_of_one_are_merged(demo, tmp_path):
    write_runs(random_plain(1).runs(), tmp_path / "more")
    plain = random_plain(1)
    plain.answered = {("x", "clean"): plain.answered["model-0", "clean"]}
    write_runs(plain.runs(), tmp_path / "third")
    done = export("csv", demo, tmp_path / "more", "-o", tmp_path / "all.csv")
    assert done.exit_code == 0, done.output
    assert len(done.output.split("fingerprint ")) == 3
    done = export("csv", tmp_path / "more", tmp_path / "third", "-o", tmp_path / "other.csv")
    assert done.exit_code == 0, done.output
    assert len(done.output.split("fingerprint ")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("csv", "nowhere"), "no such folder"),
        (("csv", "RUNS", "--preset", "mine"), "no preset 'mine'"),
        (("csv", "RUNS", "--metric", "nonsense"), "no metric nonsense"),
        (("csv", "RUNS", "--date", "yesterday"), "no date or time of ISO 8601"),
        (("hf-eval-results", "RUNS", "--hub-dataset", "data"), "expected ORG/NAME"),
        (("model-index", "RUNS", "--hub-dataset", "data"), "expected ORG/NAME"),
        (("every-eval-ever", "RUNS", "--hub-dataset", "data"), "expected ORG/NAME"),
        (("every-eval-ever", "RUNS", "--relationship", "self"), "expected one of first_party"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(demo, tmp_path, words, said):
    words = [demo if word == "RUNS" else word for word in words]
    done = export(*words, "-o", tmp_path / "out" / "file.csv")
    assert done.exit_code == 1
    assert said in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_date_of_the_answers_can_be_given_and_is_utc_without_a_zone(demo, tmp_path):
    done = export("every-eval-ever", demo, "-o", tmp_path / "out", "--date", "2026-03-31")
    assert done.exit_code == 0, done.output
    (aggregate,) = (tmp_path / "out").rglob("*.json")
    assert json.loads(aggregate.read_text("utf-8"))["retrieved_timestamp"] == "1774915200"
