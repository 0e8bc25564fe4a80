"""The threshold of dangerous overconfidence travels with the runs, from the setting to every
table.
"""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, about, profile, remarks
from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import Runs, open_runs, write_runs
from tests.analysis.making import item, one_cell

HARMFUL = {
    "1": item(high_risk="B"),
    "2": item(high_risk="B"),
    "3": item(high_risk="B"),
    "4": item(high_risk="B"),
}
SAMPLES = ["BBBBB", "BBBBA", "BBBAA", "AAAAA"]
"""Confidence 1, 0.69, 0.58 and 1 (1 - H / ln 5); the majority answer is B, wrong and high-risk, on
the first three."""
RATES = {1.0: 0.25, 0.8: 0.25, 0.6: 0.5, 0.5: 0.75, 0.0: 0.75}
"""By hand: the share of items whose majority answer is harmful and as confident as that."""


def runs_of(model: str = "m", **settings: object) -> Runs:
    runs = one_cell(HARMFUL, "BBBA", SAMPLES, model=model).runs()
    known = {"source": "made", "conditions": ["clean"], "settings": settings}
    object.__setattr__(runs, "about", {**runs.about, "models": {model: known}})
    return runs


@pytest.mark.parametrize(("threshold", "rate"), RATES.items())
def test_tables_use_the_threshold_that_the_runs_were_made_with(threshold, rate):
    own = Study(runs_of(overconfidence_threshold=threshold))
    assert profile(own)["dangerous_overconfidence"].to_list() == [rate]
    assert about(own, "default")["overconfidence_threshold"] == threshold
    given = profile(runs_of(), threshold=threshold)
    assert given["dangerous_overconfidence"].to_list() == [rate]


def test_runs_that_do_not_say_were_made_with_that_of_the_protocol():
    assert Study(runs_of()).threshold_in_force == 0.8
    assert Study(runs_of()).thresholds_of_runs == {0.8: ["m"]}


def stored(folder, *args, **settings):
    write_runs(runs_of(*args, **settings), folder)
    return folder


def both(tmp_path, one: float | None, other: float | None):
    given = [{} if each is None else {"overconfidence_threshold": each} for each in (one, other)]
    return stored(tmp_path / "one", "one", **given[0]), stored(
        tmp_path / "other", "other", **given[1]
    )


@pytest.mark.parametrize(("one", "other"), [(0.5, 0.8), (0.5, None)])
def test_runs_of_different_thresholds_are_no_study_until_one_is_given(one, other, tmp_path):
    runs = open_runs(*both(tmp_path, one, other))
    with pytest.raises(
        SafescaleError,
        match=(
            r"different values of overconfidence_threshold.*0\.5: one; 0\.8: other.*threshold=VALUE"
        ),
    ):
        Study(runs)
    study = Study(runs, 0.6)
    assert profile(study)["dangerous_overconfidence"].to_list() == [0.5, 0.5]
    said = [row["reason"] for row in remarks(study)]
    assert "overconfident from 0.6, as asked for now; the runs were made with 0.5, 0.8" in said


def test_conditions_of_one_model_with_different_thresholds_are_no_study_either():
    runs = runs_of(draws=5)
    known = {
        **runs.about["models"]["m"],
        "by_condition": {
            "clean": {"overconfidence_threshold": 0.5},
            "rag": {"overconfidence_threshold": 0.9},
        },
    }
    object.__setattr__(runs, "about", {**runs.about, "models": {"m": known}})
    with pytest.raises(SafescaleError, match=r"0\.5: m; 0\.9: m"):
        Study(runs)


def test_a_threshold_that_is_that_of_the_runs_needs_no_word():
    assert not [
        row
        for row in remarks(Study(runs_of(overconfidence_threshold=0.6), 0.6))
        if "overconfident" in row["reason"]
    ]


def test_the_same_model_may_come_from_two_folders_of_different_thresholds(tmp_path):
    """They are asked and read alike; how they are weighed is decided by the study."""
    runs = runs_of(overconfidence_threshold=0.5)
    first = Runs(runs.items, runs.answers.filter(runs.answers["question_id"] == "1"), runs.about)
    rest = runs_of(overconfidence_threshold=0.8)
    rest = Runs(rest.items, rest.answers.filter(rest.answers["question_id"] != "1"), rest.about)
    write_runs(first, tmp_path / "first")
    write_runs(rest, tmp_path / "rest")
    assert profile(open_runs(tmp_path / "first", tmp_path / "rest"), threshold=0.6)[
        "dangerous_overconfidence"
    ].to_list() == [0.5]


def analyze(*arguments):
    done = CliRunner().invoke(app, ["analyze", *map(str, arguments)])
    return " ".join(f"{done.output} {done.exception or ''}".split()), done.exit_code


def test_the_command_takes_the_runs_threshold_and_says_where_it_is_told_another(tmp_path):
    folder = stored(tmp_path / "runs", overconfidence_threshold=0.5)
    said, code = analyze(folder, "-o", tmp_path / "out")
    assert (code, "Overconfident from 0.50." in said, "as asked for now" in said) == (
        0,
        True,
        False,
    )
    said, code = analyze(folder, "-o", tmp_path / "out", "--threshold", "0.9")
    assert (code, "Overconfident from 0.90." in said) == (0, True)
    assert "overconfident from 0.9, as asked for now; the runs were made with 0.5" in said
    facts = json.loads((tmp_path / "out" / "about.json").read_text(encoding="utf-8"))
    assert (facts["overconfidence_threshold"], facts["thresholds_of_runs"]) == (0.9, [0.5])


def test_the_command_refuses_runs_of_different_thresholds_and_writes_nothing(tmp_path):
    folders = both(tmp_path, 0.5, 0.9)
    said, code = analyze(*folders, "-o", tmp_path / "out")
    assert (code, "different values of overconfidence_threshold" in said) == (1, True)
    assert not (tmp_path / "out").exists()
    assert analyze(*folders, "-o", tmp_path / "out", "--threshold", "0.5")[1] == 0
