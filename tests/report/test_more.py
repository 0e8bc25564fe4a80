"""Sections of plugins in the report and in `safescale table`: those of today as they were, those
with figures drawn, a broken one alone missing and said.
"""

from __future__ import annotations

import math

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, open_runs
from lm_eval_safescale.cli import app
from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Plot, Point, with_bounds
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.report.building import Wanted, build_report
from lm_eval_safescale.report.pages.more import more
from lm_eval_safescale.report.plugged import rows_of_runs
from lm_eval_safescale.sections import Page, ReportSection, Section, checked
from lm_eval_safescale.testing import ContractError, check_report_section
from tests.report.making import drawn_runs, report_of, stored
from tests.report.studies import HOSTILE

MODELS = ("Qwen3-4B", "unknown/model")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return stored(drawn_runs(models=MODELS), tmp_path_factory.mktemp("runs") / "runs")


@pytest.fixture
def registered(monkeypatch):
    """Sections as plugins register them, in place of our own."""

    def use(**makes):
        plugin = plugins().found[0]
        others = [part for part in plugin.parts if part.kind != "report section"]
        parts = [
            Part("report section", name, ReportSection(name, "", make), "some-plugin", "1.2")
            for name, make in makes.items()
        ]
        for each in plugins().found:
            own = [part for part in each.parts if part.kind != "report section"]
            monkeypatch.setattr(each, "parts", own)
        monkeypatch.setattr(plugin, "parts", [*others, *parts])

    return use


def of_today(rows):
    """As a plugin of an earlier version makes one: texts in columns, values from the rows."""
    cells = tuple(
        (row.condition, str(row.items), f"{100 * row.values['accuracy'][0]:.1f}") for row in rows
    )
    return Section("Accuracy again", ("condition", "items", "accuracy %"), cells, "A note.")


def figure(x=0.5, name="dots", data=None):
    data = data or DataTable((DataColumn("a"), *with_bounds("b")), [("x", 0.5, 0.4, 0.6)])
    return Plot(
        name, "One dot at 0.5.", "A dot is a number.", Axis("x"), Axis("y"), data, [Point(x, 0.5)]
    )


def drawing(rows):
    return Section("Drawn", lead="One dot.", figures=(figure(),), data=figure().data)


def test_a_section_of_today_stands_in_the_report_with_the_rows_of_stored_runs(runs, registered):
    registered(again=of_today)
    report = report_of(runs)
    page = more(report)
    assert [section.title for section in page.sections] == [
        "Accuracy again: Qwen3-4B", "Accuracy again: unknown/model"
    ]  # fmt: skip
    for section, model in zip(page.sections, MODELS, strict=True):
        expected = [
            (row["condition"], "24", f"{100 * row['accuracy']:.1f}")
            for row in report.rows("profile", model=model)
        ]
        assert list(section.rows) == expected
        assert section.note == "A note."
    assert page.doubt.startswith("Made by some-plugin 1.2")


def test_rows_of_stored_runs_have_values_errors_statuses_and_settings(runs):
    rows = rows_of_runs(Study(open_runs(runs)))
    assert list(rows) == list(MODELS)
    row = rows["Qwen3-4B"][0]
    assert (row.condition, row.dataset, row.family) == ("closed_book", "drawn 1", "radsafe")
    assert (row.items, row.of_items, row.demo, row.is_human) == (24, 24, False, False)
    value, error = row.values["accuracy"]
    assert error == pytest.approx(math.sqrt(value * (1 - value) / 23))
    unanswered, _ = row.values["unanswered"]
    assert row.statuses == ({"unanswered": round(24 * unanswered)} if unanswered else {})
    assert row.settings["overconfidence_threshold"] == 0.8


def test_what_is_alike_for_all_models_is_shown_once(runs, registered):
    registered(same=lambda rows: Section("Same", ("a",), (("b",),)))
    (section,) = more(report_of(runs)).sections
    assert section.title == "Same"


def test_figures_and_tables_of_a_section_are_drawn_and_saved(runs, registered, tmp_path):
    registered(drawn=drawing)
    build_report([runs], tmp_path / "out", Wanted())
    page = (tmp_path / "out" / "more.html").read_text("utf-8")
    assert "<svg" in page
    assert "One dot at 0.5." in page
    assert any(path.name.startswith("more-") for path in (tmp_path / "out" / "tables").iterdir())


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: 1 / 0,
        lambda rows: "text",
        lambda rows: Section("Empty"),
        lambda rows: Section("Ragged", ("a", "b"), (("c",),)),
        lambda rows: Section("No figure", figures=("a",)),
        lambda rows: Section("Not finite", figures=(figure(math.nan),)),
        lambda rows: Section("Twice", figures=(figure(), figure())),
        lambda rows: Section("Ragged", data=DataTable((DataColumn("a"),), [(1, 2)])),
        lambda rows: Section("Nobody's", data=DataTable((DataColumn("a", low="b"),), [])),
        lambda rows: exec("raise SystemExit(3)"),
    ],
)
def test_a_broken_section_costs_only_itself_and_is_said(runs, registered, tmp_path, make):
    registered(broken=make, sound=of_today)
    page = more(report_of(runs))
    broken, *sound = page.sections
    assert broken.title == "broken"
    assert broken.lead.startswith("report section broken (some-plugin 1.2) failed: ")
    assert [section.title.partition(":")[0] for section in sound] == ["Accuracy again"] * 2
    assert "1 section failed" in page.doubt
    build_report([runs], tmp_path / "out", Wanted())
    assert "some-plugin 1.2) failed" in (tmp_path / "out" / "more.html").read_text("utf-8")


def test_what_a_section_says_besides_is_passed_on(runs, registered):
    registered(folded=lambda rows: Section("Long", ("a",), (("b",),), folded=True))
    assert more(report_of(runs)).sections[0].folded


def test_hostile_texts_of_a_section_are_texts(runs, registered, tmp_path):
    cells = tuple((text,) for text in HOSTILE)
    registered(odd=lambda rows: Section(HOSTILE[0], (HOSTILE[1],), cells, lead=HOSTILE[2]))
    build_report([runs], tmp_path / "out", Wanted())
    page = (tmp_path / "out" / "more.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_without_sections_there_is_no_such_page(runs, registered):
    registered(silent=lambda rows: None)
    assert more(report_of(runs)) is None


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        (lambda self, report: {}["no such column"], "no such column"),
        (lambda self, report: exec("raise SystemExit(3)"), "SystemExit"),
        (
            lambda self, report: [
                Page("a", "A", "A.", sections=(Section("b", figures=(figure(math.nan),)),))
            ],
            "has no finite place",
        ),
    ],
)
def test_pages_of_a_family_that_fail_leave_a_sentence(runs, monkeypatch, tmp_path, pages, why):
    monkeypatch.setattr(type(report_of(runs).family), "pages", pages)
    built = build_report([runs], tmp_path / "out", Wanted())
    (complaint,) = [each for each in built.complaints if each.startswith("page radsafe could not")]
    assert why in complaint
    assert "could not be made" in (tmp_path / "out" / "failed-radsafe.html").read_text("utf-8")


# --- the same in `safescale table`, and the check for authors -------------------------------------


def test_a_section_with_data_alone_is_a_table_on_the_screen(registered, tmp_path):
    from tests.cli.test_contexts_command import result_file

    registered(drawn=drawing, words=lambda rows: Section("Words", lead="Nothing but words."))
    shown = CliRunner().invoke(app, ["table", str(result_file(tmp_path))])
    assert shown.exit_code == 0, shown.output
    assert "50.0 [40.0 to 60.0]" in shown.output
    assert "Nothing but words." in shown.output
    assert "<svg" not in shown.output


def test_the_check_takes_sections_with_figures_and_names_the_clause_that_is_broken():
    def whole(rows):
        return drawing(rows) if rows else None

    made = check_report_section(ReportSection("a", "about", whole))
    assert made == checked(drawing([]))
    for make, clause in (
        (lambda rows: "text", "can be shown, or None"),
        (lambda rows: Section("x", figures=(figure(math.inf),)), "no finite place"),
        (lambda rows: rows.clear(), "leaves the rows as they are"),
        (lambda rows: of_today(rows), "where nothing was scored"),
    ):  # fmt: skip
        with pytest.raises(ContractError, match=clause):
            check_report_section(ReportSection("a", "about", make))
    with pytest.raises(ContractError, match="has a description"):
        check_report_section(ReportSection("a", " ", whole))
