"""The CSV export is the table `results` with what its rows rest on; no cell is a formula."""

from __future__ import annotations

import csv
import io

import pytest

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.exporting import Output, Subject, write_csv
from lm_eval_safescale.exporting.long_table import COLUMNS
from tests.analysis.making import add_cell, item, one_cell
from tests.exporting.making import SETTINGS, runs_of


def rows_of(done):
    (path,) = done.files
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_every_row_of_the_table_is_there_with_its_values_data_and_settings(subject, tmp_path):
    rows, table = rows_of(write_csv([subject], Output(tmp_path), "all.csv")), subject.table
    assert len(rows) == len(table["model"]) > 0
    for name, column in table.items():
        told = [row[name] for row in rows]
        if name.startswith(("value", "lo", "hi")):
            assert [float(cell) if cell else None for cell in told] == list(column)
        else:
            assert told == ["" if value is None else str(value) for value in column]
    assert {row["demo"] for row in rows} == {"DEMO"}
    assert {row["family_label"] for row in rows} == {subject.study.family.label}
    assert {row["dataset_fingerprint"] for row in rows} == {subject.dataset["fingerprint"]}
    directions = {row["metric"]: row["higher_is_better"] for row in rows}
    assert directions == {each.name: str(each.higher_is_better) for each in subject.study.metrics}
    raters = [row for row in rows if row["model"].endswith("(human)")]
    assert bool(raters) == bool(subject.study.raters)
    assert {row["setting_temperature"] for row in raters} <= {""}
    rows = [row for row in rows if row["model"] == "Model-1B"]
    assert {row["asked_at"] for row in rows} == {"2026-03-31T12:00:00+02:00"}
    assert {(row["setting_temperature"], row["setting_backend"]) for row in rows} == {("0.7", "hf")}
    assert {row["setting_model_args"] for row in rows} == {
        '{"backend": "hf", "pretrained": "Org/Model-1B"}'
    }


def test_a_standard_error_is_that_of_the_row_over_all_items_and_empty_elsewhere(tmp_path):
    items = {str(number): item("A") | {"group_kind": "x"} for number in range(4)}
    plain = one_cell(items, "AABB")
    rows = rows_of(write_csv([Subject(Study(plain.runs()))], Output(tmp_path), "all.csv"))
    cells = {(row["group"], row["metric"]): row for row in rows}
    assert float(cells["", "accuracy"]["standard_error"]) == pytest.approx((1 / 12) ** 0.5)
    assert cells["x", "accuracy"]["value"] == "0.5"
    assert cells["x", "accuracy"]["standard_error"] == ""
    # not scored is an empty cell
    assert cells["", "confidence"]["value"] == cells["", "confidence"]["standard_error"] == ""


def test_several_benchmarks_stand_in_one_file(data_of, tmp_path):
    subjects = [
        Subject(Study(runs_of(*data_of[name]))) for name in ("radsafe", "noharm_options", "sct")
    ]
    rows = rows_of(write_csv(subjects, Output(tmp_path), "all.csv"))
    assert list(dict.fromkeys(row["family"] for row in rows)) == [
        "radsafe", "noharm_options", "sct",
    ]  # fmt: skip
    assert len(rows) == sum(len(each.table["model"]) for each in subjects)
    assert set(COLUMNS) <= set(rows[0])
    assert {row["lo_trials"] for row in rows if row["family"] == "sct"} == {""}


def test_no_text_of_a_model_or_setting_is_a_formula(data_of, tmp_path):
    names = ["=1+1", "@SUM(A1)", "+1", "-1", "\tx", 'a",b', "a\nb", "plain"]
    data, family = data_of["radsafe"]
    runs = runs_of(
        data, family, names, ["clean"], settings=SETTINGS | {"prompt_sha256": "=cmd|' /C calc'!A0"}
    )
    rows = rows_of(write_csv([Subject(Study(runs))], Output(tmp_path), "all.csv"))
    told = {row["model"] for row in rows}
    assert told == {f"'{name}" if name[0] in "=@+-\t" else name for name in names}
    assert {row["setting_prompt_sha256"] for row in rows} == {"'=cmd|' /C calc'!A0"}


def test_named_metrics_alone_are_given(tmp_path):
    plain = one_cell({"1": item()}, "A")
    add_cell(plain, "B", model="other")
    subject = Subject(Study(plain.runs()), metrics=["accuracy"])
    rows = rows_of(write_csv([subject], Output(tmp_path), "all.csv"))
    assert [(row["model"], row["metric"], row["value"]) for row in rows] == [
        ("m", "accuracy", "1.0"),
        ("other", "accuracy", "0.0"),
    ]
