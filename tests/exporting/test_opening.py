"""Runs from several places become one study for each data set, with the times they say."""

from __future__ import annotations

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting import Opened, open_folder, subjects_of
from tests.analysis.making import item, one_cell
from tests.exporting.making import runs_of
from tests.storing import FORMAT3, ROOT


def test_a_run_was_asked_at_its_last_start_unless_another_time_is_given():
    finished = open_folder(FORMAT3 / "finished")
    assert finished.asked_at == "2026-11-30T06:49:37+00:00"
    (subject,) = subjects_of([finished])
    assert set(subject.asked_at.values()) == {finished.asked_at}
    (subject,) = subjects_of([finished], asked_at="2026-03-31")
    assert subject.asked_at == dict.fromkeys(finished.runs.models, "2026-03-31")


def test_runs_of_earlier_formats_are_opened_too():
    assert subjects_of([open_folder(ROOT / "tests" / "fixtures" / "format1" / "finished")])


def test_runs_of_one_data_set_are_one_study_and_models_keep_the_later_time(data_of):
    one, two = (
        one_cell({"1": item()}, "A", model="m", condition=condition).runs()
        for condition in ("clean", "conflict")
    )
    other = runs_of(*data_of["noharm_options"])
    subjects = subjects_of(
        [Opened("b", one, "2026-02-01"), Opened("c", other), Opened("a", two, "2026-01-01")]
    )
    assert [each.study.runs.models for each in subjects] == [("m",), ("Model-1B",)]
    assert subjects[0].study.conditions == ["clean", "conflict"]
    assert [dict(each.asked_at) for each in subjects] == [{"m": "2026-02-01"}, {}]


def test_what_is_no_time_is_refused():
    for text in ("yesterday", "2026-13-01", ""):
        with pytest.raises(SafescaleError, match="no date or time of ISO 8601"):
            subjects_of([], asked_at=text)


def test_answers_that_stand_twice_are_refused_by_the_names_of_both():
    runs = one_cell({"1": item()}, "A").runs()
    with pytest.raises(SafescaleError, match="first and second both hold answers of m, clean"):
        subjects_of([Opened("first", runs), Opened("second", runs)])
