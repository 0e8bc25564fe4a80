"""Pages of judged advice say what their tables say, and no more than the intervals carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import polars as pl
import pytest

from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.families.noharm_text.verdicts import Verdicts
from lm_eval_safescale.importing import import_noharm
from lm_eval_safescale.report.pages.overview import overview
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.sentences import percent, points
from tests.report.judged import JUDGE, MODELS, TEAM, judged_runs
from tests.report.making import report_of, stored
from tests.report.test_family_pages import figures_of, rows_of

ROOT = Path(__file__).resolve().parents[2]
SOLO = next(iter(MODELS))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return report_of(stored(judged_runs(), tmp_path_factory.mktemp("judged") / "runs"))


@pytest.fixture(scope="module")
def pages(report):
    return {page.name: page for page in NOHARM.pages(report)}


def made(tmp_path, **given):
    """The pages of other runs."""
    report = report_of(stored(judged_runs(**given), tmp_path / "runs"))
    return {page.name: page for page in NOHARM.pages(report)}, report


def test_there_is_a_page_for_all_that_was_asked(pages):
    *own, judge = pages
    assert own == ["omission-and-commission", "solo-and-team", "worst-answers"]
    assert judge == "judge"
    for name in own:
        assert f"Judged by {JUDGE}: the page on the judge says how far" in pages[name].doubt
        assert "Intervals over 8 cases are too narrow" in pages[name].doubt


def test_published_records_name_their_judge(tmp_path):
    kit = ROOT / "data/noharm_text_demo"
    runs = import_noharm(kit / "examples/hasty.jsonl", kit)
    report = report_of(stored(runs, tmp_path / "runs"))
    assert all(
        "Judged by a person: it was asked once" in page.doubt for page in NOHARM.pages(report)
    )
    assert overview(report).doubt.endswith("from 4 items of 4 cases.")


def worst_of(tmp_path, *several):
    """The page of these runs and of a model with one answer to a case."""
    kit = ROOT / "data/noharm_text_demo"
    given = (import_noharm(kit / "examples/hasty.jsonl", kit), *several)
    report = report_of(*(stored(runs, tmp_path / f"{n}") for n, runs in enumerate(given)))
    return {page.name: page for page in NOHARM.pages(report)}["worst-answers"], report


def test_the_mean_beside_the_worst_is_of_the_same_models(tmp_path):
    page, report = worst_of(tmp_path, judged_runs({"m": 0.5}))
    (mean,) = (
        row["value"]
        for row in report.rows("results", metric="f1_weighted", model="m")
        if row["group"] is None
    )
    assert page.finding.startswith(f"m has an F1 of {percent(mean)} on average")


def test_one_answer_to_a_case_is_no_worst_of_several(tmp_path):
    control = judged_runs({"nobody": 0.0})
    control.about["models"]["nobody"]["settings"]["backend"] = next(iter(CONTROLS))
    page, _ = worst_of(tmp_path, control)
    assert page.finding == "No model has several answers to a case: none is its worst."


def test_one_case_says_nothing_of_others(tmp_path):
    runs = judged_runs({"m": 0.5}, 0)
    first = pl.col("question_id").cast(pl.String).str.starts_with("Card001")
    one = replace(runs, answers=runs.answers.filter(first))
    pages = NOHARM.pages(report_of(stored(one, tmp_path / "runs")))
    doubts = {page.name: page.doubt for page in pages}
    assert doubts["omission-and-commission"].endswith(" One case says nothing of others.")
    assert doubts["judge"].startswith("Of 128 verdicts. ")


def test_harm_is_said_as_results_and_rates_have_it(report, pages):
    finding = pages["omission-and-commission"].finding
    results = [
        row["value"] for row in report.rows("results", metric="severe_rate") if not row["group"]
    ]
    assert f"in {percent(fmean(results))} of answers" in finding
    for kind in ("omission", "commission"):
        rates = [row["rate"] for row in report.rows("harm_rates", by=None, error=kind)]
        assert f"by {kind} in {percent(fmean(rates))}" in finding


def test_every_rate_of_the_table_is_drawn(report, pages):
    figures = figures_of(pages["omission-and-commission"])
    assert list(figures) == ["severity-harms", "specialty-harms", "perturbation-harms"]
    for name, figure in figures.items():
        known = [row for row in report.rows("harm_rates") if f"{row['by']}-harms" == name]
        for row, shown in zip(known, rows_of(figure.data), strict=True):
            assert shown == {column: row[column] for column in shown}
        drawn = [point for strip in figure.rows for point in strip.points if point.role != "mean"]
        assert len(drawn) == len(known)


def test_a_team_is_compared_with_its_advisor_as_paired_tests_has_it(report, pages):
    page = pages["solo-and-team"]
    figure = figures_of(page)["differences"]
    for row in rows_of(figure.data):
        assert (row["one"], row["other"]) == (TEAM, SOLO)
        (test,) = report.rows(
            "paired_tests", metric=row["metric"], left_model=SOLO, right_model=TEAM
        )
        assert row["delta"] == pytest.approx(-test["delta"])
        assert row["delta_lo"] == pytest.approx(-test["delta_hi"])
        assert row["delta_hi"] == pytest.approx(-test["delta_lo"])
        if row["metric"] == "severe_rate":
            assert row["delta_hi"] < 0
            assert f"{TEAM} does less severe harm than {SOLO}: {points(row['delta'])}" in (
                page.finding
            )


def test_a_team_that_two_judges_have_read_is_compared_judge_by_judge(tmp_path):
    names = {"solo (judged by a)": 0.4, "solo (judged by b)": 0.5}
    names |= {"team (judged by a)": 0.7, "team (judged by b)": 0.8}
    runs = judged_runs(names, 0)
    for name, known in runs.about["models"].items():
        of, judge = name.removesuffix(")").split(" (judged by ")
        reading = {"by": "judge", "judge": {"name": judge}}
        known["settings"] |= {"judged_model": of, "reading": reading}
        if of == "team":
            known["team"] = {"members": [{"name": "solo"}]}
    report = report_of(stored(runs, tmp_path / "runs"))
    (page,) = [page for page in NOHARM.pages(report) if page.name == "solo-and-team"]
    pairs = {(row["one"], row["other"]) for row in rows_of(figures_of(page)["differences"].data)}
    assert pairs == {(f"team (judged by {each})", f"solo (judged by {each})") for each in "ab"}
    assert page.finding.startswith("Of 2 comparisons, severe harm is less in ")


def test_cases_are_shown_with_both_values(report, pages):
    figure = figures_of(pages["solo-and-team"])["cases-1"]
    of = {
        model: {row["case"]: row["severe_rate"] for row in report.rows("noharm_cases", model=model)}
        for model in (TEAM, SOLO)
    }
    assert {(row["case"], row["one"], row["other"]) for row in rows_of(figure.data)} == {
        (case, of[TEAM][case], of[SOLO][case]) for case in of[SOLO]
    }
    assert sorted((point.y, point.x) for point in figure.points) == sorted(
        (of[TEAM][case], of[SOLO][case]) for case in of[SOLO]
    )


def test_models_alike_are_not_told_apart(tmp_path):
    pages, report = made(tmp_path, models={"one": 0.6, "two": 0.6}, draws=0, seed=14)
    page = pages["solo-and-team"]
    assert page.title == "Two models compared"
    (row,) = report.rows("paired_tests", metric="severe_rate")
    assert row["delta_lo"] <= 0 <= row["delta_hi"]
    assert "cannot be told apart in severe harm" in page.finding


def test_the_worst_answer_and_resilience_are_those_of_the_table(report, pages):
    page = pages["worst-answers"]
    figures = figures_of(page)
    rows = report.rows("noharm_cases", model=report.chosen)
    lowest = {row["case"]: (row["f1_floor"], row["f1_weighted"]) for row in rows}
    drawn = {
        strip.label: tuple(point.x for point in strip.points)
        for strip in figures["worst-by-case"].rows
    }
    assert drawn == lowest
    assert [strip.points[0].x for strip in figures["worst-by-case"].rows] == sorted(
        value for value, _ in lowest.values()
    )
    resilience = {
        case: fmean(row["resilience"] for row in report.rows("noharm_cases", case=case))
        for case in lowest
    }
    for strip in figures["resilience-by-case"].rows:
        assert strip.value == pytest.approx(resilience[strip.label])
    floors = [row["value"] for row in report.rows("results", metric="f1_floor") if not row["group"]]
    assert percent(fmean(floors)) in page.finding


def test_verdicts_that_turn_and_figures_that_move_are_those_of_the_table(report, pages):
    page, table = pages["judge"], report.rows("judge_reliability")
    verdicts = [row for row in table if row["what"] == "verdicts"]
    moved = [row for row in table if row["what"] == "metric"]
    assert page.finding == (
        f"Asked again, {JUDGE} turned {percent(fmean(row['flips'] for row in verdicts))} of its "
        "verdicts."
    )
    figures = figures_of(page)
    for name, rows in (("flips", verdicts), ("moves", moved)):
        known = [row for row in rows if row["flips" if name == "flips" else "delta"] is not None]
        for row, shown in zip(known, rows_of(figures[name].data), strict=True):
            assert shown == {column: row[column] for column in shown}
    assert {strip.label for strip in figures["moves"].rows} >= {"severe harm", "F1", "resilience"}


def test_a_judge_that_was_asked_once_is_said_to_be_unknown(tmp_path):
    runs = judged_runs({"one": 0.6}, 0)
    once = [replace(Verdicts.read(each), again=()).as_text() for each in runs.answers["response"]]
    answers = runs.answers.with_columns(response=pl.Series(once))
    folder = stored(Runs(runs.items, answers, runs.about), tmp_path / "runs")
    pages = {page.name: page for page in NOHARM.pages(report_of(folder))}
    assert "judge" not in pages
    assert f"Judged by {JUDGE}: it was asked once" in pages["worst-answers"].doubt


def test_one_model_has_its_interval_and_nobody_to_be_compared_with(tmp_path):
    pages, report = made(tmp_path, models={"one": 0.6}, draws=0)
    assert "solo-and-team" not in pages
    page = pages["omission-and-commission"]
    (row,) = [row for row in report.rows("results", metric="severe_rate") if not row["group"]]
    assert page.finding.startswith(f"one does severe harm in {percent(row['value'])}")
    assert page.doubt.startswith("95 % interval over cases: ")


def test_nothing_scored_is_no_page(tmp_path):
    pages, _ = made(
        tmp_path, models={"one": 0.6}, draws=0, statuses=dict.fromkeys(range(32), "error")
    )
    assert pages == {}
