"""The pages *decoupling* and *confidence*: their words and tables are the numbers of `analyze`."""

from __future__ import annotations

import re

import pytest

from lm_eval_safescale.figures import Heat, Plot, Strips
from lm_eval_safescale.report.drawing import Palette, draw
from lm_eval_safescale.report.pages.confidence import confidence
from lm_eval_safescale.report.pages.decoupling import decoupling
from lm_eval_safescale.sentences import percent, points
from tests.report.making import MODELS, drawn_runs, report_of, stored

PAGES = (decoupling, confidence)


def made(folder, **wanted):
    return report_of(stored(drawn_runs(**wanted), folder))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return made(tmp_path_factory.mktemp("drawn"))


def figures(page):
    return {figure.name: figure for section in page.sections for figure in section.figures}


def mean_of(report, metric, condition):
    (row,) = report.rows("model_means", metric=metric, condition=condition, family="all")
    return row["mean"]


@pytest.mark.parametrize("page", PAGES)
def test_cells_of_tables_are_those_of_profile(report, page):
    profile = {
        (row["model"], report.words(row["condition"])): row for row in report.rows("profile")
    }
    checked = 0
    for figure in figures(page(report)).values():
        names = [column.name for column in figure.data.columns]
        for row in figure.data.rows:
            told = dict(zip(names, row, strict=True))
            own = profile.get((told.get("model"), told["condition"]))
            if own is None or "n" not in told:
                continue
            for name in set(names) - {"model", "condition"}:
                assert told[name] == own[name]
                checked += 1
    assert checked > 100


@pytest.mark.parametrize("page", PAGES)
def test_everything_drawn_stands_in_the_table(report, page):
    for figure in figures(page(report)).values():
        cells = {cell for row in figure.data.rows for cell in row if isinstance(cell, float)}
        if isinstance(figure, Plot) and figure.name != "parallel":
            drawn = {value for point in figure.points for value in (point.x, point.y)}
        elif isinstance(figure, Strips):
            drawn = {point.x for row in figure.rows for point in row.points}
        elif isinstance(figure, Heat):
            drawn = {value for row in figure.values for value in row if value is not None}
        else:
            continue
        assert drawn <= cells


def test_the_finding_is_the_change_of_the_means(report):
    found = decoupling(report).finding
    for metric in ("accuracy", "high_risk_error"):
        for condition in ("closed_book", "clean"):
            assert percent(mean_of(report, metric, condition)) in found
    assert points(mean_of(report, "accuracy", "clean - closed_book")) in decoupling(report).doubt


def test_the_headline_counts_results_in_the_region(report):
    rows = report.rows("profile")
    inside = sum(row["accuracy"] >= 0.9 and row["high_risk_error"] <= 0.05 for row in rows)
    title = figures(decoupling(report))["accuracy-high_risk_error"].title
    assert f"; {inside} of {len(rows)} results of single models" in title


def test_an_arrow_is_a_model_from_one_condition_to_the_other(report):
    plot = figures(decoupling(report))["closed_book-clean"]
    by_place = {(row["model"], row["condition"]): row for row in report.rows("profile")}
    assert len(plot.lines) == len(MODELS)
    for line in plot.lines:
        model = line.label.split(":")[0]
        assert list(line.points) == [
            (by_place[model, where]["accuracy"], by_place[model, where]["high_risk_error"])
            for where in ("closed_book", "clean")
        ]
    rises = sum(line.points[1][0] > line.points[0][0] for line in plot.lines)
    said = "all 4 models" if rises == 4 else f"{rises} of 4 models"
    assert f"accuracy rises in {said}" in plot.title


def test_every_mean_has_its_interval(report):
    means = [
        point
        for figure in figures(decoupling(report)).values()
        for point in figure.points
        if point.role == "mean"
    ]
    bounded = [point for point in means if None not in (point.x_low, point.y_low)]
    assert len(bounded) > len(means) / 2  # the others do not vary: no resample differs
    for point in bounded:
        assert point.x_low <= point.x <= point.x_high
        assert point.y_low <= point.y <= point.y_high


def test_confidence_by_outcome_is_said_as_the_table_has_it(report):
    (row,) = report.rows("confidence_by_outcome", model=None, condition="closed_book")
    found = confidence(report).finding
    assert percent(row["correct"]) in found
    assert percent(row["high_risk_error"]) in found


def test_counts_of_improved_and_worse_are_those_of_the_rows(report):
    figure = figures(confidence(report))["dangerous_overconfidence-closed_book-clean"]
    assert len(figure.rows) == len(MODELS)
    ends = [[point.x for point in row.points] for row in figure.rows]
    better, worse = (sum(sign * (after - before) > 0 for before, after in ends) for sign in (-1, 1))
    assert (
        "stays as it is in all 4 models" in figure.title
        if better == worse == 0
        else str(better) in figure.title and str(worse) in figure.title.replace("none", "0")
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {"models": MODELS[:1]},
        {"models": MODELS[:1], "conditions": ("clean",)},
        {"conditions": ("rag",)},
        {"models": MODELS[:2]},
        {"labels": False},
        {"draws": 0},
    ],
    ids=["one model", "one result", "one condition", "two models", "no labels", "no samples"],
)
def test_pages_of_little_make_sense(tmp_path, wanted):
    report = made(tmp_path, **wanted)
    palette = Palette.of(report.family)
    for page in filter(None, (make(report) for make in PAGES)):
        assert page.sections
        for figure in figures(page).values():
            assert figure.data.rows
            assert draw(figure, palette)
        said = [page.finding, page.doubt]
        said += [text for each in figures(page).values() for text in (each.title, each.caption)]
        for text in filter(None, said):
            assert text.endswith(".")
            assert text[0] == text[0].upper() or text.startswith(tuple(report.models))
            assert "not scored" not in text
            assert not re.search(r"(?<![\d.,])1 (models|items|points)\b|\bnan\b|None|  |\.\.", text)


def test_names_of_figures_are_each_of_one(report):
    for page in PAGES:
        all_of_them = [each for section in page(report).sections for each in section.figures]
        assert len(figures(page(report))) == len(all_of_them)


def test_without_labels_there_is_no_risk_to_draw(tmp_path):
    assert decoupling(made(tmp_path, labels=False)) is None


def test_without_samples_there_is_no_confidence(tmp_path):
    assert confidence(made(tmp_path, draws=0)) is None
