"""The page overview: every number is one of the tables', and its sentences fit any study."""

from __future__ import annotations

import math
import re

import polars as pl
import pytest

from lm_eval_safescale.analysis import Study, about, make_tables, preset_named
from lm_eval_safescale.report.building import Wanted, build_report
from lm_eval_safescale.report.pages.groups import groups
from lm_eval_safescale.report.pages.overview import overview
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.runs import Runs
from tests.report.making import MODELS, drawn_runs, stored


def report_of(runs, **kwargs) -> Report:
    study, preset = Study(runs, **kwargs), preset_named("default")
    tables, failed = make_tables(study, preset)
    assert not failed
    return Report(study, preset, tables, failed, about(study, preset.name))


SHAPES = {
    "one": {"models": MODELS[:1], "conditions": ("closed_book",)},
    "one model": {"models": MODELS[:1]},
    "one condition": {"conditions": ("rag",)},
    "many": {"n": 200},
    "near": {"n": 60},
    "other conditions": {"conditions": ("rag", "agentic")},
    "no samples": {"draws": 0},
    "no labels": {"labels": False},
    "two items": {"n": 2},
}


@pytest.fixture(scope="module", params=SHAPES)
def report(request):
    return report_of(drawn_runs(**SHAPES[request.param]))


def rows_of(data):
    return [
        dict(zip([column.name for column in data.columns], row, strict=True)) for row in data.rows
    ]


def cell(report, model, condition, metric):
    (row,) = report.rows(
        "results", model=model, condition=condition, metric=metric, group_name=None
    )
    return [row["value"], row["lo"], row["hi"]]


def test_every_number_of_a_figure_is_that_of_results(report):
    names = {report.words(each): each for each in report.conditions}
    metrics = {report.words(each): each for each in report.family.headlines}
    seen = 0
    for section in overview(report).sections:
        for figure in section.figures:
            for row in rows_of(figure.data):
                given = [row["value"], row["lo"], row["hi"]]
                if "metric" in row:
                    metric = metrics[row["metric"]]
                    assert given == cell(report, report.chosen, report.conditions[0], metric)
                elif row["model"] in report.models:
                    assert given == cell(report, row["model"], names[row["condition"]], figure.name)
                else:
                    (mean,) = report.rows(
                        "model_means",
                        metric=figure.name,
                        family="all",
                        condition=names[row["condition"]],
                    )
                    assert given == [mean["mean"], mean["mean_lo"], mean["mean_hi"]]
                seen += 1
    assert seen


def test_every_number_of_the_tables_is_that_of_results(report):
    words = {report.words(each): each for each in report.family.headlines}
    names = {report.words(each): each for each in report.conditions}
    seen = 0
    for section in overview(report).sections:
        if section.data is None or not section.title.startswith("Every "):
            continue
        metric = words.get(section.title.partition(": ")[2])
        for row in rows_of(section.data):
            for name in row:
                if name.endswith(("_lo", "_hi")) or f"{name}_lo" not in row:
                    continue
                given = [row[name], row[f"{name}_lo"], row[f"{name}_hi"]]
                model = row.get("model", report.chosen)
                condition = (
                    name
                    if metric
                    else names[row["condition"]]
                    if "condition" in row
                    else (report.conditions[0])
                )
                assert given == cell(report, model, condition, metric or name)
                seen += 1
    assert seen


def test_pages_say_their_finding_and_no_figure_is_empty(report):
    for page in (overview(report), groups(report)):
        told = [page.finding, page.doubt]
        told += [each.title for section in page.sections for each in section.figures]
        told += [each.caption for section in page.sections for each in section.figures]
        assert page.finding
        for sentence in told:
            assert not re.search(r"\bnan\b|None|_|\{|  ", sentence.replace("unknown/model", "M")), (
                sentence
            )
        for section in page.sections:
            for figure in section.figures:
                assert any(strip.points for strip in figure.rows)
                for strip in figure.rows:
                    assert all(math.isfinite(point.x) for point in strip.points)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("one", r"^Qwen3-4B: high-risk error [\d.]+\s%, closed-book$"),
        ("one model", r"^High-risk error (is|falls|rises)[^,]*$"),
        ("many", r"^High-risk error falls from .* \(closed-book\) to .* mean of 4 models$"),
        ("near", r"^High-risk error is .* and .*, mean of 4 models: no clear difference$"),
        ("one condition", r"^High-risk error, standard RAG, goes from .* over 4 models$"),
        ("other conditions", r"^High-risk error is lowest with .*, mean of 4 models$"),
        ("no labels", r"^Unanswered "),
    ],
)
def test_the_headline_is_made_from_the_numbers(shape, expected):
    assert re.search(expected, overview(report_of(drawn_runs(**SHAPES[shape]))).finding)


@pytest.mark.parametrize("models", [MODELS[:1], MODELS[:2]])
def test_controls_alone_are_told_by_their_own_numbers(models):
    runs = drawn_runs(models=models, n=60)
    for model in models:
        runs.about["models"][model]["settings"]["backend"] = "choose-at-random"
    report = report_of(runs)
    finding = overview(report).finding
    names = {report.words(each): each for each in report.conditions}
    told = re.findall(r"([\d.]+)\s%", finding)
    assert told
    of_condition = re.findall(r"with ([^()]+) \(([\d.]+)\s%\)", finding)
    of_model = re.findall(r"([\d.]+)\s% \(([^()]+)\)", finding)
    own = {
        (row["model"], row["condition"]): f"{100 * row['high_risk_error']:.1f}"
        for row in report.rows("profile")
    }
    if len(models) == 1:
        assert [own[models[0], names[words]] for words, _ in of_condition] == told
    else:
        assert [own[model, "closed_book"] for _, model in of_model] == told


def test_means_over_different_models_are_said_to_be():
    runs = drawn_runs(n=60)
    asked = runs.answers.filter((pl.col("model") != MODELS[0]) | (pl.col("condition") != "clean"))
    page = overview(report_of(Runs(runs.items, asked, runs.about)))
    assert "Not of the same models: 4 were asked under closed-book, 3 under clean" in page.doubt


def test_of_one_model_the_doubt_is_of_one_model():
    doubt = overview(report_of(drawn_runs(**SHAPES["one model"]))).doubt
    assert re.search(r"It is( not)? beyond chance \(p < 0.05, Holm over the model's pairs\)", doubt)
    assert "models" not in doubt


def test_what_cannot_be_scored_is_said_with_the_reason():
    page = overview(report_of(drawn_runs(labels=False)))
    (section,) = [each for each in page.sections if each.title == "What is not scored, and why"]
    assert any("no labels" in reason for reason, _ in section.rows)
    assert not any(each.title == "High-risk error" for each in page.sections)


def test_published_means_stand_only_beside_the_data_they_are_of():
    drawn = drawn_runs()
    assert not any("published" in each.title for each in overview(report_of(drawn)).sections)
    drawn.about["dataset"]["name"] = "RadSaFE-200"
    page = overview(report_of(drawn))
    (section,) = [each for each in page.sections if "published" in each.title]
    told = {(row["condition"], row["metric"]): row for row in rows_of(section.data)}
    assert told["closed-book", "accuracy"]["published"] == 0.735
    assert ("standard RAG", "high-risk error") not in told  # not published


def test_names_of_a_run_are_text_in_every_page(tmp_path):
    hostile = '<script>alert(1)</script>" onload="x\' javascript:alert(1) \u202eabc {{ 7*7 }}'
    runs = stored(drawn_runs(models=(hostile, "b"), names=(hostile, "b")), tmp_path / "runs")
    build_report([runs], tmp_path / "out", Wanted())
    pages = sorted((tmp_path / "out").glob("*.html"))
    assert len(pages) > 3
    for page in pages:
        text = page.read_text("utf-8")
        assert "<script>alert" not in text
        assert 'onload="x' not in text
        assert "49 " not in re.findall(r"abc (.{0,12})", text)
        for href in re.findall(r'href="([^"]*)"', text):
            assert not href.lower().strip().startswith("javascript:")
    assert "&lt;script&gt;alert(1)" in (tmp_path / "out" / "index.html").read_text("utf-8")
