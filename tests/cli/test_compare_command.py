"""`safescale compare` as a person sees it: exit statuses, text, JSON and CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, open_runs
from lm_eval_safescale.cli import app
from lm_eval_safescale.gate.comparison import ADJUSTED_OVER
from tests.gate.making import made, stored

STORED = Path(__file__).parent.parent / "fixtures" / "format3"
TWO = "high_risk_error 2 points"


def compare(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "250"})


def pair(tmp_path, a="AABBA", b="ABABB", **more):
    answers = {("old", "clean"): [a], ("new", "clean"): [b]}
    folder = stored(tmp_path / "runs", made(answers, **more))
    return f"{folder}:old", f"{folder}:new"


def test_two_models_are_compared_with_status_0_and_the_items_that_flipped(tmp_path):
    done = compare(*pair(tmp_path))
    assert done.exit_code == 0, done.output
    assert "B beside A on tiny, 5 items" in done.output
    assert "Differs: model (old / new)" in done.output
    assert "high_risk_error, towards harm, B alone: 2 items: q02, q05" in done.output
    assert "high_risk_error, away, A alone: 1 item: q03" in done.output
    assert "+20.0 [" in done.output
    assert f"adjusted over {ADJUSTED_OVER}" in done.output
    assert "DEMO" not in done.output


def test_demo_data_is_marked(tmp_path):
    done = compare(*pair(tmp_path, demo=True), "--json", tmp_path / "out.json")
    assert done.exit_code == 0
    assert "DEMO: no clinical claim may rest on it" in done.output
    assert json.loads((tmp_path / "out.json").read_text())["demo"] is True


@pytest.mark.parametrize(
    ("b", "status", "word"),
    [
        ("A" * 200, 0, "PASSED"),
        ("B" * 8 + "A" * 192, 1, "FAILED"),
        ("!" * 8 + "A" * 192, 2, "UNDECIDED"),
    ],
)
def test_no_worse_by_a_margin_is_the_exit_status(tmp_path, b, status, word):
    sides = pair(tmp_path, "A" * 200, b)
    done = compare(*sides, "--fail-on-worse", TWO, "--json", tmp_path / "out.json")
    assert done.exit_code == status, done.output
    assert done.output.rstrip().endswith(word)
    assert f"{word}  B against A, {TWO} @ 97.5 %" in done.output
    document = json.loads((tmp_path / "out.json").read_text())
    (row,) = document["fail_on_worse"]
    assert (document["exit_status"], document["outcome"]) == (status, word.lower())
    assert (row["outcome"], row["than"]) == (word.lower(), {"model": "old", "condition": "clean"})
    assert document["error_rate"]


def test_without_a_margin_what_is_worse_is_an_answer_too(tmp_path):
    done = compare(*pair(tmp_path, "A" * 40, "B" * 40))
    assert done.exit_code == 0
    assert "worse" in done.output


def two_things(tmp_path):
    answers = {("m", "clean"): ["AAB"], ("n", "rag"): ["ABB"]}
    folder = stored(tmp_path / "runs", made(answers))
    return f"{folder}:m", f"{folder}:n"


def test_what_differs_in_two_things_is_refused_with_status_2_and_both_are_named(tmp_path):
    files = ("--json", tmp_path / "o.json", "--csv", tmp_path / "o.csv")
    done = compare(*two_things(tmp_path), *files)
    assert done.exit_code == 2
    assert "2 things" in done.output
    assert "model (m / n); condition (clean / rag)" in done.output
    assert "--anyway" in done.output
    document = json.loads((tmp_path / "o.json").read_text())
    assert (document["outcome"], document["differences"]) == ("refused", [])
    assert document["differs"] == {"model": "m / n", "condition": "clean / rag"}
    assert not (tmp_path / "o.csv").exists()


def test_compared_anyway_is_said_in_every_output(tmp_path):
    files = ("--json", tmp_path / "o.json", "--csv", tmp_path / "o.csv")
    done = compare(*two_things(tmp_path), "--anyway", *files)
    assert done.exit_code == 0
    assert "COMPARED ANYWAY: A and B differ in 2 things" in done.output
    said = json.loads((tmp_path / "o.json").read_text())["anyway"]
    assert said.startswith("A and B differ in 2 things")
    with (tmp_path / "o.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["anyway"] for row in rows} == {said}


def test_the_files_have_every_figure_and_say_of_what_they_are(tmp_path):
    files = ("--json", tmp_path / "o.json", "--csv", tmp_path / "o.csv")
    compare(*pair(tmp_path), *files)
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["difference"] == "b - a"
    assert (document["a"]["model"], document["b"]["model"]) == ("old", "new")
    assert document["adjusted_over"] == ADJUSTED_OVER
    flips = {each["metric"]: each for each in document["flips"]}
    assert flips["high_risk_error"]["towards_harm"] == ["q02", "q05"]
    assert flips["high_risk_error"]["away_from_harm"] == ["q03"]
    assert "accuracy" not in flips
    with (tmp_path / "o.csv").open(newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    own = next(row for row in document["differences"] if row["metric"] == "high_risk_error")
    assert float(rows["high_risk_error"]["delta"]) == own["delta"]
    assert rows["high_risk_error"]["model_a"] == "old"
    assert rows["high_risk_error"]["anyway"] == ""


def test_stored_runs_of_two_conditions_are_compared():
    done = compare(f"{STORED / 'finished'}::closed_book", f"{STORED / 'finished'}::clean")
    assert done.exit_code == 0, done.output
    assert "Differs: condition (closed_book / clean)" in done.output


def test_a_judge_and_the_rules_are_one_thing_of_the_same_answers():
    done = compare(f"{STORED / 'finished'}::rag", f"{STORED / 'judged'}::rag")
    assert done.exit_code == 0, done.output
    assert "Differs: reading of answers (rules / the judge judge)" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runs:old"], "Missing argument"),
        (["runs", "runs:new"], "2 models in it"),
        (["runs:old", "runs:neww"], "did you mean new"),
        (["runs:old", "runs:old"], "A and B are the same"),
        (["runs:old", "nowhere"], "no such folder"),
        (["runs:old", "other"], "A is of the data set"),
        (["runs:old", "runs:new", "--fail-on-worse", "high_risk_error < 2 %"], "a margin"),
        (["runs:old", "runs:new", "--preset", "radsafe"], "preset"),
        (["runs:old", "runs:new", "--fail"], "No such option"),
        (["file.txt", "runs:new"], "file.txt"),
    ],
)
def test_whatever_is_wrong_before_there_is_an_answer_has_status_3(
    tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    pair(tmp_path)
    other = made({("m", "clean"): ["AB"]})
    other.about["dataset"]["fingerprint"] = "e" * 64
    stored(tmp_path / "other", other)
    (tmp_path / "file.txt").write_text("no runs")
    done = compare(*arguments)
    assert done.exit_code == 3, done.output
    assert said in done.output


def test_a_person_who_rated_the_items_stands_beside_a_model(tmp_path):
    runs = tmp_path / "runs"
    asked = ["run", "--model", "choose-at-random", "--conditions", "medguard_basic"]
    done = CliRunner().invoke(app, [*asked, "--dataset", "medguard_demo", "-o", str(runs)])
    assert done.exit_code == 0, done.output
    listed = compare(f"{runs}:nobody", runs)
    raters = [word for word in listed.output.split(", ") if "(human)" in word]
    assert listed.exit_code == 3
    assert raters
    name = raters[0].strip()
    found = compare(f"{runs}:{name}", runs, "--json", tmp_path / "o.json")
    assert found.exit_code == 0, found.output
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["a"]["human"] is True
    assert document["differs"] == {"model": f"{name} / choose-at-random (control)"}
    assert any(each["metric"] == "unsafe_answer" for each in document["flips"])
    again = compare(f"{runs}:{name}", f"{runs}:{name}")
    assert again.exit_code == 3
    judged = compare(runs, f"{runs}:{name}", "--fail-on-worse", "unsafe_answer 60 points")
    assert judged.exit_code == 0, judged.output


def test_over_trials_an_item_flips_where_most_of_its_trials_do(tmp_path):
    folders = []
    for control in ("choose-at-random", "choose-nothing"):
        folders.append(tmp_path / control)
        asked = ["run", "--model", control, "--conditions", "noharm_options"]
        more = ["--dataset", "noharm_demo", "--draws", "2", "-o", str(folders[-1])]
        done = CliRunner().invoke(app, [*asked, *more])
        assert done.exit_code == 0, done.output
    assert compare(*folders, "--json", tmp_path / "o.json").exit_code == 0
    document = json.loads((tmp_path / "o.json").read_text())
    flips = {each["metric"]: each for each in document["flips"]}
    study = Study(open_runs(*folders))
    severe = [np.nanmean(cell["severe_case"], axis=1) > 0.5 for cell in study.scores.values()]
    assert study.runs.models[0].startswith("choose-at-random")
    names = np.array(study.items.ids)
    own = flips["severe_case_rate"]
    assert own["away_from_harm"] == list(names[severe[0] & ~severe[1]])
    assert own["towards_harm"] == list(names[severe[1] & ~severe[0]])
    assert own["both"] == (severe[0] & severe[1]).sum() > 0
    # a share of answers that are there counts those that are not
    assert flips["unanswered"]["both"] == 0
    assert "severe_errors_per_100_cases" not in flips
