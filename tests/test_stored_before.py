"""What was stored before opens as what it was, and is gone on with: nothing is asked twice,
whatever has moved within the package since.

`fixtures/format3` was made by version 0.1.0 of demo data and a stub (fixtures/make_format3.py), and
is never made again. A test here may change only with a change that says so: other prompts or demo
questions, which refuse to go on; a new version of the reader, with which `verify` cannot tell (2);
a new version of BM25 or of the tokenizer, which makes another index; scores in their last digits,
with bm25s; and a further setting, with which a sweep loads a finished model once to find nothing to
ask. How Polars writes tables may change; how it reads these may not.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale.assembly import contexts as making
from lm_eval_safescale.contexts import read_contexts
from lm_eval_safescale.runs import open_runs
from tests.storing import (
    FORMAT3,
    LOG,
    ROOT,
    STUB,
    build_command,
    command,
    environment_of_sweep,
    judge_command,
    run_command,
    sweep_command,
)

ITEMS = ("demo-001", "demo-002", "demo-003", "demo-004")
KEYS = ("B", "A", "E", "C")
GREEDY = {
    "closed_book": ("B", "D", "D", "A"),
    "clean": ("C", "D", None, "B"),
    "conflict": (None, "C", "D", "B"),
    "rag": (None, "C", "B", "C"),
    "agentic": ("D", "C", None, None),
}
"""Letters of the greedy answers: one is right without a context (B), and one with passages (C)."""
ACCURACY = {"closed_book": 1 / 4, "clean": 0, "conflict": 0, "rag": 1 / 4, "agentic": 0}
JUDGED = {**GREEDY, "clean": ("C", "D", "B", "B"), "agentic": ("D", "C", None, "B")}
"""The judge takes "A or B", which the rules do not read, for B."""
PASSAGES = {
    "demo-001": {
        "mri-ageing-intracerebral-haematoma#1": 7.5892,
        "wake-up-stroke-imaging#1": 5.5167,
        "wake-up-stroke-imaging#2": 5.0753,
    },
    "demo-002": {
        "necrotic-glioblastoma-frontal-lobe#1": 10.8967,
        "pyogenic-cerebral-abscess#1": 9.4393,
        "wake-up-stroke-imaging#1": 6.0955,
    },
    "demo-003": {
        "superior-sagittal-sinus-thrombosis#1": 10.8757,
        "postpartum-posterior-reversible-encephalopathy#1": 5.8777,
        "necrotic-glioblastoma-frontal-lobe#1": 5.8558,
    },
}
"""The best three of each question, with their scores."""
DRAWS = 3
ANSWERS = len(ITEMS) * len(GREEDY) * (1 + DRAWS)


@pytest.fixture
def former_reports(monkeypatch):
    """The demo reports that the fixtures were asked with, in the place of those of now."""
    before, demo_file = FORMAT3 / "demo-reports.jsonl", making.demo_file

    def former(name):
        return before if name == making.DEMO_REPORTS else demo_file(name)

    monkeypatch.setattr(making, "demo_file", former)


@pytest.fixture
def stored(tmp_path, monkeypatch, former_reports):
    """A copy that may be written to; the stub notes there what it is asked."""
    for name in (
        "SAFESCALE_DATASET",
        "SAFESCALE_DATASET_PATH",
        "SAFESCALE_DRAWS",
        "SAFESCALE_INDEX_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(LOG, str(tmp_path / "asked"))
    return Path(shutil.copytree(FORMAT3, tmp_path / "stored"))


def asked(stored: Path) -> list[list[str]]:
    """Model, SHA-256 of the prompt and draw of each text that the stub was asked for."""
    log = stored.parent / "asked"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [line.split() for line in lines if not line.startswith("load ")]


def said(words: list[object]) -> str:
    """What a command said that ended well."""
    ended = command(*words)
    assert ended.exit_code == 0, f"{ended.output} {ended.exception}"
    return " ".join(ended.output.split())


def greedy(folder: Path) -> dict[str, tuple[str | None, ...]]:
    """Letters by condition, in the order of the items."""
    rows = open_runs(folder).answers.filter(pl.col("draw") == 0)
    letters = {
        (row["condition"], row["question_id"]): row["response"]
        for row in rows.iter_rows(named=True)
    }
    return {
        name: tuple(letters[name, item] for item in ITEMS if (name, item) in letters)
        for name in GREEDY
    }


def draws_by_prompt(folder: Path) -> Counter[str]:
    """How many answers a journal holds to each prompt, read without the package."""
    found: Counter[str] = Counter()
    for shard in (folder / "answers").iterdir():
        for line in map(json.loads, shard.read_text(encoding="utf-8").splitlines()):
            if "draws" in line:
                found[line["prompt_sha256"]] += len(line["draws"])
    return found


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_nothing_stored_names_a_machine_it_was_made_on():
    for name, content in tree(FORMAT3).items():
        assert not re.search(rb"/(tmp|work|root|home|Users)/|127\.0\.0\.1|localhost", content), name


# --- runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answers"),
    [("finished", ANSWERS), ("judged", ANSWERS), ("imported", 18), ("sweep/finished", 24)],
)
@pytest.mark.usefixtures("former_reports")
def test_finished_runs_are_whole_and_every_letter_is_what_its_text_says(name, answers):
    told = said(["runs", "verify", FORMAT3 / name])
    assert f"{name.rpartition('/')[2]}: whole" in told
    assert f"{answers} answers" in told
    assert "not read again" not in told


def test_runs_below_reports_of_an_earlier_version_are_whole_and_that_is_said():
    told = said(["runs", "verify", FORMAT3 / "finished"])
    assert "finished: whole" in told
    assert "4 not rendered again: the contexts, which they show, are others" in told


@pytest.mark.parametrize(("name", "answers"), [("unfinished", 29), ("sweep/unfinished", 7)])
def test_unfinished_runs_are_said_to_be_unfinished_and_nothing_else(name, answers):
    ended = command("runs", "verify", FORMAT3 / name)
    told = " ".join(ended.output.split())
    assert ended.exit_code == 1
    assert f"{answers} answers" in told
    assert "not finished: there are no tables yet" in told
    assert "does not count" not in told


def test_a_finished_run_has_its_answers_and_its_accuracy(tmp_path):
    runs = open_runs(FORMAT3 / "finished")
    assert (runs.models, runs.conditions, runs.answers.height) == (
        ("model-one",),
        tuple(GREEDY),
        ANSWERS,
    )
    assert (runs.items.height, dict(runs.draws)) == (60, dict.fromkeys(runs.draws, DRAWS))
    keys = dict(zip(runs.items["question_id"], runs.items["answer"], strict=True))
    assert tuple(keys[item] for item in ITEMS) == KEYS
    assert greedy(FORMAT3 / "finished") == GREEDY
    texts = runs.answers.filter((pl.col("draw") == 0) & (pl.col("condition") == "rag")).sort(
        "question_id"
    )["text"]
    assert texts.to_list() == ["I cannot say.", "(C)", "B", "(C)"]
    said(["analyze", FORMAT3 / "finished", "-o", tmp_path / "out"])
    rows = json.loads((tmp_path / "out" / "tables" / "profile.json").read_text(encoding="utf-8"))
    assert {row["condition"]: row["accuracy"] for row in rows} == ACCURACY


def test_a_finished_run_is_not_asked_again_and_finds_its_index(stored):
    before = tree(stored / "indexes")
    told = said(run_command(stored / "finished", stored / "indexes"))
    assert f"asked now 0; {ANSWERS} were there" in told
    assert asked(stored) == []
    assert open_runs(stored / "finished").answers.equals(open_runs(FORMAT3 / "finished").answers)
    assert tree(stored / "indexes") == before


def test_an_unfinished_run_is_asked_for_what_is_missing_and_for_nothing_else(stored):
    folder = stored / "unfinished"
    before = tree(folder / "answers")
    missing = draws_by_prompt(FORMAT3 / "finished") - draws_by_prompt(folder)
    assert missing.total() == ANSWERS - 29
    assert "asked now 51" in said(run_command(folder, stored / "indexes"))
    assert Counter(prompt for _, prompt, _ in asked(stored)) == missing
    assert before.items() <= tree(folder / "answers").items()
    assert greedy(folder) == GREEDY
    keys = ["condition", "question_id", "draw"]
    seeds = [
        open_runs(each).answers.sort(keys).select(*keys, "seed")
        for each in (folder, FORMAT3 / "finished")
    ]
    assert seeds[0].equals(seeds[1])
    said(["runs", "verify", folder])


def test_a_finished_run_takes_a_further_condition(stored):
    told = said(run_command(stored / "finished", stored / "indexes", conditions="rag_top1"))
    assert f"asked now {len(ITEMS) * (1 + DRAWS)}" in told
    assert greedy(stored / "finished") == GREEDY


# --- contexts and the index -----------------------------------------------------------------------


def steps_of(file: Path) -> set[tuple[str, ...]]:
    lines = [
        json.loads(line)
        for line in file.with_suffix(".steps.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return {
        (line["question_id"], line["step"], line["prompt_sha256"])
        for line in lines
        if line.get("text")
    }


def texts(file: Path) -> dict[str, tuple]:
    return {
        name: (each.text, each.tokens, each.passages)
        for name, each in read_contexts(file).contexts.items()
    }


def test_contexts_that_were_built_open():
    made = read_contexts(FORMAT3 / "contexts" / "finished.jsonl")
    assert (made.condition, tuple(made.contexts), dict(made.failed)) == ("agentic", ITEMS[:3], {})
    report = made.contexts["demo-002"].text
    assert report.startswith(
        "This report is about imaging findings.\n\n## Pyogenic abscess\n"
        "Evidence for: The passage describes"
    )
    partly = read_contexts(FORMAT3 / "contexts" / "partly.jsonl")
    assert partly.failed == {"demo-002": "queries: E, round 1: the backend gave nothing"}
    assert {name: made.contexts[name] for name in ("demo-001", "demo-003")} == dict(partly.contexts)


@pytest.mark.parametrize(
    ("name", "missing", "batches"), [("finished", 0, 0), ("partly", 4, 3), ("unfinished", 20, 5)]
)
def test_a_build_goes_on_with_its_steps_and_asks_for_those_that_are_missing(
    stored, name, missing, batches
):
    """Of the report that lacks its last option: the queries on it, its section, introduction and
    conclusion. Four steps are a batch, and one of which a step is missing is asked whole."""
    file, whole = stored / "contexts" / f"{name}.jsonl", FORMAT3 / "contexts" / "finished.jsonl"
    # it names the version that made it, and is not replaced by another one's unasked
    file.unlink(missing_ok=True)
    assert len(steps_of(file)) == 40 - missing
    told = said(build_command("agentic", file, stored / "indexes"))
    assert f"{file}: 3 contexts" in told
    assert len(asked(stored)) == 4 * batches
    assert steps_of(file) == steps_of(whole)
    assert texts(file) == texts(whole)


def test_reports_that_were_built_are_shown_and_not_written_again(stored):
    metadata = {
        "dataset_path": str(FORMAT3 / "questions.jsonl"),
        "contexts": str(FORMAT3 / "contexts" / "finished.jsonl"),
    }
    folder = stored / "new"
    said([
        "run", "--model", STUB, "--model_args", "pretrained=another", "--conditions", "agentic",
        "--draws", "1", "-o", folder, "--metadata", json.dumps(metadata),
    ])  # fmt: skip
    assert Counter(model for model, *_ in asked(stored)) == {"another": 6}
    made = read_contexts(FORMAT3 / "contexts" / "finished.jsonl").contexts
    rows = open_runs(folder).answers
    shown = dict(zip(rows["question_id"], rows["context_fingerprint"], strict=True))
    assert shown == {name: context.fingerprint for name, context in made.items()}


def test_an_index_answers_as_it_did_and_is_not_made_again(stored):
    before = tree(stored / "indexes")
    built = stored / "again.jsonl"
    told = said(build_command("rag", built, stored / "indexes"))
    # the article that settles demo-003 is found first
    assert "recall_at_1 0.333 over 3 items" in told
    for file in (FORMAT3 / "contexts" / "rag.jsonl", built):
        found = {
            name: {each.id: each.score for each in its.passages}
            for name, its in read_contexts(file).contexts.items()
        }
        assert {name: list(scores) for name, scores in found.items()} == {
            name: list(its) for name, its in PASSAGES.items()
        }
        for name, scores in found.items():
            assert scores == pytest.approx(PASSAGES[name], abs=1e-3)
    assert {name: text for name, (text, *_) in texts(built).items()} == {
        name: text for name, (text, *_) in texts(FORMAT3 / "contexts" / "rag.jsonl").items()
    }
    assert tree(stored / "indexes") == before


# --- judged and imported --------------------------------------------------------------------------


def test_judged_runs_have_the_letters_of_the_judge():
    assert greedy(FORMAT3 / "judged") == JUDGED
    rows = pl.read_parquet(FORMAT3 / "judged" / "verdicts.parquet")
    assert Counter(rows["verdict"]) == {"bare": 46, "letter": 19, "none": 15}


def test_a_judge_is_not_asked_again_about_a_text(stored):
    again = stored / "again"
    again.mkdir()
    shutil.copy(stored / "judged" / "judge.steps.jsonl", again)
    told = said(judge_command(stored / "finished", again))
    assert "0 different texts were shown to the judge now, 4 before" in told
    assert asked(stored) == []
    assert open_runs(again).answers.equals(open_runs(FORMAT3 / "judged").answers)


def test_what_lm_eval_logged_of_our_tasks_is_imported_as_it_was(stored):
    letters = {"closed_book": ("B", "D", "D"), "clean": ("C", "D", None)}
    told = said(["import-lm-eval", FORMAT3 / "lm_eval", "-o", stored / "again"])
    assert "18 answers" in told
    for folder in (FORMAT3 / "imported", stored / "again"):
        assert {name: its for name, its in greedy(folder).items() if its} == letters
    assert open_runs(stored / "again").answers.equals(open_runs(FORMAT3 / "imported").answers)


# --- sweep ----------------------------------------------------------------------------------------


def test_a_sweep_goes_on_and_does_not_load_the_model_that_has_answered(stored):
    out, log = stored / "sweep", stored.parent / "asked"
    before = open_runs(out / "finished").answers
    missing = draws_by_prompt(out / "finished") - draws_by_prompt(out / "unfinished")
    assert missing.total() == 24 - 7
    words = [sys.executable, "-m", "lm_eval_safescale", *map(str, sweep_command(out))]
    environment = environment_of_sweep(stored / "plugin", log)
    ended = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "load finished" not in log.read_text(encoding="utf-8").splitlines()
    assert {model for model, *_ in asked(stored)} == {"unfinished"}
    assert Counter(prompt for _, prompt, _ in asked(stored)) == missing
    assert open_runs(out / "finished").answers.equals(before)
    assert greedy(out / "unfinished") == greedy(out / "finished")
    assert greedy(out / "finished")["closed_book"] == ("B", "D", "D", "A")
    said(["runs", "verify", out / "finished", out / "unfinished"])
