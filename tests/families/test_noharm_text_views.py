"""What a reader of cases is shown of consultations and verdicts: every verdict once, each harm that
scoring counts, and every text as it is."""

from __future__ import annotations

import json

import polars as pl
import pytest

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.families.noharm_text import NOHARM, load_demo
from lm_eval_safescale.families.noharm_text.rubric import harms_of
from lm_eval_safescale.families.noharm_text.verdicts import OptionVerdict, Verdicts
from lm_eval_safescale.families.views import Chip
from tests.report.judged import JUDGE, judged_runs
from tests.report.studies import HOSTILE


@pytest.fixture(scope="module")
def judged():
    """An item with a response, for each greedy answer of one model."""
    runs = judged_runs({"m": 0.6}, 1, texts=HOSTILE, flags=[HOSTILE[0]])
    items = {item.question_id: item for item in load_demo()}
    rows = runs.answers.filter(pl.col("draw") == 1).select("question_id", "response").iter_rows()
    return [(items[name], response) for name, response in rows]


def test_options_say_what_leaving_out_and_advising_them_does():
    by_score = {}
    for item in load_demo():
        view = NOHARM.shown_item(item)
        assert view.text == item.question
        assert dict(view.texts) == {"The judge's hints": item.guidance}
        for option, shown in zip(item.options, view.options, strict=True):
            assert shown.key == str(option.id)
            assert shown.text == f"{option.category}: {option.text}"
            by_score[option.score] = shown.chips[0]
            words = [chip.words for chip in shown.chips[1:]]
            assert any((option.abstraction or "") in each for each in ["", *words])
            assert all(any(str(parent) in each for each in words) for parent in option.depends_on)
    said = {9: ("severe", "left out"), 8: ("moderate", "left out"), 7: ("mild", "left out")}
    said |= {1: ("severe", "advised"), 2: ("moderate", "advised"), 3: ("mild", "advised")}
    tones = {"severe": "harm", "moderate": "warning", "mild": "plain"}
    for score, (severity, when) in said.items():
        assert by_score[score] == Chip(f"{severity} harm if {when}", tones[severity])
    assert by_score[5] == Chip("uncertain")


def test_a_response_is_shown_by_what_it_holds():
    options = {2: OptionVerdict("partial"), 1: OptionVerdict("no"), 10: OptionVerdict("yes")}
    response = Verdicts("j", options).as_text()
    assert NOHARM.shown_response(response) == "2 of 3 options, 0 actions"
    assert NOHARM.chosen(response) == ["2", "10"]


def test_every_verdict_and_action_is_told_once_and_every_harm_that_scoring_counts(judged):
    for item, response in judged:
        verdicts, view = Verdicts.read(response), NOHARM.told_of(item, response)
        *by_option, actions = view.tables
        rows = {row[0]: row for table in by_option for row in table.rows}
        assert sorted(map(int, rows)) == sorted(verdicts.options)
        assert sum(len(table.rows) for table in by_option) == len(rows)
        told = {int(number): row[2].words for number, row in rows.items() if row[2]}
        assert told == {
            harm.option: f"{harm.severity} harm by {harm.kind}"
            for harm in harms_of(item.options, verdicts)
        }
        harmful = [row for row in by_option[0].rows if row[2]]
        assert len(harmful) == len(told)
        assert not by_option[0].folded
        for number, each in verdicts.options.items():
            _, verdict, _, text = rows[str(number)]
            expected = {"yes": "advised", "partial": "advised in part", "no": "not advised"}
            assert verdict == expected[each.match]
            assert each.evidence in text
            assert each.reason in text
        assert [row[0] for row in actions.rows] == [str(each.number) for each in verdicts.actions]
        for row, action in zip(actions.rows, verdicts.actions, strict=True):
            assert action.action in row[2]
            assert action.evidence in row[2]
            assert all(str(number) in row[1] for number in action.match)
            assert action.match or row[1] == "off the rubric"


def test_who_judged_what_is_flagged_and_what_a_second_judging_says_otherwise(judged):
    for item, response in judged:
        verdicts = Verdicts.read(response)
        first, flagged, again = NOHARM.told_of(item, response).notes
        assert first == f"Judged by {JUDGE}."
        assert flagged == f"Flagged: {HOSTILE[0]}."
        flips = [
            number
            for number, each in verdicts.options.items()
            if verdicts.again[0].options[number].match != each.match
        ]
        assert f"other verdicts on {len(flips)} option" in again
        assert all(str(number) in again for number in flips)
        assert again.startswith("Judged 2 more times")
        assert again.endswith("1 failed.")


def test_verdicts_are_told_without_the_texts_of_the_data_too(judged):
    (bare,) = NOHARM.items(NOHARM.table([judged[0][0]]))
    view = NOHARM.told_of(bare, judged[0][1])
    text = judged[0][0].options[0].text
    assert text not in json.dumps([table.rows for table in view.tables], default=str)


def test_kinds_are_what_scoring_says():
    study = Study(judged_runs(draws=0))
    kinds = {kind.name: kind for kind in NOHARM.kinds}
    for cell in study.scores.values():
        found = {name: kind.holds(cell.values) for name, kind in kinds.items()}
        severe = found["severe_omission"] | found["severe_commission"]
        assert (found["severe_harm"] == severe).all()
        assert (found["error"] != found["right"]).all()
        assert (found["error"] | ~found["moderate_harm"]).all()
        assert (found["moderate_harm"] | ~found["severe_harm"]).all()
        assert found["severe_harm"].any()
