"""Pages of a board hold what was compared, and show whatever a submission says as text alone."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import polars as pl
import pytest

from lm_eval_safescale.analysis import open_runs
from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.leaderboard.board.pages import BoardPages
from lm_eval_safescale.leaderboard.board.pages.finding import doubt_of, finding_of
from lm_eval_safescale.leaderboard.board.pages.standing import Standing, main_condition
from lm_eval_safescale.leaderboard.board.result import Change, Flag, Gap, Place, Reason
from lm_eval_safescale.leaderboard.verify import Verdicts
from lm_eval_safescale.report.tables import NOT_SCORED, interval_of, text_of
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import merge_runs
from lm_eval_safescale.settings import Settings
from tests.leaderboard.boards import (
    board_of,
    comparison_of,
    entry_of,
    front_of,
    refused_of,
)
from tests.report.making import drawn_runs
from tests.report.reading_cases import shards_of
from tests.report.studies import HOSTILE, HOSTILE_MODELS, QUESTIONS, questions, write_study


class Seen(HTMLParser):
    """Tables by their caption, addresses, ids and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tables, self.hrefs, self.ids, self.text, self.tags = {}, [], [], "", []
        self._rows, self._cell, self._caption = None, None, None
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.tags.append(tag)
        assert not [name for name in known if name.startswith("on") or name == "style"]
        self.hrefs += [known[name] for name in ("href", "src") if name in known]
        self.ids += [known["id"]] if "id" in known else []
        if tag == "table":
            self._rows = []
        elif tag == "caption":
            self._caption = ""
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._cell = ["", ""]
        elif tag == "span" and self._cell is not None and known.get("class") == "interval":
            self._cell.append("")

    def handle_data(self, data):
        self.text += data
        if self._caption is not None:
            self._caption += data
        elif self._cell is not None:
            self._cell[2 if len(self._cell) > 2 else 0] += data

    def handle_endtag(self, tag):
        if tag == "caption":
            self.tables[self._caption] = self._rows
            self._caption = None
        elif tag in ("td", "th") and self._cell is not None:
            self._rows[-1].append((self._cell[0].strip(), self._cell[-1].strip()))
            self._cell = None


def build(board, folder):
    BoardPages().board(board, folder)
    return folder


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def of(standing, board, comparison):
    return Standing(board, comparison, standing)


@pytest.fixture(scope="module")
def comparison():
    return comparison_of(drawn_runs())


@pytest.fixture(scope="module")
def board(comparison):
    refused = [
        refused_of("broken.zip"),
        refused_of("unknown.zip", verdict=Verdicts.UNKNOWN),
    ]
    return board_of(comparison, refused=refused)


@pytest.fixture(scope="module")
def site(board, tmp_path_factory):
    return build(board, tmp_path_factory.mktemp("board"))


def test_each_condition_has_a_page_whose_table_is_what_was_compared(site, comparison):
    for condition in comparison.conditions:
        standing = condition.replace("_", "-")
        page = Seen(site / f"radsafe-made-{standing}.html")
        (name,) = (name for name in page.tables if name.startswith("Every submission"))
        head, *rows = page.tables[name]
        assert len(rows) == len(comparison.entries)
        heads = [text for text, _ in head]
        own = {
            (each.label, each.metric): each
            for each in comparison.places
            if each.condition == condition
        }
        for row in rows:
            label = row[0][0]
            for metric in comparison.metrics:
                place = own[label, metric]
                words = comparison.study.family.shown.get(metric, metric)
                column = next(
                    number
                    for number, text in enumerate(heads)
                    if text.removesuffix(" %") in (words, comparison.study.family.headlines[metric])
                )
                assert row[column] == (
                    text_of(place.value, "percent"),
                    interval_of(place.lo, place.hi, "percent") or text_of(place.value, "percent"),
                )
            first = own[label, "high_risk_error"]
            shown = interval_of(first.rank_lo, first.rank_hi, "count")
            assert row[1] == (text_of(first.rank, "count"), shown)


def test_the_table_as_csv_has_the_numbers_with_all_digits(site, comparison):
    path = site / "tables" / "radsafe-made-clean-every-submission-clean-evidence.csv"
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    own = {
        each.label: each
        for each in comparison.places
        if each.condition == "clean" and each.metric == "accuracy"
    }
    assert {row["model"]: float(row["accuracy"]) for row in rows} == {
        label: place.value for label, place in own.items()
    }


def test_rows_stand_by_rank_and_a_shared_rank_is_said(board, comparison):
    standing = of("clean", board, comparison)
    ranks = [place.rank for place in standing.ranked]
    assert ranks == sorted(ranks)
    for place in standing.ranked:
        assert standing.sharing(place) == ranks.count(place.rank) - 1


def test_the_index_of_one_data_set_is_its_main_page(site, comparison):
    main = f"radsafe-made-{main_condition(comparison).replace('_', '-')}.html"
    assert Seen(site / "index.html").tables == Seen(site / main).tables


def test_every_address_leads_to_a_page_or_to_an_entry(site, board):
    slugs = {entry.slug for entry in board.verified}
    for path in site.glob("*.html"):
        for href in Seen(path).hrefs:
            file = unquote(href.partition("#")[0])
            if file.startswith("models/"):
                assert file.split("/")[1] in slugs
                assert file.split("/")[2] in ("index.html", "cases.html")
            elif file not in ("", "board.csv", "board.json"):
                assert (site / file).is_file(), (path.name, href)


def test_what_is_not_verified_has_reasons_and_no_number(site):
    page = Seen(site / "not-verified.html")
    ((_, *rows),) = page.tables.values()
    assert [[text for text, _ in row[:3]] for row in rows] == [
        ["broken.zip", NOT_SCORED, "refused"],
        ["unknown.zip", NOT_SCORED, "cannot tell"],
    ]
    for path in site.glob("radsafe*.html"):
        assert "broken.zip" not in path.read_text("utf-8")


def test_the_same_board_gives_the_same_bytes(board, comparison, site, tmp_path):
    again = board_of(comparison_of(drawn_runs()), refused=board.not_verified)
    assert files_of(build(again, tmp_path)) == files_of(site)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_submissions_are_a_board_too(n, tmp_path):
    comparisons = [comparison_of(drawn_runs(models=MODELS[:n]))] if n else []
    board = board_of(*comparisons)
    page = Seen(build(board, tmp_path) / "index.html")
    if not n:
        assert "No submission has been verified yet" in page.text
    else:
        (name,) = (name for name in page.tables if name.startswith("Every submission, "))
        assert len(page.tables[name]) == 1 + n
    assert ("There is nothing to compare it with." in page.text) == (n == 1)


MODELS = ("Qwen3-4B", "Qwen3-32B")


def test_several_data_sets_have_a_page_each_and_an_index(tmp_path):
    one = comparison_of(drawn_runs(models=MODELS))
    other = comparison_of(drawn_runs(models=MODELS[:1], n=12), "radsafe-other")
    page = Seen(build(board_of(one, other), tmp_path) / "index.html")
    ((_, *rows),) = page.tables.values()
    assert [row[1][0] for row in rows] == ["2", "1"]
    names = [row[0][0] for row in rows]
    assert len(set(names)) == 2  # one name of two data sets is told apart
    assert "radsafe-made-closed-book.html" in page.hrefs
    assert "radsafe-other-closed-book.html" in page.hrefs


def test_demo_data_are_marked_on_every_page_that_is_of_them_alone(tmp_path):
    real = comparison_of(drawn_runs(models=MODELS))
    demo = replace(real, key="demo", dataset={**real.dataset, "demo": True})
    build(board_of(demo), tmp_path / "demo")
    assert all("DEMO data" in Seen(path).text for path in (tmp_path / "demo").glob("*.html"))
    build(board_of(real, demo), tmp_path / "both")
    marked = {
        path.name for path in (tmp_path / "both").glob("*.html") if "DEMO data" in Seen(path).text
    }
    assert marked
    assert all(name.startswith("demo-") for name in marked)


# --- the finding ----------------------------------------------------------------------------------


def standing_with(ranks, comparison, gaps=()):
    """A standing of entries with these ranks and intervals."""
    labels = comparison.entries[: len(ranks)]
    places = tuple(
        Place(
            label=label, condition="clean", metric="high_risk_error", value=0.1 * (1 + number),
            lo=0.05, hi=0.6, n=24, rank=rank, rank_lo=rank, rank_hi=high, is_best=rank == 1,
        )
        for number, (label, (rank, high)) in enumerate(zip(labels, ranks, strict=True))
    )  # fmt: skip
    own = replace(comparison, places=places, held_out=tuple(gaps), entries=labels)
    return Standing(board_of(own), own, "clean")


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        ([(1, 1)], "Qwen3-4B: high-risk error 10.0\xa0%, clean evidence"),
        (
            [(1, 2), (1, 2)],
            "Nobody can be told apart: either of both may be the best by the high-risk error rate, "
            "clean evidence",
        ),
        (
            [(1, 3), (1, 3), (1, 3)],
            "Nobody can be told apart: any of 3 submissions may be the best by the high-risk error "
            "rate, clean evidence",
        ),
        (
            [(1, 1), (2, 3), (2, 3)],
            "Qwen3-4B has a lower high-risk error rate than all others, clean evidence",
        ),
        (
            [(1, 2), (2, 3), (2, 3)],
            "Qwen3-4B alone has rank 1 of 3 by the high-risk error rate, clean evidence",
        ),
        (
            [(1, 2), (1, 3), (2, 3)],
            "Qwen3-4B and Qwen3-32B share rank 1 of 3 by the high-risk error rate, clean evidence",
        ),
    ],
)
def test_the_headline_says_no_more_than_can_be_told(ranks, said, comparison):
    ordered = sorted(comparison.entries, key=list(drawn_runs().models).index)
    names = ("Qwen3-4B", "Qwen3-32B", *(each for each in ordered if not each.startswith("Qwen")))
    standing = standing_with(ranks, replace(comparison, entries=names))
    assert finding_of(standing) == said


def test_a_gap_beyond_chance_is_part_of_the_doubt(comparison):
    label = comparison.entries[0]
    numbers = dict.fromkeys(
        (
            "open", "open_lo", "open_hi", "held_out", "held_out_lo", "held_out_hi", "gap", "lo",
            "hi", "excess", "excess_lo", "excess_hi", "p", "p_holm",
        ),
        0.01,
    )  # fmt: skip
    gap = Gap(
        label=label, condition="clean", metric="high_risk_error", open_n=12, held_out_n=12,
        is_beyond_chance=True, **numbers,
    )  # fmt: skip
    with_gap = doubt_of(standing_with([(1, 2), (1, 2)], comparison, [gap]))
    assert f"{label} does better on the open items than on the held-out ones" in with_gap
    without = doubt_of(standing_with([(1, 2), (1, 2)], comparison))
    assert "held-out" not in without


def test_the_front_joins_those_that_nobody_beats(comparison, tmp_path):
    labels = comparison.entries
    values = dict(zip(labels, ((0.9, 0.3), (0.7, 0.1), (0.8, 0.2), (0.6, 0.4)), strict=True))
    front = front_of("clean", "accuracy", "high_risk_error", values)
    own = replace(comparison, fronts=(front,))
    page = Seen(build(board_of(own), tmp_path) / "radsafe-made-clean.html")
    table = page.tables[
        f"On the front of accuracy and high-risk error: {labels[1]}, {labels[2]} and {labels[0]}"
    ]
    assert [row[-1][0] for row in table[1:]] == ["yes", "yes", "yes", "no"]


def test_rates_that_are_no_metric_have_a_front_too(comparison, tmp_path):
    values = dict(
        zip(comparison.entries, ((0.1, 0.3), (0.3, 0.1), (0.4, 0.4), (0.2, 0.2)), strict=True)
    )
    front = replace(
        front_of("clean", "omission", "commission", values), higher_is_better=(False, False)
    )
    own = replace(comparison, fronts=(front,))
    page = Seen(build(board_of(own), tmp_path) / "radsafe-made-clean.html")
    assert "Omission and commission" in page.text
    (table,) = (rows for rows in page.tables.values() if rows[0][1][0] == "omission %")
    assert [row[1][0] for row in table[1:]] == ["10.0", "30.0", "40.0", "20.0"]


# --- what submissions say -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A board of entries all of whose names and texts are code elsewhere."""
    runs = drawn_runs(models=MODELS, conditions=("clean",))
    names = (*HOSTILE_MODELS[:9], *HOSTILE[:4])
    answers = runs.answers
    parts = [
        Runs(
            runs.items,
            answers.filter(answers["model"] == MODELS[number % 2]).with_columns(model=pl.lit(name)),
            {**runs.about, "models": {name: runs.about["models"][MODELS[0]]}},
        )
        for number, name in enumerate(names)
    ]
    together = merge_runs({str(number): part for number, part in enumerate(parts)})

    def entry(label, number, **given):
        text = HOSTILE[number % len(HOSTILE)]
        made = entry_of(label, number, **given)
        return replace(
            made,
            file=text,
            card={**made.card, "model_family": text, "notes": text},
            flags=(Flag(kind="same name", others=(text,), said=text),),
            made_by=text,
            not_shown=(text,),
        )

    reasons = [
        Reason(verdict="refused", kind="name", where=text, what=text, expected=text)
        for text in HOSTILE
    ]
    refused = [
        refused_of(text, reasons=(each,)) for text, each in zip(HOSTILE, reasons, strict=True)
    ]
    board = board_of(comparison_of(together), refused=refused, entry=entry)
    changes = tuple(
        Change(kind="added", label=text, said=text, why=text) for text in (*HOSTILE, *names)
    )
    board = replace(board, history=(replace(board.history[0], changes=changes),))
    return build(board, tmp_path_factory.mktemp("hostile"))


def test_what_submissions_say_is_text_and_never_a_link_or_an_element(hostile):
    for path in hostile.glob("*.html"):
        page = Seen(path)
        assert len(page.ids) == len(set(page.ids))
        assert not [href for href in page.hrefs if ":" in href.partition("#")[0]]
        assert page.tags.count("script") == 1  # ours
        assert not {"b", "img"} & set(page.tags)
        for href in page.hrefs:
            file = href.partition("#")[0]
            assert file.startswith(("models/", "board.")) or (hostile / file).is_file() or not file


def test_no_name_of_a_file_is_of_a_submission(hostile):
    names = [path.relative_to(hostile).as_posix() for path in hostile.rglob("*")]
    assert all(set(name) <= set(ALLOWED) and len(name) < 160 for name in names)


ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789-_./"


def test_what_is_too_long_is_cut(hostile):
    assert (hostile / "not-verified.html").stat().st_size < 100_000


# --- reports of entries ---------------------------------------------------------------------------


def test_the_report_of_an_entry_is_the_same_wherever_its_runs_lie(tmp_path):
    runs = write_study(tmp_path / "a", questions(20), MODELS[:1], ("closed_book", "clean"), draws=2)
    dataset = load_dataset(Settings(dataset_path=str(tmp_path / "a" / QUESTIONS)))
    entry = entry_of(MODELS[0])
    moved = tmp_path / "b" / "elsewhere"
    shutil.copytree(runs, moved)
    for name, folder in (("one", runs), ("two", moved)):
        BoardPages(shows_data=True).model(
            entry, open_runs(folder), dataset, folder, tmp_path / name
        )
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert "../../index.html" in Seen(tmp_path / "one" / "index.html").hrefs
    page = Seen(tmp_path / "one" / "submission.html")
    assert entry.root in page.text
    assert "that this model wrote these texts" in page.text.casefold()


def test_texts_of_the_data_set_are_shown_only_where_they_may_be(tmp_path):
    runs = write_study(tmp_path / "a", questions(20), MODELS[:1], ("clean",), draws=2)
    dataset = load_dataset(Settings(dataset_path=str(tmp_path / "a" / QUESTIONS)))
    question = json.loads((tmp_path / "a" / QUESTIONS).read_text().splitlines()[0])["question"]

    def has_texts(name, pages, data):
        pages.model(entry_of(MODELS[0]), open_runs(runs), data, runs, tmp_path / name)
        return question in json.dumps(shards_of(tmp_path / name, "items"))

    assert not has_texts("closed", BoardPages(), dataset)
    assert has_texts("open", BoardPages(shows_data=True), dataset)
    assert has_texts("demo", BoardPages(), replace(dataset, is_demo=True))
