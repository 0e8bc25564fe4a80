"""The pages scale, compute, context and worst cases: every number is a table's cell, and runs that
lack something get a sentence and no empty frame.
"""

from __future__ import annotations

import re
from typing import ClassVar

import polars as pl
import pytest

from lm_eval_safescale.figures import Heat, Plot, Strips
from lm_eval_safescale.report.cases.links import link
from lm_eval_safescale.report.pages.compute import compute
from lm_eval_safescale.report.pages.context import context
from lm_eval_safescale.report.pages.scale import scale
from lm_eval_safescale.report.pages.worst_cases import (
    worst_cases,
)
from lm_eval_safescale.runs import Runs
from tests.report.making import drawn_runs, replace_answers, report_of, stored

PAGES = {"scale": scale, "compute": compute, "context": context, "worst_cases": worst_cases}


def made(folder, **kwargs):
    """The report of drawn runs."""
    return report_of(stored(drawn_runs(**kwargs), folder))


def figures_of(page):
    return [figure for section in page.sections for figure in section.figures]


def numbers_of(figure):
    """Every number that is drawn as data, with its bounds."""
    if isinstance(figure, Plot):
        for point in figure.points:
            yield from (point.x, point.y, point.x_low, point.x_high, point.y_low, point.y_high)
        for line in figure.lines:
            yield from (each for place in line.points for each in place)
            yield from (each for place in line.band for each in place)
    elif isinstance(figure, Strips):
        for row in figure.rows:
            yield row.value
            for point in row.points:
                yield from (point.x, point.x_low, point.x_high)
    else:
        yield from (value for row in figure.values for value in row)


def table_cells(report):
    """Every number of every table of the analysis."""
    found = set()
    for name in report.tables:
        for row in report.rows(name):
            found |= {value for value in row.values() if isinstance(value, int | float)}
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_figures_that_say_something_and_names_that_differ(many, name):
    page = PAGES[name](many)
    figures = figures_of(page)
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    for text in (page.finding, page.doubt, *(figure.title for figure in figures)):
        assert text.endswith("."), text
        assert text[0].isupper() or text[0].isdigit(), text
    for figure in figures:
        shown = 4 if figure.name.startswith("size ") else 5  # one has no known size
        how_many = f"40 items, {shown} models, K\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}5."
        assert how_many in figure.caption


@pytest.mark.parametrize("name", PAGES)
def test_everything_that_is_drawn_stands_in_the_table_of_its_figure(many, name):
    places = set(range(100))  # of categories
    for figure in figures_of(PAGES[name](many)):
        cells = {value for row in figure.data.rows for value in row}
        drawn = {value for value in numbers_of(figure) if value is not None}
        assert drawn - cells - places == set(), figure.name
        assert all(len(row) == len(figure.data.columns) for row in figure.data.rows)
        assert len(figure.data.cases) in (0, len(figure.data.rows))


@pytest.mark.parametrize("name", PAGES)
def test_every_value_of_a_figure_is_a_cell_of_a_table_of_the_analysis(many, name):
    cells = table_cells(many)
    computed = {"of_items"}  # items / all items
    for figure in figures_of(PAGES[name](many)):
        for row in figure.data.rows:
            if row[0] == "(line of all)":
                continue
            for column, value in zip(figure.data.columns, row, strict=True):
                if isinstance(value, int | float) and column.name not in computed:
                    size = column.name == "parameters_b"
                    assert size or value in cells, (figure.name, column.name, value)


@pytest.mark.parametrize("name", PAGES)
def test_every_value_with_an_interval_says_so_in_its_table(many, name):
    for figure in figures_of(PAGES[name](many)):
        names = {column.name for column in figure.data.columns}
        bounded = [column for column in figure.data.columns if column.low]
        assert bounded
        assert all({column.low, column.high} <= names for column in bounded)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_view_that_cases_know(many, name):
    page = PAGES[name](many)
    tables = [figure.data for figure in figures_of(page)]
    tables += [section.data for section in page.sections if section.data is not None]
    for table in tables:
        for column in table.columns:
            for filters in filter(None, table.cases if column.cases is not None else ()):
                assert link({**filters, **column.cases}).startswith("cases.html")


# --- runs that lack something ---------------------------------------------------------------------

ODD = {
    "one model": {"models": ("Qwen3-4B",)},
    "one condition": {"conditions": ("closed_book",)},
    "one of both": {"models": ("unknown/model",), "conditions": ("clean",)},
    "no samples": {"draws": 0},
    "one sample": {"draws": 1},
    "no labels": {"labels": False},
    "one item": {"n": 1},
    "unknown models": {"models": ("unknown/model",)},
    "one family": {"models": ("Qwen3-4B", "Qwen3-32B")},
}

ODD_WORDS = re.compile(r"\b1 (models|items|conditions|families)\b|None|\bnan\b|  ")


def failed(runs: Runs) -> Runs:
    """Nothing was answered."""
    answers = runs.answers.with_columns(
        response=pl.lit(None).cast(runs.answers.schema["response"]),
        status=pl.lit("error").cast(runs.answers.schema["status"]),
    )
    return replace_answers(runs, answers)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("odd", [*ODD, "nothing scored", "controls alone"])
def test_what_cannot_be_drawn_leaves_a_sentence_and_no_empty_frame(tmp_path, name, odd):
    runs = drawn_runs(**ODD.get(odd, {}))
    if odd == "controls alone":
        for known in runs.about["models"].values():
            known["settings"] = {"backend": "choose-at-random"}
    given = failed(runs) if odd == "nothing scored" else runs
    page = PAGES[name](report_of(stored(given, tmp_path / "r")))
    if page is None:
        assert name in ("context", "scale")
        return
    assert page.finding.endswith(".")
    for section in page.sections:
        assert section.figures or section.lead or (section.data and section.data.rows), section
    for figure in figures_of(page):
        shown = (
            figure.values
            if isinstance(figure, Heat)
            else (figure.rows if isinstance(figure, Strips) else [*figure.points, *figure.lines])
        )
        assert shown, figure.name
        for text in (figure.title, figure.caption):
            assert not ODD_WORDS.search(text), text
            assert text.endswith(".")


def test_a_page_that_misses_sizes_says_how_to_name_them(tmp_path):
    unknown = ("one", "other")
    page = scale(made(tmp_path / "r", models=unknown, names=unknown))
    assert page.doubt == (
        "The size of none of the 2 models is known. A panel file that names each model's family "
        "and size would bring them in."
    )
    assert page.sections[0].lead.startswith("No model of these runs has a known size.")


def test_one_model_alone_has_no_page_of_scale(tmp_path):
    assert scale(made(tmp_path / "r", models=("Qwen3-4B",))) is None


NEAR = ("gemma-3-27b-it", "gemma-4-31B-it")


def test_no_slope_is_shown_of_sizes_within_a_factor_of_two(tmp_path):
    report = made(tmp_path / "r", models=NEAR, names=NEAR)
    page = scale(report)
    (slopes,) = (each for each in page.sections if each.title.startswith("Slopes"))
    (column,) = (n for n, each in enumerate(slopes.data.columns) if each.name == "slope")
    assert {row[column] for row in slopes.data.rows} == {None}
    assert "a factor of 2" in slopes.note
    assert not [
        line
        for figure in figures_of(page)
        if isinstance(figure, Plot)
        for line in figure.lines
        if line.role == "mean"
    ]


def test_recall_is_read_from_stored_runs(many):
    titles = [section.title for section in context(many).sections]
    assert "By recall" in titles


def test_a_page_without_samples_says_what_to_do(tmp_path):
    page = compute(made(tmp_path / "r", draws=0))
    assert page.finding == "No model was asked more than once: what voting buys is not known."
    assert "Run again with draws" in page.doubt


def test_an_ensemble_that_cannot_be_says_why(tmp_path):
    page = compute(made(tmp_path / "r"))
    (section,) = [each for each in page.sections if "vote together" in each.title]
    assert section.lead.startswith("No ensemble has answers of all its members in these runs (")
    assert "no answers of" in section.lead


def test_families_get_what_applies_to_them(many):
    class Bare(type(many.family)):
        tables: ClassVar = {}
        studied = ()
        rates = ()

    bare = _Fake(many, Bare())
    assert [page(bare) for page in PAGES.values()] == [None] * 4


class _Fake:
    """A report of another family."""

    def __init__(self, report, family):
        self._report, self.family = report, family

    def __getattr__(self, name):
        return getattr(self._report, name)
