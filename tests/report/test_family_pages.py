"""Pages of families are made from their tables, cell by cell, and say what these say."""

from __future__ import annotations

import polars as pl
import pytest

from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.medguard.conditions import BASIC, COT_SAFE
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.report.building import Wanted, build_report
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.sentences import percent
from tests.analysis.test_disputed import demo_runs
from tests.report.making import report_of, stored

PLAIN = [pl.col("model", "condition", "question_id", "response", "status").cast(pl.String)]


def about(runs: Runs, conditions, controls=()):
    models = {
        model: {
            "source": "made",
            "conditions": list(conditions),
            "settings": {"backend": "choose-nothing"} if model in controls else {},
        }
        for model in runs.models
    }
    return {"dataset": {**runs.about["dataset"], "demo": True}, "models": models, "left_out": []}


@pytest.fixture(scope="module")
def noharm(tmp_path_factory):
    """Two models and a control that chooses nothing."""
    runs = demo_runs(NOHARM_OPTIONS, "noharm_demo", "noharm_options")
    nothing = {
        str(name): "["
        + ",".join(f'{{"Option":{n},"GradeAI":"Inappropriate"}}' for n in numbers.split())
        + "]"
        for name, numbers in runs.items.select("question_id", "options").iter_rows()
    }
    plain = runs.answers.with_columns(PLAIN)
    control = plain.filter(pl.col("model") == "m").with_columns(
        model=pl.lit("choose-nothing (control)"),
        response=pl.col("question_id").replace_strict(nothing),
    )
    made = Runs(runs.items, pl.concat([plain, control]), runs.about)
    known = about(made, ["noharm_options"], ["choose-nothing (control)"])
    folder = tmp_path_factory.mktemp("noharm") / "runs"
    return stored(Runs(made.items, made.answers, known), folder)


@pytest.fixture(scope="module")
def medguard(tmp_path_factory):
    """Two models under two settings, and the three raters of the demo data."""
    parts = [demo_runs(MEDGUARD, "medguard_demo", condition) for condition in (BASIC, COT_SAFE)]
    turned = (
        parts[1]
        .answers.with_columns(PLAIN)
        .with_columns(pl.col("model").replace_strict({"m": "n", "n": "m"}))
    )
    answers = pl.concat([parts[0].answers.with_columns(PLAIN), turned])
    made = Runs(parts[0].items, answers, parts[0].about)
    folder = tmp_path_factory.mktemp("medguard") / "runs"
    return stored(Runs(made.items, made.answers, about(made, [BASIC, COT_SAFE])), folder)


def rows_of(data):
    names = [column.name for column in data.columns]
    return [dict(zip(names, row, strict=True)) for row in data.rows]


def figures_of(page):
    return {figure.name: figure for section in page.sections for figure in section.figures}


def test_noharm_says_what_is_left_out_and_what_is_chosen_wrongly(noharm):
    report = report_of(noharm)
    (page,) = NOHARM_OPTIONS.pages(report)
    table = [row for row in report.rows("option_errors") if row["model"] in ("m", "n")]
    severe = {
        error: [row for row in table if row["part"] == "severe" and row["error"] == error]
        for error in ("omission", "commission")
    }
    for own in severe.values():
        assert percent(sum(row["rate"] for row in own) / 2) in page.finding
    counts = [sum(row["errors"] for row in own) for own in severe.values()]
    assert f"{percent(counts[0] / sum(counts))} of severe errors are omissions" in page.finding
    assert f"Choosing nothing leaves out {percent(1.0)} of them" in page.doubt


def test_every_part_of_the_table_is_drawn_and_controls_are_in_no_mean(noharm):
    report = report_of(noharm)
    (page,) = NOHARM_OPTIONS.pages(report)
    figures = figures_of(page)
    assert list(figures) == ["severity-errors", "category-errors", "specialty-errors"]
    for name, figure in figures.items():
        known = [row for row in report.rows("option_errors") if f"{row['by']}-errors" == name]
        for row, shown in zip(known, rows_of(figure.data), strict=True):
            assert shown == {column: row[column] for column in shown}
        drawn = [point for strip in figure.rows for point in strip.points if point.role != "mean"]
        assert len(drawn) == sum(row["rate"] is not None for row in known)
        strip = figure.rows[0]
        part, what = strip.label.split(": ")
        error = {"left out": "omission", "chosen wrongly": "commission"}[what]
        own = [
            row["rate"]
            for row in known
            if (row["part"], row["error"]) == (part, error) and row["model"] in ("m", "n")
        ]
        assert strip.value == pytest.approx(sum(own) / 2)
        assert {point.series for point in strip.points} == {"model", "control"}


def test_the_measures_of_models_and_controls_are_those_of_the_profile(noharm):
    report = report_of(noharm)
    (page,) = NOHARM_OPTIONS.pages(report)
    shown = rows_of(page.sections[-1].data)
    assert [row["model"] for row in shown] == ["m", "n", "choose-nothing (control)"]
    by_model = {row["model"]: row for row in report.rows("profile")}
    for row in shown:
        assert row == {name: by_model[row["model"]][name] for name in row}


def test_medguard_says_its_index_by_principle_and_beside_people(medguard):
    report = report_of(medguard)
    (page,) = MEDGUARD.pages(report)
    table = [row for row in report.rows("results") if row["metric"] == "safety_index"]
    models = [row for row in table if row["condition"] != HUMAN and row["group"] is None]
    people = [row for row in table if row["condition"] == HUMAN and row["group"] is None]
    assert percent(sum(row["value"] for row in models) / 4) in page.finding
    assert f"3 human raters {percent(sum(row['value'] for row in people) / 3)}" in page.finding
    figures = figures_of(page)
    for grouping in ("principle", "aspect"):
        known = [
            row for row in table if row["group_name"] == grouping and row["condition"] != HUMAN
        ]
        shown = rows_of(figures[f"index-by-{grouping}"].data)
        assert shown == [{name: row[name] for name in shown[0]} for row in known]
    shown = rows_of(figures["people"].data)
    assert [row["model"] for row in shown[:3]] == [row["model"] for row in people]


def test_settings_are_compared_by_the_paired_tests_and_agreement_is_the_table(medguard):
    report = report_of(medguard)
    (page,) = MEDGUARD.pages(report)
    (row, other) = rows_of(figures_of(page)["settings"].data)
    known = [
        each
        for each in report.rows("paired_tests", metric="safety_index")
        if each["left_condition"] == COT_SAFE and each["right_condition"] == BASIC and each["model"]
    ]
    assert [row["delta"], other["delta"]] == [each["delta"] for each in known]
    assert row["delta_lo"] == known[0]["delta_lo"]
    people, models = (rows_of(section.data) for section in page.sections[-2:])
    assert [*people, *models] == [
        {name: each[name] for name in (models if each["model"] else people)[0]}
        for each in sorted(report.rows("agreement"), key=lambda each: each["model"] is not None)
    ]


@pytest.mark.parametrize(
    ("family", "data", "condition"),
    [
        (NOHARM_OPTIONS, "noharm_demo", "noharm_options"),
        (MEDGUARD, "medguard_demo", BASIC),
    ],
)
def test_one_model_under_one_condition_makes_sense(tmp_path, family, data, condition):
    runs = demo_runs(family, data, condition)
    plain = runs.answers.with_columns(PLAIN).filter(
        (pl.col("model") == "m") & (pl.col("draw") == 0)
    )
    made = Runs(runs.items, plain, runs.about)
    folder = stored(Runs(made.items, made.answers, about(made, [condition])), tmp_path / "runs")
    (page,) = family.pages(report_of(folder))
    assert page.finding.startswith("m ")
    assert "95 % interval" in page.doubt
    assert "mean of" not in page.finding
    built = build_report([folder], tmp_path / "out", Wanted())
    assert built.pages > 1
    assert not built.complaints or "table" not in " ".join(built.complaints)


def test_only_controls_say_nothing_of_a_model(tmp_path):
    runs = demo_runs(NOHARM_OPTIONS, "noharm_demo", "noharm_options")
    known = about(runs, ["noharm_options"], runs.models)
    folder = stored(Runs(runs.items, runs.answers, known), tmp_path / "runs")
    (page,) = NOHARM_OPTIONS.pages(report_of(folder))
    assert page.finding == "Only controls were asked: nothing is known of a model."
