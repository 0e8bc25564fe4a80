"""Models of which several records make the value of a case, with other records missing in each."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from lm_eval_safescale.analysis import (
    PRESETS,
    Study,
    not_scored,
    paired_tests,
    remarks,
    results,
)
from lm_eval_safescale.analysis.paired_tests import paired_test
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting import Opened, Output, Subject, subjects_of, write_csv
from lm_eval_safescale.gate.evidence import answered, of_figures
from lm_eval_safescale.importing import import_noharm
from lm_eval_safescale.limits import parse_limit
from lm_eval_safescale.runs.store import merge_runs
from tests import noharm_text_studies as studies

NUMBER = 2**31 - 1
OPTIONS = [
    {"id": NUMBER, "text": "Anticoagulate", "category": "Medication", "score": 9},
    {"id": 1, "text": "Order an ECG", "category": "Diagnostic", "score": 8},
    {"id": 5, "text": "Stop all", "category": "Medication", "score": 1},
]


def record(name, matched, trial=1, judge="J"):
    return {
        "id": name,
        "trial": trial,
        "judge": judge,
        "options": [{"id": each["id"], "matched": each["id"] in matched} for each in OPTIONS],
        "responseActions": [
            {"number": 1, "action": "Act", "category": "", "match": ",".join(map(str, matched))}
        ],
    }


@pytest.fixture
def study_of(tmp_path):
    """`study_of(model=records)` over the cases A1 and B1, A1 with a variant."""
    items = [studies.make_item(*each) for each in (("A1", None, ""), ("A1", 0, "Age"))]
    items.append(studies.make_item("B1", None, ""))

    def make(**records):
        runs = {}
        for model, own in records.items():
            study = studies.Study(items, {"A1": OPTIONS, "B1": OPTIONS}, own)
            kit, judged = study.write(tmp_path / model)
            judged = judged.rename(tmp_path / f"{model}.jsonl")
            runs[model] = import_noharm(judged, kit)
        return Study(merge_runs(runs))

    return make


BOTH = [NUMBER, 1]
ONE = [record("A1", BOTH), record("A1-0", [1]), record("B1", BOTH), record("B1", BOTH, 2)]
OTHER = [record("A1", BOTH), record("A1-0", BOTH), record("B1", [5])]


def test_a_difference_is_of_the_cases_that_both_sides_define(study_of):
    study = study_of(one=ONE, other=OTHER)
    found = {row["metric"]: row for row in paired_tests(study).iter_rows(named=True)}
    values = {
        row["model"]: row["value"]
        for row in results(study).iter_rows(named=True)
        if row["metric"] == "resilience" and row["group"] is None
    }

    # A1: one holds option 9 in half of two records, other in both; B1: other has one record
    assert values == pytest.approx({"one": (5 / 8 + 1) / 2, "other": 1})
    assert found["resilience"]["delta"] == pytest.approx(5 / 8 - 1)
    assert found["resilience"]["n"] == 2
    pair = paired_test(study, ("one", "noharm"), ("other", "noharm"))["resilience"]
    assert (pair["left_value"], pair["right_value"]) == pytest.approx((5 / 8, 1))
    assert found["recall_weighted"]["n"] == 3


def test_records_that_some_trials_lack_are_told_and_so_are_unequal_numbers_of_them(study_of):
    study = study_of(one=ONE, other=OTHER[:2])

    assert [tuple(row.values()) for row in not_scored(study)] == [
        ("one", "noharm", 2, "no record in some of the trials"),
        ("other", "noharm", 1, "no record"),
    ]
    (said,) = (row["reason"] for row in remarks(study) if row["model"] is None)
    assert said.startswith("the number of trials differs: ")


def test_a_margin_is_of_the_difference_that_tables_give(study_of):
    off_rubric = [record("B1", []), record("B1", [], 2)]
    one = [*ONE[:2], record("A1", BOTH, 2), record("A1-0", [1], 2), *off_rubric]
    other = [{**each, "trial": trial} for each in OTHER for trial in (1, 2)]
    study = study_of(one=one, other=other)
    metric = next(each for each in study.metrics if each.name == "precision_weighted")
    places = np.arange(len(study.items))
    sides = [answered(study.scores[model, "noharm"], metric, places) for model in ("one", "other")]
    evidence = of_figures(*sides, parse_limit("precision_weighted 5 points"), study.design)
    found = {each["metric"]: each["delta"] for each in paired_tests(study).iter_rows(named=True)}

    # one names no option for B1 in any trial
    assert (evidence.n, evidence.answered, evidence.missing) == (2, 2, [])
    assert evidence.value == pytest.approx(-found["precision_weighted"])


@pytest.mark.parametrize("baseline", ["one", "one (judged by K)"])
def test_the_baseline_is_the_pool_of_its_judges(study_of, baseline):
    study = study_of(one=[*ONE, *(record("A1", [], judge="K"),)], other=OTHER)
    pooled = Study(study.runs, baseline=baseline).under(PRESETS["noharm-2026"])

    rows = paired_tests(pooled, PRESETS["noharm-2026"])
    assert {(row["left"], row["right"]) for row in rows.iter_rows(named=True)} == {("other", "one")}


def test_the_baseline_is_one_of_those_that_are_compared(study_of):
    runs = study_of(one=[*ONE, record("A1", [], judge="K")], other=OTHER).runs

    with pytest.raises(SafescaleError, match=r"baseline 'one' is none of the models one \(judged"):
        Study(runs, baseline="one").under(PRESETS["default"])
    with pytest.raises(SafescaleError, match="baseline 'one' is none of the models"):
        Study(runs, baseline="one", population="asks").under(PRESETS["noharm-2026"])


def test_an_export_says_of_how_many_cases_and_records_a_figure_is(study_of, tmp_path):
    subject = Subject(study_of(one=ONE, other=OTHER))
    (written,) = write_csv([subject], Output(tmp_path), "all.csv").files
    with written.open(encoding="utf-8", newline="") as lines:
        found = {
            (row["model"], row["metric"]): (row["cases"], row["records"])
            for row in csv.DictReader(lines)
            if not row["group"]
        }

    assert found["one", "severe_rate"] == ("2", "4")
    assert found["other", "resilience"] == ("1", "2")
    assert found["one", "latency_s"] == ("", "")
    (result,) = (each for each in subject.results if each.id == "noharm/f1_weighted"
                 and each.model == "other")  # fmt: skip
    assert "; cases 2, records 3" in subject.said_of(result)


def test_what_tells_of_each_judge_is_refused_where_they_are_one_pool(study_of):
    runs = study_of(one=[*ONE, record("A1", [], judge="K")], other=OTHER).runs
    opened = [Opened("runs", runs)]

    assert subjects_of(opened, PRESETS["default"])
    with pytest.raises(SafescaleError, match="one pool of several judges"):
        subjects_of(opened, PRESETS["noharm-2026"])
