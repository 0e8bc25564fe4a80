"""A command that gets another kind of file or folder than it takes says what it is, and names the
command that it is for.
"""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.leaderboard.pack import pack
from lm_eval_safescale.retrieval import Store
from lm_eval_safescale.runs.places import Kind, what_is
from tests.cli.test_commands import result_file
from tests.leaderboard.making import write_card

run = CliRunner().invoke


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """One of each kind, made as the commands make them, as far as this takes no model."""
    root = tmp_path_factory.mktemp("places")

    def done(*words):
        shown = run(app, [str(word) for word in words])
        assert shown.exit_code == 0, shown.output

    asked = (
        "run",
        "--model",
        "dummy",
        "--dataset",
        "demo",
        "--conditions",
        "clean",
        "--limit",
        "2",
        "--draws",
        "1",
    )
    done(*asked, "-o", root / "runs")
    done("analyze", root / "runs", "-o", root / "tables")
    done(
        "contexts", "build", "rag", "--dataset", "demo", "--corpus", "demo", "-o",
        root / "rag.jsonl", "--metadata", json.dumps({"index_dir": str(root / "indexes")}),
    )  # fmt: skip
    shutil.copytree(root / "runs", root / "sweep" / "one")
    shutil.copytree(root / "runs", root / "sweep" / "two")
    result_file(root / "logs" / "model")
    Store(root / "store").folder(
        "passages", {"corpus": "x"}, lambda folder, _: (folder / "x").touch()
    )
    (root / "release" / "phase4_checking_results" / "results").mkdir(parents=True)
    (root / "sweep.yaml").write_text("models:\n  - name: x\n", encoding="utf-8")
    (root / "model").mkdir()
    (root / "model" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    pack([root / "runs"], root / "it.zip", write_card(root / "card.yaml"), allow_demo=True)
    (index,) = (root / "store").iterdir()
    return {
        Kind.RUNS: root / "runs",
        Kind.MANY: root / "sweep",
        Kind.TABLES: root / "tables",
        Kind.LOGS: root / "logs",
        Kind.CONTEXTS: root / "rag.jsonl",
        Kind.INDEX: index,
        Kind.RELEASE: root / "release",
        Kind.SUBMISSION: root / "it.zip",
        Kind.SWEEP: root / "sweep.yaml",
        Kind.MODEL: root / "model",
    }


TAKES = {
    ("analyze", "-o", "OUT"): Kind.RUNS,
    ("reread", "-o", "OUT"): Kind.RUNS,
    ("judge", "--base-url", "http://localhost:1/v1", "--model", "x", "-o", "OUT"): Kind.RUNS,
    ("runs", "verify"): Kind.RUNS,
    ("runs", "salvage", "-o", "OUT"): Kind.RUNS,
    ("submit", "template"): Kind.RUNS,
    ("submit", "pack", "-o", "OUT"): Kind.RUNS,
    ("submit", "verify", "--allow-demo"): Kind.SUBMISSION,
    ("table",): Kind.LOGS,
    ("import-lm-eval", "-o", "OUT"): Kind.LOGS,
    ("import-release", "-o", "OUT"): Kind.RELEASE,
    ("contexts", "show"): Kind.CONTEXTS,
    ("sweep", "--dry-run"): Kind.SWEEP,
    ("data", "show"): None,
    ("data", "validate"): None,
}
SAID = {
    Kind.RUNS: "for safescale analyze {path} -o TABLES",
    Kind.MANY: "2 runs, each in a folder of its own, for safescale analyze {path}/* -o TABLES",
    Kind.TABLES: "tables that safescale analyze made",
    Kind.LOGS: "output of lm_eval, for safescale table {path}",
    Kind.CONTEXTS: "for safescale contexts show {path}",
    Kind.INDEX: "an index that was made of a corpus",
    Kind.RELEASE: "for safescale import-release {path} -o RUNS",
    Kind.SUBMISSION: "for safescale submit verify {path}",
    Kind.SWEEP: "for safescale sweep {path}",
    Kind.MODEL: "a model",
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_told_by_what_lies_in_it(places, kind):
    assert what_is(places[kind]).kind is kind


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("words", TAKES, ids=lambda words: " ".join(words[:2]))
def test_a_command_says_what_else_it_got_and_what_that_is_for(places, words, kind, tmp_path):
    if kind is TAKES[words]:
        return
    path = places[kind]
    words = [str(tmp_path / word) if word == "OUT" else word for word in words]
    found = run(app, [*words, str(path)])
    assert found.exit_code in (1, 3)
    said, error = found.output, found.exception
    if isinstance(error, SafescaleError):
        said += error.phrased(lambda hint: f"{hint.command} -o {hint.options['output']}")
    assert SAID[kind].format(path=path) in said.replace("\n", " ")
    assert not (tmp_path / "OUT").exists()


def test_a_file_of_runs_is_said_to_be_of_their_folder(places):
    place = what_is(places[Kind.RUNS] / "answers.parquet")
    assert (place.kind, place.path) == (Kind.RUNS, places[Kind.RUNS])


def test_what_is_not_known_is_left_to_the_command(tmp_path):
    (tmp_path / "questions.csv").write_text("question,answer\n", encoding="utf-8")
    (tmp_path / "results_2024.json").write_text('[{"question": "?"}]', encoding="utf-8")
    for path in (
        tmp_path,
        tmp_path / "questions.csv",
        tmp_path / "results_2024.json",
        tmp_path / "none",
    ):
        assert what_is(path) is None
