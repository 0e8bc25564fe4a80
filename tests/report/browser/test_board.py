"""A board in the browser: its numbers are those that `verify` recomputes, it sorts, filters and
leads to each model and back, and what submissions say of themselves is text."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.verify import Verdicts, verify_submission
from tests.report import studies
from tests.report.browser.test_pages import CELLS, same

STANDING = "div.table:has(caption:text('Every submission'))"
COLUMN = "(table, at) => [...table.tBodies[0].rows].map(row => row.cells[at].dataset.order ?? '')"
NAMES = "table => [...table.tBodies[0].rows].map(row => row.cells[0].textContent.trim())"


@pytest.fixture
def board(report_of) -> Path:
    return report_of("board")


@pytest.fixture
def page(board, open_page) -> Any:
    return open_page(board / "index.html", viewport={"width": 1280, "height": 900})


@pytest.fixture
def standing(page) -> Any:
    """The table of all submissions."""
    return page.locator(STANDING)


def entries_of(board: Path) -> list[dict[str, Any]]:
    return json.loads((board / "board.json").read_text("utf-8"))["entries"]


def conditions_of(page: Any) -> list[str]:
    """Addresses of the pages of each condition."""
    links = page.get_by_role("navigation", name="Condition").get_by_role("link")
    return links.evaluate_all("all => all.map(each => each.getAttribute('href'))")


# --- numbers --------------------------------------------------------------------------------------


def test_every_number_shown_is_that_which_verify_recomputes(board, page, open_page):
    submissions = board.parent / "runs"
    recomputed = {}
    for entry in entries_of(board):
        if entry["file"] == "broken.zip":
            continue
        report = verify_submission(
            submissions / entry["file"],
            lambda _, groups: RADSAFE.load(board.parent / studies.QUESTIONS, groups=groups),
        )
        assert (report.verdict is Verdicts.VERIFIED) == (entry["verdict"] == "verified")
        if report.verdict is Verdicts.VERIFIED:
            recomputed[entry["label"]] = {row["condition"]: row for row in report.results}
    assert len(recomputed) == 15
    files = conditions_of(page)
    compared = 0
    for file, condition in zip(files, ("closed_book", "clean", "conflict"), strict=True):
        table = open_page(board / file, scripts=False).locator(STANDING)
        saved = board / table.locator(".save a[href$='.csv']").get_attribute("href")
        with saved.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
        shown = table.locator("table").evaluate(CELLS)
        assert {row["model"] for row in rows} == set(recomputed)
        for row, cells in zip(rows, shown["rows"], strict=True):
            own = recomputed[row["model"]][condition]
            plain = [name for name in row if not name.endswith(("_lo", "_hi"))]
            for name, (text, _), unit in zip(plain, cells, shown["units"], strict=True):
                if name in own and name != "n":
                    assert float(row[name]) == own[name], (file, row["model"], name)
                    assert same(text, str(own[name]), unit), (file, row["model"], name)
                    compared += 1
    assert compared >= 15 * 3 * 3


def test_what_is_refused_has_its_reason_and_no_number(board, open_page):
    page = open_page(board / "not-verified.html")
    text = page.locator("main").inner_text()
    for entry in entries_of(board):
        if entry["verdict"] != "verified":
            assert entry["file"] in text
            assert not entry["results"]
            assert any(each["what"][:40] in text for each in entry["reasons"])
    assert "tampered.zip" in text
    assert "broken.zip" in text
    for file in board.glob("*.html"):
        assert "tampered.zip" not in file.read_text("utf-8") or file.name in (
            "not-verified.html", "history.html",
        )  # fmt: skip


def test_a_name_that_stands_twice_and_a_model_under_two_names_are_said(standing):
    rows = {
        row.locator("th, td").first.inner_text(): row.inner_text()
        for row in standing.locator("tbody tr").all()
    }
    assert "Quite other" in rows["Model 05"]
    assert "Model 05" in rows["Quite other"].partition("\t")[2]
    same_name = [name for name in rows if name.startswith("Model 03")]
    assert len(same_name) == 2
    assert all("name" in rows[name].partition("\t")[2] for name in same_name)


# --- reading --------------------------------------------------------------------------------------


def test_it_sorts_by_a_metric_there_and_back(standing):
    table = standing.locator("table")
    heads = table.locator("thead th")
    at = heads.evaluate_all("all => all.findIndex(each => /accuracy/i.test(each.textContent))")
    before = table.evaluate(NAMES)
    heads.nth(at).get_by_role("button").click()
    down = [float(each) for each in table.evaluate(COLUMN, at)]
    assert down == sorted(down, reverse=True)
    heads.nth(at).get_by_role("button").click()
    up = [float(each) for each in table.evaluate(COLUMN, at)]
    assert up == sorted(up) != down
    heads.nth(at).get_by_role("button").click()
    assert table.evaluate(NAMES) == before


def test_a_filter_leaves_the_rows_of_a_name(standing):
    standing.get_by_label("Filter rows").fill("model 1")
    standing.get_by_text("3 of 15 rows").wait_for()
    assert sorted(standing.locator("table").evaluate(NAMES)) == ["Model 10", "Model 11", "Model 12"]


def test_the_condition_stands_in_the_address(board, page, open_page):
    addresses = conditions_of(page)
    assert len(addresses) == 3
    seen = set()
    for address in addresses:
        page.get_by_role("navigation", name="Condition").locator(f"a[href='{address}']").click()
        page.wait_for_url(f"**/{address}")
        chosen = page.locator("nav.choice [aria-current=page]")
        assert chosen.get_attribute("href") == address
        again = open_page(board / address)
        text = page.locator(STANDING).inner_text()
        assert again.locator(STANDING).inner_text() == text
        seen.add(text)
    assert len(seen) == 3


def test_a_name_leads_to_the_models_report_and_that_leads_back(board, page, standing):
    standing.get_by_role("link", name="Model 07").first.click()
    page.wait_for_url("**/models/*/*")
    assert "Model 07" in page.locator("main").inner_text()
    page.get_by_role("link", name="Leaderboard").first.click()
    page.wait_for_url("**/index.html")
    assert page.locator(STANDING).is_visible()


def test_on_paper_the_table_is_there_and_no_control(board, open_page):
    page = open_page(board / "index.html", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(STANDING).is_visible()
    for control in ("button.theme", ".tools", "button.png"):
        assert not [each for each in page.locator(control).all() if each.is_visible()], control


# --- strangers ------------------------------------------------------------------------------------


def test_names_and_links_of_strangers_are_text(report_of, open_page):
    board = report_of("hostile board")
    page = open_page(board / "index.html")
    names = page.locator(STANDING).locator("table").evaluate(NAMES)
    assert len(names) == len(studies.HOSTILE_MODELS) + len(studies.HOSTILE)
    for said in ("</script><b>bold</b>", "<script>alert(1)</script>", "{{ 7 * 7 }}"):
        assert any(said in name for name in names), said
    assert not any("\u202e" in name for name in names)
    for file in ("index.html", "not-verified.html", "history.html"):
        other = open_page(board / file)
        assert other.locator("main :is(b, img, iframe, script)").count() == 0
        hrefs = other.eval_on_selector_all("[href], [src]", "all => all.map(a => a.href || a.src)")
        assert all(href.startswith(board.resolve().as_uri()) for href in hrefs), file


def test_each_family_has_a_page_and_says_demo(report_of, open_page):
    board = report_of("families board")
    page = open_page(board / "index.html")
    links = page.locator("main table a")
    assert links.count() >= 3
    for href in set(links.evaluate_all("all => all.map(each => each.getAttribute('href'))")):
        other = open_page(board / href)
        assert other.get_by_text("DEMO").first.is_visible(), href
