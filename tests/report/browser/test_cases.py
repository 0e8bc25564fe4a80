"""The case browser: filters count what Polars counts, an address gives the same view again, and a
reader can go through cases, compare, dispute and export, by the keyboard too."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl
import pytest

from lm_eval_safescale.families.noharm_text.verdicts import Verdicts
from lm_eval_safescale.report.cases.links import link
from lm_eval_safescale.runs.store import open_runs
from tests.report import studies
from tests.storing import command


@pytest.fixture
def cases(report_of, open_page):
    """`cases(name="middle", **filters)`: the view of an address, once it is drawn."""

    def opened(name="middle", /, *, dark=False, **filters):
        address = link({each.rstrip("_"): value for each, value in filters.items()})
        _, _, hash_ = address.partition("#")
        page = open_page(report_of(name) / "cases.html", hash_, dark=dark)
        page.wait_for_selector("html[data-ready]")
        return page

    return opened


@pytest.fixture
def greedy(report_of):
    """Greedy answers beside their items, as texts."""
    runs = open_runs(report_of("middle").parent / "runs")
    ids = [pl.col(pl.Enum).cast(pl.String)]
    items = runs.items.with_columns(ids)
    return runs.answers.filter(pl.col("draw") == 0).with_columns(ids).join(items, on="question_id")


WRONG = (pl.col("response") != pl.col("answer")).fill_null(True)
HARM = pl.col("label_high_risk").str.contains(pl.col("response")).fill_null(False)


def listed(page):
    """Ids and counts of the list."""
    return {
        row.locator(".name bdi").first.inner_text(): int(
            row.locator(".hits").evaluate("each => each.textContent.match(/\\d+/)[0]")
        )
        for row in page.locator("#list li").all()
    }


# --- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "where", "kind"),
    [
        ({"kind": "high_risk_error"}, pl.lit(True), HARM),
        ({"kind": "high_risk_error", "condition": "clean"}, pl.col("condition") == "clean", HARM),
        ({"kind": "wrong", "model": "Qwen3-32B"}, pl.col("model") == "Qwen3-32B", WRONG),
        ({"kind": "unanswered"}, pl.lit(True), pl.col("status") == "unanswered"),
        (
            {"kind": "wrong", "group": "subspecialty:chest", "condition": "rag"},
            (pl.col("group_subspecialty") == "chest") & (pl.col("condition") == "rag"),
            WRONG,
        ),
    ],
)
def test_a_filter_counts_what_polars_counts(filters, where, kind, cases, greedy):
    page = cases(**filters)
    counted = greedy.filter(where & kind).group_by("question_id").len()
    assert counted.height
    assert listed(page) == dict(counted.iter_rows())
    shown = "All" if counted.height == 40 else f"{counted.height} of"
    assert page.locator("h1").inner_text().startswith(f"{shown} 40 cases")


def test_all_models_wrong_leaves_cases_that_each_answer_is_wrong_to(cases, greedy):
    page = cases(kind="wrong", by="all", condition="closed_book")
    found = (
        greedy.filter(pl.col("condition") == "closed_book")
        .group_by("question_id")
        .agg(WRONG.all().alias("all"), pl.len())
        .filter("all")
    )
    assert listed(page) == dict(found.select("question_id", "len").iter_rows())


def test_a_text_is_looked_for_in_questions_and_options(cases, report_of):
    file = report_of("middle").parent / studies.QUESTIONS
    records = map(json.loads, file.read_text("utf-8").splitlines())
    read = ("question", "options", "evidence_clean", "evidence_conflict")
    held = [
        each["question_id"]
        for each in records
        if "dense bright" in json.dumps([each[name] for name in read])
    ]
    page = cases()
    page.get_by_label("Text", exact=True).fill("dense BRIGHT")
    page.wait_for_url("**text=*")
    page.locator("h1", has_text=f"{len(held)} of 40").wait_for()
    assert set(listed(page)) == set(held)


def test_controls_write_the_address_and_an_address_gives_the_same_view(cases, open_page):
    page = cases()
    page.get_by_label("Show").select_option(label="▲ high-risk error")
    page.get_by_label("Condition", exact=True).select_option("conflict")
    page.get_by_label("Order").select_option("id")
    page.wait_for_url("**sort=id*")
    page.locator("#list a").nth(2).click()
    page.locator("#title").wait_for()
    again = open_page(*_file_and_hash(page.url))
    again.locator("#title").wait_for()
    assert again.locator("#title").inner_text() == page.locator("#title").inner_text()
    assert listed(again) == listed(page)
    assert list(listed(page)) == sorted(listed(page))
    assert again.get_by_label("Condition", exact=True).input_value() == "conflict"
    page.go_back()
    page.wait_for_function("!location.hash.includes('item=')")


def _file_and_hash(address):
    parts = urlsplit(address)
    return Path(unquote(parts.path)), parts.fragment


# --- a case ---------------------------------------------------------------------------------------


def test_a_case_shows_its_question_options_labels_and_what_was_answered(cases, greedy, report_of):
    item = "q0007"
    file = report_of("middle").parent / studies.QUESTIONS
    record = next(
        found for line in file.read_text("utf-8").splitlines()
        if (found := json.loads(line))["question_id"] == item
    )  # fmt: skip
    page = cases(item=item)
    assert page.locator("#title").inner_text() == record["question"]
    rows = page.locator("table.options tbody tr")
    assert rows.count() == len(record["options"])
    own = greedy.filter(pl.col("question_id") == item)
    for row, (letter, text) in zip(rows.all(), record["options"].items(), strict=True):
        assert row.locator("th").inner_text() == letter
        assert row.locator("td").nth(0).inner_text() == text
        chosen = own.filter(pl.col("response") == letter).height
        assert row.locator("td").nth(2).inner_text() == f"{chosen} of {own.height}"
        labelled = bool(record["labels"][letter]["high_risk"])
        assert ("high-risk" in row.locator("td").nth(1).inner_text()) == labelled
    for given in own.iter_rows(named=True):
        button = page.locator(f'[data-answer="{given["model"]}@{given["condition"]}"]')
        shown = button.locator(".letter bdi").inner_text()
        assert shown == (given["response"] or "–")


def test_an_answer_opens_with_its_text_and_the_rule_that_read_it(cases, greedy):
    page = cases(item="q0007")
    button = page.locator('[data-answer="Qwen3-32B@clean"]')
    button.click()
    (given,) = greedy.filter(
        (pl.col("question_id") == "q0007")
        & (pl.col("model") == "Qwen3-32B")
        & (pl.col("condition") == "clean")
    ).iter_rows(named=True)
    detail = page.get_by_role("region", name="The answer")
    detail.wait_for()
    assert detail.locator("pre").first.inner_text() == given["text"]
    assert given["rule"] in detail.inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    detail.wait_for(state="detached")


PAIRED = {
    "a_right_b_wrong": (~WRONG, WRONG),
    "a_wrong_b_right": (WRONG, ~WRONG),
}


@pytest.mark.parametrize("pair", PAIRED)
def test_side_by_side_leaves_the_cases_of_which_two_differ(pair, cases, greedy):
    models = studies.panel(34)[::3]
    page = cases(model=models[0], condition="clean", with_=f"{models[1]}@closed_book", pair=pair)
    first, second = PAIRED[pair]
    of_a = (pl.col("model") == models[0]) & (pl.col("condition") == "clean")
    of_b = (pl.col("model") == models[1]) & (pl.col("condition") == "closed_book")
    ids = [set(greedy.filter(own & kind)["question_id"]) for own, kind in
           ((of_a, first), (of_b, second))]  # fmt: skip
    assert set(listed(page)) == ids[0] & ids[1]
    assert ids[0] & ids[1]
    page.locator("#list a").first.click()
    sides = page.locator("section.side")
    sides.first.wait_for()
    assert sides.count() == 2
    assert models[0] in sides.nth(0).inner_text()
    assert models[1] in sides.nth(1).inner_text()


def test_two_are_chosen_by_the_controls(cases):
    page = cases()
    page.get_by_text("Side by side").click()
    page.get_by_label("B: model").select_option(studies.panel(34)[3])
    page.locator("#compared").get_by_role("link", name="harm come").click()
    page.wait_for_url("**pair=harm_come*")
    assert "harm come" in page.locator("#compared").inner_text()


# --- marks and files ------------------------------------------------------------------------------


def test_a_dispute_is_saved_loaded_and_taken_by_analyze(cases, report_of, tmp_path, open_page):
    page = cases(item="q0007")
    page.locator("#dispute-kind").select_option("key wrong")
    page.get_by_label("Note").fill('=1+1 "quoted" </script>')
    page.get_by_role("button", name="Mark").click()
    page.get_by_text("Disputes", exact=True).click()
    page.get_by_text("1 case disputed").wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save disputes.json").click()
    file = tmp_path / "disputes.json"
    saved.value.save_as(file)
    marks = [{"question_id": "q0007", "dispute": "key wrong", "note": '=1+1 "quoted" </script>'}]
    assert json.loads(file.read_text("utf-8")) == marks
    other = cases(marked="yes")
    assert listed(other) == {}
    other.get_by_text("Disputes", exact=True).click()
    other.get_by_label("Load disputes.json").set_input_files(file)
    other.get_by_text("1 mark read").wait_for()
    other.locator("#list li").wait_for()
    assert list(listed(other)) == ["q0007"]
    runs = report_of("middle").parent / "runs"
    made = command("analyze", runs, "--exclude", file, "-o", tmp_path / "tables")
    assert made.exit_code == 0, made.output


def test_a_file_that_is_no_list_of_disputes_is_refused_and_changes_nothing(cases, tmp_path):
    (tmp_path / "other.json").write_text('{"question_id": "q0001"}')
    page = cases()
    page.get_by_text("Disputes", exact=True).click()
    page.get_by_label("Load disputes.json").set_input_files(tmp_path / "other.json")
    page.get_by_text("is no file of disputes").wait_for()
    assert page.locator("#marks").inner_text() == "No case is disputed."


def test_the_cases_of_a_view_are_exported_and_no_cell_is_a_formula(cases):
    page = cases("hostile", kind="wrong")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV of these cases").click()
    rows = pl.read_csv(saved.value.path(), infer_schema=False)
    assert rows["question_id"].to_list() == list(listed(page))
    cells = [cell for row in rows.iter_rows() for cell in row if cell]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


# --- for anyone -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_in_an_open_case_compared_with_another(dark, cases, violations):
    models = studies.panel(34)[::3]
    page = cases(
        dark=dark, kind="high_risk_error", model=models[0], condition="clean", item="q0007",
        with_=f"{models[1]}@closed_book", answer=f"{models[0]}@clean",
    )  # fmt: skip
    page.get_by_role("region", name="The answer").wait_for()
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true })")
    assert violations(page) == []


def test_the_keyboard_alone_goes_through_cases_opens_an_answer_and_disputes(cases):
    page = cases(kind="high_risk_error")
    order = list(listed(page))
    page.locator("article", has_text=order[0]).wait_for()  # the first is open
    for key, place in (("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        page.wait_for_url(f"**item={order[place]}*")
        page.locator("article", has_text=order[place]).wait_for()
    page.keyboard.press("o")
    page.get_by_role("region", name="The answer").wait_for()
    page.keyboard.press("d")
    assert page.evaluate("document.activeElement.id") == "dispute-kind"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("a note")
    page.keyboard.press("Enter")
    page.get_by_text("is marked: key wrong").wait_for()


def test_on_paper_a_case_is_there_and_its_controls_are_not(cases):
    page = cases(item="q0007")
    page.emulate_media(media="print")
    assert page.locator("#title").is_visible()
    assert page.locator("table.options").is_visible()
    assert not page.locator("#filters").is_visible()
    assert not page.locator("form.dispute").is_visible()


# --- hostile --------------------------------------------------------------------------------------


def test_every_hostile_text_is_shown_as_text_and_changes_no_link(cases, report_of):
    page = cases("hostile", sort="id")
    assert page.locator("#list li").count() == 2 * len(studies.HOSTILE)
    own = report_of("hostile").resolve().as_uri()
    for number in range(len(studies.HOSTILE)):
        page.locator("#list a").nth(number).click()
        page.locator("#list a[aria-current=true] >> nth=0").wait_for()
        page.locator("#title").wait_for()
        page.locator("button.answer").first.click()
        page.get_by_role("region", name="The answer").wait_for()
        assert page.locator("article script, article img, article a, article b").count() == 0
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        assert all(each.startswith(own) for each in links)
    shown = page.locator("article").inner_text()
    assert "0123456789" * 20_000 in shown or len(shown) > 200_000


def test_half_a_character_is_shown_and_stops_nothing(cases, report_of):
    answers = open_runs(report_of("halves").parent / "runs").answers
    (item, condition), *_ = (
        answers.filter(pl.col("text").str.contains("half a character"), draw=0)
        .select("question_id", "condition")
        .iter_rows()
    )
    page = cases("halves", item=item, answer=f"{answers['model'][0]}@{condition}")
    page.get_by_role("region", name="The answer").wait_for()
    assert "half a character" in page.get_by_role("region", name="The answer").inner_text()


def test_on_a_phone_the_filters_are_folded_and_the_first_case_is_open(report_of, open_page):
    file = report_of("wide") / "cases.html"
    page = open_page(file, viewport={"width": 360, "height": 800})
    page.locator("#title").wait_for()
    assert not page.get_by_label("Condition", exact=True).is_visible()
    page.get_by_text("Filters", exact=True).click()
    assert page.get_by_label("Condition", exact=True).is_visible()
    assert page.locator("article").inner_text().startswith(next(iter(listed(page))))


def test_a_mark_that_was_given_stays_removed(report_of, open_page):
    page = open_page(report_of("wide") / "cases.html", "item=q0007")
    page.locator("#title").wait_for()
    given = """() => {
      localStorage.clear();
      data.disputes = [{question_id: 'q0007', dispute: 'other', note: ''}];
      marks = new Map();
      openMarks();
      const before = marks.has('q0007');
      setMark('q0007', null);
      marks = new Map();
      openMarks();
      return [before, marks.has('q0007')];
    }"""
    assert page.evaluate(given) == [True, False]


# --- judged advice --------------------------------------------------------------------------------


def test_verdicts_actions_and_evidence_are_texts_whatever_they_hold(report_of, open_page):
    runs = open_runs(report_of("hostile judged").parent / "runs")
    row = runs.answers.filter(pl.col("draw") == 0).row(0, named=True)
    verdicts = Verdicts.read(row["response"])
    named = f"{row['model']}@{row['condition']}"
    address = link({"item": str(row["question_id"]), "answer": named})
    page = open_page(report_of("hostile judged") / "cases.html", address.partition("#")[2])
    page.locator("table.told").first.wait_for(state="attached")
    detail = page.locator(".detail")
    for folded in detail.locator("details").all():
        folded.locator("summary").click()
    told = detail.evaluate("each => each.textContent")
    for text in (verdicts.judge, *verdicts.flags):
        assert text in told
    for each in verdicts.options.values():
        assert each.evidence in told
        assert each.reason in told
    for action in verdicts.actions:
        assert action.action in told
    assert detail.locator("script, img, svg, a").count() == 0
    assert detail.locator("table.told tbody tr").count() == len(verdicts.options) + len(
        verdicts.actions
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [360, 1280])
def test_an_opened_answer_of_judged_advice_is_for_everybody(
    width, report_of, open_page, violations
):
    address = link({"item": "Card001", "answer": "solo/small@noharm"})
    file = report_of("judged") / "cases.html"
    page = open_page(file, address.partition("#")[2], viewport={"width": width, "height": 800})
    page.locator("table.told").first.wait_for()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
