"""Tables sort, filter and turn their pages; what a page offers to save is what it shows; the theme
stays; by the keyboard as by the mouse, and on paper."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.report.browser.test_pages import pages_of

VALUES = """table => [...table.tBodies[0].rows]
  .map(row => Number(row.querySelector('td.number[data-order]').dataset.order))"""
NAMES = "table => [...table.tBodies[0].rows].map(row => row.cells[1].textContent)"


@pytest.fixture
def overview(report_of, open_page):
    """The first page of the wide study; the tables of its figures are open."""
    page = open_page(report_of("wide") / "index.html", viewport={"width": 1280, "height": 900})
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")
    return page


@pytest.fixture
def block(overview):
    """A table with more rows than are shown at once."""
    return overview.locator("div.table", has=overview.get_by_text("Next rows")).first


def test_a_head_sorts_its_column_there_and_back_and_gives_the_order_of_before(block):
    table = block.locator("table")
    before = table.evaluate(VALUES)
    head = table.locator("thead th.number").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = table.evaluate(VALUES)
    assert down == sorted(down, reverse=True)
    assert down != before
    head.get_by_role("button").click()
    up = table.evaluate(VALUES)
    assert up == sorted(up)
    assert up[0] <= min(down)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert table.evaluate(VALUES) == before


def test_a_filter_leaves_the_rows_that_hold_its_text(block):
    table, name = block.locator("table"), "Llama-3.3"
    block.get_by_label("Filter rows").fill(name)
    block.get_by_text(re.compile(r"^\d+ of \d+ rows$")).wait_for()
    names = table.evaluate(NAMES)
    assert names
    assert all(name in each for each in names)
    block.get_by_label("Filter rows").fill("no such text")
    block.get_by_text(re.compile(r"^0 of \d+ rows$")).wait_for()
    assert table.evaluate(NAMES) == []


def test_the_pages_of_a_table_hold_each_row_once(block):
    table = block.locator("table")
    rows = "table => [...table.tBodies[0].rows].map(row => row.textContent)"
    found = table.evaluate(rows)
    while block.get_by_text("Next rows").is_enabled():
        block.get_by_text("Next rows").click()
        found += table.evaluate(rows)
    (of,) = re.findall(r"of (\d+)$", block.get_by_role("status").inner_text())
    assert len(found) == len(set(found)) == int(of)


def test_a_figure_is_saved_as_png_and_as_svg_that_stands_alone(overview, report_of):
    figure = overview.locator("figure:has(svg)").first
    with overview.expect_download() as saved:
        figure.get_by_role("button", name="PNG").click()
    picture = saved.value.path().read_bytes()
    assert saved.value.suggested_filename.endswith(".png")
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    address = figure.get_by_role("link", name="SVG").get_attribute("href")
    drawing = ElementTree.fromstring((report_of("wide") / address).read_text("utf-8"))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in ElementTree.tostring(drawing, "unicode"), "a colour that only pages know"


@pytest.mark.parametrize("words", ["SVG", "CSV"])
def test_a_link_saves_the_file_or_shows_it(overview, words):
    link = overview.get_by_role("link", name=words, exact=True).first
    end = f".{words.lower()}"
    assert link.get_attribute("href").endswith(end)
    assert link.get_attribute("download") is not None


def test_the_theme_follows_the_reader_and_is_the_same_on_the_next_page(report_of, open_page):
    report = report_of("wide")
    page = open_page(report / "index.html")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    button = page.get_by_role("button", name="Theme")
    while "dark" not in button.inner_text():
        button.click()
    dark = page.evaluate(colour)
    assert dark != light
    page.goto(pages_of(report)[0].as_uri())
    assert page.evaluate(colour) == dark
    by_system = open_page(report / "index.html", dark=True)
    assert by_system.evaluate(colour) == dark


def test_the_keyboard_alone_skips_to_the_content_sorts_and_filters(report_of, open_page):
    page = open_page(report_of("middle") / "index.html")
    page.keyboard.press("Tab")
    focused = "document.activeElement.textContent.trim()"
    assert page.evaluate(focused) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
        if page.evaluate("document.activeElement.matches('summary')"):
            page.keyboard.press("Enter")
        if page.evaluate("document.activeElement.matches('thead button')"):
            break
    assert {"A", "SUMMARY", "INPUT", "BUTTON"} <= reached
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('th').ariaSort") in (
        "ascending",
        "descending",
    )
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_on_paper_there_are_no_controls_and_no_dark_ground(report_of, open_page):
    page = open_page(report_of("middle") / "index.html", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    for control in ("button.theme", "nav[aria-label=Pages]", ".tools", "button.png"):
        assert not [each for each in page.locator(control).all() if each.is_visible()], control
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    )
    assert page.locator("main h1").is_visible()
    drawings = page.locator("figure").first.locator(".drawing svg").all()
    assert sum(drawing.is_visible() for drawing in drawings) == 1


@pytest.mark.parametrize(("width", "in_a_row"), [(1280, 2), (820, 1), (360, 1)])
def test_figures_stand_two_in_a_row_where_there_is_room(width, in_a_row, report_of, open_page):
    page = open_page(report_of("middle") / "index.html", viewport={"width": width, "height": 900})
    tops = page.eval_on_selector_all(
        "section.panel", "all => all.map(each => Math.round(each.getBoundingClientRect().top))"
    )
    assert len(tops) > 2
    assert tops.count(tops[0]) == in_a_row
