"""Data sets and corpora by name or path, wherever they are asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.assembly.search import demo_file
from lm_eval_safescale.cli import app
from lm_eval_safescale.cli.options import given_settings
from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.importing import import_noharm
from lm_eval_safescale.runs.store import write_runs

run = CliRunner().invoke


@pytest.fixture
def questions(tmp_path):
    return shutil.copy(data_folder() / "radsafe_demo" / "questions.jsonl", tmp_path / "ours.jsonl")


@pytest.fixture
def articles(tmp_path):
    return shutil.copy(demo_file("corpus.jsonl"), tmp_path / "articles.jsonl")


def test_a_registered_name_is_a_name_and_anything_that_is_there_or_ends_like_a_file_a_path(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "demo").mkdir()
    assert given_settings("{}", {"dataset": "demo", "corpus": "demo"}) == {
        "dataset": "demo",
        "corpus": "demo",
    }
    assert given_settings("{}", {"dataset": "none.csv", "corpus": "texts"}) == {
        "dataset_path": "none.csv",
        "corpus_path": "texts",
    }
    assert given_settings("{}", {"dataset": "dmo", "corpus": "dmo"}) == {
        "dataset": "dmo",
        "corpus": "dmo",
    }


@pytest.mark.parametrize(
    ("metadata", "options", "said"),
    [
        (
            '{"dataset_path": "a.csv"}',
            {"dataset": "b.csv"},
            "--dataset b.csv, but --metadata has dataset_path = 'a.csv'",
        ),
        (
            '{"dataset_path": "a.csv"}',
            {"dataset": "demo"},
            "--dataset demo, but --metadata has dataset_path = 'a.csv'",
        ),
        (
            '{"corpus": "demo"}',
            {"corpus": "a.jsonl"},
            "--corpus a.jsonl, but --metadata has corpus = 'demo'",
        ),
        ('{"top_k": 3}', {"top_k": 5}, "--top-k 5, but --metadata has top_k = 3"),
    ],
)
def test_an_option_and_metadata_that_say_otherwise_are_refused(metadata, options, said):
    with pytest.raises(SafescaleError, match="give it once") as refused:
        given_settings(metadata, options)
    assert said in str(refused.value)


def test_what_is_said_twice_alike_is_taken():
    assert given_settings(
        '{"dataset_path": "a.csv", "draws": 3}', {"dataset": "a.csv", "draws": 3}
    ) == {
        "dataset_path": "a.csv",
        "draws": 3,
    }


def test_contexts_are_built_and_runs_asked_with_a_file_and_a_corpus_of_ones_own(
    tmp_path, questions, articles
):
    own = ["--dataset", str(questions), "--corpus", str(articles)]
    built = run(app, ["contexts", "build", "rag", *own, "-o", str(tmp_path / "rag.jsonl")])
    assert built.exit_code == 0, built.output
    assert "articles.jsonl: 176 articles" in built.output
    asked = [
        "run",
        "--model",
        "dummy",
        *own,
        "--conditions",
        "rag",
        "--limit",
        "2",
        "--draws",
        "1",
        "-o",
        str(tmp_path / "runs"),
    ]
    done = run(app, asked)
    assert done.exit_code == 0, done.output
    assert "4 answers of dummy" in done.output


def test_the_doctor_looks_at_a_data_set_and_a_corpus(tmp_path, questions, articles, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shown = run(app, ["doctor", "--dataset", str(questions), "--corpus", str(articles)]).output
    assert "60 items\nok   corpus articles.jsonl: 176 articles" in shown
    shown = run(app, ["doctor", "--dataset", str(tmp_path / "none.csv")])
    assert shown.exit_code == 1
    assert "none.csv" in shown.output


DATA = ("--dataset", "moved.jsonl", "--first-index", "1", "--exclude-items", "q13")
CARD = """revision: "1"
model_family: chance
parameters_b: null
licence: none
contact: a@example.org
hardware: none
attempts: 1
"""


@pytest.fixture
def numbered(tmp_path, monkeypatch):
    """Runs of a data set whose keys are numbers and whose last key is none; its file was moved."""
    monkeypatch.chdir(tmp_path)
    options = {"op1": "one", "op2": "two", "op3": "three"}
    rows = [
        {"id": f"q{number}", "question": f"Is it {number}?", **options, "cop": number % 3 + 1}
        for number in range(13)
    ]
    rows.append({"id": "q13", "question": "Is it 13?", **options, "cop": 9})
    Path("first.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    words = ["run", "--model", "choose-at-random", "--dataset", "first.jsonl", *DATA[2:]]
    done = run(app, [*words, "-o", "runs", "--conditions", "closed_book", "--draws", "0"])
    assert done.exit_code == 0, done.output
    Path("first.jsonl").rename("moved.jsonl")
    Path("card.yaml").write_text(CARD)


@pytest.mark.parametrize(
    "words",
    [
        "runs verify runs",
        "runs salvage runs -o salvaged",
        "gate runs --require unanswered<0.9",
        "reread runs -o reread",
        "export every-eval-ever runs -o exported --texts",
        "submit pack runs -o packed.zip --card card.yaml",
        "show runs q1",
        "report runs -o report",
        "doctor",
        "contexts build rag -o rag.jsonl --corpus demo",
    ],
)
def test_whatever_takes_a_data_set_s_columns_takes_where_its_keys_count_from_and_what_it_leaves_out(
    numbered, words
):
    without = run(app, [*words.split(), *DATA[:2]])
    assert "first_index" in f"{without.output} {without.exception}"
    done = run(app, [*words.split(), *DATA])
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    assert "first_index" not in done.output


@pytest.mark.parametrize(
    "command",
    [
        ["runs", "verify", "RUNS"],
        ["gate", "RUNS", "--require", "severe_rate < 50 % @ 95 %", "--allow-demo"],
        ["submit", "pack", "RUNS", "-o", "mine.zip", "--allow-demo"],
        ["export", "every-eval-ever", "RUNS", "-o", "exported"],
    ],
)
def test_a_kit_that_is_named_is_read_by_the_family_of_the_runs(tmp_path, monkeypatch, command):
    kit = data_folder() / "noharm_text_demo"
    monkeypatch.chdir(tmp_path)
    write_runs(import_noharm(kit / "examples/hasty.jsonl", kit), tmp_path / "RUNS")
    done = run(app, [*command, "--dataset", str(kit)])
    said = f"{done.output} {done.exception}"
    assert "cannot be used" not in said
    assert "is not the one" not in said
