"""Every page of a report opens from disk without a fault, is there for anyone, and shows what the
tables of `analyze` hold."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.report.browser.conftest import BOARDS, STUDIES
from tests.storing import command


def pages_of(report: Path) -> list[Path]:
    """Of a board's models the pages of the first: the others are of the same kinds."""
    found = sorted(report.rglob("*.html"))
    assert found
    models = sorted({path.relative_to(report).parts[1] for path in report.glob("models/*/*.html")})
    return [
        path for path in found if not set(path.relative_to(report).parts).intersection(models[1:])
    ]


@pytest.mark.parametrize("name", [*STUDIES, *BOARDS])
def test_a_page_opens_without_a_fault_and_fits_a_phone(name, report_of, open_page):
    for file in pages_of(report_of(name)):
        page = open_page(file, viewport={"width": 360, "height": 800})
        assert page.locator("main h1").inner_text().strip(), file
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, file


LEAVE_FEW = """() => {
  for (const each of document.querySelectorAll('details')) each.open = true;
  for (const row of document.querySelectorAll('tbody tr:nth-child(n+6)')) row.remove();
}"""
"""Everything is open, and of rows that are alike there are five: axe-core looks at each cell."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["middle", "one", "noharm", "judged", *BOARDS])
def test_axe_finds_nothing(name, dark, report_of, open_page, violations):
    found = {}
    for file in pages_of(report_of(name)):
        page = open_page(file, dark=dark)
        page.evaluate(LEAVE_FEW)
        if faults := violations(page, only=["color-contrast"] if dark else None):
            found[file.name] = faults
    assert not found


@pytest.mark.parametrize("name", ["wide", "hostile", "families", *BOARDS])
def test_every_link_leads_to_a_file_of_the_report_and_a_place_that_is_there(
    name, report_of, open_page
):
    report = report_of(name).resolve()
    for file in pages_of(report):
        page = open_page(file)
        for address in set(page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")):
            target, _, place = address.partition("#")
            assert target.startswith(report.as_uri()), f"{file.name}: {address}"
            path = report / target.removeprefix(f"{report.as_uri()}/")
            assert path.is_file(), f"{file.name}: {address}"
            if place and path == file and path.name != "cases.html":
                assert page.locator(f'[id="{place}"]').count() == 1, f"{file.name}: {address}"


@pytest.mark.parametrize("name", ["one", "wide", "board"])
def test_a_page_can_be_read_without_scripts(name, report_of, open_page):
    for file in pages_of(report_of(name)):
        page = open_page(file, scripts=False)
        assert page.locator("main h1").inner_text().strip(), file
        said = page.locator("main table, main p")  # a sentence where nothing can be shown
        assert said.count(), file


# --- numbers --------------------------------------------------------------------------------------

CELLS = """table => ({
  units: [...table.tHead.rows[0].cells].map(head => head.querySelector('.unit')?.textContent ?? ''),
  rows: [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => {
    const interval = cell.querySelector('.interval')?.textContent ?? '';
    return [cell.textContent.slice(0, cell.textContent.length - interval.length).trim(), interval];
  })),
})"""


def is_bound(name: str, head: list[str]) -> bool:
    """Whether a column is an end of the interval of another, and has none of its own in a page."""
    found = re.fullmatch(r"(?:(.*)_)?(?:lo|hi)", name)
    return found is not None and (found[1] is None or found[1] in head)


def same(shown: str, value: str, unit: str) -> bool:
    """Whether a cell shows what the CSV file holds, by as many digits as it shows."""
    if not value:
        return shown in ("–", "")
    if unit == "%" and shown == "<0.1":
        return 0 < float(value) < 0.001
    try:
        number = 100 * float(value) if unit == "%" else float(value)
        read = float(shown.lstrip("<>").replace(",", "").replace("−", "-"))
        if shown[0] in "<>":
            return number < read if shown[0] == "<" else number > read
    except ValueError:
        plain = value.removeprefix("'")  # stands before what a spreadsheet would take for a formula
        return shown in (value, plain, {"true": "yes", "false": "no"}.get(value.lower()))
    places = len(shown.partition(".")[2])
    last = 0.501 * 10**-places if places else 0.0  # half of the last place
    return abs(read - number) <= (0.0501 if unit == "%" else max(last, 0.00501 * abs(number)))


@pytest.mark.parametrize("name", ["wide", "one", "noharm", "judged", *BOARDS])
def test_a_table_shows_its_csv_file_cell_by_cell(name, report_of, open_page):
    compared = 0
    for file in pages_of(report_of(name)):
        page = open_page(file, scripts=False)  # by scripts a long table has its first rows alone
        for block in page.locator("div.table").all():
            saved = file.parent / block.locator(".save a[href$='.csv']").get_attribute("href")
            with saved.open(encoding="utf-8", newline="") as opened:
                head, *rows = csv.reader(opened)
            shown = block.locator("table").evaluate(CELLS)
            assert len(shown["rows"]) == len(rows), saved
            plain = [at for at, each in enumerate(head) if not is_bound(each, head)]
            assert len(plain) == len(shown["units"]), saved
            for cells, row in zip(shown["rows"], rows, strict=True):
                for (text, interval), place, unit in zip(cells, plain, shown["units"], strict=True):
                    assert same(text, row[place], unit), f"{saved.name}: {row} {text!r}"
                    if interval:
                        bounds = [row[at] for at in range(place + 1, place + 3)]
                        ends = interval.split(" to ")
                        assert all(map(same, ends, bounds, [unit, unit])), f"{saved.name}: {row}"
                    compared += 1
    assert compared > 10


def test_the_overview_holds_the_results_of_analyze(report_of, tmp_path):
    report = report_of("wide")
    made = command("analyze", report.parent / "runs", "-o", tmp_path)
    assert made.exit_code == 0, made.output
    with (tmp_path / "tables" / "results.csv").open(encoding="utf-8", newline="") as file:
        results = {
            (row["model"], row["condition"], row["metric"].replace("_", "-")): row
            for row in csv.DictReader(file)
            if not row["group"]
        }
    metrics = {metric for _, _, metric in results}
    conditions = {condition for _, condition, _ in results}
    compared = 0
    for path in (report / "tables").glob("overview-every-rate-*.csv"):  # of one model
        with path.open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        (condition,), (model,) = conditions, {model for model, _, _ in results}
        for metric in (name.removesuffix("_lo") for name in row if name.endswith("_lo")):
            own = results[model, condition, metric.replace("_", "-")]
            shown = [row[f"{metric}{end}"] for end in ("", "_lo", "_hi")]
            assert shown == [own["value"], own["lo"], own["hi"]], metric
            compared += 1
    for path in (report / "tables").glob("overview-every-model-*.csv"):
        words = path.stem.removeprefix("overview-every-model-")
        metric = words if words in metrics else f"{words}-answer"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for condition in (name.removesuffix("_lo") for name in rows[0] if name.endswith("_lo")):
            for row in rows:
                own = results[row["model"], condition, metric]
                shown = [row[f"{condition}{end}"] for end in ("", "_lo", "_hi")]
                assert shown == [own["value"], own["lo"], own["hi"]], f"{path.name}: {row}"
                compared += 1
    assert compared
