"""`safescale show`: a case with every answer to it, of any family, and hostile texts as texts."""

from __future__ import annotations

import json
import unicodedata

import polars as pl
import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.medguard.conditions import BASIC
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.importing import import_noharm
from lm_eval_safescale.report.cases.one import case_of
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import about_dataset
from tests.analysis.test_disputed import demo_runs
from tests.report.studies import HOSTILE, hostile_study, questions, write_study


def show(*arguments):
    return CliRunner().invoke(app, ["show", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "made"
    return write_study(folder, questions(12), ["a", "b"], ("closed_book", "clean"), draws=3)


def test_a_case_shows_its_texts_and_every_answer_as_it_was_stored(study):
    done = show(study, "q0003", "--dataset-path", study.parent / "questions.jsonl")
    assert done.exit_code == 0, done.output
    record = questions(12)[2]
    joined = " ".join(done.output.split())
    assert " ".join(record["question"].split()) in joined
    assert " ".join(record["evidence_clean"].split()) in joined
    key = record["answer"]
    assert f"{key}. {record['options'][key]} <- ✓ key" in joined
    stored = open_runs(study).answers.filter(pl.col("question_id") == "q0003")
    for row in stored.filter(pl.col("draw") == 0).iter_rows(named=True):
        said = row["response"] or row["status"]
        assert f"{row['model']}: {said}" in joined
        assert " ".join(row["text"].split()) in joined.replace("| ", "")
        assert f"read by: {row['rule']}" in joined


def test_a_case_has_the_figures_of_the_whole_study(study):
    from lm_eval_safescale.analysis import Study

    whole = Study(open_runs(study))
    case = case_of([study], "q0007")
    place = whole.items.ids.index("q0007")
    assert len(case.answers) == 4
    for answer in case.answers:
        cell = whole.scores[answer.model, answer.condition]
        assert answer.sure == pytest.approx(cell["confidence"][place], nan_ok=True)
        expected = [kind.name for kind in whole.family.kinds if kind.holds(cell.values)[place]]
        assert [kind.name for kind in answer.kinds] == expected
        assert sum(times for _, times in answer.samples) == 3


def test_a_model_and_a_condition_narrow_the_answers(study):
    done = show(study, "q0003", "--model", "a", "--condition", "clean")
    assert "a: " in done.output
    assert "b: " not in done.output
    assert "closed-book" not in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["q003"], "no item 'q003' in these runs; did you mean q0003?"),
        (["q0003", "--model", "c"], "no answer of the model 'c' to item 'q0003'; there is a, b"),
        (["q0003", "--condition", "clear"], "'clear' to item 'q0003'; did you mean clean?"),
        (["q0003", "--dataset", "x", "--dataset-path", "y"], "expected --dataset or"),
        (["x" * 5000], "no item 'xxx"),
    ],
)
def test_what_there_is_not_is_said_with_what_is_near(study, arguments, said):
    done = show(study, *arguments)
    assert done.exit_code == 1
    assert said in str(done.exception)
    assert len(str(done.exception)) < 800


def test_texts_that_are_not_at_hand_are_said_with_how_to_get_them(study, tmp_path):
    runs = open_runs(study)
    data = {**runs.about["dataset"], "settings": {"dataset_path": str(tmp_path / "gone.jsonl")}}
    write_runs(Runs(runs.items, runs.answers, {**runs.about, "dataset": data}), tmp_path / "runs")
    done = show(tmp_path / "runs", "q0003")
    assert done.exit_code == 0
    assert "texts not at hand" in done.output
    assert "--dataset FILE" in done.output
    assert "✓ key" in done.output  # what scores rest on is stored
    named = show(tmp_path / "runs", "q0003", "--dataset-path", study.parent / "questions.jsonl")
    assert "texts not at hand" not in named.output
    (tmp_path / "other.jsonl").write_text(
        "".join(json.dumps(each) + "\n" for each in questions(12, seed=5)), "utf-8"
    )
    other = show(tmp_path / "runs", "q0003", "--dataset-path", tmp_path / "other.jsonl")
    assert "is not the one that the runs are of" in " ".join(other.output.split())


def test_many_answers_leave_raw_texts_to_a_narrower_question(tmp_path):
    models = [f"m{number:02}" for number in range(13)]
    runs = write_study(tmp_path / "made", questions(3), models, ("clean",), draws=0)
    done = show(runs, "q0001")
    assert "Raw texts of 13 answers are left out" in done.output
    assert "The answer is" not in done.output
    assert "The answer is" in show(runs, "q0001", "--model", "m00").output or (
        "I cannot say" in show(runs, "q0001", "--model", "m00").output
    )


@pytest.mark.parametrize(
    ("family", "data", "condition", "expected"),
    [
        (
            NOHARM_OPTIONS,
            "noharm_demo",
            "noharm_options",
            ("Procedure: Refer for left atrial", "severe harm if left", "severe harm by omission"),
        ),
        (MEDGUARD, "medguard_demo", BASIC, ("✓", "m: ", "n: ")),
    ],
)
def test_a_case_of_any_family_is_shown_by_it(tmp_path, family, data, condition, expected):
    runs = demo_runs(family, data, condition)
    from lm_eval_safescale.assembly import load_dataset
    from lm_eval_safescale.settings import load_settings

    dataset = load_dataset(load_settings({"dataset": data}, given_by="test"), [], family)
    models = {
        model: {"source": "made", "conditions": [condition], "settings": {}}
        for model in runs.models
    }
    about = {"dataset": about_dataset(dataset), "models": models, "left_out": []}
    write_runs(Runs(runs.items, runs.answers, about), tmp_path / "runs")
    done = show(tmp_path / "runs", dataset.items[0].question_id)
    assert done.exit_code == 0, done.output
    assert "DEMO: no clinical claim" in done.output
    for text in expected:
        assert text in done.output
    assert "the raw text was not stored" in done.output


def test_what_is_said_of_an_option_stands_apart_from_its_text(tmp_path):
    kit = data_folder() / "noharm_text_demo"
    write_runs(import_noharm(kit / "examples/hasty.jsonl", kit), tmp_path / "runs")
    said = show(tmp_path / "runs", "Card001").output
    assert said.count("; whether it was reviewed is not known") == 16


def test_hostile_texts_and_names_steer_no_terminal(tmp_path):
    runs = hostile_study(tmp_path / "hostile")
    for number in range(len(HOSTILE)):
        name = open_runs(runs, texts=False).items["question_id"][number]
        done = show(runs, name, "--condition", "clean", "--model", "org/model")
        assert done.exit_code == 0, done.exception
        odd = {
            character
            for character in done.output
            if character != "\n" and unicodedata.category(character) in ("Cc", "Cs")
        }
        assert not odd
        assert not {"\u202e", "\u2066", "\u202c"} & set(done.output)
        assert len(done.output) < 8 * 200_000  # each text once
