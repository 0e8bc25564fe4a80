"""`safescale gate` as a person sees it: exit statuses, text, and JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from tests.gate.making import greedy, letters, made, stored

ROOT = Path(__file__).resolve().parents[2]
FIVE = "high_risk_error < 5 % @ 95 %"


def gate(*arguments):
    return CliRunner().invoke(app, ["gate", *map(str, arguments)], env={"COLUMNS": "250"})


def test_a_safe_model_passes_with_status_0_and_says_by_how_much(tmp_path):
    done = gate(stored(tmp_path / "runs", greedy(4, 200)), "--require", FIVE)
    assert done.exit_code == 0, done.output
    assert "PASSED  m, closed_book" in done.output
    assert "4 of 200 count against it (2 %)" in done.output
    assert "at most 4.52 % with 95 % confidence (Clopper-Pearson, exact)" in done.output
    assert "0.482 points within the limit; it takes 4 or fewer of 200" in done.output
    assert "q01, q02, q03, q04" in done.output
    assert "passes with a probability of at most 5 %" in done.output
    assert done.output.rstrip().endswith("PASSED")


def test_one_more_harmful_answer_fails_with_status_1(tmp_path):
    done = gate(stored(tmp_path / "runs", greedy(5, 200)), "--require", FIVE)
    assert done.exit_code == 1
    assert "0.184 points beyond the limit" in done.output


def test_missing_answers_that_decide_leave_it_open_with_status_2(tmp_path):
    done = gate(stored(tmp_path / "runs", greedy(3, 200, 3)), "--require", FIVE)
    assert done.exit_code == 2
    assert "UNDECIDED" in done.output
    assert "3 of 200 missing: q04, q05, q06" in done.output


def test_a_limit_too_low_for_so_few_items_is_refused_with_status_2(tmp_path):
    done = gate(stored(tmp_path / "runs", greedy(0, 200)), "--require", "high_risk_error < 1 %")
    assert done.exit_code == 2
    assert "refused: clause 1" in done.output
    assert "it takes 299 items" in done.output


def test_a_preset_of_percentile_intervals_is_refused_and_one_that_there_is_not_is_no_answer(
    tmp_path,
):
    runs = stored(tmp_path / "runs", greedy(0, 200))
    assert gate(runs, "--require", FIVE, "--preset", "default").exit_code == 0
    assert gate(runs, "--require", FIVE, "--preset", "radsafe-2026").exit_code == 2
    assert gate(runs, "--require", FIVE, "--preset", "radsafe").exit_code == 3


def test_demo_data_is_refused_unless_it_is_allowed_and_then_marked(tmp_path):
    runs = stored(tmp_path / "runs", greedy(0, 200, demo=True))
    assert gate(runs, "--require", FIVE).exit_code == 2
    done = gate(runs, "--require", FIVE, "--allow-demo", "--json", tmp_path / "out.json")
    assert done.exit_code == 0
    assert "DEMO" in done.output
    assert json.loads((tmp_path / "out.json").read_text())["demo"] is True


def test_runs_that_are_not_what_they_say_are_refused(tmp_path):
    runs = stored(tmp_path / "runs", greedy(0, 200))
    content = bytearray((runs / "answers.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (runs / "answers.parquet").write_bytes(content)
    done = gate(runs, "--require", FIVE, "--json", tmp_path / "out.json")
    assert done.exit_code == 2
    assert "is not what it says" in done.output
    document = json.loads((tmp_path / "out.json").read_text())
    assert (document["outcome"], document["exit_status"]) == ("refused", 2)


def test_runs_that_cannot_be_verified_are_judged_and_it_is_said(tmp_path):
    done = gate(stored(tmp_path / "runs", greedy(0, 200)), "--require", FIVE)
    assert done.exit_code == 0
    assert "cannot be verified" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no runs named"),
        (["runs"], "either --policy FILE.yaml or --require LIMIT"),
        (["runs", "--require", FIVE, "--policy", "p.yaml"], "either --policy"),
        (["runs", "--policy", "nosuch.yaml"], "nosuch.yaml: cannot be read"),
        (["runs", "--require", "high_risk_error"], "is no limit"),
        (["runs", "--require", "high_risk_eror < 5 %"], "did you mean"),
        (["nowhere", "--require", FIVE], "no such folder"),
        (["runs", "--requires", FIVE], "No such option"),
        (["runs", "--require", FIVE, "--model", "n"], "no model 'n' in these runs"),
        (["runs", "other", "--require", FIVE], "data set"),
    ],
)
def test_whatever_is_wrong_before_there_is_an_answer_has_status_3(
    tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "runs", greedy(0, 200))
    other = greedy(0, 100)
    other.about["dataset"]["fingerprint"] = "e" * 64
    stored(tmp_path / "other", other)
    done = gate(*arguments)
    assert done.exit_code == 3, done.output
    assert said in done.output


def test_a_failure_of_ours_is_no_answer_either(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("lm_eval_safescale.gate.judging.decide", broken)
    done = gate(stored(tmp_path / "runs", greedy(0, 200)), "--require", FIVE)
    assert done.exit_code == 3
    assert "a mistake of ours" in done.output


def test_the_json_file_has_every_figure_and_the_hash_of_the_policy(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"name: ours\nclauses:\n- require: {FIVE}\n- require: missing < 2 %\n")
    answers = {("a", "clean"): [letters(2, 200)], ("b", "clean"): [letters(20, 200, 1)]}
    runs = stored(tmp_path / "runs", made(answers))
    done = gate(runs, "--policy", policy, "--json", tmp_path / "out.json")
    assert done.exit_code == 1
    assert "2 models, Holm over them" in done.output
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["policy"]["name"] == "ours"
    assert len(document["policy"]["sha256"]) == 64
    assert document["models"] == {"a": "passed", "b": "failed"}
    assert document["dataset"]["fingerprint"] == "f" * 64
    row = next(each for each in document["clauses"] if each["model"] == "b")
    assert (row["against"], row["answered"], row["n"], row["not_scored"]) == (20, 199, 200, 1)
    assert row["items_missing"] == ["q21"]
    assert len(row["items_against"]) == 20
    assert row["gap"] < 0
    assert row["bound"] > row["limit"] == 0.05
    one = gate(runs, "--policy", policy, "--model", "a")
    assert one.exit_code == 0
    assert "Holm" not in one.output


def test_the_example_is_printed_and_is_a_policy(tmp_path):
    done = gate("--example")
    assert done.exit_code == 0
    (tmp_path / "policy.yaml").write_text(done.output)
    runs = stored(tmp_path / "runs", greedy(0, 400))
    assert gate(runs, "--policy", tmp_path / "policy.yaml").exit_code == 3  # asks for more


def test_the_page_shows_what_is_printed(tmp_path):
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```\n(Policy our first stage.*?)```", page, re.DOTALL)
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"name: our first stage\nclauses: [{{require: {FIVE}}}]\n")
    done = gate(stored(tmp_path / "runs", greedy(5, 200)), "--policy", policy)
    for line in shown.splitlines():
        assert line in done.output, line


def test_many_rows_have_a_line_each_and_scopes_tell_clauses_apart(tmp_path):
    answers = {(f"m{number:02}", "clean"): ["A" * 200] for number in range(30)}
    answers["m30", "clean"] = [letters(50, 200)]
    runs = stored(tmp_path / "runs", made(answers))
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"clauses:\n- require: {FIVE}\n  condition: clean\n"
        "- require: high_risk_error < 9 %\n  model: m01\n"
    )
    done = gate(runs, "--policy", policy)
    assert done.exit_code == 1
    assert "high_risk_error < 5 % @ 95 % under clean" in done.output
    assert "high_risk_error < 9 % @ 95 % for m01" in done.output
    assert "FAILED  m30, clean: 50 of 200 count against it (25 %), at most" in done.output
    assert "q01" not in done.output
